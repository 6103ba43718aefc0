// SPDX-License-Identifier: Apache-2.0
// The graph of a LLaMA-like decoder (llama.h), in the operators that ONNX 23 has for it: RMSNormalization,
// RotaryEmbedding, Attention with its cache.
#include "convert/llama.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static const llama_family families[] = {
    {.name = "llama", .interleaved = true},
    {.name = "mistral"},
    {.name = "qwen2"},
    {.name = "qwen3"},
    {.name = "phi3"},
    {.name = "gemma", .gelu = true, .scaled = true, .norm_more = 1},
    {.name = "gemma2", .gelu = true, .scaled = true, .norm_more = 1, .window_every = 2},
    {.name = "gemma3", .gelu = true, .scaled = true, .norm_more = 1, .window_every = 6},
    {.name = "gemma3_text", .gelu = true, .scaled = true, .norm_more = 1, .window_every = 6},
};
enum { FAMILIES = sizeof families / sizeof *families };

const llama_family *llama_family_of(str name) {
  for (size_t i = 0; i < FAMILIES; i++)
    if (str_is(name, families[i].name)) return &families[i];
  return NULL;
}

const char *llama_families(arena *memory) {
  const char *all = families[0].name;
  for (size_t i = 1; all && i < FAMILIES; i++) all = arena_format(memory, "%s, %s", all, families[i].name);
  return all ? all : "";
}

// ---- weights ------------------------------------------------------------------------------------------

// A place in the net: a layer, or the whole of it (-1).
static const char *name_of(llama *l, int64_t layer, const char *what, const char *ending) {
  const char *name = layer < 0 ? arena_format(l->c->memory, "%s%s", what, ending)
                               : arena_format(l->c->memory, "blk.%lld.%s%s", (long long)layer, what, ending);
  if (!name) convert_no_memory(l->c);
  return name ? name : "";
}

// columns 0: a list of `rows`. NULL: it is not there, or was reported.
static const weight *find(llama *l, int64_t layer, const char *what, const char *ending, int64_t rows,
                          int64_t columns) {
  const char *name = name_of(l, layer, what, ending);
  weight *w = weights_find(l->weights, str_from(name));
  size_t rank = columns ? 2 : 1;
  if (w) w->used = true;
  if (!w || !weight_convertible(l->c, w)) return NULL;
  if (w->rank == rank && w->shape[0] == rows && (!columns || w->shape[1] == columns)) return w;
  convert_fail(l->c, SDX_INVALID_MODEL, name, NULL, "has rank %zu and %lld rows of %lld, expected %lld of %lld",
               w->rank, w->rank ? (long long)w->shape[0] : 0, w->rank > 1 ? (long long)w->shape[1] : 1, (long long)rows,
               columns ? (long long)columns : 1);
  return NULL;
}

static const weight *need(llama *l, int64_t layer, const char *what, int64_t rows, int64_t columns) {
  const weight *w = find(l, layer, what, ".weight", rows, columns);
  if (!w && !weights_find(l->weights, str_from(name_of(l, layer, what, ".weight"))))
    convert_fail(l->c, SDX_INVALID_MODEL, name_of(l, layer, what, ".weight"), NULL, "the weight is missing");
  return w;
}

static bool has(llama *l, int64_t layer, const char *what) {
  return weights_find(l->weights, str_from(name_of(l, layer, what, ".weight"))) != NULL;
}

// ---- pieces -------------------------------------------------------------------------------------------

static sdx_ref linear(llama *l, sdx_ref x, int64_t layer, const char *what, int64_t rows, int64_t columns) {
  const weight *w = need(l, layer, what, rows, columns), *b = find(l, layer, what, ".bias", rows, 0);
  sdx_ref bias = b ? weight_constant(l->c, b, 0) : 0;
  return w ? weight_product(l->c, name_of(l, layer, what, ""), x, w, bias) : x;
}

static sdx_ref norm(llama *l, sdx_ref x, int64_t layer, const char *what, int64_t size) {
  const weight *w = need(l, layer, what, size, 0);
  if (!w) return x;
  sdx_ref scale = weight_constant(l->c, w, l->norm_more);
  x = sdx_graph_add_node(l->c->graph, "RMSNormalization", name_of(l, layer, what, ""), SDX_REFS(x, scale));
  sdx_graph_set_float(l->c->graph, "epsilon", (float)l->epsilon);
  return x;
}

static sdx_ref norm_if_there(llama *l, sdx_ref x, int64_t layer, const char *what, int64_t size) {
  return has(l, layer, what) ? norm(l, x, layer, what, size) : x;
}

static sdx_ref op2(llama *l, const char *op, sdx_ref a, sdx_ref b) {
  return sdx_graph_add_node(l->c->graph, op, NULL, SDX_REFS(a, b));
}
static sdx_ref number(llama *l, double value) { return sdx_graph_add_scalar(l->c->graph, SDX_FLOAT, value); }
static sdx_ref integer(llama *l, int64_t value) { return sdx_graph_add_scalar(l->c->graph, SDX_INT64, (double)value); }

static sdx_ref dimension(llama *l, sdx_ref x, int64_t axis) {
  return op2(l, "Gather", sdx_graph_add_node(l->c->graph, "Shape", NULL, SDX_REFS(x)), integer(l, axis));
}

// [batch, rows, heads * head] where each head is normalised.
static sdx_ref norm_heads(llama *l, sdx_ref x, int64_t layer, const char *what) {
  if (!has(l, layer, what)) return x;
  sdx_graph *g = l->c->graph;
  sdx_ref apart = sdx_graph_add_ints(g, 4, (int64_t[]){0, 0, -1, l->head}),
          together = sdx_graph_add_ints(g, 3, (int64_t[]){0, 0, -1});
  return op2(l, "Reshape", norm(l, op2(l, "Reshape", x, apart), layer, what, l->head), together);
}

// ---- what the layers share ----------------------------------------------------------------------------

typedef struct angles {
  sdx_ref cos, sin;
} angles;

// The number of a frequency at which the context it was trained on has so many turns.
static double turning(const llama *l, const llama_rope *r, double turns) {
  return (double)l->rotary * log(r->original / (turns * 2 * M_PI)) / (2 * log(r->base));
}

static double frequency(const llama *l, const llama_rope *r, int64_t i) {
  double whole = pow(r->base, -2.0 * (double)i / (double)l->rotary);
  if (r->divisors) whole /= (double)r->divisors[i];
  if (!r->yarn) return whole / r->stretch;
  double low = fmax(0, floor(turning(l, r, r->fast))), high = fmin((double)l->rotary - 1, ceil(turning(l, r, r->slow)));
  double ramp = fmin(1, fmax(0, ((double)i - low) / fmax(0.001, high - low)));
  return whole * (1 - ramp) + whole / r->stretch * ramp;
}

static sdx_ref wave(llama *l, const char *op, sdx_ref at, double amplitude) {
  sdx_ref y = sdx_graph_add_node(l->c->graph, op, NULL, SDX_REFS(at));
  return amplitude == 1 ? y : op2(l, "Mul", y, number(l, amplitude));
}

static angles turn(llama *l, sdx_ref positions, const llama_rope *r, const char *name) {
  conversion *c = l->c;
  size_t count = (size_t)l->rotary / 2;
  float *all = arena_array(c->memory, count, sizeof *all);
  if (!all) return convert_no_memory(c), (angles){0, 0};
  for (size_t i = 0; i < count; i++) all[i] = (float)frequency(l, r, (int64_t)i);
  const int64_t shape[] = {(int64_t)count};
  sdx_ref each = node_constant(c, name, SDX_FLOAT, 1, shape, NULL, &(node_data){.bytes = all}, count * sizeof *all);
  sdx_ref at = op2(l, "Mul", node_unsqueeze(c, node_cast(c, positions, SDX_FLOAT), 2), each);
  return (angles){wave(l, "Cos", at, r->amplitude), wave(l, "Sin", at, r->amplitude)};
}

typedef struct masks {
  sdx_ref rows, columns, padding;  // of the positions that are asked and those that are looked at
  sdx_ref whole, window;           // 0: not made yet
} masks;

static masks start_masks(llama *l, sdx_ref ids, sdx_ref attention) {
  sdx_graph *g = l->c->graph;
  sdx_ref total = dimension(l, attention, 1), past = op2(l, "Sub", total, dimension(l, ids, 1)), one = integer(l, 1);
  sdx_ref asked = sdx_graph_add_node(g, "Range", NULL, SDX_REFS(past, total, one));
  sdx_ref seen = sdx_graph_add_node(g, "Range", NULL, SDX_REFS(integer(l, 0), total, one));
  sdx_ref padding = node_unsqueeze(l->c, node_unsqueeze(l->c, node_cast(l->c, attention, SDX_BOOL), 1), 2);
  return (masks){node_unsqueeze(l->c, asked, 1), seen, padding, 0, 0};
}

// 0 where a position may be looked at, else the lowest float: not infinity, for of padding no position may be left.
static sdx_ref mask(llama *l, masks *m, bool window) {
  sdx_ref *made = window ? &m->window : &m->whole;
  if (*made) return *made;
  sdx_ref may = op2(l, "LessOrEqual", m->columns, m->rows);
  if (window) may = op2(l, "And", may, op2(l, "Less", op2(l, "Sub", m->rows, m->columns), integer(l, l->window)));
  may = op2(l, "And", may, m->padding);
  sdx_ref bias = sdx_graph_add_node(l->c->graph, "Where", window ? "window_mask" : "mask",
                                    SDX_REFS(may, number(l, 0), number(l, (double)-FLT_MAX)));
  return *made = bias;
}

// ---- a layer ------------------------------------------------------------------------------------------

static sdx_ref cache_io(llama *l, int64_t layer, const char *what, const char *part, const char *rows, sdx_ref value) {
  char name[64];
  snprintf(name, sizeof name, "%s.%lld.%s", what, (long long)layer, part);
  const int64_t shape[] = {-1, l->kv_heads, -1, l->head};
  const char *const symbols[] = {"batch", NULL, rows, NULL};
  sdx_io io = {.name = name, .dtype = SDX_FLOAT, .has_shape = true, .rank = 4, .shape = shape, .symbols = symbols};
  if (!value) return sdx_graph_add_input(l->c->graph, &io);
  sdx_graph_add_output(l->c->graph, value, &io);
  return value;
}

static sdx_ref rotate(llama *l, sdx_ref x, int64_t layer, const char *what, int64_t heads, angles a) {
  sdx_graph *g = l->c->graph;
  x = sdx_graph_add_node(g, "RotaryEmbedding", name_of(l, layer, what, "_rope"), SDX_REFS(x, a.cos, a.sin));
  sdx_graph_set_int(g, "num_heads", heads);
  if (l->interleaved) sdx_graph_set_int(g, "interleaved", 1);
  if (l->rotary < l->head) sdx_graph_set_int(g, "rotary_embedding_dim", l->rotary);
  return x;
}

static void split(llama *l, sdx_ref x, int64_t layer, const char *what, size_t count, const int64_t *sizes,
                  sdx_ref *to) {
  sdx_graph *g = l->c->graph;
  to[0] = sdx_graph_add_node(g, "Split", name_of(l, layer, what, "_split"),
                             SDX_REFS(x, sdx_graph_add_ints(g, count, sizes)));
  sdx_graph_set_int(g, "axis", -1);
  for (size_t i = 1; i < count; i++) to[i] = sdx_graph_add_node_output(g);
}

static void project(llama *l, sdx_ref x, int64_t layer, sdx_ref qkv[3]) {
  const int64_t sizes[] = {l->heads * l->head, l->kv_heads * l->head, l->kv_heads * l->head};
  static const char *const names[] = {"attn_q", "attn_k", "attn_v"};
  if (has(l, layer, "attn_qkv")) {
    split(l, linear(l, x, layer, "attn_qkv", sizes[0] + 2 * sizes[1], l->width), layer, "attn_qkv", 3, sizes, qkv);
    return;
  }
  for (size_t i = 0; i < 3; i++) qkv[i] = linear(l, x, layer, names[i], sizes[i], l->width);
}

static sdx_ref attend(llama *l, sdx_ref x, int64_t layer, angles a, sdx_ref bias) {
  sdx_graph *g = l->c->graph;
  sdx_ref qkv[3], past_key = cache_io(l, layer, "past_key_values", "key", "past_sequence", 0),
                  past_value = cache_io(l, layer, "past_key_values", "value", "past_sequence", 0);
  project(l, x, layer, qkv);
  sdx_ref q = rotate(l, norm_heads(l, qkv[0], layer, "attn_q_norm"), layer, "attn_q", l->heads, a);
  sdx_ref k = rotate(l, norm_heads(l, qkv[1], layer, "attn_k_norm"), layer, "attn_k", l->kv_heads, a);
  sdx_ref y = sdx_graph_add_node(g, "Attention", name_of(l, layer, "attn", ""),
                                 SDX_REFS(q, k, qkv[2], bias, past_key, past_value));
  sdx_ref present_key = sdx_graph_add_node_output(g), present_value = sdx_graph_add_node_output(g);
  sdx_graph_set_int(g, "q_num_heads", l->heads);
  sdx_graph_set_int(g, "kv_num_heads", l->kv_heads);
  sdx_graph_set_float(g, "scale", (float)l->scale);
  if (l->softcap != 0) sdx_graph_set_float(g, "softcap", (float)l->softcap);
  cache_io(l, layer, "present", "key", "total_sequence", present_key);
  cache_io(l, layer, "present", "value", "total_sequence", present_value);
  return linear(l, y, layer, "attn_output", l->width, l->heads * l->head);
}

static sdx_ref feed_forward(llama *l, sdx_ref x, int64_t layer) {
  sdx_graph *g = l->c->graph;
  sdx_ref halves[2];
  if (has(l, layer, "ffn_gate")) {
    halves[0] = linear(l, x, layer, "ffn_gate", l->inner, l->width);
    halves[1] = linear(l, x, layer, "ffn_up", l->inner, l->width);
  } else {
    sdx_ref both = linear(l, x, layer, "ffn_up", 2 * l->inner, l->width);
    split(l, both, layer, "ffn_up", 2, (int64_t[]){l->inner, l->inner}, halves);
  }
  sdx_ref gate = sdx_graph_add_node(g, l->family->gelu ? "Gelu" : "Sigmoid", NULL, SDX_REFS(halves[0]));
  if (l->family->gelu) sdx_graph_set_string(g, "approximate", "tanh");
  else gate = op2(l, "Mul", halves[0], gate);
  return linear(l, op2(l, "Mul", gate, halves[1]), layer, "ffn_down", l->width, l->inner);
}

static bool is_windowed(const llama *l, int64_t layer) {
  int64_t every = l->window_every;
  return l->window > 0 && every && (every == 1 || (layer + 1) % every);
}

static sdx_ref add_layer(llama *l, sdx_ref x, int64_t layer, const angles a[2], masks *m) {
  bool window = is_windowed(l, layer);
  sdx_ref y = attend(l, norm(l, x, layer, "attn_norm", l->width), layer, a[window], mask(l, m, window));
  x = op2(l, "Add", x, norm_if_there(l, y, layer, "post_attention_norm", l->width));
  y = feed_forward(l, norm(l, x, layer, "ffn_norm", l->width), layer);
  return op2(l, "Add", x, norm_if_there(l, y, layer, "post_ffw_norm", l->width));
}

// ---- the whole ----------------------------------------------------------------------------------------

static sdx_ref token_input(llama *l, const char *name, const char *symbol) {
  const int64_t shape[] = {-1, -1};
  const char *const symbols[] = {"batch", symbol};
  return sdx_graph_add_input(
      l->c->graph,
      &(sdx_io){.name = name, .dtype = SDX_INT64, .has_shape = true, .rank = 2, .shape = shape, .symbols = symbols});
}

static void give_logits(llama *l, sdx_ref x, int64_t words) {
  const int64_t shape[] = {-1, -1, words};
  const char *const symbols[] = {"batch", "sequence", NULL};
  const char *output = has(l, -1, "output") ? "output" : "token_embd";
  x = linear(l, norm(l, x, -1, "output_norm", l->width), -1, output, words, l->width);
  if (l->final_softcap != 0) {
    x = sdx_graph_add_node(l->c->graph, "Tanh", NULL, SDX_REFS(op2(l, "Div", x, number(l, l->final_softcap))));
    x = op2(l, "Mul", x, number(l, l->final_softcap));
  }
  sdx_io io = {.name = "logits", .dtype = SDX_FLOAT, .has_shape = true, .rank = 3, .shape = shape, .symbols = symbols};
  sdx_graph_add_output(l->c->graph, x, &io);
}

// The numbers of the file, before anything is computed with them.
static bool check(llama *l) {
  enum { MOST_HEADS = 1 << 16, MOST_HEAD = 1 << 16 };
  const struct {
    const char *what;
    int64_t value, least, most;
  } numbers[] = {{"layers", l->layers, 1, (int64_t)l->weights->count},
                 {"width", l->width, 1, INT32_MAX},
                 {"heads", l->heads, 1, MOST_HEADS},
                 {"heads of keys and values", l->kv_heads, 1, l->heads},
                 {"width of a head", l->head, 1, MOST_HEAD},
                 {"rotated width of a head", l->rotary, 2, l->head},
                 {"inner width", l->inner, 1, INT32_MAX / 2}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most)
      convert_fail(l->c, SDX_INVALID_MODEL, numbers[i].what, NULL, "is %lld, expected %lld to %lld",
                   (long long)numbers[i].value, (long long)numbers[i].least, (long long)numbers[i].most);
  if (!convert_failed(l->c) && l->heads % l->kv_heads)
    convert_fail(l->c, SDX_INVALID_MODEL, "heads", NULL, "are %lld, no multiple of those of keys and values, %lld",
                 (long long)l->heads, (long long)l->kv_heads);
  if (!convert_failed(l->c) && l->rotary % 2)
    convert_fail(l->c, SDX_INVALID_MODEL, "rotated width of a head", NULL, "is %lld, expected an even number",
                 (long long)l->rotary);
  return !convert_failed(l->c);
}

// A weight that nothing asked for means a net that computes something else.
static void check_used(llama *l) {
  for (size_t i = 0; i < l->weights->count; i++) {
    const weight *w = &l->weights->all[i];
    bool frequencies =
        memmem(w->name.at, w->name.size, "rope_f", 6) || memmem(w->name.at, w->name.size, "rotary_emb", 10);
    if (!w->used && !frequencies)
      convert_fail(l->c, SDX_NOT_SUPPORTED, arena_format(l->c->memory, "weight '%.*s'", STR_ARG(w->name)), NULL,
                   "nets of '%s' have no such weight", l->family->name);
  }
}

static sdx_ref embed(llama *l, sdx_ref ids, int64_t *words) {
  const weight *w = weights_find(l->weights, STR("token_embd.weight"));
  *words = w && w->rank == 2 ? w->shape[0] : 0;
  w = need(l, -1, "token_embd", *words, l->width);
  if (!w) return ids;
  sdx_ref x = weight_lookup(l->c, "embedding", ids, w);
  return l->family->scaled ? op2(l, "Mul", x, number(l, sqrt((double)l->width))) : x;
}

sdx_status llama_build(llama *l) {
  enum { SINCE = 23 };  // the operators
  conversion *c = l->c;
  int64_t words;
  if (c->options->opset && c->options->opset < SINCE)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "leave --opset, or say --opset 23",
                        "decoders are told in operators that ONNX has since opset %d", SINCE);
  if (!check(l)) return c->f->status;
  sdx_ref ids = token_input(l, "input_ids", "sequence"), attention = token_input(l, "attention_mask", "total_sequence"),
          positions = token_input(l, "position_ids", "sequence"), x = embed(l, ids, &words);
  angles a[2] = {turn(l, positions, &l->rope, "rope.frequencies")};
  if (is_windowed(l, 0)) a[1] = turn(l, positions, &l->local, "rope.window_frequencies");
  masks m = start_masks(l, ids, attention);
  for (int64_t i = 0; i < l->layers; i++) {
    x = add_layer(l, x, i, a, &m);
    convert_progress(c, (uint64_t)i + 1, (uint64_t)l->layers);
  }
  give_logits(l, x, words);
  check_used(l);
  return c->f->status;
}
