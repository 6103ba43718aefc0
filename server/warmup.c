// SPDX-License-Identifier: Apache-2.0
// Runs before traffic (warmup.h).
#include "server/warmup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "support/files.h"

enum { MOST_ELEMENTS = 1 << 26, MOST_RUNS = 1000 };

// The tensor of a sample; NULL: why.
static sdx_value *make(const config_warmup *w, const config_sample *s, const sdx_io *io, char *why, size_t why_size) {
  int64_t shape[CONFIG_RANK + 1];
  size_t rank = 0, count = 1;
  if (w->batch) shape[rank++] = (int64_t)w->batch;
  for (size_t i = 0; i < s->of.rank; i++) shape[rank++] = s->of.dims[i];
  for (size_t i = 0; i < rank; i++)
    if (shape[i] < 0 || __builtin_mul_overflow(count, (size_t)shape[i], &count) || count > MOST_ELEMENTS) {
      snprintf(why, why_size, "model_warmup: input '%.100s' has dimension %lld, or too many elements", s->of.name,
               (long long)shape[i]);
      return NULL;
    }
  sdx_value *x = sdx_tensor_create(io->dtype, rank, shape);
  if (!x) snprintf(why, why_size, "model_warmup: not enough memory");
  return x;
}

// The numbers of a sample: those of a file, or small ones; zeros are there already.
static bool fill(sdx_value *x, const config_sample *s, const char *config, char *why, size_t why_size) {
  const char *slash = strrchr(config, '/');
  size_t size = 0, bytes = sdx_tensor_bytes(x);
  fault f = {0};
  if (*s->file) {
    char *path = path_format("%.*s/warmup/%s", (int)(slash - config), config, s->file), *data = NULL;
    if (path && path_beneath(s->file)) data = file_load(AT_FDCWD, path, bytes, &size, &f);
    bool good = data && size == bytes && sdx_tensor_dtype(x) != SDX_STRING;
    if (good) memcpy(sdx_tensor_data(x), data, bytes);
    else snprintf(why, why_size, "model_warmup: warmup/%.100s: expected %zu bytes", s->file, bytes);
    free(data);
    free(path);
    return good;
  }
  for (size_t i = 0; s->random && i < sdx_tensor_count(x); i++) {
    if (sdx_tensor_dtype(x) == SDX_FLOAT) ((float *)sdx_tensor_data(x))[i] = (float)(i * 37 % 101) / 101;
    if (sdx_tensor_dtype(x) == SDX_DOUBLE) ((double *)sdx_tensor_data(x))[i] = (double)(i * 37 % 101) / 101;
  }
  return true;
}

static bool bind(model *m, sdx_run *run, const config_warmup *w, const char *config, char *why, size_t why_size) {
  wire at = w->message;
  config_sample s;
  while (model_config_sample(&at, &s)) {
    int64_t index = sdx_session_find_input(m->session, s.of.name);
    if (index < 0) {
      snprintf(why, why_size, "model_warmup names input '%.100s', which the model has not", s.of.name);
      return false;
    }
    sdx_value *x = make(w, &s, sdx_session_input(m->session, (size_t)index), why, why_size);
    bool good = x && fill(x, &s, config, why, why_size);
    if (good && sdx_run_set_input(run, (size_t)index, x) != SDX_OK)
      snprintf(why, why_size, "model_warmup: %s", sdx_run_error(run)), good = false;
    sdx_value_release(x);
    if (!good) return false;
  }
  return true;
}

bool warmup_run(model *m, const char *config, char *why, size_t why_size) {
  wire at = model_config_message(m->config);
  config_warmup w;
  bool good = true;
  while (good && model_config_warmup(&at, &w)) {
    sdx_run *run;
    if (model_take_run(m, &run) != SDX_OK) return snprintf(why, why_size, "not enough memory"), false;
    good = bind(m, run, &w, config, why, why_size);
    for (uint64_t i = 0; good && i < w.count && i < MOST_RUNS; i++) {
      uint64_t start = clock_ns();
      good = sdx_run_execute(run) == SDX_OK;
      if (good) model_note_cost(m, clock_ns() - start);
      else snprintf(why, why_size, "model_warmup: %s", sdx_run_error(run));
    }
    for (size_t i = 0; i < m->input_count; i++) sdx_run_set_input(run, i, NULL);
    model_give_run(m, run);
  }
  return good;
}
