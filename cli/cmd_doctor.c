// SPDX-License-Identifier: Apache-2.0
// `sardonyx doctor`: what this machine offers, what of it is used, and what to do about the rest. Looks only: nothing
// is written, nobody outside is asked. A problem is what makes a command fail; a note is what some command lacks.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/host.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/table.h"
#include "registry/registry.h"
#include "support/process.h"

enum {
  LEAST_MEMORY = 256 << 20,
  LEAST_DISK = 256 << 20,
  LEAST_FILES = 256,
  SERVER_FILES = 10000,  // connections that `serve` accepts by itself
  SERVER_PORT = 8080,
  PYTHON_MS = 700,
};

static const cli_option options[] = {OPTION_FLAG("json", "machine-readable"), {0}};

typedef enum state { FINE, NOTE, PROBLEM } state;
static const char *const state_names[] = {"ok", "note", "problem"};

// One finding; `found` is taken, `hint` says what to do where the state is not FINE.
static void tell(json_t *checks, const char *name, state s, char *found, const char *hint) {
  json_array_append_new(checks, json_pack("{s:s,s:s,s:s,s:s*}", "check", name, "state", state_names[s], "found", found,
                                          "hint", s == FINE ? NULL : hint));
  free(found);
}

// ---- processor and memory -----------------------------------------------------------------------

// Adds a reason to a list that is read by people, once.
static void add_once(char **list, const char *more) {
  if (strstr(*list, more)) return;
  char *longer = xformat("%s; %s", *list, more);
  free(*list);
  *list = longer;
}

static void look_at_kernels(json_t *checks) {
  json_t *all = engine_json(sdx_describe_kernels(), "kernels"), *row;
  const char *narrowed = getenv("SARDONYX_CPU");
  char *found = xformat("tier %s", json_string_value(json_object_get(all, "tier")) ?: "?");
  size_t i;
  json_array_foreach(json_object_get(all, "kernels"), i, row) {
    const char *reason = json_string_value(json_object_get(row, "missing"));
    if (reason) add_once(&found, reason);
  }
  tell(checks, "kernels", narrowed && *narrowed ? NOTE : FINE, found,
       "SARDONYX_CPU narrows the choice; unset it for the fastest kernels");
  json_decref(all);
}

static void look_at_limits(json_t *checks) {
  cgroup_limits group = cgroup_read("");
  size_t online = host_cpus_online();
  tell(checks, "processors", FINE,
       group.cpus < online ? xformat("%zu of %zu, control groups allow %zu", host_cpus(), online, group.cpus)
                           : xformat("%zu of %zu", host_cpus(), online),
       NULL);
  struct sysinfo info = {0};
  sysinfo(&info);
  char may[32], has[32], allowed[32], lies_free[32];
  size_t memory = host_memory_bytes();
  bytes_describe((double)memory, may);
  bytes_describe((double)info.totalram * info.mem_unit, has);
  bytes_describe((double)info.freeram * info.mem_unit, lies_free);
  char *limit = group.memory_bytes < (uint64_t)info.totalram * info.mem_unit
                    ? xformat(", control groups allow %s", bytes_describe((double)group.memory_bytes, allowed))
                    : xstrdup("");
  tell(checks, "memory", memory < LEAST_MEMORY ? PROBLEM : FINE,
       xformat("%s of %s, %s free%s", may, has, lies_free, limit),
       "raise the limit of the container or of 'ulimit -v': most models need more");
  free(limit);
}

static void look_at_open_files(json_t *checks) {
  struct rlimit limit = {0};
  getrlimit(RLIMIT_NOFILE, &limit);
  state s = limit.rlim_cur < LEAST_FILES ? PROBLEM : limit.rlim_max < SERVER_FILES ? NOTE : FINE;
  tell(checks, "open files", s,
       xformat("%llu, at most %llu", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max),
       "'ulimit -n 16384' (LimitNOFILE= of systemd) lets 'serve' keep 10,000 connections");
}

// ---- folders ------------------------------------------------------------------------------------

// The nearest folder above that is there: where a missing one would be made.
static char *nearest_folder(const char *path) {
  char *folder = xstrdup(path);
  for (char *slash; access(folder, F_OK) && (slash = strrchr(folder, '/')) && slash > folder;) *slash = 0;
  if (!access(folder, F_OK)) return folder;
  free(folder);
  return xstrdup(*path == '/' ? "/" : ".");
}

static void look_at_folder(json_t *checks, const char *name, const char *path, state if_not, const char *hint) {
  char *folder = nearest_folder(path), bytes[32];
  struct statvfs disk = {0};
  bool writable = access(folder, W_OK | X_OK) == 0 && statvfs(folder, &disk) == 0 && !(disk.f_flag & ST_RDONLY);
  double room = (double)disk.f_bavail * (double)disk.f_frsize;
  if (!writable) tell(checks, name, if_not, xformat("%s cannot be written", path), hint);
  else
    tell(checks, name, room < LEAST_DISK ? PROBLEM : FINE, xformat("%s, %s free", path, bytes_describe(room, bytes)),
         "make room: models and images are copied there");
  free(folder);
}

static void look_at_folders(json_t *checks) {
  fault f = {0};
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *temporary = getenv("TMPDIR");
  char *config = registry_find_workspace(".", &f);
  if (config) {
    char *folder = xstrdup(config);
    *strrchr(folder, '/') = 0;  // the path of a file in it
    look_at_folder(checks, "workspace", folder, PROBLEM,
                   "give yourself the right to write there, or name another with -w");
    free(folder);
  } else {
    tell(checks, "workspace", NOTE, xstrdup("none here or in a folder above"),
         "'sardonyx workspace create' makes one; model, image and service commands need it");
  }
  free(config);
  char *kept = cache && *cache ? xformat("%s/sardonyx", cache) : xformat("%s/.cache/sardonyx", home ?: "");
  look_at_folder(checks, "cache", kept, NOTE, "set XDG_CACHE_HOME to a folder of yours: pulled models are kept there");
  free(kept);
  look_at_folder(checks, "temporary", temporary && *temporary ? temporary : "/tmp", PROBLEM,
                 "set TMPDIR to a folder that can be written");
}

// ---- programs -----------------------------------------------------------------------------------

static void look_at_python(json_t *checks) {
  static const char hint[] =
      "'pip install ./bindings/python' installs the module; scoring scripts need Python 3.9 and numpy";
  static const char ask[] =
      "import sys, importlib.metadata as m\n"
      "print(sys.version.split()[0], end='')\n"
      "for name in ('sardonyx', 'numpy'):\n"
      "  try: print(',', name, m.version(name), end='')\n"
      "  except m.PackageNotFoundError: print(', no', name, end='')\n";
  char *python = program_find("python3");
  if (!python) {
    tell(checks, "python", NOTE, xstrdup("no python3 in PATH"), hint);
    return;
  }
  const char *arguments[] = {python, "-B", "-c", ask, NULL};
  process_output o = {0};
  fault f = {0};
  if (process_run((program){.arguments = arguments, .pass = -1}, NULL, 0, 4096, PYTHON_MS, &o, &f))
    tell(checks, "python", NOTE, xformat("%s: %s", python, f.message), hint);
  else if (o.code) tell(checks, "python", NOTE, xformat("%s %s", python, o.late ? "takes too long" : "fails"), hint);
  else tell(checks, "python", strstr(o.out, ", no ") ? NOTE : FINE, xformat("%s: %s", python, o.out), hint);
  process_output_free(&o);
  free(python);
}

static bool can_make_user_namespace(void) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWUSER) ? 1 : 0);
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool has_subordinate_ids(void) {
  const struct passwd *who = getpwuid(getuid());
  why w;
  size_t size;
  char *text = who ? file_read("/etc/subuid", &size, &w) : NULL, *name = who ? xformat("%s:", who->pw_name) : NULL;
  bool found = false;
  for (char *line = text; line && !found; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    found = !strncmp(line, name, strlen(name));
  free(name);
  free(text);
  return found;
}

static void look_at_containers(json_t *checks) {
  static const char *const engines[] = {"podman", "docker", "buildah", "crun", "runc"};
  char *found = xstrdup("");
  for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
    char *path = program_find(engines[i]), *more = path ? xformat("%s%s%s", found, *found ? ", " : "", path) : NULL;
    if (more) {
      free(found);
      found = more;
    }
    free(path);
  }
  bool any = *found, namespaces = can_make_user_namespace();
  if (!any) {
    free(found);
    found = xstrdup("none");
  }
  tell(checks, "containers", any ? FINE : NOTE, found,
       "images are built and pushed without an engine; to run them here, 'apt-get install podman'");
  char *mapper = program_find("newuidmap");
  bool rootless = namespaces && mapper && has_subordinate_ids();
  tell(checks, "rootless", rootless || geteuid() == 0 ? FINE : NOTE,
       xformat("user namespaces %s, newuidmap %s, subordinate ids %s", namespaces ? "yes" : "no", mapper ? "yes" : "no",
               has_subordinate_ids() ? "yes" : "no"),
       "rootless containers need all three: sysctl user.max_user_namespaces, package uidmap, 'usermod --add-subuids'");
  free(mapper);
}

// ---- the system ---------------------------------------------------------------------------------

static void look_at_sandbox(json_t *checks) {
  sandbox_level level = sandbox_layers();
  char *landlock = level.landlock ? xformat("Landlock %d", level.landlock) : xstrdup("no Landlock");
  tell(checks, "sandbox", level.landlock && level.seccomp ? FINE : NOTE,
       xformat("%s, %s", landlock, level.seccomp ? "seccomp" : "no seccomp"),
       "scoring scripts and conversions are confined less; a kernel of 5.13 or later has both");
  free(landlock);
}

static void look_at_port(json_t *checks) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (s >= 0) setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool is_free = s >= 0 && bind(s, (struct sockaddr *)&address, sizeof address) == 0;
  if (s >= 0) close(s);
  tell(checks, "port", is_free ? FINE : NOTE, xformat("%d is %s", SERVER_PORT, is_free ? "free" : "taken"),
       "'sardonyx serve --port N' takes another");
}

static void look_at_libraries(json_t *checks) {
  struct utsname kernel = {0};
  uname(&kernel);
  void *curl = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);  // stays: it has no way to clean up behind itself
  if (!curl) curl = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
  const char *(*curl_version)(void) = NULL;
  if (curl) *(void **)&curl_version = dlsym(curl, "curl_version");
  const char *version = curl_version ? curl_version() : "no libcurl";
  tell(checks, "libraries", curl ? FINE : NOTE,
       xformat("sardonyx %s, glibc %s, jansson %s, %.*s, Linux %s", sdx_version(), gnu_get_libc_version(),
               jansson_version_str(), curl ? (int)strcspn(version, " ") : 99, version, kernel.release),
       "pushing and pulling need libcurl: 'apt-get install libcurl4'");
}

static void look_at_locale(json_t *checks) {
  locale_t own = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  const char *set = own ? nl_langinfo_l(CODESET, own) : "unknown";
  tell(checks, "locale", strcmp(set, "UTF-8") ? NOTE : FINE, xstrdup(set),
       "names may look wrong in this terminal; 'export LANG=C.UTF-8' helps");
  if (own) freelocale(own);
}

// ---- the command --------------------------------------------------------------------------------

static void print_checks(const json_t *checks, size_t problems, size_t notes) {
  static const ink inks[] = {INK_GREEN, INK_YELLOW, INK_RED};
  for (size_t i = 0; i < json_array_size(checks); i++) {
    const json_t *c = json_array_get(checks, i);
    const char *word = json_string_value(json_object_get(c, "state")),
               *found = json_string_value(json_object_get(c, "found")),
               *hint = json_string_value(json_object_get(c, "hint"));
    ink colour = inks[!strcmp(word, "note") ? NOTE : !strcmp(word, "problem") ? PROBLEM : FINE];
    printf("%s%-8s%s %-11s ", ink_on(stdout, colour), word, ink_off(stdout),
           json_string_value(json_object_get(c, "check")));
    print_wrapped(found, strlen(found), 21, 21);
    if (!hint) continue;
    printf("%21s-> ", "");
    print_wrapped(hint, strlen(hint), 24, 24);
  }
  printf("\n%zu problem%s, %zu note%s\n", problems, problems == 1 ? "" : "s", notes, notes == 1 ? "" : "s");
}

static size_t count_state(const json_t *checks, state s) {
  size_t count = 0;
  for (size_t i = 0; i < json_array_size(checks); i++)
    count += !strcmp(json_string_value(json_object_get(json_array_get(checks, i), "state")), state_names[s]);
  return count;
}

static int run(const args *a) {
  static void (*const looks[])(json_t *) = {look_at_kernels,   look_at_limits,     look_at_open_files, look_at_folders,
                                            look_at_python,    look_at_containers, look_at_sandbox,    look_at_port,
                                            look_at_libraries, look_at_locale};
  json_t *checks = json_array();
  for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) looks[i](checks);
  size_t problems = count_state(checks, PROBLEM), notes = count_state(checks, NOTE);
  if (args_has(a, "json")) {
    json_print(json_pack("{s:s,s:I,s:I,s:o}", "version", sdx_version(), "problems", (json_int_t)problems, "notes",
                         (json_int_t)notes, "checks", checks));
  } else {
    print_checks(checks, problems, notes);
    json_decref(checks);
  }
  return problems ? CLI_FAILED : CLI_OK;
}

CLI_COMMAND(doctor) = {
    "doctor",
    "Tell what this machine offers and what to do about the rest",
    "[--json]",
    "Looks only, in less than a second, without a network. Exit code 1 where there is a problem; notes are what some\n"
    "commands lack.\n\n"
    "Examples:\n"
    "  sardonyx doctor\n"
    "  sardonyx doctor --json | jq '.checks[] | select(.state != \"ok\")'\n",
    options,
    0,
    0,
    run,
};
