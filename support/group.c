// SPDX-License-Identifier: Apache-2.0
// Control groups (group.h).
#include "support/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERIOD_US = 100000 };
static const char mount_point[] = "/sys/fs/cgroup";

// Writes a line to a file of a group.
static bool tell(const char *folder, const char *file, const char *text) {
  char path[GROUP_PATH + 64];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return good;
}

static bool tell_number(const char *folder, const char *file, long long number) {
  char text[32];
  snprintf(text, sizeof text, "%lld", number);
  return tell(folder, file, text);
}

// The group of this process in the hierarchy of a controller ("": version 2), as a path; false: there is none.
static bool find_own(const char *controller, char path[GROUP_PATH]) {
  char text[8192] = "", wanted[32];
  int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[got < 0 ? 0 : got] = 0;
  snprintf(wanted, sizeof wanted, ":%s:/", controller);
  char *line = strstr(text, wanted);
  if (!line) return false;
  line += strlen(wanted) - 1;
  line[strcspn(line, "\n")] = 0;
  const char *slash = *controller ? "/" : "", *inner = strcmp(line, "/") ? line : "";
  if (snprintf(path, GROUP_PATH, "%s%s%s%.600s", mount_point, slash, controller, inner) >= GROUP_PATH) return false;
  // In a container the group that is mounted may be the process's own.
  if (access(path, F_OK)) snprintf(path, GROUP_PATH, "%s%s%s", mount_point, slash, controller);
  return !access(path, F_OK);
}

static bool make(const char *outer, const char *name, char path[GROUP_PATH]) {
  if (snprintf(path, GROUP_PATH, "%.700s/%.200s", outer, name) >= GROUP_PATH) return false;
  if (!mkdir(path, 0755) || errno == EEXIST) return true;
  path[0] = 0;
  return false;
}

static bool limit_v1(group *g, const char *name, double cpus, uint64_t memory_bytes) {
  char own[GROUP_PATH];
  bool good = true;
  if (memory_bytes)
    good = find_own("memory", own) && make(own, name, g->path[0]) &&
           tell_number(g->path[0], "memory.limit_in_bytes", (long long)memory_bytes);
  if (cpus > 0 && good)
    good = find_own("cpu", own) && make(own, name, g->path[1]) &&
           tell_number(g->path[1], "cpu.cfs_period_us", PERIOD_US) &&
           tell_number(g->path[1], "cpu.cfs_quota_us", (long long)(cpus * PERIOD_US));
  return good;
}

// A group with processes hands nothing on to those beneath: this one goes into one of its own first.
static bool limit_v2(group *g, const char *name, double cpus, uint64_t memory_bytes) {
  char own[GROUP_PATH], inner[GROUP_PATH], text[64];
  if (!find_own("", own)) return false;
  char *last = strrchr(own, '/');
  if (last && !strcmp(last, "/supervisor")) *last = 0;  // done before
  else if (!tell(own, "cgroup.subtree_control", "+cpu +memory") &&
           (!make(own, "supervisor", inner) || !tell_number(inner, "cgroup.procs", getpid())))
    return false;
  if (!tell(own, "cgroup.subtree_control", "+cpu +memory") || !make(own, name, g->path[0])) return false;
  snprintf(text, sizeof text, "%lld %d", (long long)(cpus * PERIOD_US), PERIOD_US);
  return (cpus <= 0 || tell(g->path[0], "cpu.max", text)) &&
         (!memory_bytes || tell_number(g->path[0], "memory.max", (long long)memory_bytes));
}

sdx_status group_create(const char *name, double cpus, uint64_t memory_bytes, pid_t pid, group *g, fault *f) {
  char unified[GROUP_PATH];
  *g = (group){0};
  snprintf(unified, sizeof unified, "%s/cgroup.controllers", mount_point);
  bool good = !access(unified, F_OK) ? limit_v2(g, name, cpus, memory_bytes) : limit_v1(g, name, cpus, memory_bytes);
  for (int i = 0; i < 2 && good; i++)
    if (g->path[i][0]) good = tell_number(g->path[i], "cgroup.procs", pid);
  if (good) return SDX_OK;
  fault_errno(f, errno, "control group %s", name);
  group_remove(g);
  *g = (group){0};
  return f->status;
}

void group_remove(const group *g) {
  for (int i = 0; i < 2; i++)
    if (g->path[i][0]) rmdir(g->path[i]);
}
