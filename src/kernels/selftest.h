// SPDX-License-Identifier: Apache-2.0
// The harness behind `sardonyx selftest kernels`: every variant in the table against its reference.
#pragma once

#include <stdbool.h>

// One line per variant ("gemm_f32 x86_avx512 ok 200 cases", "... SKIPPED (reason)", "... FAILED ...")
// through `print`, the last "N passed, N failed, N skipped". Returns how many failed;
// that none could be compared is a failure.
// filter: a family, a variant or "family/variant"; NULL: all. rounds: cases per variant, 0 = 200.
// bench: a table of rates follows each family.
int kernel_selftest(const char *filter, unsigned rounds, bool bench, void (*print)(const char *line));
