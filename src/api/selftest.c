// SPDX-License-Identifier: Apache-2.0
// The kernel harness, printing to stdout.
#include "kernels/selftest.h"

#include <unistd.h>

#include "base/str.h"
#include "base/text.h"
#include "sardonyx/sardonyx.h"

static void print(const char *line) {
  text t = {0};
  text_format(&t, "%s\n", line);
  for (size_t at = 0; at < t.size;) {
    ssize_t n = write(STDOUT_FILENO, t.at + at, t.size - at);
    if (n <= 0) break;
    at += (size_t)n;
  }
  text_deinit(&t);
}

int sdx_selftest_kernels(const char *filter, unsigned rounds, bool bench) {
  return kernel_selftest(filter, rounds, bench, print);
}
