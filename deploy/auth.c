// SPDX-License-Identifier: Apache-2.0
// Authentication files (auth.h).
#include "deploy/auth.h"

#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "support/json.h"
#include "support/process.h"

enum { FILE_BYTES = 1 << 20, HELPER_MS = 30000, HELPER_BYTES = 65536 };

// base64 of "user:secret".
static bool decode(const char *text, auth *a) {
  size_t length = strlen(text);
  unsigned char plain[4096 + 256];
  if (!length || length % 4 || length / 4 * 3 >= sizeof plain) return false;
  int size = EVP_DecodeBlock(plain, (const unsigned char *)text, (int)length);
  if (size < 0) return false;
  for (size_t i = length; i && text[i - 1] == '=' && size; i--) size--;
  plain[size] = 0;
  char *colon = memchr(plain, ':', (size_t)size);
  if (!colon || strlen((char *)plain) != (size_t)size || (size_t)(colon - (char *)plain) >= sizeof a->user)
    return false;
  *colon = 0;
  if (strlen(colon + 1) >= sizeof a->secret) return false;
  memcpy(a->user, plain, strlen((char *)plain) + 1);
  memcpy(a->secret, colon + 1, strlen(colon + 1) + 1);
  return true;
}

// How much of HOST/REPOSITORY the name of an entry covers: its length, or 0. Docker writes URLs for its own hub.
static size_t covers(const char *entry, const char *host, const char *repository) {
  if (!strncmp(entry, "https://", 8)) entry += 8;
  if (!strcmp(host, "docker.io") && (!strcmp(entry, "index.docker.io/v1/") || !strcmp(entry, "index.docker.io")))
    return 9;
  size_t length = strcspn(entry, "/"), host_length = strlen(host);
  if (length != host_length || strncmp(entry, host, length) != 0) return 0;
  const char *rest = entry[length] ? entry + length + 1 : "";
  size_t more = strlen(rest);
  if (!more) return host_length;
  bool inside = !strncmp(repository, rest, more) && (!repository[more] || repository[more] == '/');
  return inside ? host_length + 1 + more : 0;
}

bool auth_parse(const char *bytes, size_t size, const char *host, const char *repository, auth *found, fault *f) {
  json_error_t error;
  json_t *file = json_loadb(bytes, size, 0, &error), *entry;
  const char *name;
  size_t best = 0;
  *found = (auth){0};
  if (!json_is_object(file)) fault_set(f, SDX_INVALID_ARGUMENT, "not JSON: line %d: %s", error.line, error.text);
  json_object_foreach(json_object_get(file, "auths"), name, entry) {
    size_t length = covers(name, host, repository);
    auth candidate = {0};
    const char *token = text_of(entry, "identitytoken");
    bool good = *token
                    ? (size_t)snprintf(candidate.secret, sizeof candidate.secret, "%s", token) < sizeof candidate.secret
                    : decode(text_of(entry, "auth"), &candidate);
    candidate.is_token = *token != 0;
    if (length <= best || !good) continue;
    best = length;
    *found = candidate;
  }
  json_object_foreach(json_object_get(file, "credHelpers"), name, entry) {
    if (!best && covers(name, host, repository) && json_is_string(entry))
      snprintf(found->helper, sizeof found->helper, "%s", json_string_value(entry));
  }
  if (!best && !found->helper[0]) snprintf(found->helper, sizeof found->helper, "%s", text_of(file, "credsStore"));
  // It becomes the name of a program.
  if (strspn(found->helper, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") !=
      strlen(found->helper))
    found->helper[0] = 0;
  json_decref(file);
  return best || found->helper[0];
}

// Asks docker-credential-NAME. What it does not know is no failure.
static sdx_status ask_helper(const char *host, auth *a, fault *f) {
  char name[160];
  snprintf(name, sizeof name, "docker-credential-%s", a->helper);
  const char *server = strcmp(host, "docker.io") ? host : "https://index.docker.io/v1/";
  const char *arguments[] = {name, "get", NULL};
  process_output o;
  a->helper[0] = 0;
  if (process_run((program){.arguments = arguments, .pass = -1}, server, strlen(server), HELPER_BYTES, HELPER_MS, &o,
                  f))
    return f->status;
  json_t *said = o.code == 0 ? json_loadb(o.out, o.out_size, 0, NULL) : NULL;
  snprintf(a->user, sizeof a->user, "%s", text_of(said, "Username"));
  snprintf(a->secret, sizeof a->secret, "%s", text_of(said, "Secret"));
  if (!strcmp(a->user, "<token>")) a->user[0] = 0, a->is_token = true;
  json_decref(said);
  process_output_free(&o);
  return SDX_OK;
}

static bool try_file(const char *folder, const char *name, const char *host, const char *repository, auth *found,
                     fault *f) {
  char *path = folder && *folder ? path_format("%s%s", folder, name) : NULL;
  fault ignored = {0};
  size_t size;
  char *bytes = path ? file_load(AT_FDCWD, path, FILE_BYTES, &size, &ignored) : NULL;
  bool good = bytes && auth_parse(bytes, size, host, repository, found, f);
  if (f->status) fault_place(f, "%s", path);
  free(bytes);
  free(path);
  return good;
}

sdx_status auth_find(const char *host, const char *repository, auth *found, fault *f) {
  const char *home = getenv("HOME"), *docker = getenv("DOCKER_CONFIG");
  const struct {
    const char *folder, *name;
  } files[] = {{getenv("REGISTRY_AUTH_FILE"), ""},
               {getenv("XDG_RUNTIME_DIR"), "/containers/auth.json"},
               {getenv("XDG_CONFIG_HOME"), "/containers/auth.json"},
               {home, "/.config/containers/auth.json"},
               {docker ? docker : home, docker ? "/config.json" : "/.docker/config.json"}};
  *found = (auth){0};
  for (size_t i = 0; i < sizeof files / sizeof *files && !f->status; i++)
    if (try_file(files[i].folder, files[i].name, host, repository, found, f))
      return found->helper[0] ? ask_helper(host, found, f) : SDX_OK;
  return f->status;
}
