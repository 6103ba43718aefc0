// SPDX-License-Identifier: Apache-2.0
// The tile instructions that x86_amx.c uses, in plain C, so that a test can run it where there is no
// AMX. Sums as the instruction is specified: per step two chains (even and odd of the depth), then
// their sum onto the accumulator; subnormals count as zero. Included by x86_amx.c only when the build
// defines SDX_AMX_EMULATE, which only tests do.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/half.h"

typedef struct emulated_tile {
  unsigned char row[16][64];
} emulated_tile;

static _Thread_local emulated_tile emulated_tiles[8];
static _Thread_local unsigned char emulated_config[64];

// Rows and bytes of a tile as configured; nothing without a valid configuration.
static inline size_t emulated_rows(int tile) { return emulated_config[0] == 1 ? emulated_config[48 + tile] : 0; }
static inline size_t emulated_row_bytes(int tile) { return emulated_config[16 + 2 * tile]; }

static inline float emulated_flush(float x) { return __builtin_fabsf(x) < 0x1p-126f ? 0 : x; }

static inline void emulated_load(int tile, const void *from, size_t stride) {
  for (size_t i = 0; i < emulated_rows(tile); i++)
    memcpy(emulated_tiles[tile].row[i], (const char *)from + i * stride, emulated_row_bytes(tile));
}

static inline void emulated_store(int tile, void *to, size_t stride) {
  for (size_t i = 0; i < emulated_rows(tile); i++)
    memcpy((char *)to + i * stride, emulated_tiles[tile].row[i], emulated_row_bytes(tile));
}

// The 32 bf16 of a row as floats.
static inline void emulated_widen(float *to, const emulated_tile *t, int row) {
  for (int c = 0; c < 32; c++) {
    uint16_t h;
    memcpy(&h, t->row[row] + 2 * c, sizeof h);
    to[c] = emulated_flush(bf16_to_float(h));
  }
}

static inline void emulated_multiply(int sum, int a, int b) {
  if (emulated_rows(sum) != 16 || emulated_rows(a) != 16 || emulated_rows(b) != 16) return;
  float x[16][32], y[16][32];
  for (int i = 0; i < 16; i++) {
    emulated_widen(x[i], &emulated_tiles[a], i);
    emulated_widen(y[i], &emulated_tiles[b], i);
  }
  for (int i = 0; i < 16; i++) {
    float chains[32] = {0}, c[16];  // of column j: 2 j even, 2 j + 1 odd
    for (int k = 0; k < 16; k++)
      for (int j = 0; j < 32; j++) chains[j] = emulated_flush(__builtin_fmaf(x[i][2 * k + j % 2], y[k][j], chains[j]));
    memcpy(c, emulated_tiles[sum].row[i], sizeof c);
    for (int j = 0; j < 16; j++) c[j] = emulated_flush(c[j] + emulated_flush(chains[2 * j] + chains[2 * j + 1]));
    memcpy(emulated_tiles[sum].row[i], c, sizeof c);
  }
}

#undef _tile_loadconfig
#undef _tile_storeconfig
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig(from) (memcpy(emulated_config, from, 64), memset(emulated_tiles, 0, sizeof emulated_tiles))
#define _tile_storeconfig(to) memcpy(to, emulated_config, 64)
#define _tile_loadd(tile, from, stride) emulated_load(tile, from, stride)
#define _tile_stored(tile, to, stride) emulated_store(tile, to, stride)
#define _tile_zero(tile) memset(&emulated_tiles[tile], 0, sizeof emulated_tiles[tile])
#define _tile_dpbf16ps(sum, a, b) emulated_multiply(sum, a, b)
