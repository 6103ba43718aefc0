// SPDX-License-Identifier: Apache-2.0
// Control groups; see cgroup.h. /proc/self/cgroup says in which group of each hierarchy the process is, mountinfo
// says where a hierarchy is mounted and which of its groups that mount shows (a container often sees its own group
// as the top). From the process's folder the walk goes up to the mount point and reads the limits of each folder.
#include "base/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 2 * PATH_BYTES };

// A hierarchy of version 1 carries some controllers; the one of version 2, "", all that version 1 does not.
static const char *const controllers[] = {"", "cpu", "cpuset", "memory"};
enum { UNIFIED, CPU, CPUSET, MEMORY, CONTROLLERS };

typedef struct reader {
  const char *root;
  char group[CONTROLLERS][PATH_BYTES];  // of the process in each hierarchy; "" where there is none
  cgroup_limits limits;
} reader;

static void tighten(size_t *limit, uint64_t value) {
  if (value > 0 && value < *limit) *limit = (size_t)value;
}

// ---- limits of one folder ------------------------------------------------------------------------

// The beginning of a file as text; "" where it cannot be read.
static const char *read_text(const char *folder, const char *name, char *text, size_t size) {
  char path[PATH_BYTES + 64];
  text[0] = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "re");
  if (!f) return text;
  if (!fgets(text, (int)size, f)) text[0] = 0;
  fclose(f);
  return text;
}

// Reads the decimal number at *at, which moves behind it. False: there is none, or it is too large.
static bool read_number(const char **at, uint64_t *value) {
  char *end;
  if (**at < '0' || **at > '9') return false;
  errno = 0;
  *value = strtoull(*at, &end, 10);
  *at = end;
  return errno == 0;
}

// The number that fills a line; 0 for anything else ("max", "-1", garbage).
static uint64_t number_of_line(const char *text) {
  uint64_t value;
  return read_number(&text, &value) && (*text == '\n' || *text == 0) ? value : 0;
}

static void read_memory(reader *r, const char *folder, const char *name) {
  char text[64];
  tighten(&r->limits.memory_bytes, number_of_line(read_text(folder, name, text, sizeof text)));
}

// Microseconds of processor time in each period of so many.
static void apply_quota(reader *r, uint64_t quota, uint64_t period) {
  if (quota && period) tighten(&r->limits.cpus, quota / period + (quota % period != 0));
}

static void read_quota_v2(reader *r, const char *folder) {
  char text[64];
  const char *at = read_text(folder, "cpu.max", text, sizeof text);
  uint64_t quota;
  if (read_number(&at, &quota) && *at == ' ') apply_quota(r, quota, number_of_line(at + 1));
}

static void read_quota_v1(reader *r, const char *folder) {
  char text[64];
  uint64_t quota = number_of_line(read_text(folder, "cpu.cfs_quota_us", text, sizeof text));
  apply_quota(r, quota, number_of_line(read_text(folder, "cpu.cfs_period_us", text, sizeof text)));
}

// "0-3,8": how many processors a list names; 0 where it is none.
static uint64_t count_list(const char *at) {
  uint64_t count = 0, first, last;
  while (*at && *at != '\n') {
    if (!read_number(&at, &first)) return 0;
    last = first;
    if (*at == '-' && (at++, !read_number(&at, &last))) return 0;
    if (last < first || last > UINT32_MAX) return 0;
    count += last - first + 1;
    if (*at == ',') at++;
    else if (*at && *at != '\n') return 0;
  }
  return count;
}

static void read_cpuset(reader *r, const char *folder, const char *name) {
  char text[PATH_BYTES];
  size_t length = strlen(read_text(folder, name, text, sizeof text));
  if (length + 1 < sizeof text) tighten(&r->limits.cpus, count_list(text));  // a list that was cut says nothing
}

static void read_folder(reader *r, int hierarchy, const char *folder) {
  switch (hierarchy) {
    case UNIFIED:
      read_quota_v2(r, folder);
      read_cpuset(r, folder, "cpuset.cpus.effective");
      read_memory(r, folder, "memory.max");
      break;
    case CPU:
      read_quota_v1(r, folder);
      break;
    case CPUSET:
      read_cpuset(r, folder, "cpuset.effective_cpus");
      read_cpuset(r, folder, "cpuset.cpus");
      break;
    case MEMORY:
      read_memory(r, folder, "memory.limit_in_bytes");
      break;
  }
}

// ---- which folders -------------------------------------------------------------------------------

// The next line without its end; the rest of one that is longer is dropped.
static bool next_line(FILE *f, char line[LINE_BYTES]) {
  if (!fgets(line, LINE_BYTES, f)) return false;
  size_t length = strcspn(line, "\n");
  bool whole = line[length] == '\n';
  line[length] = 0;
  for (int c; !whole && (c = fgetc(f)) != EOF;) whole = c == '\n';
  return true;
}

static bool list_has(const char *list, const char *word) {
  size_t size = strlen(word);
  for (; *list; list += strcspn(list, ","), list += *list == ',')
    if (strcspn(list, ",") == size && memcmp(list, word, size) == 0) return true;
  return false;
}

static FILE *open_proc(const reader *r, const char *name) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/proc/self/%s", r->root, name);
  return fopen(path, "re");
}

// Lines "4:cpu,cpuacct:/group"; version 2 is "0::/group".
static void read_groups(reader *r) {
  char line[LINE_BYTES];
  FILE *f = open_proc(r, "cgroup");
  while (f && next_line(f, line)) {
    char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
    if (!group || group[1] != '/') continue;
    *list++ = *group++ = 0;
    // A folder outside of what this process can see is as good as the top of it.
    if (strstr(group, "/..")) group[1] = 0;
    for (int h = 0; h < CONTROLLERS; h++)
      if (h == UNIFIED ? *list == 0 : list_has(list, controllers[h]))
        snprintf(r->group[h], sizeof r->group[h], "%s", group);
  }
  if (f) fclose(f);
}

// mountinfo writes blanks and the like as \040.
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from;) {
    unsigned code;
    if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1 && strspn(from + 1, "01234567") >= 3) {
      *to++ = (char)code;
      from += 4;
    } else {
      *to++ = *from++;
    }
  }
  *to = 0;
}

// All folders from that of `group` up to the mount point. `top` is the group that stands there.
static void read_mount(reader *r, int hierarchy, const char *mount_point, const char *top, const char *group) {
  char folder[PATH_BYTES];
  size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
  bool below = strncmp(group, top, length) == 0 && (group[length] == '/' || group[length] == 0);
  int base = snprintf(folder, sizeof folder, "%s%s", r->root, mount_point);
  if (base < 0 || (size_t)base >= sizeof folder) return;
  snprintf(folder + base, sizeof folder - (size_t)base, "%s", below ? group + length : "");
  for (;;) {
    read_folder(r, hierarchy, folder);
    char *slash = strrchr(folder + base, '/');
    if (!slash) break;
    *slash = 0;
  }
}

// Lines "41 31 0:38 TOP MOUNT_POINT options ... - TYPE source OPTIONS".
static void read_mounts(reader *r) {
  char line[LINE_BYTES], top[PATH_BYTES], mount_point[PATH_BYTES], type[32], options[512];
  FILE *f = open_proc(r, "mountinfo");
  while (f && next_line(f, line)) {
    char *tail = strstr(line, " - ");
    if (!tail || sscanf(line, "%*s %*s %*s %4095s %4095s", top, mount_point) != 2) continue;
    options[0] = 0;
    if (sscanf(tail, " - %31s %*s %511s", type, options) < 1) continue;
    unescape(top);
    unescape(mount_point);
    for (int h = 0; h < CONTROLLERS; h++) {
      bool here = h == UNIFIED ? strcmp(type, "cgroup2") == 0
                               : strcmp(type, "cgroup") == 0 && list_has(options, controllers[h]);
      if (here && r->group[h][0]) read_mount(r, h, mount_point, top, r->group[h]);
    }
  }
  if (f) fclose(f);
}

cgroup_limits cgroup_read(const char *root) {
  reader r = {.root = root, .limits = {SIZE_MAX, SIZE_MAX}};
  read_groups(&r);
  read_mounts(&r);
  return r.limits;
}
