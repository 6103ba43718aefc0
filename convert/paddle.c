// SPDX-License-Identifier: Apache-2.0
// PaddlePaddle: inference programs are read by the user's own Python (program.h), and paddle2onnx converts them.
#include <stdlib.h>
#include <unistd.h>

#include "convert/format.h"
#include "support/files.h"

static const char *const programs[] = {"inference.json", "inference.pdmodel", "model.json", "model.pdmodel"};

static bool recognise(const source *s) {
  bool found = false;
  for (size_t i = 0; s->folder && !found && i < sizeof programs / sizeof *programs; i++) {
    const char *stem = programs[i], *dot = strchr(stem, '.');
    char *program = path_format("%s/%s", s->path, stem),
         *weights = path_format("%s/%.*s.pdiparams", s->path, (int)(dot - stem), stem);
    found = program && weights && !access(program, R_OK) && !access(weights, R_OK);
    free(program);
    free(weights);
  }
  return found;
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import os, paddle.inference as inference\n"
    "    if os.path.isdir(path):\n"
    "        stem = next(os.path.splitext(n)[0] for n in sorted(os.listdir(path)) if n.endswith(('.json', "
    "'.pdmodel')))\n"
    "        path = next(p for p in (f'{path}/{stem}.json', f'{path}/{stem}.pdmodel') if os.path.exists(p))\n"
    "    config = inference.Config(path, os.path.splitext(path)[0] + '.pdiparams')\n"
    "    config.disable_glog_info()\n"
    "    p = inference.create_predictor(config)\n"
    "    for name, value in inputs.items():\n"
    "        p.get_input_handle(name).copy_from_cpu(value)\n"
    "    p.run()\n"
    "    values = [p.get_output_handle(name).copy_to_cpu() for name in p.get_output_names()]\n"
    "    return dict(zip(outputs, values))\n";

CONVERT_FORMAT(paddle) = {
    .name = "paddle",
    .title = "PaddlePaddle",
    .files =
        "inference programs (.json, .pdmodel beside .pdiparams; folder), by your own Python with paddle2onnx (--trust)",
    .kinds = CONVERT_KINDS("paddle"),
    .recognise = recognise,
    .program = "paddle.py",
    .reference = reference,
};
