// SPDX-License-Identifier: Apache-2.0
// A process in a sandbox tries what it may not do. This program is that process, too: `test --try ACT` exits with 0
// where the act was done and with 1 where it was denied.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/files.h"
#include "support/process.h"
#include "tests/process.h"

static char folder[] = "/tmp/sardonyx-sandbox-XXXXXX";
static char self[4096];

// ---- acts: true = done ---------------------------------------------------------------------------

static bool opens(const char *path, int flags) { return open(path, flags, 0600) >= 0; }
static bool read_given(void) { return opens("given", O_RDONLY); }
static bool read_other(void) { return opens("/etc/passwd", O_RDONLY); }
static bool read_disk(void) { return opens("/dev/vda", O_RDONLY) || opens("/dev/mem", O_RDONLY); }
static bool list_root(void) { return opendir("/") != NULL; }
static bool write_given(void) { return opens("given", O_WRONLY); }
static bool write_scratch(void) { return opens("scratch/new", O_WRONLY | O_CREAT); }
static bool truncate_given(void) { return !truncate("given", 0); }
static bool remove_given(void) { return !unlink("given"); }
static bool link_out(void) { return !link("given", "scratch/linked") && opens("scratch/linked", O_WRONLY); }
static bool run_shell(void) { return execl("/bin/sh", "sh", "-c", "exit 0", NULL) == 0; }
static bool run_written(void) { return execl("scratch/program", "program", NULL) == 0; }
static bool use_socket(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }
static bool use_udp(void) { return socket(AF_INET, SOCK_DGRAM, 0) >= 0; }
static bool use_pair(void) {
  int fds[2];
  return !socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static bool trace_parent(void) { return !ptrace(PTRACE_ATTACH, getppid(), NULL, NULL); }
static bool parent_memory(void) {
  char path[64], byte;
  snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
  int fd = open(path, O_RDONLY);
  return fd >= 0 && read(fd, &byte, 1) == 1;
}
static bool kill_parent(void) { return !kill(getppid(), SIGCONT); }
static bool mount_something(void) { return !mount("none", "scratch", "tmpfs", 0, NULL); }
static bool new_user_space(void) { return !unshare(CLONE_NEWUSER); }
static bool use_keys(void) { return syscall(SYS_add_key, "user", "k", "v", 1, -2) >= 0; }
static bool use_uring(void) { return syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno == EFAULT; }
static bool fork_child(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  return pid > 0;
}
static void *nothing(void *context) { return context; }
static bool start_thread(void) {
  pthread_t t;
  return !pthread_create(&t, NULL, nothing, NULL) && !pthread_join(t, NULL);
}
static bool take_memory(void) {
  char *m = mmap(NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return m != MAP_FAILED;
}
static bool inherit(void) {  // descriptors beside 0 to 3
  for (int fd = 4; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) return true;
  return false;
}
static bool read_passed(void) {
  char text[8] = "";
  return read(3, text, sizeof text) == 4 && !memcmp(text, "pass", 4);
}
static bool dump_core(void) {
  struct rlimit r;
  return getrlimit(RLIMIT_CORE, &r) || r.rlim_max > 0;
}
static bool see_environment(void) { return getenv("SECRET") != NULL; }
static bool write_large(void) {
  int fd = open("scratch/large", O_WRONLY | O_CREAT, 0600);
  signal(SIGXFSZ, SIG_IGN);
  return fd >= 0 && pwrite(fd, "x", 1, 1 << 20) == 1;
}
static bool burn(void) {
  for (volatile unsigned long turns = 0; turns < ~0ul; turns++) continue;
  return true;
}
static bool sleep_long(void) { return sleep(100) == 0; }
static bool say_much(void) {
  for (int i = 0; i < 100000; i++)
    if (write(1, "0123456789", 10) != 10) break;
  return true;
}
static bool echo(void) {
  char text[64];
  ssize_t got = read(0, text, sizeof text);
  return got > 0 && write(1, text, (size_t)got) == got && write(2, "err", 3) == 3;
}

static const struct act {
  const char *name;
  bool (*try)(void);
  bool allowed;
} acts[] = {
#define ACT(name, allowed) \
  { #name, name, allowed }
    ACT(read_given, true),   ACT(read_other, false),      ACT(read_disk, false),      ACT(list_root, false),
    ACT(write_given, false), ACT(write_scratch, true),    ACT(truncate_given, false), ACT(remove_given, false),
    ACT(link_out, false),    ACT(run_shell, false),       ACT(run_written, false),    ACT(use_socket, false),
    ACT(use_udp, false),     ACT(use_pair, true),         ACT(trace_parent, false),   ACT(parent_memory, false),
    ACT(kill_parent, false), ACT(mount_something, false), ACT(new_user_space, false), ACT(use_keys, false),
    ACT(use_uring, false),   ACT(fork_child, false),      ACT(start_thread, true),    ACT(take_memory, false),
    ACT(inherit, false),     ACT(read_passed, true),      ACT(dump_core, false),      ACT(see_environment, false),
    ACT(write_large, false),
};
static const struct act others[] = {ACT(burn, false), ACT(sleep_long, false), ACT(say_much, true), ACT(echo, true)};

static int attempt(const char *name) {
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
    if (!strcmp(acts[i].name, name)) return !acts[i].try();
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (!strcmp(others[i].name, name)) return !others[i].try();
  return 2;
}

// ---- the tests -----------------------------------------------------------------------------------

static sandbox box_of(void) {
  static const char *read_list[32], *run_list[16], *write_list[2];
  static char given[4200], scratch[4200];
  snprintf(given, sizeof given, "%s/given", folder);
  snprintf(scratch, sizeof scratch, "%s/scratch", folder);
  size_t n = 0;
  for (read_list[n++] = given; sandbox_system_read[n - 1]; n++) read_list[n] = sandbox_system_read[n - 1];
  run_list[0] = self;
  for (n = 0; sandbox_system_run[n]; n++) run_list[n + 1] = sandbox_system_run[n];
  write_list[0] = scratch;
  return (sandbox){.read = read_list,
                   .run = run_list,
                   .write = write_list,
                   .required = true,
                   .memory_bytes = (uint64_t)512 << 20,
                   .file_bytes = 65536,
                   .open_files = 64};
}

static sdx_status run(const char *act, const sandbox *box, int pass, unsigned timeout_ms, process_output *o, fault *f) {
  const char *arguments[] = {self, "--try", act, NULL};
  const char *environment[] = {"LANG=C", "ASAN_OPTIONS=detect_leaks=0", NULL};  // looking for leaks is tracing
  program p = {.arguments = arguments, .environment = environment, .folder = folder, .box = box, .pass = pass};
  return process_run(p, "said", 4, 4096, timeout_ms, o, f);
}

static void forbidden_acts(void **state) {
  sandbox box = box_of();
  setenv("SECRET", "1", 1);
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
    process_output o;
    fault f = {0};
    int fds[2];
    // A sanitized program needs unlimited memory and /proc.
    if (process_sanitized() && (acts[i].try == take_memory || acts[i].try == parent_memory)) continue;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "pass", 4), 4);
    if (run(acts[i].name, &box, fds[0], 20000, &o, &f)) fail_msg("%s: %s", acts[i].name, f.message);
    if (o.code != !acts[i].allowed) fail_msg("%s: exit %d, signal %d: %s", acts[i].name, o.code, o.killed, o.err);
    process_output_free(&o);
    close(fds[0]);
    close(fds[1]);
  }
}

static void without_a_sandbox_they_succeed(void **state) {
  static const char *const some[] = {"read_other", "list_root", "write_given", "use_socket", "fork_child", "run_shell"};
  for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
    process_output o;
    fault f = {0};
    assert_int_equal(run(some[i], NULL, -1, 20000, &o, &f), SDX_OK);
    if (o.code != 0) fail_msg("%s: exit %d: %s", some[i], o.code, o.err);
    process_output_free(&o);
  }
}

static void deadlines_and_bounds(void **state) {
  sandbox box = box_of();
  process_output o;
  fault f = {0};
  assert_int_equal(run("sleep_long", &box, -1, 200, &o, &f), SDX_OK);
  assert_true(o.late && o.code == -1 && o.killed == SIGKILL);
  process_output_free(&o);
  box.cpu_seconds = 1;
  assert_int_equal(run("burn", &box, -1, 20000, &o, &f), SDX_OK);
  assert_true(!o.late && (o.killed == SIGXCPU || o.killed == SIGKILL));
  process_output_free(&o);
  assert_int_equal(run("say_much", &box, -1, 20000, &o, &f), SDX_OK);
  assert_true(o.excess && o.out_size <= 8192);
  process_output_free(&o);
  assert_int_equal(run("echo", &box, -1, 20000, &o, &f), SDX_OK);
  assert_string_equal(o.out, "said");
  assert_string_equal(o.err, "err");
  assert_int_equal(o.code, 0);
  process_output_free(&o);
}

static void ended_with_all_it_started(void **state) {
  const char *arguments[] = {"sh", "-c", "sleep 1000 & sleep 1000", NULL};  // found on PATH
  fault f = {0};
  pid_t pid;
  int fds[2];
  char byte;
  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  program p = {.arguments = arguments, .in = -1, .out = fds[1], .err = -1, .pass = -1};
  assert_int_equal(process_start(&p, &pid, &f), SDX_OK);
  close(fds[1]);
  usleep(100000);
  int status = process_end(pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_int_equal(read(fds[0], &byte, 1), 0);  // nobody holds the other end any more
  close(fds[0]);
}

static void what_cannot_start_is_said(void **state) {
  const char *arguments[] = {"/nowhere/program", NULL};
  process_output o;
  fault f = {0};
  assert_int_equal(process_run((program){.arguments = arguments, .pass = -1}, NULL, 0, 10, 1000, &o, &f),
                   SDX_NOT_FOUND);
  assert_non_null(strstr(f.message, "/nowhere/program: cannot run"));
  f = (fault){0};
  program p = {.arguments = arguments, .folder = "/nowhere", .pass = -1};
  assert_int_equal(process_run(p, NULL, 0, 10, 1000, &o, &f), SDX_NOT_FOUND);
  assert_non_null(strstr(f.message, "cannot enter its folder"));
}

static int set_up(void **state) {
  fault f = {0};
  if (!mkdtemp(folder) || !realpath("/proc/self/exe", self)) return 1;
  int fd = open(folder, O_RDONLY | O_DIRECTORY);
  mkdirat(fd, "scratch", 0700);
  file_replace(fd, "given", "x", 1, 0600, &f);
  file_replace(fd, "scratch/program", "#!/bin/sh\n", 10, 0700, &f);
  close(fd);
  return (int)f.status;
}

static int tear_down(void **state) {
  fault f = {0};
  return tree_remove(AT_FDCWD, folder, &f);
}

int main(int count, char **words) {
  if (count == 3 && !strcmp(words[1], "--try")) return attempt(words[2]);
  sandbox_level level = sandbox_layers();
  if (level.landlock < 6 || !level.seccomp) {
    printf("SKIPPED: this kernel has Landlock %d%s; the acts need version 6 and seccomp\n", level.landlock,
           level.seccomp ? "" : " and no seccomp");
    printf("0 passed, 0 failed, 1 skipped\n");
    return 0;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forbidden_acts),
      cmocka_unit_test(without_a_sandbox_they_succeed),
      cmocka_unit_test(deadlines_and_bounds),
      cmocka_unit_test(ended_with_all_it_started),
      cmocka_unit_test(what_cannot_start_is_said),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
