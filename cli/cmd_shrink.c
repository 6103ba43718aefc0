// SPDX-License-Identifier: Apache-2.0
// `sardonyx shrink`: the same model with fewer nodes, in operators that every reader knows.
#include "cli/edit.h"

static const cli_option options[] = {EDIT_OPTIONS, {0}};

static int shrink(edit *e) { return sdx_builder_rewrite(e->builder, "shrink") ? edit_failed(e) : CLI_OK; }

static int run(const args *a) { return edit_run(a, "shrink", shrink); }

CLI_COMMAND(shrink) = {
    "shrink",
    "Remove dead, duplicate and constant parts of a model",
    "MODEL [-o FILE]",
    "Computes what depends on constants only, simplifies arithmetic on shapes, removes nodes that hand their input\n"
    "through and those whose results nobody reads. The result is plain ONNX of the same operators; the opset becomes "
    "a\n"
    "newer one only where older operators have to be said anew. Sizes that are fixed let more be computed "
    "beforehand.\n\n"
    "Examples:\n"
    "  sardonyx shrink model.onnx                                     # model.shrink.onnx\n"
    "  sardonyx shrink model.onnx -o small.onnx --dim batch=1\n"
    "  sardonyx shrink model.onnx -o small.onnx --set-shape image=1,3,224,224 --rename image=input\n",
    options,
    1,
    1,
    run,
};
