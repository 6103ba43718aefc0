// SPDX-License-Identifier: Apache-2.0
// ONNX models to another opset and to 16 bits (convert_onnx.h).
#include "cli/convert_onnx.h"

#include <stdlib.h>

#include "cli/edit.h"
#include "cli/quantize_search.h"
#include "cli/samples.h"
#include "quantize/half.h"

// The first of these options that is given; NULL: none is.
static const char *first_of(const args *a, const char *const *names) {
  while (*names && !args_has(a, *names)) names++;
  return *names;
}

static bool to_16_bits(const args *a) { return args_has(a, "fp16") || args_has(a, "bf16"); }

bool convert_onnx_asked(const args *a) {
  return first_of(a, (const char *const[]){"fp16", "bf16", "set-shape", "dim", "rename", "option", NULL}) != NULL;
}

int convert_onnx_check(const args *a) {
  const char *half = first_of(a, (const char *const[]){"keep-io", "keep", "data", NULL});
  if (half && !to_16_bits(a)) return cli_error(CLI_USAGE, "convert: --%s goes with --fp16 or --bf16", half);
  return CLI_OK;
}

// All that read the value stay in float.
static void keep_readers(sdx_graph *g, const char *name, keep_list *kept) {
  sdx_ref v = sdx_graph_find(g, name);
  for (size_t i = 0; i < sdx_graph_node_count(g); i++)
    for (size_t k = 0; k < sdx_graph_node_input_count(g, i); k++)
      if (sdx_graph_node_input(g, i, k) == v) keep_list_add(kept, sdx_graph_node_name(g, i));
}

// What does not fit into 16 bits, as samples show, stays in float: who makes it, and who reads it.
static int keep_large(edit *e, const samples *data, const half_options *o, keep_list *kept) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  size_t values = sdx_graph_value_count(g), count = 0;
  const char **names = xmalloc((values + 1) * sizeof *names);
  size_t *makers = xmalloc((values + 1) * sizeof *makers);
  for (size_t i = 1; i <= values; i++) {
    sdx_ref v = sdx_graph_value(g, i);
    int64_t maker = sdx_graph_producer(g, v);
    if (maker < 0 || sdx_graph_describe(g, v).dtype != SDX_FLOAT) continue;
    names[count] = sdx_graph_name(g, v);
    makers[count++] = (size_t)maker;
  }
  range *ranges = xmalloc((count + 1) * sizeof *ranges);
  quantize_options extremes = {.method = RANGE_MINMAX};
  quantize_samples s = {data->count, samples_feed, (void *)data, NULL};
  fault f = {0};
  int code = quantize_ranges(e->builder, count, names, &extremes, &s, ranges, &f)
                 ? cli_error(CLI_FAILED, "%s", f.message)
                 : CLI_OK;
  json_t *large = json_array();
  for (size_t i = 0; i < count && !code; i++) {
    float most = half_largest(o->type);
    if (ranges[i].high <= most && ranges[i].low >= -most) continue;
    const char *name = sdx_graph_node_name(g, makers[i]);
    keep_readers(g, names[i], kept);
    keep_list_add(kept, name);
    json_array_append_new(large, json_string(name));
    cli_note("'%s' gives numbers up to %g: it stays in float", name,
             (double)(ranges[i].high > -ranges[i].low ? ranges[i].high : -ranges[i].low));
  }
  json_object_set_new(e->details, "too large", large);
  free(ranges);
  free(makers);
  free(names);
  return code;
}

static int to_half(edit *e) {
  const char *path;
  keep_list kept = {0};
  samples data = {.a = e->a};
  half_options o = {.type = args_has(e->a, "bf16") ? SDX_BFLOAT16 : SDX_FLOAT16,
                    .keep_io = args_has(e->a, "keep-io"),
                    .keep = keep_list_has,
                    .context = &kept};
  half_report r = {0};
  keep_list_words(&kept, args_text(e->a, "keep", ""));
  edit_name_nodes(e);
  int code = sdx_builder_infer(e->builder) ? edit_failed(e) : keep_list_check(e, &kept);
  for (size_t at = 0; !code && (path = args_each(e->a, "data", &at));)
    if (!samples_add(&data, path)) code = CLI_FAILED;
  if (!code && data.count) code = keep_large(e, &data, &o, &kept);
  if (!code && half_convert(e->builder, &o, &r)) code = edit_failed(e);
  if (!code && r.overflows)
    cli_note("%zu numbers of constants are too large and became the largest there is, the first in '%s'", r.overflows,
             r.first_overflow);
  json_object_set_new(e->details, "nodes in 16 bits", json_integer((json_int_t)r.converted));
  json_object_set_new(e->details, "nodes in float", json_integer((json_int_t)r.kept));
  json_object_set_new(e->details, "overflows", json_integer((json_int_t)r.overflows));
  json_object_set_new(e->details, "became zero", json_integer((json_int_t)r.underflows));
  samples_free(&data);
  keep_list_free(&kept);
  return code;
}

// Types by number came with version 6, bfloat16 to most operators with 22.
enum { LEAST_OPSET = 7, BFLOAT16_OPSET = 22 };

static int change(edit *e) {
  int64_t now = sdx_builder_opset(e->builder, ""), opset = args_int(e->a, "opset", now);
  if (opset < LEAST_OPSET) opset = LEAST_OPSET;
  if (args_has(e->a, "bf16") && opset < BFLOAT16_OPSET) opset = BFLOAT16_OPSET;
  if (opset != now && sdx_builder_raise(e->builder, opset)) return edit_failed(e);
  return to_16_bits(e->a) ? to_half(e) : CLI_OK;
}

int convert_onnx(const args *a) {
  if (args_has(a, "fp16") && args_has(a, "bf16"))
    return cli_error(CLI_USAGE, "convert: give --fp16 or --bf16, not both");
  const char *of_others = first_of(
      a, (const char *const[]){"format", "signature", "outputs", "shape", "class", "python", "trust", "verify", NULL});
  if (of_others)
    return cli_error(CLI_USAGE, "convert: --%s is for models of other frameworks: convert first, change the result",
                     of_others);
  return edit_run(a, "convert", change);
}
