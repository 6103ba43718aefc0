// SPDX-License-Identifier: Apache-2.0
// Frames of HTTP/2 behind the preface, cut into pieces (wire.h). The first byte of the input is the seed of the cuts.
#include "tests/fuzz/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (size < 1) return 0;
  char *in = malloc(sizeof preface - 1 + size - 1);
  if (!in) return 0;
  memcpy(in, preface, sizeof preface - 1);
  memcpy(in + sizeof preface - 1, data + 1, size - 1);
  wire_run(in, sizeof preface - 1 + size - 1, data[0]);
  free(in);
  return 0;
}
