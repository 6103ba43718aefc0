// SPDX-License-Identifier: Apache-2.0
// Manifests and kubectl (kubernetes.h). A value is put in as JSON, which is YAML as well: no name and no key can become
// anything but a string.
#include "deploy/kubernetes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/launch.h"
#include "deploy/unpack.h"
#include "support/embedded.h"
#include "support/files.h"
#include "support/json.h"
#include "support/process.h"

enum {
  LONGEST_NAME = 63,
  KUBECTL_MS = 120000,
  ANSWER_BYTES = 4 << 20,
  MOST_LINES = 20000,
  STANDARD_MOST_REPLICAS = 10,
  CERTIFICATE_BYTES = 1 << 20
};

sdx_status kubernetes_check_name(const char *name, fault *f) {
  size_t size = strlen(name), good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
  if (good == size && size && size <= LONGEST_NAME && *name >= 'a' && *name <= 'z' && name[size - 1] != '-')
    return SDX_OK;
  fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s' cannot name a service on a cluster", name);
  return fault_hint(f, "lower-case letters, digits and '-', a letter first, at most %d of them", LONGEST_NAME);
}

// ---- values --------------------------------------------------------------------------------------

// Where a cluster finds the image: where it was pushed to, or came from; else the name that engines give an archive.
static json_t *image_reference(const json_t *image, const json_t *settings) {
  const char *registry = text_of(settings, "registry"), *from = text_of(image, "reference");
  if (!*registry && *from) return json_string(from);
  return json_sprintf("%s/%s", *registry ? registry : "localhost", text_of(image, "id"));
}

static void add_secret(json_t *data, const char *key, json_t *text, const char *option, json_t *args) {
  json_object_set_new(data, key, text);
  json_array_append_new(args, json_string(option));
  json_array_append_new(args, json_sprintf("/etc/sardonyx/%s", key));
}

static sdx_status add_certificate(json_t *data, const json_t *settings, json_t *args, fault *f) {
  static const char *const rows[][3] = {{"tls_cert", "tls.crt", "--tls-cert"}, {"tls_key", "tls.key", "--tls-key"}};
  for (int i = 0; i < 2 && *text_of(settings, rows[i][0]) && !f->status; i++) {
    size_t size;
    char *text = file_load(AT_FDCWD, text_of(settings, rows[i][0]), CERTIFICATE_BYTES, &size, f);
    json_t *string = text ? json_stringn(text, size) : NULL;
    if (string) add_secret(data, rows[i][1], string, rows[i][2], args);
    else if (text) fault_set(f, SDX_INVALID_ARGUMENT, "%s is no PEM file", text_of(settings, rows[i][0]));
    free(text);
  }
  return f->status;
}

static sdx_status set_secrets(json_t *values, const json_t *settings, const json_t *secrets, json_t *args, fault *f) {
  const char *auth = text_of(settings, "auth");
  bool keys = !strcmp(auth, "key");
  json_t *mounts = json_pack("[{s:s,s:s}]", "name", "tmp", "mountPath", "/tmp"),
         *volumes = json_pack("[{s:s,s:{}}]", "name", "tmp", "emptyDir"), *data = json_object();
  if (keys)
    add_secret(data, "keys", json_sprintf("%s\n%s\n", text_of(secrets, "primary"), text_of(secrets, "secondary")),
               "--keys", args);
  else if (strcmp(auth, "none") != 0)
    add_secret(data, "token-key", json_sprintf("%s\n", text_of(secrets, "token")), "--token-key", args);
  add_certificate(data, settings, args, f);
  if (json_object_size(data)) {
    json_array_append_new(mounts,
                          json_pack("{s:s,s:s,s:b}", "name", "keys", "mountPath", "/etc/sardonyx", "readOnly", true));
    json_array_append_new(volumes, json_pack("{s:s,s:{s:O,s:i,s:b}}", "name", "keys", "secret", "secretName",
                                             json_object_get(values, "name"), "defaultMode", 0440, "optional", 0));
  }
  // Pods of a changed secret are new ones.
  char digest[DIGEST_BYTES] = "", *text = json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS);
  if (text) digest_of(text, strlen(text), digest);
  free(text);
  json_object_set_new(values, "secrets_digest", json_string(*digest ? digest_hex(digest) : ""));
  json_object_set_new(values, "secrets", data);
  json_object_set_new(values, "mounts", mounts);
  json_object_set_new(values, "volumes", volumes);
  return f->status;
}

static json_t *values_of(const char *name, const json_t *asset, const json_t *image, const json_t *settings,
                         const json_t *secrets, const image_start *start, fault *f) {
  bool tls = *text_of(settings, "tls_cert") != 0;
  double cpu = json_number_value(json_object_get(asset, "cpu")),
         memory = json_number_value(json_object_get(asset, "memory_gb"));
  json_int_t replicas = number_of(settings, "replicas"), most = number_of(settings, "max_replicas");
  json_t *args = json_pack("[s,s,s,s,s,s]", "--host", "0.0.0.0", "--port", "5001", "--drain-lag-ms", "10000");
  json_array_extend(args, start->arguments);
  json_t *values = json_pack("{s:s,s:s,s:O,s:O,s:o,s:o,s:o}", "name", name, "namespace", text_of(settings, "namespace"),
                             "start_seconds", json_object_get(settings, "start_seconds"), "replicas",
                             json_object_get(settings, "replicas"), "revision",
                             json_sprintf("%lld", (long long)number_of(asset, "version")), "image",
                             image_reference(image, settings), "port", json_integer(5001));
  if (!most) most = STANDARD_MOST_REPLICAS;
  json_object_set_new(values, "max_replicas", json_integer(most > replicas ? most : replicas));
  json_object_set_new(values, "cpu", json_sprintf("%dm", (int)((cpu > 0 ? cpu : 0.1) * 1000)));
  json_object_set_new(values, "memory", json_sprintf("%dMi", (int)((memory > 0 ? memory : 0.5) * 1024)));
  json_object_set_new(values, "scheme", json_string(tls ? "HTTPS" : "HTTP"));
  json_object_set_new(values, "service_port", json_integer(tls ? 443 : 80));
  launch_add_origins(args, settings);
  set_secrets(values, settings, secrets, args, f);
  json_object_set_new(values, "args", args);
  return values;
}

// ---- files ---------------------------------------------------------------------------------------

// The text with "${key}" replaced; free() it.
static char *filled(const char *text, const json_t *values, fault *f) {
  char *out = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&out, &size);
  for (const char *mark; to && (mark = strstr(text, "${")); text = strchr(mark, '}') + 1) {
    char key[40];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(mark + 2, "}"), mark + 2);
    char *value = json_dumps(json_object_get(values, key), JSON_COMPACT | JSON_ENCODE_ANY);
    if (!value) fault_set(f, SDX_INTERNAL, "a manifest asks for '%s'", key);
    fprintf(to, "%.*s%s", (int)(mark - text), text, value ? value : "");
    free(value);
  }
  if (to) fputs(text, to);
  if (!to || fclose(to)) fault_no_memory(f);
  return out;
}

// One of the two variants; what lies beside it is the user's. Without secrets there is no manifest of them.
static sdx_status write_manifest(int folder, const char *name, const char *text, bool secret, fault *f) {
  fault ignored = {0};
  if (text) return file_replace(folder, name, text, strlen(text), secret ? 0600 : 0644, f);
  tree_remove(folder, name, &ignored);
  return SDX_OK;
}

static sdx_status write_variant(int outer, bool kserve, const json_t *values, fault *f) {
  static const char mark[] = "kserve-";
  int folder = folder_open(outer, kserve ? "kserve" : "kubernetes", 0755, f);
  if (folder < 0) return f->status;
  for (const embedded_file *file = embedded_manifests; file->name && !f->status; file++) {
    bool marked = !strncmp(file->name, mark, sizeof mark - 1), secret = !strcmp(file->name, "secret.yaml");
    if (!secret && marked != kserve) continue;  // both need the keys
    bool there = !secret || json_object_size(json_object_get(values, "secrets"));
    char *text = there ? filled(file->bytes, values, f) : NULL;
    if (!f->status) write_manifest(folder, file->name + (marked ? sizeof mark - 1 : 0), text, secret, f);
    free(text);
  }
  close(folder);
  return f->status;
}

static sdx_status write_all(const char *path, const json_t *values, fault *f) {
  int folder = folder_open(AT_FDCWD, path, 0755, f);
  if (folder < 0) return f->status;
  if (!write_variant(folder, false, values, f)) write_variant(folder, true, values, f);
  close(folder);
  return f->status;
}

sdx_status kubernetes_write(registry *r, const char *name, int64_t revision, const char *folder, fault *f) {
  json_t *settings = NULL, *secrets = NULL, *asset = NULL, *image = NULL;
  image_start start = {0};
  char *reference = path_format("%s:%lld", name, (long long)revision);
  if (!reference) fault_no_memory(f);
  else if (!registry_get_service(r, name, &settings, &secrets, f) &&
           !registry_get(r, ASSET_SERVICE, reference, &asset, f) &&
           !registry_get(r, ASSET_IMAGE, text_of(asset, "image"), &image, f) &&
           !image_read_start(r, image, &start, f)) {
    json_t *values = values_of(name, asset, image, settings, secrets, &start, f);
    if (!f->status) write_all(folder, values, f);
    json_decref(values);
    image_start_free(&start);
  }
  json_decref(settings);
  json_decref(secrets);
  json_decref(asset);
  json_decref(image);
  free(reference);
  return f->status;
}

// ---- kubectl -------------------------------------------------------------------------------------

// What kubectl said; free() it. NULL: it failed.
static char *kubectl(const char *const *words, fault *f) {
  process_output o = {0};
  char *said = NULL;
  if (process_run((program){.arguments = words, .pass = -1}, NULL, 0, ANSWER_BYTES, KUBECTL_MS, &o, f)) {
    fault_hint(f, "--out FOLDER writes the manifests for who has kubectl");
  } else if (o.code == 0) {
    said = strdup(o.out);
  } else {
    fault_set(f, SDX_CONFLICT, "kubectl %s: %.600s", words[1], o.late ? "it takes too long" : o.err);
    fault_hint(f, "--out FOLDER writes the manifests without applying them");
  }
  process_output_free(&o);
  return said;
}

static sdx_status each_manifest(const char *folder, bool kserve, const char *verb, const char *option, fault *f) {
  char *path = path_format("%s/%s", folder, kserve ? "kserve" : "kubernetes");
  const char *const words[] = {"kubectl", verb, option, "--filename", path, NULL};
  if (!path) return fault_no_memory(f);
  free(kubectl(words, f));
  free(path);
  return f->status;
}

sdx_status kubernetes_apply(const char *folder, bool kserve, fault *f) {
  return each_manifest(folder, kserve, "apply", "--server-side=false", f);
}

sdx_status kubernetes_remove(const char *folder, bool kserve, fault *f) {
  return each_manifest(folder, kserve, "delete", "--ignore-not-found", f);
}

static bool has_condition(const json_t *status, const char *type, const char *value) {
  size_t i;
  json_t *one;
  json_array_foreach(json_object_get(status, "conditions"), i, one) {
    if (!strcmp(text_of(one, "type"), type)) return !strcmp(text_of(one, "status"), value);
  }
  return false;
}

static const char *deployment_state(const json_t *status, int64_t wanted) {
  if (number_of(status, "updatedReplicas") >= wanted && number_of(status, "availableReplicas") >= wanted &&
      number_of(status, "replicas") == wanted)
    return "Healthy";
  return has_condition(status, "Progressing", "False") ? "Failed" : "Transitioning";
}

// KServe makes the deployments itself, under names of its own, and says of the whole how it is.
static const char *inference_state(const json_t *status) {
  const char *change = text_of(json_object_get(status, "modelStatus"), "transitionStatus");
  if (!strcmp(change, "BlockedByFailedLoad") || !strcmp(change, "InvalidSpec")) return "Failed";
  return has_condition(status, "Ready", "True") ? "Healthy" : "Transitioning";
}

const char *kubernetes_state(const char *name, const json_t *settings) {
  fault ignored = {0};
  bool kserve = json_is_true(json_object_get(settings, "kserve"));
  const char *const words[] = {"kubectl",  "get",         kserve ? "inferenceservice" : "deployment",
                               name,       "--namespace", text_of(settings, "namespace"),
                               "--output", "json",        NULL};
  char *said = kubectl(words, &ignored);
  json_t *there = said ? json_loads(said, 0, NULL) : NULL;
  const json_t *status = json_object_get(there, "status");
  // What is said of an earlier generation says nothing of this one; some of KServe's versions do not say of which.
  bool seen = (kserve && !json_object_get(status, "observedGeneration")) ||
              number_of(status, "observedGeneration") >= number_of(json_object_get(there, "metadata"), "generation");
  const char *state = !there   ? NULL
                      : !seen  ? "Transitioning"
                      : kserve ? inference_state(status)
                               : deployment_state(status, number_of(json_object_get(there, "spec"), "replicas"));
  json_decref(there);
  free(said);
  return state;
}

json_t *kubernetes_log(const char *name, const json_t *settings, size_t lines) {
  fault ignored = {0};
  json_t *list = json_array();
  bool kserve = json_is_true(json_object_get(settings, "kserve"));
  char *which = path_format(kserve ? "--selector=serving.kserve.io/inferenceservice=%s" : "deployment/%s", name),
       *tail = path_format("--tail=%zu", lines < MOST_LINES ? lines : (size_t)MOST_LINES);
  const char *const words[] = {"kubectl",
                               "logs",
                               which,
                               "--namespace",
                               text_of(settings, "namespace"),
                               "--container",
                               kserve ? "kserve-container" : "server",
                               tail,
                               NULL};
  char *said = which && tail ? kubectl(words, &ignored) : NULL;
  for (char *at = said; at && *at; at += strcspn(at, "\n"), at += *at == '\n')
    json_array_append_new(list, json_stringn(at, strcspn(at, "\n")));
  free(which);
  free(tail);
  free(said);
  return list;
}
