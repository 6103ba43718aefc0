// SPDX-License-Identifier: Apache-2.0
// The sandbox (sandbox.h). Landlock is called by number: headers of some systems are older than their kernels.
#include "support/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Sanitizers map terabytes of shadow memory and read /proc/self/maps.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

const char *const sandbox_system_read[] = {"/lib",
                                           "/lib64",
                                           "/usr/lib",
                                           "/usr/lib64",
                                           "/usr/local/lib",
                                           "/usr/share/zoneinfo",
                                           "/etc/ld.so.cache",
                                           "/etc/localtime",
                                           "/proc/cpuinfo",
                                           "/proc/meminfo",
                                           "/sys/devices/system/cpu",
                                           "/sys/fs/cgroup",
                                           SANITIZED ? "/proc" : NULL,
                                           NULL};
const char *const sandbox_system_run[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", NULL};

struct sandbox_rules {
  int ruleset;  // Landlock; -1: none
  struct sock_filter *filter;
  unsigned short filter_length;
  sandbox box;
};

// ---- Landlock ----------------------------------------------------------------------------------

typedef struct landlock_attributes {
  uint64_t files, tcp, scopes;
} landlock_attributes;

typedef struct __attribute__((packed)) landlock_beneath {
  uint64_t access;
  int32_t parent;
} landlock_beneath;

// Numbers of the kernel's interface.
enum {
  LANDLOCK_CREATE = 444,
  LANDLOCK_ADD = 445,
  LANDLOCK_RESTRICT = 446,
  LANDLOCK_ASK_VERSION = 1,
  LANDLOCK_RULE_BENEATH = 1,
  CAN_EXECUTE = 1 << 0,
  CAN_READ_FILE = 1 << 2,
  CAN_READ_FOLDER = 1 << 3,
  CAN_ALL = (1 << 13) - 1,  // of the first version
  CAN_REFER = 1 << 13,      // from version 2
  CAN_TRUNCATE = 1 << 14,   // from version 3
  CAN_IOCTL = 1 << 15,      // from version 5
  OF_A_FILE = CAN_EXECUTE | 1 << 1 | CAN_READ_FILE | CAN_TRUNCATE | CAN_IOCTL,
  TCP_BOTH = 3,    // bind and connect, from version 4
  SCOPES_BOTH = 3  // abstract sockets and signals, from version 6
};

static int landlock_version(void) {
  long version = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_ASK_VERSION);
  return version > 0 ? (int)version : 0;
}

static uint64_t all_access(int version) {
  return CAN_ALL | (version >= 2 ? CAN_REFER : 0) | (version >= 3 ? CAN_TRUNCATE : 0) | (version >= 5 ? CAN_IOCTL : 0);
}

static sdx_status allow(int ruleset, const char *const *paths, uint64_t access, fault *f) {
  for (; paths && *paths; paths++) {
    struct stat info;
    int fd = open(*paths, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) continue;
    if (fd < 0 || fstat(fd, &info)) {
      fault_errno(f, errno, "sandbox: cannot open %s", *paths);
      if (fd >= 0) close(fd);
      return f->status;
    }
    landlock_beneath rule = {S_ISDIR(info.st_mode) ? access : access & OF_A_FILE, fd};
    long failed = syscall(LANDLOCK_ADD, ruleset, LANDLOCK_RULE_BENEATH, &rule, 0);
    int error = errno;
    close(fd);
    if (failed) return fault_errno(f, error, "sandbox: cannot allow %s", *paths);
  }
  return SDX_OK;
}

static sdx_status prepare_landlock(sandbox_rules *r, fault *f) {
  const sandbox *box = &r->box;
  int version = landlock_version();
  if (!version) return SDX_OK;
  uint64_t all = all_access(version);
  landlock_attributes attributes = {
      .files = all, .tcp = version >= 4 && !box->network ? TCP_BOTH : 0, .scopes = version >= 6 ? SCOPES_BOTH : 0};
  size_t size = version >= 6 ? sizeof attributes : version >= 4 ? 16 : 8;
  r->ruleset = (int)syscall(LANDLOCK_CREATE, &attributes, size, 0);
  if (r->ruleset < 0) return fault_errno(f, errno, "sandbox: Landlock");
  static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", NULL};
  uint64_t read = CAN_READ_FILE | CAN_READ_FOLDER;
  if (allow(r->ruleset, box->read, read, f) || allow(r->ruleset, box->run, read | CAN_EXECUTE, f) ||
      allow(r->ruleset, box->write, all & ~(uint64_t)(CAN_EXECUTE | CAN_IOCTL), f) ||
      allow(r->ruleset, devices, all & (OF_A_FILE & ~CAN_EXECUTE), f))
    return f->status;
  return SDX_OK;
}

// ---- seccomp -----------------------------------------------------------------------------------

// Refused always: what reaches other processes, the kernel or the machine.
static const char *const refused[] = {"ptrace",
                                      "process_vm_readv",
                                      "process_vm_writev",
                                      "process_madvise",
                                      "pidfd_getfd",
                                      "kcmp",
                                      "bpf",
                                      "keyctl",
                                      "add_key",
                                      "request_key",
                                      "io_uring_setup",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "userfaultfd",
                                      "perf_event_open",
                                      "mount",
                                      "umount2",
                                      "pivot_root",
                                      "chroot",
                                      "fsopen",
                                      "fsmount",
                                      "fspick",
                                      "open_tree",
                                      "move_mount",
                                      "mount_setattr",
                                      "setns",
                                      "unshare",
                                      "init_module",
                                      "finit_module",
                                      "delete_module",
                                      "kexec_load",
                                      "kexec_file_load",
                                      "reboot",
                                      "swapon",
                                      "swapoff",
                                      "acct",
                                      "quotactl",
                                      "settimeofday",
                                      "clock_settime",
                                      "clock_adjtime",
                                      "adjtimex",
                                      "sethostname",
                                      "setdomainname",
                                      "open_by_handle_at",
                                      "name_to_handle_at",
                                      "iopl",
                                      "ioperm",
                                      "personality",
                                      "syslog",
                                      "mknod",
                                      "mknodat",
                                      "fanotify_init",
                                      "lookup_dcookie",
                                      "nfsservctl",
                                      "vhangup"};

static bool refuse(scmp_filter_ctx c, const char *name) {
  int number = seccomp_syscall_resolve_name(name);
  return number == __NR_SCMP_ERROR || !seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), number, 0);
}

static bool fill_filter(scmp_filter_ctx c, const sandbox *box) {
  bool good = true;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) good = good && refuse(c, refused[i]);
  if (!box->network) good = good && refuse(c, "socket");
  // clone3 hides its flags from a filter: without it libc takes clone.
  good = good && !seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  scmp_datum_t names =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  for (scmp_datum_t bit = 1; bit && bit <= names; bit <<= 1)
    if (names & bit)
      good = good &&
             !seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
  if (!box->processes)
    good =
        good && refuse(c, "fork") && refuse(c, "vfork") &&
        !seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  return good;
}

static sdx_status prepare_seccomp(sandbox_rules *r, fault *f) {
  scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
  int fd = memfd_create("filter", MFD_CLOEXEC);
  struct stat info;
  bool good = c && fd >= 0 && fill_filter(c, &r->box) && !seccomp_export_bpf(c, fd) && !fstat(fd, &info);
  if (good) {
    r->filter = malloc((size_t)info.st_size);
    r->filter_length = (unsigned short)((size_t)info.st_size / sizeof *r->filter);
    good = r->filter && pread(fd, r->filter, (size_t)info.st_size, 0) == info.st_size;
  }
  if (!good) fault_set(f, SDX_INTERNAL, "sandbox: the seccomp filter cannot be made");
  if (fd >= 0) close(fd);
  seccomp_release(c);
  return good ? SDX_OK : f->status;
}

static bool seccomp_there(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0; }

sandbox_level sandbox_layers(void) { return (sandbox_level){landlock_version(), seccomp_there()}; }

// ---- both --------------------------------------------------------------------------------------

sdx_status sandbox_prepare(const sandbox *box, sandbox_rules **rules, fault *f) {
  sandbox_rules *r = calloc(1, sizeof *r);
  *rules = r;
  if (!r) return fault_no_memory(f);
  r->box = *box;
  r->ruleset = -1;
  sdx_status status = prepare_landlock(r, f);
  if (!status && seccomp_there()) status = prepare_seccomp(r, f);
  if (!status && box->required && (r->ruleset < 0 || !r->filter)) {
    status = fault_set(f, SDX_NOT_SUPPORTED, "sandbox: this kernel has no %s", r->ruleset < 0 ? "Landlock" : "seccomp");
    fault_hint(f, "Linux 5.13 or later, with landlock among the security modules");
  }
  if (!status) return SDX_OK;
  sandbox_release(r);
  *rules = NULL;
  return status;
}

void sandbox_release(sandbox_rules *r) {
  if (!r) return;
  if (r->ruleset >= 0) close(r->ruleset);
  free(r->filter);
  free(r);
}

static int limit(int resource, uint64_t most) {
  if (!most) return 0;
  struct rlimit now, wanted = {most, most};
  if (!getrlimit((__rlimit_resource_t)resource, &now) && now.rlim_max < most)
    wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
  return setrlimit((__rlimit_resource_t)resource, &wanted) ? errno : 0;
}

int sandbox_enter(const sandbox_rules *r) {
  const sandbox *box = &r->box;
  int failed = limit(RLIMIT_DATA, SANITIZED ? 0 : box->memory_bytes);
  if (!failed) failed = limit(RLIMIT_CPU, box->cpu_seconds);
  if (!failed) failed = limit(RLIMIT_FSIZE, box->file_bytes);
  if (!failed) failed = limit(RLIMIT_NOFILE, box->open_files);
  struct rlimit none = {0, 0};
  if (!failed && setrlimit(RLIMIT_CORE, &none)) failed = errno;
  if (!failed && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) failed = errno;
  if (!failed && r->ruleset >= 0 && syscall(LANDLOCK_RESTRICT, r->ruleset, 0)) failed = errno;
  struct sock_fprog program = {r->filter_length, r->filter};
  if (!failed && r->filter && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)) failed = errno;
  return failed;
}
