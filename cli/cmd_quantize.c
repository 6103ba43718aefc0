// SPDX-License-Identifier: Apache-2.0
// `sardonyx quantize`: a model on bytes. quantize/ does it; here are the samples, the comparison with the model in
// float and the search for what must stay in float (quantize_search.c).
#include <stdlib.h>
#include <string.h>

#include "cli/quantize_search.h"

static const cli_option options[] = {
    OPTION("data", ARG_TEXT, "PATH",
           "samples: .npz or .npy (a row each), a folder of pictures or of .pb sets; again for more"),
    OPTION("method", ARG_TEXT, "M", "ranges of values: mse (default), minmax, percentile, entropy"),
    OPTION("percentile", ARG_NUMBER, "P", "how much lies within, for --method percentile (default 99.99)", .min = 50,
           .max = 100),
    OPTION("format", ARG_TEXT, "F", "qdq (default) or qoperator"),
    OPTION("activations", ARG_TEXT, "T", "uint8 (default) or int8"),
    OPTION("weights", ARG_TEXT, "T", "int8 (default) or uint8"),
    OPTION_FLAG("per-tensor", "one scale for all channels of a weight"),
    OPTION_FLAG("dynamic", "no samples: products are quantised while the model runs"),
    OPTION("weights-only", ARG_INT, "BITS", "no samples: 4 or 8 bits for the weights of products, in blocks", .min = 4,
           .max = 8),
    OPTION("block", ARG_INT, "N", "rows of a block (default 32)", .min = 16, .max = 4096),
    OPTION_FLAG("contrib", "blocks as com.microsoft::MatMulNBits"),
    OPTION("keep", ARG_TEXT, "NAME,..", "nodes or operators that stay in float"),
    OPTION("eval", ARG_TEXT, "PATH",
           "samples to compare on (default: those of --data); subfolders of pictures are classes"),
    OPTION("max-drop", ARG_NUMBER, "P", "per cent of results that may change; more layers stay in float until it holds",
           .min = -1, .max = 100),
    OPTION("samples", ARG_INT, "N", "use at most so many of each (default: all)", .min = 1, .max = 1000000),
    OPTION_FLAG("report", "every layer with its signal to noise"),
    IMAGE_OPTIONS,
    EDIT_OPTIONS,
    {0},
};

// The number of a word among some, or -1 after printing.
static int choose(const args *a, const char *option, const char *const *words, size_t count) {
  const char *text = args_text(a, option, words[0]);
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(text));
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(words[i], text)) return (int)i;
    str_nearest_offer(&nearest, str_from(words[i]));
  }
  cli_error(CLI_USAGE, "--%s %s: is not known", option, text);
  if (nearest.best.at) cli_hint("did you mean %.*s?", STR_ARG(nearest.best));
  return -1;
}

static bool read_options(const args *a, quantize_options *o) {
  static const char *const methods[] = {"mse", "minmax", "percentile", "entropy"},
                           *const formats[] = {"qdq", "qoperator"}, *const of_activations[] = {"uint8", "int8"},
                           *const of_weights[] = {"int8", "uint8"};
  int method = choose(a, "method", methods, 4), format = method < 0 ? -1 : choose(a, "format", formats, 2),
      activations = format < 0 ? -1 : choose(a, "activations", of_activations, 2),
      weights = activations < 0 ? -1 : choose(a, "weights", of_weights, 2);
  if (weights < 0) return false;
  *o = (quantize_options){.method = (range_method)method,
                          .percentile = args_number(a, "percentile", 99.99),
                          .activations = activations ? SDX_INT8 : SDX_UINT8,
                          .weights = weights ? SDX_UINT8 : SDX_INT8,
                          .per_channel = !args_has(a, "per-tensor"),
                          .results = format == 1};
  return true;
}

static int without_samples(edit *e, quantize_options *o, const keep_list *kept) {
  size_t changed;
  int64_t bits = args_int(e->a, "weights-only", 0);
  if (quantize_prepare(e, bits && !args_has(e->a, "contrib") ? 21 : 13, kept)) return CLI_FAILED;
  sdx_status status =
      bits ? quantize_blocks(e->builder, (int)bits, args_int(e->a, "block", 32), args_has(e->a, "contrib"), o, &changed)
           : quantize_dynamic(e->builder, o, &changed);
  if (status) return edit_failed(e);
  json_object_set_new(e->details, "quantised", json_integer((json_int_t)changed));
  if (!changed) cli_note("no MatMul or Gemm with constant weights was found");
  return CLI_OK;
}

static int quantize(edit *e) {
  quantize_options o;
  if (!read_options(e->a, &o)) return CLI_USAGE;
  keep_list kept = {0};
  keep_list_words(&kept, args_text(e->a, "keep", ""));
  o.keep = keep_list_has, o.context = &kept;
  bool plain = args_has(e->a, "dynamic") || args_has(e->a, "weights-only");
  int code = plain ? without_samples(e, &o, &kept) : quantize_search(e, &o, &kept);
  keep_list_free(&kept);
  return code;
}

// Options that say nothing for a kind of quantisation are refused.
static int check_kind(const args *a) {
  static const struct {
    const char *option, *kinds;  // of s(amples), d(ynamic), w(eights only)
  } uses[] = {{"data", "s"},        {"method", "s"},  {"percentile", "s"}, {"format", "s"},  {"activations", "s"},
              {"eval", "s"},        {"report", "s"},  {"max-drop", "s"},   {"samples", "s"}, {"weights", "sd"},
              {"per-tensor", "sd"}, {"dynamic", "d"}, {"block", "w"},      {"contrib", "w"}};
  const char *kind = args_has(a, "weights-only") ? "w" : args_has(a, "dynamic") ? "d" : "s";
  for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
    if (args_has(a, uses[i].option) && !strstr(uses[i].kinds, kind))
      return cli_error(CLI_USAGE, "quantize: --%s says nothing %s", uses[i].option,
                       *kind == 'w'   ? "with --weights-only"
                       : *kind == 'd' ? "with --dynamic"
                                      : "without --weights-only");
  return CLI_OK;
}

static int run(const args *a) {
  int64_t bits = args_int(a, "weights-only", 4), block = args_int(a, "block", 32);
  if (bits != 4 && bits != 8) return cli_error(CLI_USAGE, "--weights-only %d: expected 4 or 8", (int)bits);
  if (block & (block - 1)) return cli_error(CLI_USAGE, "--block %d: expected a power of two", (int)block);
  bool plain = args_has(a, "dynamic") || args_has(a, "weights-only");
  int code = check_kind(a);
  if (code) return code;
  if (!plain && !args_has(a, "data")) {
    cli_error(CLI_USAGE, "quantize: samples are missing; give --data PATH");
    cli_hint("--dynamic and --weights-only 4 need none");
    return CLI_USAGE;
  }
  return edit_run(a, "quantize", quantize);
}

CLI_COMMAND(quantize) = {
    "quantize",
    "Make a model compute on bytes",
    "MODEL --data PATH [-o FILE]",
    "Static: ranges are taken from samples, and Conv, MatMul and Gemm, with the sums and pools between them, run on 8 "
    "bits.\n"
    "The report compares with the model in float: how many results agree (or, with classes, how many are right), and "
    "the\n"
    "signal to noise of each layer. --max-drop leaves first and last layers in float, then the worst ones, until it "
    "holds.\n\n"
    "Examples:\n"
    "  sardonyx quantize resnet50.onnx --data samples.npz -o resnet50.int8.onnx\n"
    "  sardonyx quantize m.onnx --data pictures/ --method mse --max-drop 1 --report\n"
    "  sardonyx quantize bert.onnx --dynamic\n"
    "  sardonyx quantize gpt2.onnx --weights-only 4 --block 32 --contrib\n",
    options,
    1,
    1,
    run,
};
