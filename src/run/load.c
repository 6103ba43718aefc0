// SPDX-License-Identifier: Apache-2.0
// From bytes to a session: read, import, bind, optimise, describe inputs and outputs.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "base/size.h"
#include "passes/passes.h"
#include "run/cache.h"

sdx_session *session_create(const sdx_options *options) {
  sdx_session *s = mem_zalloc(NULL, sizeof *s);
  if (!s) return NULL;
  s->options = options_copy(options);
  if (!s->options) {
    mem_free(s);
    return NULL;
  }
  size_t limit = (size_t)s->options->memory_limit_bytes;
  mem_account_init(&s->account, limit ? limit : host_memory_bytes() / 5 * 4, NULL);
  arena_init(&s->memory, &s->account);
  pack_cache_init(&s->packs, &s->account);
  s->source = -1;
  pthread_mutex_init(&s->planning, NULL);
  pthread_mutex_init(&s->lock, NULL);
  profile_init(&s->profile);
  places_init(&s->places);
  return s;
}

// Bytes of the session that nobody reads any more: weights that were copied out of the file, to be aligned, or that
// passes have put others in the place of.
static void let_go(void *context, const void *at, size_t bytes) {
  sdx_session *s = context;
  bool in_file = (const char *)at >= (const char *)s->bytes && (const char *)at < (const char *)s->bytes + s->size;
  if (!in_file || s->bytes_kind == BYTES_OWNED) s->spent_bytes += mem_discard(&s->account, at, bytes);
  else if (s->bytes_kind == BYTES_MAPPED) mem_discard(NULL, at, bytes);
}

static void free_bytes(sdx_session *s) {
  if (s->bytes_kind == BYTES_OWNED) mem_free(s->bytes);
  else if (s->bytes_kind == BYTES_MAPPED && s->bytes) munmap(s->bytes, s->size);
  s->bytes = NULL;
  s->bytes_kind = BYTES_BORROWED;
}

static void release_model(sdx_session *s) {
  mem_recharge(&s->account, s->spent_bytes);
  s->spent_bytes = 0;
  for (size_t i = 0; i < CHAINS; i++)
    while (s->plans[i]) {
      plan *p = s->plans[i];
      s->plans[i] = p->next;
      plan_release(p);
    }
  pack_cache_deinit(&s->packs);
  pack_cache_init(&s->packs, &s->account);
  session_drop_variants(s);
  weights_deinit(&s->weights);
  for (size_t i = 0; i < s->kept_count; i++) value_release(s->kept[i]);
  mem_free(s->kept);
  s->kept = NULL;
  s->kept_count = s->kept_capacity = 0;
  model_destroy(s->model);
  model_destroy(s->origin_model);
  s->model = s->origin_model = NULL;
  s->main = s->origin = NULL;
  arena_deinit(&s->memory);
  s->input_count = s->default_count = s->output_count = 0;
  s->metadata_count = s->custom_at = s->tensor_count = 0;
  s->tensors = NULL;
  if (s->source >= 0) close(s->source);
  s->source = -1;
  s->file.path = NULL;  // lay in the arena
  free_bytes(s);
}

void sdx_session_destroy(sdx_session *s) {
  if (!s) return;
  release_model(s);
  pack_cache_deinit(&s->packs);
  places_deinit(&s->places);
  profile_deinit(&s->profile);
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->planning);
  sdx_options_destroy(s->options);
  mem_free(s);
}

// ---- inputs, outputs, metadata --------------------------------------------------------------------

static void onnx_type(const type_info *t, text *out) {
  int closing = 0;
  for (; t; t = t->element) {
    switch (t->kind) {
      case TYPE_TENSOR:
        text_format(out, "tensor(%s)", dtype_name(t->dtype));
        break;
      case TYPE_SPARSE:
        text_format(out, "sparse_tensor(%s)", dtype_name(t->dtype));
        break;
      case TYPE_SEQUENCE:
        text_format(out, "seq(");
        closing++;
        break;
      case TYPE_OPTIONAL:
        text_format(out, "optional(");
        closing++;
        break;
      case TYPE_MAP:
        text_format(out, "map(%s,", dtype_name(t->dtype));
        closing++;
        break;
      default:
        text_format(out, "unknown");
        break;
    }
  }
  while (closing-- > 0) text_append(out, ")", 1);
}

static sdx_status fill_io(arena *memory, const graph *g, str name, const type_info *t, sdx_io *io, error *err) {
  text type = {.account = memory->account};
  onnx_type(t, &type);
  io->name = str_to_c(memory, name);
  io->type = type.failed ? NULL : str_to_c(memory, (str){type.at, type.size});
  text_deinit(&type);
  if (!io->name || !io->type) return error_no_memory(err, name.size);
  if (t->kind != TYPE_TENSOR) return SDX_OK;
  io->dtype = t->dtype;
  io->has_shape = t->rank >= 0;
  io->rank = t->rank < 0 ? 0 : (size_t)t->rank;
  int64_t *shape = arena_array(memory, io->rank, sizeof *shape);
  const char **symbols = arena_array(memory, io->rank, sizeof *symbols);
  if (!shape || !symbols) return error_no_memory(err, io->rank * sizeof *shape);
  for (size_t i = 0; i < io->rank; i++) {
    shape[i] = t->dims[i] < 0 ? -1 : t->dims[i];
    str symbol = t->dims[i] < 0 ? graph_symbol_name(g, t->dims[i]) : (str){0};
    if (symbol.size && !(symbols[i] = str_to_c(memory, symbol))) return error_no_memory(err, symbol.size);
  }
  io->shape = shape;
  io->symbols = symbols;
  return SDX_OK;
}

// What is known of a value, be it proved or declared.
static sdx_status fill_known(arena *memory, const graph *g, value_id v, sdx_io *io, error *err) {
  type_info known;
  if (!type_complete(memory, &g->values[v], &known)) return error_no_memory(err, sizeof known);
  return fill_io(memory, g, g->values[v].name, &known, io, err);
}

static uint32_t place_of(uint32_t input, size_t axis) { return input * (TENSOR_MAX_RANK + 1) + (uint32_t)axis; }

// Looked up once, so that a run only compares.
static sdx_status find_shared_dims(sdx_session *s) {
  size_t named = 0;
  for (uint32_t i = 0; i < s->input_count; i++)
    for (size_t k = 0; s->inputs[i].dtype && k < s->inputs[i].rank; k++) named += s->inputs[i].symbols[k] != NULL;
  arena scratch;
  arena_init(&scratch, &s->account);
  str_map first;
  str_map_init(&first, &scratch);
  s->shared_dims = arena_array(&s->memory, named, sizeof *s->shared_dims);
  bool fits = s->shared_dims != NULL && s->input_count < UINT32_MAX / (TENSOR_MAX_RANK + 1);
  for (uint32_t i = 0; fits && i < s->input_count; i++) {
    const sdx_io *io = &s->inputs[i];
    for (size_t k = 0; fits && io->dtype && k < io->rank; k++) {
      uint32_t at;
      if (!io->symbols[k] || dim_name_is_placeholder(str_from(io->symbols[k]))) continue;
      if (str_map_find(&first, str_from(io->symbols[k]), &at))
        s->shared_dims[s->shared_dim_count++] =
            (shared_dim){i, at / (TENSOR_MAX_RANK + 1), (uint8_t)k, (uint8_t)(at % (TENSOR_MAX_RANK + 1))};
      else fits = str_map_put(&first, str_from(io->symbols[k]), place_of(i, k));
    }
  }
  arena_deinit(&scratch);
  return fits ? SDX_OK : error_no_memory(&s->err, named * sizeof *s->shared_dims);
}

sdx_status session_describe_outputs(sdx_session *s, graph *g, arena *memory, sdx_io **outputs, error *err) {
  *outputs = arena_array(memory, g->output_count, sizeof **outputs);
  if (!*outputs) return error_no_memory(err, g->output_count * sizeof **outputs);
  for (uint32_t i = 0; i < g->output_count; i++) SDX_TRY(fill_known(memory, g, g->outputs[i], &(*outputs)[i], err));
  return SDX_OK;
}

static sdx_status describe_defaults(sdx_session *s) {
  const graph *g = s->origin;
  s->defaults = arena_array(&s->memory, s->default_count, sizeof *s->defaults);
  if (!s->defaults) return error_no_memory(&s->err, s->default_count * sizeof *s->defaults);
  for (uint32_t i = 0; i < s->default_count; i++) {
    const graph_value *v = &g->values[g->defaults[i]];
    sdx_io *io = &s->inputs[s->input_count + i];
    s->defaults[i].tensor = *v->constant;
    SDX_TRY(fill_io(&s->memory, g, v->name, &v->declared, io, &s->err));
    io->may_be_left_out = true;
  }
  return SDX_OK;
}

static sdx_status describe_io(sdx_session *s) {
  graph *g = s->main;
  s->input_count = g->input_count;
  s->default_count = s->origin ? s->origin->default_count : 0;
  s->output_count = g->output_count;
  s->inputs = arena_array(&s->memory, (size_t)s->input_count + s->default_count, sizeof *s->inputs);
  if (!s->inputs) return error_no_memory(&s->err, s->input_count * sizeof *s->inputs);
  for (uint32_t i = 0; i < g->input_count; i++)
    SDX_TRY(fill_known(&s->memory, g, g->inputs[i], &s->inputs[i], &s->err));
  for (uint32_t i = 0; i < g->input_count; i++)
    s->inputs[i].may_be_left_out = g->values[g->inputs[i]].type.kind == TYPE_OPTIONAL;
  if (s->origin) SDX_TRY(describe_defaults(s));
  SDX_TRY(session_describe_outputs(s, g, &s->memory, &s->outputs, &s->err));
  return find_shared_dims(s);
}

static void add_metadata(sdx_session *s, const char *key, str value) {
  if (!key || !value.size) return;
  s->metadata[2 * s->metadata_count] = key;
  s->metadata[2 * s->metadata_count++ + 1] = str_to_c(&s->memory, value);
}

static sdx_status collect_metadata(sdx_session *s) {
  const model *m = s->model;
  size_t most = 8 + m->opset_count + m->metadata_count;
  s->metadata = arena_array(&s->memory, 2 * most, sizeof *s->metadata);
  if (!s->metadata) return error_no_memory(&s->err, most * sizeof *s->metadata);
  add_metadata(s, "producer_name", m->producer_name);
  add_metadata(s, "producer_version", m->producer_version);
  add_metadata(s, "domain", m->domain);
  add_metadata(s, "description", m->doc);
  add_metadata(s, "graph_name", m->graph->name);
  add_metadata(s, "graph_description", m->graph->doc);
  add_metadata(s, "model_version", str_from(arena_format(&s->memory, "%lld", (long long)m->model_version)));
  add_metadata(s, "ir_version", str_from(arena_format(&s->memory, "%lld", (long long)m->ir_version)));
  for (size_t i = 0; i < m->opset_count; i++)
    add_metadata(s,
                 arena_format(&s->memory, "opset:%.*s",
                              STR_ARG(m->opsets[i].domain.size ? m->opsets[i].domain : STR("ai.onnx"))),
                 str_from(arena_format(&s->memory, "%lld", (long long)m->opsets[i].version)));
  s->custom_at = s->metadata_count;
  for (size_t i = 0; i < m->metadata_count; i++) {
    s->metadata[2 * s->metadata_count] = str_to_c(&s->memory, m->metadata[i].key);
    s->metadata[2 * s->metadata_count++ + 1] = str_to_c(&s->memory, m->metadata[i].value);
  }
  return SDX_OK;
}

sdx_status session_describe_model(sdx_session *s) {
  SDX_TRY(describe_io(s));
  return collect_metadata(s);
}

// ---- passes ---------------------------------------------------------------------------------------

enum { FOLD_OVERHEAD_BYTES = 64 << 10 };  // tables and block headers around what folding computes

static size_t times(int64_t limit, size_t factor) {
  return (size_t)limit < SIZE_MAX / 16 ? (size_t)limit * factor : SIZE_MAX / 4;
}

static sdx_status evaluate(void *context, graph *g, node *n, sdx_value **outputs, error *err) {
  sdx_session *s = context;
  arena scratch;
  arena_init(&scratch, &s->account);
  for (size_t i = 0; i < s->custom.count; i++) s->folded_custom |= n->op == s->custom.ops[i];
  value *inputs = arena_array(&scratch, n->input_count + 1, sizeof *inputs);
  const value **in = arena_array(&scratch, n->input_count + 1, sizeof *in);
  sdx_status status = inputs && in ? SDX_OK : error_no_memory(err, n->input_count * sizeof *inputs);
  for (uint32_t i = 0; i < n->input_count && status == SDX_OK; i++)
    if (n->inputs[i]) {
      inputs[i].tensor = *g->values[n->inputs[i]].constant;
      in[i] = &inputs[i];
    }
  if (status == SDX_OK)
    status = node_evaluate(n, in, &s->account, times(s->options->fold_limit_bytes, 2) + FOLD_OVERHEAD_BYTES,
                           &(run_limits){.deadline_ns = s->load_deadline_ns}, outputs, err);
  arena_deinit(&scratch);
  return status;
}

static sdx_status keep(void *context, sdx_value *owned, error *err) {
  sdx_session *s = context;
  if (s->kept_count == s->kept_capacity) {
    size_t capacity = s->kept_capacity ? s->kept_capacity * 2 : 64;
    sdx_value **more = mem_alloc(&s->account, capacity * sizeof *more);
    if (!more) return error_no_memory(err, capacity * sizeof *more);
    if (s->kept_count) memcpy(more, s->kept, s->kept_count * sizeof *more);
    mem_free(s->kept);
    s->kept = more;
    s->kept_capacity = capacity;
  }
  s->kept[s->kept_count++] = owned;
  return SDX_OK;
}

static sdx_status check_deadline(void *context, error *err) {
  const sdx_session *s = context;
  if (!s->load_deadline_ns || clock_ns() < s->load_deadline_ns) return SDX_OK;
  return error_set(err, SDX_DEADLINE_EXCEEDED, "the load passed its deadline, load_timeout_ms = %lld",
                   (long long)s->options->load_timeout_ms);
}

sdx_status session_optimise(sdx_session *s, graph *g, error *err) {
  arena scratch;
  arena_init(&scratch, &s->account);
  pass_context c = {.graph = g,
                    .scratch = &scratch,
                    .account = &s->account,
                    .fold_node_bytes = (size_t)s->options->fold_limit_bytes,
                    .fold_total_bytes = times(s->options->fold_limit_bytes, 4),
                    .evaluate = evaluate,
                    .keep = keep,
                    .check = check_deadline,
                    .let_go = let_go,
                    .context = s,
                    .err = err};
  sdx_status status = passes_run(&c, s->options->optimize, s->options->disable_passes);
  arena_deinit(&scratch);
  return status;
}

// Replaces free dimensions that the caller fixed by name.
static sdx_status fix_dims(const sdx_session *s, graph *g, error *err) {
  for (const dim_override *d = s->options->dims; d; d = d->next) {
    bool found = false;
    str_nearest nearest;
    str_nearest_init(&nearest, str_from(d->symbol));
    for (uint32_t i = 0; i < g->input_count; i++) {
      type_info *t = &g->values[g->inputs[i]].type;
      if (t->kind != TYPE_TENSOR || t->rank <= 0) continue;
      int64_t *dims = arena_copy(g->memory, t->dims, (size_t)t->rank * sizeof *dims);
      if (!dims) return error_no_memory(err, sizeof *dims);
      for (int k = 0; k < t->rank; k++) {
        if (dims[k] >= 0) continue;
        str_nearest_offer(&nearest, graph_symbol_name(g, dims[k]));
        if (!str_is(graph_symbol_name(g, dims[k]), d->symbol)) continue;
        dims[k] = d->value;
        found = true;
      }
      t->dims = dims;
    }
    char hint[300];
    if (found) continue;
    error_at(err, part_named(PART_DIMENSION, str_from(d->symbol)), SDX_INVALID_ARGUMENT,
             "is no free dimension of any input");
    error_hint(err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
    return SDX_INVALID_ARGUMENT;
  }
  return SDX_OK;
}

import_options session_import_options(sdx_session *s) {
  const sdx_options *o = s->options;
  s->load_deadline_ns = clock_deadline_ns((uint64_t)o->load_timeout_ms);
  return (import_options){.limits = {.max_nodes = (size_t)o->max_nodes,
                                     .max_rank = (size_t)o->max_rank,
                                     .max_subgraph_depth = (size_t)o->max_subgraph_depth,
                                     .max_name_bytes = (size_t)o->max_name_bytes},
                          .max_function_depth = (size_t)o->max_function_depth,
                          .decode_depth = (size_t)o->max_decode_depth,
                          .external_dir = o->external_data_dir,
                          .file = s->file.path ? &s->file : NULL,
                          .allow_hard_links = o->allow_hard_links,
                          .strict_dims = o->strict_dims,
                          .overridable = o->overridable_initializers,
                          .account = &s->account,
                          .deadline_ns = s->load_deadline_ns,
                          .spent = s->bytes_kind == BYTES_OWNED ? let_go : NULL,
                          .context = s};
}

sdx_status session_bind_graph(sdx_session *s, graph *g, bool fix, text *warnings, error *err) {
  SDX_TRY(ops_bind_graph(g, s->opsets, s->opset_count, &s->custom, NULL, warnings, err));
  if (fix) SDX_TRY(fix_dims(s, g, err));
  arena scratch;
  arena_init(&scratch, &s->account);
  sdx_status status = passes_infer(g, &scratch, NULL, warnings, s->options->strict_dims, err);
  arena_deinit(&scratch);
  return status;
}

sdx_status session_bind(sdx_session *s, const opset_import *opsets, size_t count, bool fix) {
  s->main = s->model->graph;
  s->opsets = opsets, s->opset_count = count;
  SDX_TRY(custom_bind(s));
  SDX_TRY(session_bind_graph(s, s->main, fix, &s->model->warnings, &s->err));
  return session_describe_model(s);
}

// What runs are for as long as they feed no default has them as constants.
static sdx_status keep_origin(sdx_session *s) {
  graph *g = s->model->graph;
  if (!g->default_count) return SDX_OK;
  s->origin = graph_clone(&s->model->memory, g);
  g->default_count = 0;
  return s->origin ? SDX_OK : error_no_memory(&s->err, g->value_count * sizeof *g->values);
}

sdx_status session_prepare(sdx_session *s) {
  SDX_TRY(session_fetch(s));
  import_options import = session_import_options(s);
  SDX_TRY(onnx_import(s->bytes, s->size, &import, NULL, &s->model, &s->err));
  SDX_TRY(keep_origin(s));
  SDX_TRY(session_bind(s, s->model->opsets, s->model->opset_count, true));
  SDX_TRY(session_optimise(s, s->main, &s->err));
  return session_list_weights(s);
}

static sdx_status add_providers(sdx_session *s) {
  for (const provider_path *p = s->options->providers; p; p = p->next)
    SDX_TRY(places_add(&s->places, p->path, &s->err));
  return SDX_OK;
}

// With a cache *s becomes the session of what it holds.
static sdx_status make_ready(sdx_session **s) {
  cache_key key = {0};
  sdx_session *source = *s;
  bool cached = source->options->cache_dir && !optimized_is(source);
  if (source->only_read && !optimized_is(source)) return session_read(source);
  if (optimized_is(source)) {
    SDX_TRY(optimized_load(source, NULL, NULL));
  } else if (cached && cache_find(source, &key, s)) {
    sdx_session_destroy(source);
  } else {
    sdx_status status = session_prepare(source);
    if (cached && status == SDX_OK) cache_keep(source, &key);
    text_deinit(&key.notes);
    if (status != SDX_OK) return status;
  }
  weights_let_go_unused(&(*s)->weights);
  return add_providers(*s);
}

static sdx_status finish(sdx_session *s, sdx_status status, sdx_session **out) {
  if (status == SDX_OK) status = make_ready(&s);
  if (status != SDX_OK) {
    error_set(&s->err, status, "%s", status_text(status));
    release_model(s);
  }
  *out = s;
  return status;
}

// ---- files ----------------------------------------------------------------------------------------

static sdx_status read_all(sdx_session *s) {
  s->bytes = mem_alloc(&s->account, s->size);
  s->bytes_kind = BYTES_OWNED;
  if (!s->bytes) return error_no_memory(&s->err, s->size);
  if (s->size >= (size_t)4 << 20) madvise(s->bytes, s->size, MADV_HUGEPAGE);
  for (size_t at = 0; at < s->size;) {
    ssize_t n = pread(s->source, (char *)s->bytes + at, s->size - at, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error_set(&s->err, SDX_IO_ERROR, "reading the model failed: %s", strerror(errno));
    if (n == 0) return error_set(&s->err, SDX_IO_ERROR, "the file shrank while it was read");
    at += (size_t)n;
  }
  return SDX_OK;
}

sdx_status session_fetch(sdx_session *s) {
  if (s->bytes || s->source < 0) return SDX_OK;
  void *map = s->options->map_file && s->size ? mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, s->source, 0) : MAP_FAILED;
  if (map == MAP_FAILED) return read_all(s);
  s->bytes = map;
  s->bytes_kind = BYTES_MAPPED;
  return SDX_OK;
}

sdx_status session_open(sdx_session *s, const char *path) {
  if (!path) return error_set(&s->err, SDX_INVALID_ARGUMENT, "no path was given");
  error_part file = at_file(str_from(path));
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
  if (fd < 0) {
    bool missing = errno == ENOENT;
    error_at(&s->err, file, missing ? SDX_NOT_FOUND : SDX_IO_ERROR, "cannot be opened: %s", strerror(errno));
    if (missing) error_code(&s->err, "missing-file");
    return s->err.status;
  }
  struct stat st = {0};
  sdx_status status = SDX_OK;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    status = error_at(&s->err, file, SDX_INVALID_ARGUMENT, "is %s, expected a model file",
                      S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
  else if (st.st_size > s->options->max_file_bytes)
    status = error_at(&s->err, file, SDX_LIMIT_EXCEEDED, "has %lld bytes, expected at most max_file_bytes = %lld",
                      (long long)st.st_size, (long long)s->options->max_file_bytes);
  s->size = (size_t)st.st_size;
  s->file = (model_file){str_to_c(&s->memory, str_from(path)), st.st_dev, st.st_ino, st.st_nlink};
  if (status == SDX_OK && !s->file.path) status = error_no_memory(&s->err, strlen(path) + 1);
  if (status == SDX_OK) s->source = fd;
  else close(fd);
  return status;
}

sdx_status sdx_session_load_file(const char *path, const sdx_options *options, sdx_session **out) {
  sdx_session *s = *out = session_create(options);
  if (!s) return SDX_NO_MEMORY;
  return finish(s, session_open(s, path), out);
}

sdx_status sdx_session_read_file(const char *path, const sdx_options *options, sdx_session **out) {
  sdx_session *s = *out = session_create(options);
  if (!s) return SDX_NO_MEMORY;
  s->only_read = true;
  return finish(s, session_open(s, path), out);
}

sdx_status sdx_session_load_bytes(const void *bytes, size_t size, bool borrow, const sdx_options *options,
                                  sdx_session **out) {
  sdx_session *s = *out = session_create(options);
  if (!s) return SDX_NO_MEMORY;
  sdx_status status = SDX_OK;
  if (!bytes && size) status = error_set(&s->err, SDX_INVALID_ARGUMENT, "no bytes were given");
  s->size = size;
  s->bytes_kind = BYTES_BORROWED;
  if (borrow) {
    s->bytes = (void *)bytes;
  } else if (status == SDX_OK) {
    s->bytes = mem_alloc(&s->account, size);
    s->bytes_kind = BYTES_OWNED;
    if (!s->bytes) status = error_no_memory(&s->err, size);
    else if (size) memcpy(s->bytes, bytes, size);
  }
  return finish(s, status, out);
}

// Fills s->bytes from a callback whose length is not known beforehand.
static sdx_status drain(sdx_session *s, int64_t (*read)(void *, void *, size_t), void *context) {
  size_t capacity = (size_t)1 << 20;
  s->bytes = mem_alloc(&s->account, capacity);
  s->bytes_kind = BYTES_OWNED;
  if (!s->bytes) return error_no_memory(&s->err, capacity);
  for (;;) {
    if (s->size == capacity) {
      void *more = mem_alloc(&s->account, capacity * 2);
      if (!more) return error_no_memory(&s->err, capacity * 2);
      memcpy(more, s->bytes, s->size);
      mem_free(s->bytes);
      s->bytes = more;
      capacity *= 2;
    }
    int64_t n = read(context, (char *)s->bytes + s->size, capacity - s->size);
    if (n == 0) return SDX_OK;
    if (n < 0 || (uint64_t)n > capacity - s->size)
      return error_set(&s->err, SDX_IO_ERROR, "the reader failed after %zu bytes", s->size);
    s->size += (size_t)n;
    if (s->size > (size_t)s->options->max_file_bytes)
      return error_set(&s->err, SDX_LIMIT_EXCEEDED, "the model has more than max_file_bytes = %lld bytes",
                       (long long)s->options->max_file_bytes);
  }
}

sdx_status sdx_session_load_reader(int64_t (*read)(void *context, void *buffer, size_t size), void *context,
                                   const sdx_options *options, sdx_session **out) {
  sdx_session *s = *out = session_create(options);
  if (!s) return SDX_NO_MEMORY;
  sdx_status status = read ? drain(s, read, context) : error_set(&s->err, SDX_INVALID_ARGUMENT, "no reader was given");
  return finish(s, status, out);
}
