// SPDX-License-Identifier: Apache-2.0
// Limits of control groups, read from trees of files that each test writes.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/host.h"

static char root[64];

static int make_root(void **state) {
  strcpy(root, "/tmp/sardonyx-cgroup-XXXXXX");
  return mkdtemp(root) == NULL;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) { return remove(path); }
static int remove_root(void **state) { return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static void put(const char *path, const char *content) {
  char full[8192];
  int n = snprintf(full, sizeof full, "%s%s", root, path);
  assert_true(n > 0 && (size_t)n < sizeof full);
  for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(full, 0700);
    *slash = '/';
  }
  FILE *f = fopen(full, "w");
  assert_non_null(f);
  fputs(content, f);
  fclose(f);
}

#define V2 "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1(controller) \
  "32 31 0:29 / /sys/fs/cgroup/" controller " rw,relatime shared:9 - cgroup cgroup rw," controller "\n"

static void expect(size_t cpus, size_t memory_bytes) {
  cgroup_limits limits = cgroup_read(root);
  assert_int_equal(limits.cpus, cpus);
  assert_int_equal(limits.memory_bytes, memory_bytes);
}

static void no_groups_no_limits(void **state) {
  expect(SIZE_MAX, SIZE_MAX);
  put("/proc/self/cgroup", "0::/\n");
  expect(SIZE_MAX, SIZE_MAX);
  put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" V2);
  expect(SIZE_MAX, SIZE_MAX);
}

static void version_2(void **state) {
  put("/proc/self/cgroup", "0::/app.slice/job\n");
  put("/proc/self/mountinfo", V2);
  put("/sys/fs/cgroup/app.slice/job/cpu.max", "100000 100000\n");
  put("/sys/fs/cgroup/app.slice/job/memory.max", "536870912\n");
  expect(1, 536870912);
  put("/sys/fs/cgroup/app.slice/job/cpu.max", "150000 100000\n");  // one and a half: two threads may use it
  expect(2, 536870912);
  put("/sys/fs/cgroup/app.slice/job/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/app.slice/job/memory.max", "max\n");
  expect(SIZE_MAX, SIZE_MAX);
}

static void the_tightest_of_nested_groups(void **state) {
  put("/proc/self/cgroup", "0::/a/b/c\n");
  put("/proc/self/mountinfo", V2);
  put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  put("/sys/fs/cgroup/a/memory.max", "1000000\n");
  put("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  put("/sys/fs/cgroup/a/b/memory.max", "max\n");
  put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/a/b/c/memory.max", "2000000\n");
  put("/sys/fs/cgroup/a/sibling/memory.max", "1\n");
  expect(2, 1000000);
  put("/sys/fs/cgroup/memory.max", "900000\n");  // the mount point itself: what a container sees as its top
  expect(2, 900000);
}

static void version_1(void **state) {
  put("/proc/self/cgroup", "4:memory:/job\n3:cpuset:/\n2:cpu,cpuacct:/job/inner\n1:name=systemd:/job\n");
  put("/proc/self/mountinfo",
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" V1("memory") V1("cpuset"));
  put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/job/inner/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/job/inner/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "268435456\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  expect(3, 268435456);
}

static void both_versions(void **state) {
  put("/proc/self/cgroup", "2:cpu:/one\n1:memory:/one\n0::/two\n");
  put("/proc/self/mountinfo", V1("cpu") V1("memory") "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  put("/sys/fs/cgroup/cpu/one/cpu.cfs_quota_us", "400000\n");
  put("/sys/fs/cgroup/cpu/one/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/memory/one/memory.limit_in_bytes", "7000000\n");
  put("/sys/fs/cgroup/unified/two/cpuset.cpus.effective", "2-3\n");
  put("/sys/fs/cgroup/unified/one/cpuset.cpus.effective", "7\n");  // of another group
  expect(2, 7000000);
}

// The mount shows the group of the container as its top, /proc names it as the host does.
static void a_mount_of_one_group(void **state) {
  put("/proc/self/cgroup", "2:memory:/docker/abc/worker\n");
  put("/proc/self/mountinfo", "32 31 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  put("/sys/fs/cgroup/memory/worker/memory.limit_in_bytes", "5000000\n");
  expect(SIZE_MAX, 5000000);
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n");
  expect(SIZE_MAX, 4000000);
  put("/proc/self/cgroup", "2:memory:/docker/abcd\n");  // not below /docker/abc: the top is all that can be known
  expect(SIZE_MAX, 4000000);
  put("/proc/self/cgroup", "2:memory:/../../other\n");  // outside of the namespace
  expect(SIZE_MAX, 4000000);
}

static void mount_points_with_blanks(void **state) {
  put("/proc/self/cgroup", "0::/job\n");
  put("/proc/self/mountinfo", "41 31 0:38 / /my\\040groups rw - cgroup2 none rw\n");
  put("/my groups/job/memory.max", "123456\n");
  expect(SIZE_MAX, 123456);
}

static void cpusets(void **state) {
  static const struct {
    const char *list;
    size_t cpus;
  } rows[] = {{"0", 1},           {"0-3", 4},
              {"0-3,8,10-11", 7}, {"5-5", 1},
              {"", SIZE_MAX},     {"\n", SIZE_MAX},
              {"3-1", SIZE_MAX},  {"a-b", SIZE_MAX},
              {"0-", SIZE_MAX},   {"0-3,", 4},
              {"1,,2", SIZE_MAX}, {"-3", SIZE_MAX},
              {"0 1", SIZE_MAX},  {"0-99999999999999999999", SIZE_MAX}};
  put("/proc/self/cgroup", "0::/\n");
  put("/proc/self/mountinfo", V2);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    put("/sys/fs/cgroup/cpuset.cpus.effective", rows[i].list);
    if (cgroup_read(root).cpus != rows[i].cpus) fail_msg("'%s': %zu", rows[i].list, cgroup_read(root).cpus);
  }
  char *list = calloc(1, 20001);  // cut when it is read: says nothing
  for (int i = 0; i < 4000; i++) memcpy(list + 5 * i, "9999,", 5);
  put("/sys/fs/cgroup/cpuset.cpus.effective", list);
  expect(SIZE_MAX, SIZE_MAX);
  free(list);
}

static void broken_files_limit_nothing(void **state) {
  static const char *const broken[] = {"",          "\n",       "garbage\n",     "0\n",
                                       "-5\n",      "0 100000", "100000",        "100000 0\n",
                                       "100000 x",  "1e9\n",    "0x10 100000\n", "99999999999999999999999999\n",
                                       "12garbage", "\xff\xfe"};
  put("/proc/self/cgroup", "0::/\n");
  put("/proc/self/mountinfo", V2);
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    put("/sys/fs/cgroup/cpu.max", broken[i]);
    if (cgroup_read(root).cpus != SIZE_MAX) fail_msg("cpu.max '%s'", broken[i]);
    if (strcmp(broken[i], "100000") == 0 || strcmp(broken[i], "100000 0\n") == 0) continue;  // a number
    put("/sys/fs/cgroup/memory.max", broken[i]);
    if (cgroup_read(root).memory_bytes != SIZE_MAX) fail_msg("memory.max '%s'", broken[i]);
  }
}

static void broken_tables_limit_nothing(void **state) {
  static const char *const groups[] = {"",     "\n",       "0:\n",     "::\n",  "0::relative\n",
                                       "0::",  ":::::/\n", "\xff\n",   "0:/\n", "4:memory:\n",
                                       "/a/b", "0::/a",    "0::/a\n\n"};
  static const char *const mounts[] = {"",
                                       "\n",
                                       " - \n",
                                       " - cgroup2\n",
                                       "41\n",
                                       "41 31 0:38 / - cgroup2 x rw\n",
                                       V2 V2,
                                       "\\0",
                                       "1 2 3 \\777 /x - cgroup2 a b\n",
                                       "a b c d e f g h i j k l m n o p q r s t u v w x y z\n"};
  put("/sys/fs/cgroup/other/memory.max", "77\n");
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (size_t k = 0; k < sizeof mounts / sizeof *mounts; k++) {
      put("/proc/self/cgroup", groups[i]);
      put("/proc/self/mountinfo", mounts[k]);
      expect(SIZE_MAX, SIZE_MAX);
    }
}

// Container engines mount overlays whose lines have many kilobytes.
static void long_lines_are_passed_over(void **state) {
  char *table = malloc(40000);
  memset(table, 'x', 30000);
  strcpy(table + 30000, " - overlay overlay rw\n" V2);
  put("/proc/self/mountinfo", table);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "4242\n");
  expect(SIZE_MAX, 4242);
  free(table);
}

static void this_machine(void **state) {
  assert_in_range(host_cpus(), 1, 8192);
  assert_true((long)host_cpus() <= sysconf(_SC_NPROCESSORS_CONF));
  assert_true(host_memory_bytes() <= (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE));
  assert_in_range(host_resident_bytes(), 100000, host_memory_bytes());
  uint64_t start = clock_ns(), wall = clock_wall_ns();
  assert_true(clock_ns() >= start);
  assert_in_range(wall / 1000000000u, 1700000000u, 10000000000u);
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
int main(void) {
  const struct CMUnitTest tests[] = {
      IN_A_TREE(no_groups_no_limits),
      IN_A_TREE(version_2),
      IN_A_TREE(the_tightest_of_nested_groups),
      IN_A_TREE(version_1),
      IN_A_TREE(both_versions),
      IN_A_TREE(a_mount_of_one_group),
      IN_A_TREE(mount_points_with_blanks),
      IN_A_TREE(cpusets),
      IN_A_TREE(broken_files_limit_nothing),
      IN_A_TREE(broken_tables_limit_nothing),
      IN_A_TREE(long_lines_are_passed_over),
      cmocka_unit_test(this_machine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
