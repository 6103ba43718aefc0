// SPDX-License-Identifier: Apache-2.0
// `sardonyx workspace serve`: what the commands do, over HTTP (rest/).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/engine.h"
#include "cli/workspace.h"
#include "rest/rest.h"
#include "support/files.h"

static const cli_option options[] = {
    OPTION("host", ARG_TEXT, "ADDRESS", "name or address to listen on (default 127.0.0.1)"),
    OPTION("port", ARG_INT, "N", "port; 0 takes a free one and prints it (default 8090)", .max = 65535, .letter = 'p'),
    OPTION("keys", ARG_TEXT, "FILE",
           "one or two keys, one a line: clients send 'Authorization: Bearer KEY'; read again on SIGHUP (default: "
           "rest-keys in the workspace's store, made with a random key where it is not there)"),
    OPTION("tls-cert", ARG_TEXT, "FILE", "certificate chain (PEM): HTTPS; read again on SIGHUP and when it changes"),
    OPTION("tls-key", ARG_TEXT, "FILE", "its private key (PEM)"),
    OPTION("cors-origin", ARG_TEXT, "ORIGIN",
           "let pages of this origin call, as https://example.com, or of any: *; may be repeated"),
    OPTION("max-body-bytes", ARG_INT, "N", "largest model that is taken (default 1073741824)", .min = 1,
           .max = (int64_t)1 << 40),
    OPTION_FLAG("access-log", "one line on stderr for each request"),
    OPTION("port-file", ARG_TEXT, "FILE", "write the port there once it is open"),
    WORKSPACE_OPTION,
    {0}};

static sdx_status make_keys(const char *path, fault *f) {
  unsigned char bytes[24];
  char key[2 * sizeof bytes + 1];
  if (!access(path, F_OK)) return SDX_OK;
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return fault_set(f, SDX_IO_ERROR, "no random numbers");
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(key + 2 * i, 3, "%02x", bytes[i]);
  return file_replace(AT_FDCWD, path, key, strlen(key), 0600, f);
}

static int serve(const args *a, const registry_options *workspace, const char *keys, const sdx_options *session) {
  const char *hosts[] = {args_text(a, "host", "127.0.0.1")};
  const char *const *origins = each_of(a, "cors-origin");
  server_config config = {.hosts = hosts,
                          .host_count = 1,
                          .port = (int)args_int(a, "port", 8090),
                          .certificate = args_text(a, "tls-cert", NULL),
                          .key = args_text(a, "tls-key", NULL),
                          .keys = keys,
                          .access_log = args_has(a, "access-log"),
                          .port_file = args_text(a, "port-file", NULL),
                          .options = session,
                          .origins = origins,
                          .routes = rest_routes,
                          .routes_context = workspace};
  limits_init(&config.limits);
  config.limits.max_body_bytes = args_int(a, "max-body-bytes", (int64_t)1 << 30);
  while (origins[config.origin_count]) config.origin_count++;
  fprintf(stderr, "keys: %s\n", keys);
  int code = server_run(&config) ? CLI_FAILED : CLI_OK;
  free((void *)origins);
  return code;
}

static int run(const args *a) {
  int code;
  fault f = {0};
  if (args_has(a, "tls-cert") != args_has(a, "tls-key"))
    return cli_error(CLI_USAGE, "--tls-cert and --tls-key need each other");
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  registry_options workspace = {.workspace = xstrdup(registry_config(r))};
  char *keys = args_has(a, "keys") ? xstrdup(args_text(a, "keys", NULL)) : xformat("%s/rest-keys", registry_store(r));
  registry_close(r);
  sdx_options *session = sdx_options_create();
  if (!args_has(a, "keys") && make_keys(keys, &f)) code = fault_report(&f);
  else code = session ? serve(a, &workspace, keys, session) : cli_error(CLI_FAILED, "memory is exhausted");
  sdx_options_destroy(session);
  free(keys);
  free((char *)workspace.workspace);
  return code;
}

CLI_COMMAND(workspace_serve) = {
    "workspace serve",
    "Serve a workspace over HTTP: models, images and services under /api",
    "[options]",
    "What the commands do, for programs and browsers elsewhere; GET /openapi.json describes it. Every path but health "
    "asks "
    "for a key.\n\n"
    "Examples:\n"
    "  sardonyx workspace serve\n"
    "  curl -H \"Authorization: Bearer $(cat .sardonyx/rest-keys)\" localhost:8090/api/models\n"
    "  curl -H \"Authorization: Bearer $(cat .sardonyx/rest-keys)\" -H 'Content-Type: application/octet-stream' \\\n"
    "    --data-binary @digits.onnx 'localhost:8090/api/models?name=digits'\n",
    options,
    0,
    0,
    run};
