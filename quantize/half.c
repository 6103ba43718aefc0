// SPDX-License-Identifier: Apache-2.0
// Models in 16 bits (half.h). First every value and constant of float changes its type, in all graphs; then nodes that
// must stay in float get a Cast behind each output that they give, and before each input that is not there in float:
// constants, and what another such node gives, they read as they were. Constants that are too large become the largest
// number there is, and are counted.
#include "quantize/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "quantize/nodes.h"

// Operators that have no 16-bit form in ONNX or in the engines that read it.
static const char in_float[] =
    "ArrayFeatureExtractor Bernoulli BlackmanWindow Celu CumSum DFT DequantizeLinear Det DynamicQuantizeLinear EyeLike "
    "HammingWindow HannWindow ImageDecoder MelWeightMatrix Multinomial NonMaxSuppression QLinearConv QLinearMatMul "
    "QuantizeLinear RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range RoiAlign STFT TfIdfVectorizer "
    "Upsample ";

typedef struct halver {
  sdx_builder *builder;
  const half_options *o;
  half_report *report;
  struct origin {
    sdx_ref exact;  // the float that a value in 16 bits was made of; 0: there is none
    size_t overflows, underflows;
  } * origins;  // by sdx_ref
  size_t origin_count;
} halver;

static void note_origin(halver *h, sdx_ref half, struct origin origin) {
  if (half >= h->origin_count) {
    size_t more = 2 * (size_t)half + 1;
    struct origin *longer = realloc(h->origins, more * sizeof *longer);
    if (!longer) {
      sdx_builder_fail(h->builder, SDX_NO_MEMORY, "memory is exhausted");
      return;
    }
    memset(longer + h->origin_count, 0, (more - h->origin_count) * sizeof *longer);
    h->origins = longer, h->origin_count = more;
  }
  h->origins[half] = origin;
}

float half_largest(sdx_dtype type) { return type == SDX_FLOAT16 ? 65504.0f : 0x1.fep127f; }

// Other domains say for themselves what types they take, and no one list knows.
static bool stays(const halver *h, sdx_graph *g, size_t node) {
  const char *op = sdx_graph_node_op(g, node);
  return strstr(op, "::") || op_is_one_of(op, in_float) ||
         (h->o->keep && h->o->keep(h->o->context, op, sdx_graph_node_name(g, node)));
}

// Inputs of operators in 16 bits that are float whatever the others are.
static bool is_always_float(const char *op, size_t input) {
  return !strcmp(op, "Resize") && (input == 1 || input == 2);
}

static bool is_half(const halver *h, sdx_graph *g, sdx_ref v) {
  return v && sdx_graph_describe(g, v).dtype == h->o->type;
}

// ---- constants --------------------------------------------------------------------------------------

static sdx_value *halved(const halver *h, const sdx_value *from, struct origin *lost) {
  sdx_value *to = sdx_tensor_create(h->o->type, sdx_tensor_rank(from), sdx_tensor_shape(from));
  const float *x = sdx_tensor_data(from);
  uint16_t *y = to ? sdx_tensor_data(to) : NULL;
  float most = half_largest(h->o->type);
  for (size_t i = 0; to && i < sdx_tensor_count(from); i++) {
    bool too_large = isfinite(x[i]) && fabsf(x[i]) > most;
    float kept = too_large ? copysignf(most, x[i]) : x[i];
    y[i] = h->o->type == SDX_FLOAT16 ? fp16_from_float(kept) : bf16_from_float(kept);
    lost->overflows += too_large;
    lost->underflows += kept != 0 && !(y[i] & 0x7fff);
  }
  return to;
}

static void halve_constant(halver *h, sdx_graph *g, sdx_ref v) {
  sdx_value *from = sdx_graph_constant(g, v);
  if (!from) return;
  struct origin origin = {.exact = v};
  sdx_ref made = sdx_graph_add_initializer(g, sdx_graph_name(g, v), halved(h, from, &origin));
  sdx_graph_replace(g, v, made, 0);
  note_origin(h, made, origin);
  sdx_value_release(from);
}

static void report_losses(halver *h, const struct origin *lost, const char *name) {
  half_report *r = h->report;
  if (lost->overflows && !r->overflows) snprintf(r->first_overflow, sizeof r->first_overflow, "%s", name);
  r->overflows += lost->overflows;
  r->underflows += lost->underflows;
}

// Of constants that are left after a sweep: what is read as float alone has lost nothing.
static void count_losses(halver *h, sdx_graph *g) {
  for (size_t i = 1; i <= sdx_graph_value_count(g); i++) {
    sdx_ref v = sdx_graph_value(g, i);
    sdx_value *constant = v < h->origin_count && h->origins[v].exact ? sdx_graph_constant(g, v) : NULL;
    if (constant) report_losses(h, &h->origins[v], sdx_graph_name(g, h->origins[v].exact));
    sdx_value_release(constant);
  }
  sdx_graph *body;
  for (size_t i = 0; i < sdx_graph_node_count(g); i++)
    for (size_t k = 0; (body = sdx_graph_node_body(g, i, k)); k++) count_losses(h, body);
}

// Attributes that name the type of what a node makes.
static void halve_attributes(halver *h, sdx_graph *g, size_t node) {
  const char *op = sdx_graph_node_op(g, node);
  sdx_value *value =
      strcmp(op, "Constant") && strcmp(op, "ConstantOfShape") ? NULL : sdx_graph_node_tensor(g, node, "value");
  if (value && sdx_tensor_dtype(value) == SDX_FLOAT) {
    struct origin lost = {0};
    sdx_graph_node_drop(g, node, "value");
    sdx_graph_select(g, node);
    sdx_graph_set_tensor(g, "value", halved(h, value, &lost));
    report_losses(h, &lost, sdx_graph_node_name(g, node));
  } else if (!strcmp(op, "ConstantOfShape") && !value) {
    uint16_t *zero;
    sdx_value *t = sdx_tensor_create(h->o->type, 1, (int64_t[]){1});
    if (t && (zero = sdx_tensor_data(t))) *zero = 0;
    sdx_graph_select(g, node);
    sdx_graph_set_tensor(g, "value", t);
  } else if (!strcmp(op, "Cast") && sdx_graph_node_int(g, node, "to", 0) == SDX_FLOAT) {
    sdx_graph_node_drop(g, node, "to");
    sdx_graph_select(g, node);
    sdx_graph_set_int(g, "to", h->o->type);
  }
  sdx_value_release(value);
}

// Numbers that a Constant has in other attributes are float; a Cast follows.
static bool is_float_list(sdx_graph *g, size_t node) {
  sdx_value *value = strcmp(sdx_graph_node_op(g, node), "Constant") ? NULL : sdx_graph_node_tensor(g, node, "value");
  bool list = !strcmp(sdx_graph_node_op(g, node), "Constant") && !value;
  sdx_value_release(value);
  return list;
}

// ---- nodes in float ---------------------------------------------------------------------------------

static sdx_ref cast(sdx_graph *g, sdx_ref v, sdx_dtype to) {
  char name[300];
  snprintf(name, sizeof name, "%.250s_%s", sdx_graph_name(g, v), to == SDX_FLOAT ? "float" : "half");
  sdx_ref made = sdx_graph_add_node(g, "Cast", name, SDX_REFS(v));
  sdx_graph_set_int(g, "to", to);
  sdx_graph_node_rename(g, sdx_graph_node_count(g) - 1, sdx_graph_name(g, made));
  sdx_io io = sdx_graph_describe(g, v);
  io.dtype = to;
  sdx_graph_declare(g, made, &io);
  return made;
}

// The value is float after all; everybody reads what a Cast makes of it.
static void halve_behind(halver *h, sdx_graph *g, sdx_ref v) {
  sdx_io io = sdx_graph_describe(g, v);
  sdx_ref made = cast(g, v, h->o->type);
  size_t caster = sdx_graph_node_count(g) - 1;
  io.dtype = SDX_FLOAT;
  sdx_graph_declare(g, v, &io);
  sdx_graph_replace(g, v, made, 0);
  sdx_graph_node_set_input(g, caster, 0, v);
  note_origin(h, made, (struct origin){.exact = v});
}

static sdx_ref in_full(const halver *h, sdx_graph *g, sdx_ref v) {
  return v < h->origin_count && h->origins[v].exact ? h->origins[v].exact : cast(g, v, SDX_FLOAT);
}

static void fit_node(halver *h, sdx_graph *g, size_t node) {
  bool kept = stays(h, g, node);
  const char *op = sdx_graph_node_op(g, node);
  for (size_t k = 0; k < sdx_graph_node_input_count(g, node); k++) {
    sdx_ref v = sdx_graph_node_input(g, node, k);
    if (is_half(h, g, v) && (kept || is_always_float(op, k))) sdx_graph_node_set_input(g, node, k, in_full(h, g, v));
  }
  for (size_t k = 0; k < sdx_graph_node_output_count(g, node) && (kept || is_float_list(g, node)); k++) {
    sdx_ref v = sdx_graph_node_output(g, node, k);
    if (is_half(h, g, v)) halve_behind(h, g, v);
  }
  if (kept) h->report->kept++;
  else h->report->converted++;
}

// ---- graphs -----------------------------------------------------------------------------------------

static void declare_half(halver *h, sdx_graph *g, sdx_ref v) {
  sdx_io io = sdx_graph_describe(g, v);
  io.dtype = h->o->type;
  sdx_graph_declare(g, v, &io);
}

// Recursion is as deep as graphs are nested, which opening bounds.
static void halve_types(halver *h, sdx_graph *g) {
  size_t values = sdx_graph_value_count(g), nodes = sdx_graph_node_count(g);
  for (size_t i = 0; i < nodes; i++) {
    sdx_graph *body;
    for (size_t k = 0; (body = sdx_graph_node_body(g, i, k)); k++) halve_types(h, body);
    if (!stays(h, g, i)) halve_attributes(h, g, i);
  }
  for (size_t i = 1; i <= values && !sdx_builder_status(h->builder); i++) {
    sdx_ref v = sdx_graph_value(g, i);
    if (!v || sdx_graph_describe(g, v).dtype != SDX_FLOAT) continue;
    sdx_value *constant = sdx_graph_constant(g, v);
    if (constant) halve_constant(h, g, v);
    else declare_half(h, g, v);
    sdx_value_release(constant);
  }
}

static void fit_nodes(halver *h, sdx_graph *g) {
  size_t nodes = sdx_graph_node_count(g);
  for (size_t i = 0; i < nodes && !sdx_builder_status(h->builder); i++) {
    sdx_graph *body;
    for (size_t k = 0; (body = sdx_graph_node_body(g, i, k)); k++) fit_nodes(h, body);
    fit_node(h, g, i);
  }
}

// The model takes and gives float, and names stay.
static void keep_inputs(halver *h, sdx_graph *g) {
  for (size_t i = 0; i < sdx_graph_input_count(g); i++) {
    sdx_ref v = sdx_graph_input(g, i);
    if (is_half(h, g, v)) halve_behind(h, g, v);
  }
}
static void keep_outputs(halver *h, sdx_graph *g, const char *const *names) {
  for (size_t i = 0; i < sdx_graph_output_count(g); i++) {
    sdx_ref v = sdx_graph_output(g, i);
    if (is_half(h, g, v)) sdx_graph_set_output(g, i, in_full(h, g, v), names[i]);
  }
}

sdx_status half_convert(sdx_builder *b, const half_options *o, half_report *r) {
  halver h = {.builder = b, .o = o, .report = r};
  sdx_graph *g = sdx_builder_graph(b);
  *r = (half_report){0};
  size_t outputs = sdx_graph_output_count(g);
  const char **names = malloc((outputs + 1) * sizeof *names);
  if (!names) return sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
  for (size_t i = 0; i < outputs; i++) names[i] = sdx_graph_name(g, sdx_graph_output(g, i));
  sdx_builder_freeze(b);
  sdx_builder_sweep(b);  // who makes a value stands before who reads it
  halve_types(&h, g);
  if (o->keep_io) keep_inputs(&h, g);
  fit_nodes(&h, g);
  if (o->keep_io) keep_outputs(&h, g, names);
  for (size_t i = 0; i < outputs && !sdx_builder_status(b); i++)
    sdx_graph_set_output(g, i, sdx_graph_output(g, i), names[i]);
  free(names);
  if (!sdx_builder_sweep(b)) count_losses(&h, g);
  free(h.origins);
  return sdx_builder_infer(b);
}
