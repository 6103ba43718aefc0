// SPDX-License-Identifier: Apache-2.0
// ModelProto -> model: versions, metadata, functions, then the graph (import_graph.c) and its
// verification. The policy on versions: nothing is refused for its number alone; what is newer than
// this build gets a warning and fails, if at all, at the operator that is not known.
#include "onnx/import.h"

#include "base/file_kind.h"
#include "base/size.h"
#include "onnx/proto.h"

enum { NEWEST_IR_VERSION = 14, NEWEST_ML_OPSET = 5, MOST_PROBLEMS = 1000 };

static const import_options fallback = {
    .limits = {.max_nodes = 1000000, .max_rank = TENSOR_MAX_RANK, .max_subgraph_depth = 32, .max_name_bytes = 1 << 20},
    .max_function_depth = 100,
    .decode_depth = 100};

static import_options with_defaults(const import_options *given) {
  import_options o = *given;
  if (!o.limits.max_nodes) o.limits.max_nodes = fallback.limits.max_nodes;
  if (!o.limits.max_rank) o.limits.max_rank = fallback.limits.max_rank;
  if (!o.limits.max_subgraph_depth) o.limits.max_subgraph_depth = fallback.limits.max_subgraph_depth;
  if (!o.limits.max_name_bytes) o.limits.max_name_bytes = fallback.limits.max_name_bytes;
  if (!o.max_function_depth) o.max_function_depth = fallback.max_function_depth;
  if (o.max_function_depth > MOST_FUNCTIONS_DEEP) o.max_function_depth = MOST_FUNCTIONS_DEEP;
  if (!o.decode_depth) o.decode_depth = fallback.decode_depth;
  return o;
}

bool import_goes_on(const importer *im, sdx_status status) {
  bool stops = status == SDX_NO_MEMORY || status == SDX_LIMIT_EXCEEDED || status == SDX_DEADLINE_EXCEEDED;
  return status != SDX_OK && im->sink && !stops;
}

sdx_status import_settle(importer *im, sdx_status status, const char *code, const char *place) {
  char known[ERROR_PLACE];
  error_code(im->err, code);
  if (!import_goes_on(im, status)) return status;
  if (++im->problems > MOST_PROBLEMS) {
    error_clear(im->err);
    return error_set(im->err, SDX_LIMIT_EXCEEDED, "there are more than %d problems; these are the first",
                     MOST_PROBLEMS);
  }
  if (!*error_place(im->err, known)) error_within(im->err, "%s", place);
  im->sink->report(im->sink->context, false, im->err);
  error_clear(im->err);
  return SDX_OK;
}

static sdx_status fail_no_model(const void *bytes, size_t size, error *err) {
  if (size == 0) return error_set(err, SDX_INVALID_MODEL, "not an ONNX model: the file is empty");
  const file_kind *kind = file_kind_of(bytes, size);
  if (kind) {
    error_clear(err);
    error_set(err, SDX_INVALID_MODEL, "not an ONNX model: it looks like %s", kind->what);
    error_hint(err, "%s", kind->advice);
    return SDX_INVALID_MODEL;
  }
  error_within(err, "not an ONNX model");
  return error_set(err, SDX_INVALID_MODEL, "not an ONNX model: there is no graph in it");
}

// What was a model once: damage that leaves its mark all over the file is named rather than the first byte it broke.
static sdx_status fail_damaged(const void *bytes, size_t size, sdx_status status, error *err) {
  const file_kind *kind = status == SDX_INVALID_MODEL ? file_kind_of(bytes, size) : NULL;
  if (!kind || strcmp(kind->name, "crlf") != 0) return status;
  error_clear(err);
  error_set(err, status, "the model is damaged: it is %s", kind->what);
  error_hint(err, "%s", kind->advice);
  return status;
}

static sdx_status read_metadata(model *m, wire message, error *err) {
  wire_counts counts;
  wire_field f, part;
  size_t count = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (wire w = message; wire_next(&w, &proto_model, &f);) {
      if (f.slot != MODEL_METADATA || wire_size(f.body) == 0) continue;  // an empty entry says nothing
      if (!pass) count++;
      if (!pass || m->metadata_count == count) continue;
      key_value entry = {STR(""), STR("")};
      SDX_TRY(wire_scan(f.body, &proto_entry, &counts, err));
      for (wire e = f.body; wire_next(&e, &proto_entry, &part);)
        *(part.slot == ENTRY_KEY ? &entry.key : &entry.value) = wire_str(&part);
      m->metadata[m->metadata_count++] = entry;
    }
    if (!pass && !(m->metadata = arena_array(&m->memory, count, sizeof *m->metadata)))
      return error_no_memory(err, count * sizeof *m->metadata);
  }
  return SDX_OK;
}

static void read_scalars(model *m, wire message) {
  wire_field f;
  m->producer_name = m->producer_version = m->domain = m->doc = STR("");
  while (wire_next(&message, &proto_model, &f)) switch (f.slot) {
      case MODEL_IR_VERSION:
        m->ir_version = (int64_t)f.value;
        break;
      case MODEL_VERSION:
        m->model_version = (int64_t)f.value;
        break;
      case MODEL_PRODUCER_NAME:
        m->producer_name = wire_str(&f);
        break;
      case MODEL_PRODUCER_VERSION:
        m->producer_version = wire_str(&f);
        break;
      case MODEL_DOMAIN:
        m->domain = wire_str(&f);
        break;
      case MODEL_DOC:
        m->doc = wire_str(&f);
        break;
      default:
        break;
    }
}

static sdx_status check_versions(model *m, error *err) {
  if (m->ir_version < 0)
    return error_set(err, SDX_INVALID_MODEL, "ir_version is %lld, expected 1 or more", (long long)m->ir_version);
  if (m->ir_version == 0)
    text_format(&m->warnings, "ir_version is missing; the file is read as one of before version 1\n");
  if (m->ir_version > NEWEST_IR_VERSION)
    text_format(&m->warnings, "ir_version %lld is newer than the newest this build knows (%d)\n",
                (long long)m->ir_version, NEWEST_IR_VERSION);
  if (m->opset_count == 0) text_format(&m->warnings, "opset_import is missing; operators are read as of version 1\n");
  for (size_t i = 0; i < m->opset_count; i++) {
    str domain = m->opsets[i].domain;
    int64_t newest = domain.size == 0 ? ONNX_NEWEST_OPSET : str_is(domain, "ai.onnx.ml") ? NEWEST_ML_OPSET : INT64_MAX;
    if (m->opsets[i].version > newest)
      text_format(&m->warnings, "opset %lld of domain '%.*s' is newer than the newest this build knows (%lld)\n",
                  (long long)m->opsets[i].version, STR_ARG(domain.size ? domain : STR("ai.onnx")), (long long)newest);
  }
  return SDX_OK;
}

// Some files of before opset_import carry the end of a longer file they were written over. Behind the
// graph, what does not fit ModelProto is left out there; in all later files it is an error.
static sdx_status scan_model(model *m, wire *file, wire_counts *counts, error *err) {
  sdx_status status = wire_scan(*file, &proto_model, counts, err);
  if (status == SDX_OK || !counts->misfit || !counts->of[MODEL_GRAPH] || counts->of[MODEL_OPSET]) return status;
  text_format(&m->warnings, "%zu bytes behind the graph are no part of a model; they are ignored\n",
              file->end - counts->misfit_at);
  file->end = counts->misfit_at;
  error_clear(err);
  return wire_scan(*file, &proto_model, counts, err);
}

// `check` goes on with the imports before a bad one, or with the newest operators.
static sdx_status read_opsets(importer *im, wire file, size_t count) {
  model *m = im->model;
  sdx_status status =
      opsets_read(&m->memory, file, &proto_model, MODEL_OPSET, count, &m->opsets, &m->opset_count, im->err);
  if (status == SDX_OK) return SDX_OK;
  SDX_TRY(import_settle(im, status, "opset", "opset_import"));
  if (m->opset_count == 0) m->opsets[m->opset_count++] = (opset_import){STR(""), ONNX_NEWEST_OPSET};
  return SDX_OK;
}

static sdx_status import_model(importer *im, const void *bytes, size_t size) {
  model *m = im->model;
  error *err = im->err;
  wire file = wire_of(bytes, size), graph_message = {0};
  wire_counts counts = {0};
  wire_field f;
  sdx_status status = size && bytes ? scan_model(m, &file, &counts, err) : SDX_INVALID_MODEL;
  if (!counts.of[MODEL_GRAPH]) return fail_no_model(bytes, bytes ? size : 0, err);
  if (status != SDX_OK) return fail_damaged(bytes, size, status, err);
  read_scalars(m, file);
  SDX_TRY(read_opsets(im, file, counts.of[MODEL_OPSET]));
  SDX_TRY(import_settle(im, check_versions(m, err), "ir-version", "model"));
  SDX_TRY(read_metadata(m, file, err));
  SDX_TRY(functions_read(&im->functions, &im->scratch, m, file, counts.of[MODEL_FUNCTION],
                         im->options->max_function_depth, err));
  while (wire_next(&file, &proto_model, &f))
    if (f.slot == MODEL_GRAPH) graph_message = f.body;
  SDX_TRY(import_graph(im, graph_message, &m->graph));
  if (im->options->keep_calls) SDX_TRY(import_functions(im));
  if (im->out_of_order) text_format(&m->warnings, "nodes are not in topological order; they were sorted\n");
  if (m->warnings.failed || m->external_files.failed) return error_no_memory(err, m->warnings.size);
  return im->problems ? SDX_OK : graph_verify(m->graph, &im->options->limits, im->sink, err);
}

enum {
  // Functions of a small file may expand to so many nodes, and bytes.
  NODES_OF_FUNCTIONS = 32768,
  BYTES_OF_FUNCTIONS = 16 << 20,
  BYTES_TIMES_FILE = 8
};

sdx_status onnx_import(const void *bytes, size_t size, const import_options *options, const problem_sink *sink,
                       model **out, error *err) {
  error local = {0};
  import_options o = with_defaults(options);
  *out = NULL;
  if (!err) err = &local;
  model *m = mem_zalloc(o.account, sizeof *m);
  if (!m) return error_no_memory(err, sizeof *m);
  arena_init(&m->memory, o.account);
  m->warnings.account = m->external_files.account = o.account;
  importer im = {.options = &o, .sink = sink, .model = m, .err = err};
  im.most_work = NODES_OF_FUNCTIONS + size / 2;
  if (im.most_work > o.limits.max_nodes) im.most_work = o.limits.max_nodes;
  if (!size_mul(size, BYTES_TIMES_FILE, &im.most_expanded) ||
      !size_add(im.most_expanded, BYTES_OF_FUNCTIONS, &im.most_expanded))
    im.most_expanded = SIZE_MAX;
  arena_init(&im.scratch, o.account);
  str_map_init(&im.shared_by_place, &im.scratch);
  external_gate_init(&im.gate, &o, &m->warnings);
  im.gate.files = &m->external_files;
  im.gate.region = o.region, im.gate.region_bytes = o.region_bytes;
  im.tensors = (tensor_reader){
      .memory = &m->memory, .max_rank = o.limits.max_rank, .gate = &im.gate, .dense_left = dense_room(size)};
  im.types = (type_limits){.rank = o.limits.max_rank, .depth = o.decode_depth};
  sdx_status status = import_model(&im, bytes, size);
  external_gate_deinit(&im.gate);
  arena_deinit(&im.scratch);
  if (status == SDX_OK) {
    *out = m;
    return SDX_OK;
  }
  error_set(err, status, "%s", status_text(status));
  error_code(err, "import");
  if (sink) sink->report(sink->context, false, err);
  model_destroy(m);
  return status;
}

void model_destroy(model *m) {
  if (!m) return;
  text_deinit(&m->warnings);
  text_deinit(&m->external_files);
  arena_deinit(&m->memory);
  mem_free(m);
}
