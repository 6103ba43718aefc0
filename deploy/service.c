// SPDX-License-Identifier: Apache-2.0
// Services (service.h): what is wanted is written to the registry, then the supervisor is told to look there.
#include "deploy/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/host.h"
#include "deploy/cluster.h"
#include "deploy/control.h"
#include "deploy/journal.h"
#include "deploy/kubernetes.h"
#include "deploy/launch.h"
#include "support/files.h"
#include "support/http.h"
#include "support/json.h"
#include "support/token.h"

enum { KEY_BYTES = 24, SAMPLE_BYTES = 64 << 20, MOST_REPLICAS = 32, STANDARD_START = 300 };
static const char sample_name[] = "sample.json";
enum { POLL_US = 10000, CLUSTER_POLL_US = 1000000, STOP_SECONDS = 60, KEYS_MS = 3000, CALL_SECONDS = 600 };

// ---- making --------------------------------------------------------------------------------------

static sdx_status random_key(char text[2 * KEY_BYTES + 1], fault *f) {
  unsigned char bytes[KEY_BYTES];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return fault_set(f, SDX_IO_ERROR, "no random numbers");
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return SDX_OK;
}

static json_t *new_secrets(fault *f) {
  char text[3][2 * KEY_BYTES + 1];
  for (int i = 0; i < 3; i++)
    if (random_key(text[i], f)) return NULL;
  return json_pack("{s:s,s:s,s:s}", "primary", text[0], "secondary", text[1], "token", text[2]);
}

static sdx_status check_word(const char *what, const char *word, const char *const *known, size_t count, fault *f) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(word, known[i])) return SDX_OK;
  fault_set(f, SDX_INVALID_ARGUMENT, "%s '%.100s': expected %s", what, word, known[0]);
  const char *near = name_closest(word, known, count);
  return near ? fault_hint(f, "did you mean '%s'?", near) : f->status;
}

static sdx_status check_spec(const service_spec *s, fault *f) {
  static const char *const auths[] = {"key", "token", "none"}, *const targets[] = {"local", "container", "kubernetes"};
  if (s->auth) check_word("auth", s->auth, auths, 3, f);
  if (s->target) check_word("target", s->target, targets, 3, f);
  if (s->target && !strcmp(s->target, "kubernetes")) kubernetes_check_name(s->name, f);
  if (!s->tls_cert != !s->tls_key)
    fault_set(f, SDX_INVALID_ARGUMENT, "a certificate and its private key need each other");
  for (int i = 0; i < 2; i++) {
    const char *path = i ? s->tls_key : s->tls_cert;
    if (path && access(path, R_OK)) fault_errno(f, errno, "%s", path);
  }
  bool cluster = s->target && !strcmp(s->target, "kubernetes");
  if (s->replicas > MOST_REPLICAS && !cluster)
    fault_set(f, SDX_LIMIT_EXCEEDED, "%d replicas; at most %d run on one machine", s->replicas, MOST_REPLICAS);
  return f->status;
}

// The reference of the image to run, "name:version"; free() it. One that does not travel is not compressed.
static char *image_of(registry *r, const service_spec *s, bool travels, fault *f) {
  json_t *image = NULL, *report = NULL;
  char *id = NULL;
  if (s->image) {
    registry_get(r, ASSET_IMAGE, s->image, &image, f);
  } else {
    build_spec build = s->build;
    build.name = s->name;
    build.skip_dryrun = true;  // it is tried in earnest
    build.compression = travels ? LAYER_GZIP : LAYER_PLAIN;
    build_image(r, &build, &image, &report, f);
  }
  if (!f->status && !(id = strdup(text_of(image, "id")))) fault_no_memory(f);
  json_decref(image);
  json_decref(report);
  return id;
}

static json_t *detail_of(const service_spec *s, const char *image, const json_t *before) {
  json_t *detail = json_pack("{s:s}", "image", image);
  static const char *const kept[] = {"cpu", "memory_gb", "python"};
  for (size_t i = 0; i < 3; i++)
    if (json_object_get(before, kept[i])) json_object_set(detail, kept[i], json_object_get(before, kept[i]));
  if (s->cpu > 0) json_object_set_new(detail, "cpu", json_real(s->cpu));
  if (s->memory_gb > 0) json_object_set_new(detail, "memory_gb", json_real(s->memory_gb));
  if (s->build.dryrun.python) json_object_set_new(detail, "python", json_string(s->build.dryrun.python));
  return detail;
}

static bool take_file(const json_t *file, registry_blob *blob) {
  snprintf(blob->digest, DIGEST_BYTES, "%s", text_of(file, "digest"));
  blob->size = (uint64_t)number_of(file, "size");
  return blob->digest[0] != 0;
}

// A request that was registered with a model of the image, as sample_name among its files.
static bool find_sample(registry *r, const char *image, registry_blob *blob) {
  fault ignored = {0};
  json_t *asset, *use, *file;
  size_t i, k;
  bool found = false;
  if (registry_get(r, ASSET_IMAGE, image, &asset, &ignored)) return false;
  json_array_foreach(json_object_get(asset, "uses"), i, use) {
    json_t *model = NULL;
    if (!found) registry_get(r, ASSET_MODEL, json_string_value(use) + strlen("model/"), &model, &ignored);
    json_array_foreach(json_object_get(model, "files"), k, file) {
      const char *path = text_of(file, "path"), *slash = strrchr(path, '/');
      if (!found && !strcmp(slash ? slash + 1 : path, sample_name)) found = take_file(file, blob);
    }
    json_decref(model);
  }
  json_decref(asset);
  return found;
}

// What was given, what a model brings, what the revision before had.
static sdx_status add_sample(registry *r, registry_change *c, const service_spec *s, const char *image,
                             const json_t *before, registry_file *file, fault *f) {
  *file = (registry_file){.path = "sample", .media_type = "application/json"};
  if (s->sample) {
    size_t size;
    char *text = file_load(AT_FDCWD, s->sample, SAMPLE_BYTES, &size, f);
    if (text) registry_add_bytes(c, text, size, &file->blob, f);
    free(text);
  } else if (!find_sample(r, image, &file->blob)) {
    take_file(json_array_get(json_object_get(before, "files"), 0), &file->blob);
  }
  return f->status;
}

static bool on_trial(const service_spec *s) { return s->percent > 0 && s->percent < 100; }

// Tags or properties of the revision before with those that are given; null takes one away.
static json_t *words_after(const json_t *before, const char *key, const json_t *given) {
  json_t *all = json_object(), *value;
  const char *word;
  json_object_update(all, json_object_get(before, key));
  json_object_foreach((json_t *)given, word, value) {
    if (json_is_null(value)) json_object_del(all, word);
    else json_object_set(all, word, value);
  }
  return all;
}

// `before`: the revision whose words and limits go on, or NULL for the first one, which brings secrets.
static sdx_status commit(registry *r, const service_spec *s, const char *image, const json_t *before,
                         const json_t *settings, const json_t *secrets, fault *f) {
  registry_change *c;
  registry_file sample;
  json_t *asset = NULL, *detail = detail_of(s, image, before), *tags = words_after(before, "tags", s->tags),
         *properties = words_after(before, "properties", s->properties);
  char *use = path_format("image/%s", image);
  const char *uses[] = {use, NULL};
  if (!use) fault_no_memory(f);
  else if (!registry_begin(r, &c, f)) {
    if (!add_sample(r, c, s, image, before, &sample, f)) {
      registry_draft draft = {.kind = ASSET_SERVICE,
                              .name = s->name,
                              .description = s->description ? s->description
                                             : before       ? text_of(before, "description")
                                                            : NULL,
                              .tags = tags,
                              .properties = properties,
                              .detail = detail,
                              .files = &sample,
                              .file_count = sample.blob.digest[0] != 0,
                              .uses = uses,
                              .settings = settings,
                              .secrets = secrets,
                              .role = on_trial(s) ? "trial" : NULL};
      registry_commit(c, &draft, &asset, f);
    }
    registry_end(c);
  }
  json_decref(asset);
  json_decref(detail);
  json_decref(tags);
  json_decref(properties);
  free(use);
  return f->status;
}

// ---- who runs it ---------------------------------------------------------------------------------

static bool on_cluster(const json_t *settings) { return !strcmp(text_of(settings, "target"), "kubernetes"); }

// After the registry was changed: who runs the service is told.
static sdx_status wake(registry *r, const char *name, fault *f) {
  json_t *settings, *state = NULL;
  if (registry_get_service(r, name, &settings, NULL, f)) return f->status;
  if (on_cluster(settings)) cluster_bring(r, name, settings, f);
  else if (!(state = control_ask(r, name, "look"))) service_supervise(r, name, f);
  json_decref(state);
  json_decref(settings);
  return f->status;
}

// ---- what is asked for ---------------------------------------------------------------------------

static void add_cluster(json_t *settings, const service_spec *s) {
  json_object_set_new(settings, "namespace", json_string(s->space ? s->space : "default"));
  if (s->registry) json_object_set_new(settings, "registry", json_string(s->registry));
  if (s->out) json_object_set_new(settings, "out", json_string(s->out));
  if (s->kserve) json_object_set_new(settings, "kserve", json_true());
  if (s->max_replicas) json_object_set_new(settings, "max_replicas", json_integer(s->max_replicas));
}

// What stands between clients and servers.
static void add_door(json_t *settings, const service_spec *s) {
  if (s->tls_cert) {
    json_object_set_new(settings, "tls_cert", json_string(s->tls_cert));
    json_object_set_new(settings, "tls_key", json_string(s->tls_key));
  }
  if (!s->origins) return;
  json_t *list = json_array();
  for (const char *const *origin = s->origins; *origin; origin++) json_array_append_new(list, json_string(*origin));
  json_object_set_new(settings, "cors_origins", list);
}

sdx_status service_deploy(registry *r, const service_spec *s, fault *f) {
  if (check_spec(s, f)) return f->status;
  fault none = {0};
  json_t *there = NULL;
  if (!registry_get_service(r, s->name, &there, NULL, &none)) {
    json_decref(there);
    fault_set(f, SDX_CONFLICT, "there is a service '%s' already", s->name);
    return fault_hint(f, "'sardonyx service update %s' changes it, 'service delete' removes it", s->name);
  }
  json_t *secrets = new_secrets(f);
  bool cluster = s->target && !strcmp(s->target, "kubernetes");
  char *image = secrets ? image_of(r, s, cluster, f) : NULL;
  json_t *settings = json_pack("{s:s,s:s,s:s,s:i,s:b,s:i,s:b,s:i}", "target", s->target ? s->target : "local", "auth",
                               s->auth ? s->auth : "none", "host", s->host ? s->host : "127.0.0.1", "port", s->port,
                               "port_fixed", s->port != 0, "replicas", s->replicas ? s->replicas : 1, "running", true,
                               "start_seconds", s->start_seconds ? (int)s->start_seconds : STANDARD_START);
  if (s->engine) json_object_set_new(settings, "engine", json_string(s->engine));
  if (on_cluster(settings)) add_cluster(settings, s);
  add_door(settings, s);
  if (image && !commit(r, s, image, NULL, settings, secrets, f)) wake(r, s->name, f);
  json_decref(secrets);
  json_decref(settings);
  free(image);
  return f->status;
}

static sdx_status check_trial(const service_spec *s, const json_t *settings, fault *f) {
  if (on_trial(s) && on_cluster(settings)) {
    fault_set(f, SDX_NOT_SUPPORTED, "traffic is split where a supervisor runs the service, not on a cluster");
    fault_hint(f, "there a second service and the cluster's gateway do it");
  } else if (s->auth && number_of(settings, "trial") && strcmp(s->auth, text_of(settings, "auth"))) {
    fault_set(f, SDX_CONFLICT, "service '%s' has a revision on trial: what clients must have cannot be changed",
              s->name);
    fault_hint(f, "'sardonyx service traffic %s 0' ends the trial, 100 brings it into force", s->name);
  } else if (on_trial(s) && !number_of(settings, "revision")) {
    fault_set(f, SDX_CONFLICT, "service '%s' has no revision in force that a trial could stand beside", s->name);
  }
  return f->status;
}

// The revision in force; before there is one, the newest.
static sdx_status get_revision(registry *r, const char *name, const json_t *settings, json_t **asset, fault *f) {
  int64_t revision = number_of(settings, "revision");
  char *reference = revision ? path_format("%s:%lld", name, (long long)revision) : path_format("%s", name);
  *asset = NULL;
  if (!reference) return fault_no_memory(f);
  registry_get(r, ASSET_SERVICE, reference, asset, f);
  free(reference);
  return f->status;
}

static sdx_status find_before(registry *r, const service_spec *s, json_t **before, bool *cluster, fault *f) {
  json_t *settings;
  *before = NULL;
  if (registry_get_service(r, s->name, &settings, NULL, f)) return f->status;
  *cluster = on_cluster(settings);
  if (!check_trial(s, settings, f)) get_revision(r, s->name, settings, before, f);
  json_decref(settings);
  return f->status;
}

sdx_status service_update(registry *r, const service_spec *s, fault *f) {
  json_t *before;
  char *image = NULL;
  bool cluster = false;
  if (check_spec(s, f) || find_before(r, s, &before, &cluster, f)) return f->status;
  bool same = !s->image && !s->build.models[0];
  image = same ? strdup(text_of(before, "image")) : image_of(r, s, cluster, f);
  json_t *changes = json_pack("{s:b,s:s*}", "running", true, "auth", s->auth);
  if (on_trial(s)) json_object_set_new(changes, "percent", json_integer(s->percent));
  if (s->replicas) json_object_set_new(changes, "replicas", json_integer(s->replicas));
  add_door(changes, s);
  if (image && !commit(r, s, image, before, changes, NULL, f)) wake(r, s->name, f);
  json_decref(changes);
  json_decref(before);
  free(image);
  return f->status;
}

static sdx_status change(registry *r, const char *name, json_t *changes, fault *f) {
  if (!registry_change_service(r, name, changes, NULL, 0, f)) wake(r, name, f);
  json_decref(changes);
  return f->status;
}

sdx_status service_rollback(registry *r, const char *name, int64_t revision, fault *f) {
  json_t *settings, *asset = NULL;
  if (registry_get_service(r, name, &settings, NULL, f)) return f->status;
  if (!revision) revision = number_of(settings, "previous");
  char *reference = path_format("%s:%lld", name, (long long)revision);
  if (!revision) fault_set(f, SDX_CONFLICT, "service '%s' has no revision before this one", name);
  else if (revision == number_of(settings, "revision"))
    fault_set(f, SDX_CONFLICT, "revision %lld of service '%s' is in force", (long long)revision, name);
  else if (!reference) fault_no_memory(f);
  else if (!registry_get(r, ASSET_SERVICE, reference, &asset, f))
    change(r, name, json_pack("{s:I,s:n,s:b}", "candidate", (json_int_t)revision, "error", "running", true), f);
  json_decref(asset);
  json_decref(settings);
  free(reference);
  return f->status;
}

sdx_status service_traffic(registry *r, const char *name, int64_t percent, fault *f) {
  json_t *settings, *changes = NULL;
  if (registry_get_service(r, name, &settings, NULL, f)) return f->status;
  json_int_t trial = number_of(settings, "trial");
  if (!trial) {
    fault_set(f, SDX_CONFLICT, "service '%s' has no revision on trial", name);
    fault_hint(f, "'sardonyx service update %s --model NAME --traffic 10' starts one", name);
  } else if (percent == 100) {
    changes = json_pack("{s:I,s:n,s:n}", "candidate", trial, "trial", "percent");
  } else if (percent == 0) {
    changes = json_pack("{s:n,s:n}", "trial", "percent");
  } else {
    changes = json_pack("{s:I}", "percent", (json_int_t)percent);
  }
  if (changes) change(r, name, changes, f);
  json_decref(settings);
  return f->status;
}

sdx_status service_scale(registry *r, const char *name, int64_t replicas, fault *f) {
  if (replicas > MOST_REPLICAS)
    return fault_set(f, SDX_LIMIT_EXCEEDED, "%lld replicas; at most %d run on one machine", (long long)replicas,
                     MOST_REPLICAS);
  return change(r, name, json_pack("{s:I}", "replicas", (json_int_t)replicas), f);
}

// One whose first revision failed is tried again.
sdx_status service_start(registry *r, const char *name, fault *f) {
  json_t *settings, *asset = NULL;
  if (registry_get_service(r, name, &settings, NULL, f)) return f->status;
  json_t *changes = json_pack("{s:b}", "running", true);
  if (!number_of(settings, "revision") && !registry_get(r, ASSET_SERVICE, name, &asset, f)) {
    json_object_set(changes, "candidate", json_object_get(asset, "version"));
    json_object_set_new(changes, "error", json_null());
  }
  json_decref(asset);
  json_decref(settings);
  return change(r, name, changes, f);
}

// Until the supervisor has ended. One that is only starting will see for itself that it is to.
static sdx_status await_end(registry *r, const char *name, fault *f) {
  uint64_t end = clock_ns() + STOP_SECONDS * (uint64_t)1000000000;
  json_decref(control_ask(r, name, "look"));
  while (control_supervised(r, name)) {
    if (clock_ns() > end)
      return fault_set(f, SDX_DEADLINE_EXCEEDED, "service '%s' did not end within %d s", name, STOP_SECONDS);
    usleep(POLL_US);
  }
  return SDX_OK;
}

// Of a supervisor that was killed.
static void end_containers(const registry *r, const char *name, const json_t *settings) {
  char *folder = service_folder(r, name);
  if (folder && !strcmp(text_of(settings, "target"), "container")) launch_sweep_containers(folder, settings);
  free(folder);
}

sdx_status service_stop(registry *r, const char *name, fault *f) {
  json_t *changes = json_pack("{s:b}", "running", false), *settings = NULL;
  if (!registry_change_service(r, name, changes, NULL, 0, f) && !registry_get_service(r, name, &settings, NULL, f)) {
    if (on_cluster(settings)) cluster_remove(r, name, settings, f);
    else if (!await_end(r, name, f)) end_containers(r, name, settings);
  }
  json_decref(settings);
  json_decref(changes);
  return f->status;
}

sdx_status service_delete(registry *r, const char *name, fault *f) {
  return service_stop(r, name, f) ? f->status : registry_delete_service(r, name, f);
}

// ---- state ---------------------------------------------------------------------------------------

// Where no supervisor answers.
static const char *state_of(const registry *r, const char *name, const json_t *settings) {
  if (!json_is_true(json_object_get(settings, "running"))) return "Stopped";
  if (control_supervised(r, name)) return "Transitioning";
  if (!number_of(settings, "revision")) return number_of(settings, "candidate") ? "Unhealthy" : "Failed";
  if (on_cluster(settings)) {
    const char *there = *text_of(settings, "out") ? "Written" : kubernetes_state(name, settings);
    if (there) return there;
  }
  return "Unhealthy";
}

static void add_addresses(json_t *service, const char *name) {
  int64_t port = number_of(service, "port");
  const char *host = text_of(service, "host");
  if (!port && !on_cluster(service)) return;
  bool any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
  const char *scheme = *text_of(service, "tls_cert") ? "https" : "http";
  json_t *base = json_sprintf(strchr(host, ':') && !any ? "%s://[%s]:%lld" : "%s://%s:%lld", scheme,
                              any ? "localhost" : host, (long long)port);
  if (on_cluster(service)) {
    json_decref(base);
    base = json_sprintf("%s://%s.%s.svc", scheme, name, text_of(service, "namespace"));
  }
  json_object_set_new(service, "scoring_uri", json_sprintf("%s/score", json_string_value(base)));
  json_object_set_new(service, "swagger_uri", json_sprintf("%s/swagger.json", json_string_value(base)));
  json_decref(base);
}

static json_t *revisions_of(registry *r, const char *name, fault *f) {
  json_t *list, *all = json_array(), *asset;
  size_t i;
  registry_filter filter = {.name = name};
  if (registry_list(r, ASSET_SERVICE, &filter, &list, f)) return all;
  json_array_foreach(list, i, asset) {
    json_array_append_new(all,
                          json_pack("{s:O,s:O,s:O}", "revision", json_object_get(asset, "version"), "image",
                                    json_object_get(asset, "image"), "created", json_object_get(asset, "created")));
  }
  json_decref(list);
  return all;
}

static json_t *describe(registry *r, const char *name, const json_t *settings, const json_t *asset, const json_t *state,
                        fault *f) {
  static const char *const words[] = {"name", "description", "tags", "properties", "created", "modified", "image"};
  json_t *service = json_copy((json_t *)settings);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    json_object_set(service, words[i], json_object_get(asset, words[i]));
  if (state) json_object_update(service, (json_t *)state);
  else json_object_set_new(service, "state", json_string(state_of(r, name, settings)));
  add_addresses(service, name);
  json_object_set_new(service, "revisions", revisions_of(r, name, f));
  return service;
}

sdx_status service_show(registry *r, const char *name, json_t **service, fault *f) {
  // The supervisor is asked first: it writes down what has ended before it says so.
  json_t *state = name_valid(name) ? control_ask(r, name, "state") : NULL, *settings = NULL, *asset = NULL;
  *service = NULL;
  if (registry_get_service(r, name, &settings, NULL, f)) {
    json_decref(state);
    return f->status;
  }
  if (!get_revision(r, name, settings, &asset, f)) *service = describe(r, name, settings, asset, state, f);
  json_decref(state);
  json_decref(settings);
  json_decref(asset);
  return f->status;
}

// "digits: 1 of 2 servers of revision 3 are ready"
static void show_progress(const registry *r, const json_t *service) {
  int64_t revision = number_of(service, "candidate");
  if (!revision) revision = number_of(service, "trial") ? number_of(service, "trial") : number_of(service, "revision");
  int ready = 0;
  size_t i;
  json_t *one;
  json_array_foreach(json_object_get(service, "processes"), i, one) {
    ready += number_of(one, "revision") == revision && strcmp(text_of(one, "state"), "starting") != 0;
  }
  char *text = path_format("%.40s: %d of %lld servers of revision %lld are ready", text_of(service, "name"), ready,
                           (long long)number_of(service, "replicas"), (long long)revision);
  if (text) registry_progress(r, text, 0, 0);
  free(text);
}

sdx_status service_wait(registry *r, const char *name, unsigned seconds, json_t **service, fault *f) {
  uint64_t end = clock_ns() + seconds * (uint64_t)1000000000;
  while (!service_show(r, name, service, f)) {
    if (strcmp(text_of(*service, "state"), "Transitioning") != 0 || clock_ns() > end) break;
    show_progress(r, *service);
    usleep(on_cluster(*service) ? CLUSTER_POLL_US : POLL_US);
    json_decref(*service);
  }
  return f->status;
}

json_t *service_log(registry *r, const char *name, size_t lines) {
  fault ignored = {0};
  json_t *settings, *told = NULL;
  if (!registry_get_service(r, name, &settings, NULL, &ignored) && on_cluster(settings) && !*text_of(settings, "out"))
    told = kubernetes_log(name, settings, lines);
  json_decref(settings);
  if (told) return told;
  char *path = service_folder(r, name);
  json_t *list = path ? journal_tail(path, lines) : json_array();
  free(path);
  return list;
}

// ---- keys ----------------------------------------------------------------------------------------

// Asks a replica on its own socket. 0: no answer.
static long ask_replica(const registry *r, const char *name, const char *socket, const char *key) {
  char path[64], authorization[200];
  fault ignored = {0};
  http *h;
  http_answer answer = {0};
  char *folder = service_folder(r, name);
  int fd = folder ? folder_open(AT_FDCWD, folder, 0, &ignored) : -1;
  free(folder);
  snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fd, socket);
  snprintf(authorization, sizeof authorization, "Bearer %s", key);
  http_call call = {.method = "GET", .url = "http://localhost/v2", .unix_socket = path, .authorization = authorization};
  if (fd >= 0 && !http_open(&h, &ignored)) {
    if (!http_do(h, &call, &answer, &ignored)) http_answer_free(&answer);
    http_close(h);
  }
  if (fd >= 0) close(fd);
  return answer.status;
}

// Until every server takes the new key, those on trial and those that drain, too: they read both at once, so from then
// on the old one is refused. One that starts reads it before it takes clients.
static sdx_status await_key(registry *r, const char *name, const char *key, fault *f) {
  uint64_t end = clock_ns() + KEYS_MS * (uint64_t)1000000;
  json_t *state = control_ask(r, name, "look"), *replica;
  size_t i;
  json_array_foreach(json_object_get(state, "processes"), i, replica) {
    if (!strcmp(text_of(replica, "state"), "starting")) continue;
    while (ask_replica(r, name, text_of(replica, "socket"), key) == 401 && clock_ns() < end) usleep(POLL_US / 5);
  }
  if (clock_ns() >= end) fault_set(f, SDX_DEADLINE_EXCEEDED, "service '%s' does not take the new key", name);
  json_decref(state);
  return f->status;
}

static sdx_status check_key(const char *key, fault *f) {
  size_t size = strlen(key);
  bool good = size >= 16 && size <= 128;
  for (const char *c = key; *c; c++) good = good && *c > ' ' && *c <= '~';
  return good ? SDX_OK : fault_set(f, SDX_INVALID_ARGUMENT, "a key has 16 to 128 visible characters of ASCII");
}

sdx_status service_keys(registry *r, const char *name, service_key which, const char *value, json_t **keys, fault *f) {
  json_t *settings, *secrets;
  char fresh[2 * KEY_BYTES + 1];
  const char *slot = which == SERVICE_SECONDARY ? "secondary" : "primary";
  *keys = NULL;
  if (registry_get_service(r, name, &settings, &secrets, f)) return f->status;
  if (strcmp(text_of(settings, "auth"), "key")) {
    fault_set(f, SDX_CONFLICT, "service '%s' has no keys: its auth is '%s'", name, text_of(settings, "auth"));
    fault_hint(f, "'sardonyx service update %s --auth key' gives it some", name);
  } else if (which != SERVICE_KEEP) {
    if (value ? check_key(value, f) : random_key(fresh, f)) value = NULL;
    else if (!value) value = fresh;
    json_t *change = value ? json_pack("{s:s}", slot, value) : NULL;
    if (change && !registry_change_service(r, name, NULL, change, 0, f) &&
        !(on_cluster(settings) ? wake(r, name, f) : await_key(r, name, value, f)))
      json_object_update(secrets, change);
    json_decref(change);
  }
  if (!f->status)
    *keys = json_pack("{s:O,s:O}", "primary", json_object_get(secrets, "primary"), "secondary",
                      json_object_get(secrets, "secondary"));
  json_decref(settings);
  json_decref(secrets);
  return f->status;
}

// ---- tokens --------------------------------------------------------------------------------------

char *service_credential(const char *name, const json_t *settings, const json_t *secrets, int64_t seconds) {
  const char *auth = text_of(settings, "auth");
  if (!strcmp(auth, "key")) return strdup(text_of(secrets, "primary"));
  return !strcmp(auth, "token") ? token_make(text_of(secrets, "token"), name, seconds) : NULL;
}

sdx_status service_token(registry *r, const char *name, int64_t seconds, json_t **token, fault *f) {
  json_t *settings, *secrets;
  *token = NULL;
  if (registry_get_service(r, name, &settings, &secrets, f)) return f->status;
  if (strcmp(text_of(settings, "auth"), "token")) {
    fault_set(f, SDX_CONFLICT, "service '%s' takes no tokens: its auth is '%s'", name, text_of(settings, "auth"));
    fault_hint(f, "'sardonyx service update %s --auth token' makes it take some", name);
  } else {
    char *text = service_credential(name, settings, secrets, seconds);
    *token = text ? json_pack("{s:s,s:s,s:I}", "token", text, "token_type", "Bearer", "expires_in", (json_int_t)seconds)
                  : NULL;
    if (!*token) fault_no_memory(f);
    free(text);
  }
  json_decref(settings);
  json_decref(secrets);
  return f->status;
}

// ---- calling -------------------------------------------------------------------------------------

// The certificate is the caller's own, of whatever name: the service is the one that listens here.
static sdx_status call(const char *uri, bool here, const char *credential, const void *body, size_t size,
                       json_t **answer, fault *f) {
  char authorization[TOKEN_LONGEST + 16];
  http *h;
  http_answer said;
  snprintf(authorization, sizeof authorization, "Bearer %s", credential ? credential : "");
  http_call c = {.method = "POST",
                 .url = uri,
                 .authorization = credential ? authorization : NULL,
                 .any_certificate = here,
                 .content_type = "application/json",
                 .sends = true,
                 .send_bytes = body,
                 .send_size = size};
  if (http_open(&h, f)) return f->status;
  if (!http_do(h, &c, &said, f)) {
    *answer =
        json_pack("{s:I,s:s%}", "status", (json_int_t)said.status, "body", said.body ? said.body : "", said.body_size);
    if (!*answer)
      fault_set(f, SDX_CONFLICT, "the service answers status %ld and %zu bytes that are no text", said.status,
                said.body_size);
    http_answer_free(&said);
  }
  http_close(h);
  return f->status;
}

sdx_status service_call(registry *r, const char *name, const void *body, size_t size, json_t **answer, fault *f) {
  json_t *settings, *secrets;
  *answer = NULL;
  if (registry_get_service(r, name, &settings, &secrets, f)) return f->status;
  add_addresses(settings, name);
  char *credential = service_credential(name, settings, secrets, CALL_SECONDS);
  if (!*text_of(settings, "scoring_uri")) fault_set(f, SDX_CONFLICT, "service '%s' does not run yet", name);
  else call(text_of(settings, "scoring_uri"), !on_cluster(settings), credential, body, size, answer, f);
  free(credential);
  json_decref(settings);
  json_decref(secrets);
  return f->status;
}
