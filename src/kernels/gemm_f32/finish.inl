// SPDX-License-Identifier: Apache-2.0
// The epilogue, as plain loops that the compiler vectorises for the tier of the including file.

// The steps are separate roundings (no contraction), so each equals the separate operator.
static void finish(const gemm_f32_epilogue *e, float *c, size_t c_stride, size_t m, size_t n) {
  float low = e->act.a, high = e->act.b;
  for (size_t i = 0; i < m; i++, c += c_stride) {
    if (e->alpha != 1)
      for (size_t j = 0; j < n; j++) c[j] *= e->alpha;
    if (e->bias && e->bias_kind == GEMM_BIAS_PER_COLUMN && e->bias_scale == 1) {
      for (size_t j = 0; j < n; j++) c[j] += e->bias[j];
    } else if (e->bias && e->bias_kind == GEMM_BIAS_PER_COLUMN) {
      for (size_t j = 0; j < n; j++) c[j] += e->bias_scale * e->bias[j];
    } else if (e->bias) {
      float bias = e->bias_scale * e->bias[e->bias_kind == GEMM_BIAS_PER_ROW ? i : 0];
      for (size_t j = 0; j < n; j++) c[j] += bias;
    }
    if (e->residual) {
      const float *r = e->residual + i * e->residual_stride;
      for (size_t j = 0; j < n; j++) c[j] += e->residual_scale * r[j];
    }
    if (e->act.kind == ACTIVATION_RELU)
      for (size_t j = 0; j < n; j++) c[j] = c[j] <= 0 ? 0.0f : c[j];
    else if (e->act.kind == ACTIVATION_CLIP)
      for (size_t j = 0; j < n; j++) {
        float x = c[j] < low ? low : c[j];
        c[j] = x > high ? high : x;
      }
  }
}
