// SPDX-License-Identifier: Apache-2.0
// The form of a packed operand: everything that its bytes depend on beside the operand itself. Packs of one operand in
// equal formats hold equal bytes, whatever session, process or machine made them, so caches in memory and in files find
// them by it. A family that packs gives the format of what it writes. Plain bytes: compared and stored as they are.
#pragma once

#include <stdint.h>
#include <stdio.h>

typedef struct pack_format {
  char family[24];   // and which operand: "gemm_f32 a"
  char variant[24];  // of the kernel that reads it: "x86_avx512"
  uint32_t version;  // of the family's form: goes up when the form changes
  uint32_t tile;     // rows or columns of a panel
  uint32_t depth;    // of a block; 0: the depth is not cut
  uint32_t planes;   // bf16 parts of a split product; 0: not split
  uint32_t groups;   // operands packed one after another
  uint32_t detail;   // what else the form depends on, as its family says
} pack_format;

static inline pack_format pack_format_of(const char *family, const char *variant, uint32_t version) {
  pack_format f = {.version = version, .groups = 1};
  snprintf(f.family, sizeof f.family, "%s", family);
  snprintf(f.variant, sizeof f.variant, "%s", variant);
  return f;
}
