// SPDX-License-Identifier: Apache-2.0
// config.json (llama_config.h). Sets of numbers that are absent have the defaults of the library that writes the file.
#include "convert/llama_config.h"

#include <jansson.h>
#include <math.h>

static double number_of(const json_t *o, const char *key, double missing) {
  const json_t *value = json_object_get(o, key);
  return json_is_number(value) ? json_number_value(value) : missing;
}

static int64_t integer_of(const json_t *o, const char *key, int64_t missing) {
  double n = number_of(o, key, (double)missing);
  return n >= -1e15 && n <= 1e15 ? (int64_t)n : -1;
}

static const char *text_of(const json_t *o, const char *key) {
  const char *text = json_string_value(json_object_get(o, key));
  return text ? text : "";
}

static sdx_status refuse(llama *l, const char *key, const char *what) {
  return convert_fail(l->c, SDX_NOT_SUPPORTED, arena_format(l->c->memory, "config.json, %s", key), NULL, "%s", what);
}

// ---- frequencies --------------------------------------------------------------------------------------

// Waves longer than a text are stretched, those much shorter are not, between them it changes slowly.
static void stretch_long_waves(llama *l, const json_t *scaling) {
  size_t count = (size_t)l->rotary / 2;
  float *all = arena_array(l->c->memory, count, sizeof *all);
  double factor = l->rope.stretch, low = number_of(scaling, "low_freq_factor", 1),
         high = number_of(scaling, "high_freq_factor", 4);
  for (size_t i = 0; all && i < count; i++) {
    double turns = l->rope.original * pow(l->rope.base, -2.0 * (double)i / (double)l->rotary) / (2 * M_PI);
    double kept = fmin(1, fmax(0, (turns - low) / (high - low)));
    all[i] = (float)(1 / (kept + (1 - kept) / factor));
  }
  if (!all) convert_no_memory(l->c);
  l->rope.divisors = all;
  l->rope.stretch = 1;
}

static void divide(llama *l, const json_t *scaling) {
  bool longer = (double)l->context > l->rope.original;
  const char *key = longer ? "long_factor" : "short_factor";
  const json_t *list = json_object_get(scaling, key);
  size_t count = (size_t)l->rotary / 2;
  float *all = arena_array(l->c->memory, count, sizeof *all);
  double times = (double)l->context / l->rope.original;
  if (!all || json_array_size(list) != count) {
    refuse(l, key, "is no list of half as many numbers as turn in a head");
    return;
  }
  for (size_t i = 0; i < count; i++) all[i] = (float)json_number_value(json_array_get(list, i));
  l->rope.divisors = all;
  l->rope.stretch = 1;
  l->rope.amplitude = times > 1 ? sqrt(1 + log(times) / log(l->rope.original)) : 1;
  convert_note(l->c, "frequencies are those for %s texts, as for the model's context of %lld",
               longer ? "long" : "short", (long long)l->context);
}

static void set_rope(llama *l, const json_t *o) {
  const json_t *scaling = json_object_get(o, "rope_scaling");
  if (!json_is_object(scaling)) scaling = json_object_get(o, "rope_parameters");
  const char *type = text_of(scaling, json_object_get(scaling, "rope_type") ? "rope_type" : "type");
  double original = number_of(o, "original_max_position_embeddings", (double)l->context);
  l->rope = (llama_rope){.base = number_of(o, "rope_theta", number_of(scaling, "rope_theta", 10000)),
                         .stretch = number_of(scaling, "factor", 1),
                         .fast = number_of(scaling, "beta_fast", 32),
                         .slow = number_of(scaling, "beta_slow", 1),
                         .original = number_of(scaling, "original_max_position_embeddings", original),
                         .amplitude = 1};
  if (!(l->rope.stretch > 0) || !(l->rope.original > 0)) refuse(l, "rope_scaling", "has numbers that make no sense");
  else if (!strcmp(type, "llama3")) stretch_long_waves(l, scaling);
  else if (!strcmp(type, "longrope") || !strcmp(type, "su")) divide(l, scaling);
  else if (!strcmp(type, "yarn")) {
    l->rope.yarn = true;
    l->rope.amplitude = number_of(scaling, "attention_factor", 0.1 * log(l->rope.stretch) + 1);
  } else if (*type && strcmp(type, "linear") != 0 && strcmp(type, "default") != 0)
    refuse(l, "rope_scaling", arena_format(l->c->memory, "'%s' is not converted", type));
  l->local = l->rope;
  if (json_object_get(o, "rope_local_base_freq"))
    l->local = (llama_rope){.base = number_of(o, "rope_local_base_freq", 10000), .stretch = 1, .amplitude = 1};
}

// ---- the rest -----------------------------------------------------------------------------------------

static void set_window(llama *l, const json_t *o) {
  const char *family = l->family->name;
  bool all = !strcmp(family, "mistral") || !strcmp(family, "phi3");
  l->window = integer_of(o, "sliding_window", 0);
  l->window_every = all ? 1 : integer_of(o, "sliding_window_pattern", l->family->window_every);
  if (json_is_true(json_object_get(o, "use_sliding_window"))) refuse(l, "use_sliding_window", "is not converted");
}

static void set_numbers(llama *l, const json_t *o) {
  const llama_family *family = l->family;
  l->norm_more = family->norm_more;
  l->layers = integer_of(o, "num_hidden_layers", 0);
  l->width = integer_of(o, "hidden_size", 0);
  l->heads = integer_of(o, "num_attention_heads", 0);
  l->kv_heads = integer_of(o, "num_key_value_heads", l->heads);
  l->head = integer_of(o, "head_dim", l->heads > 0 ? l->width / l->heads : 0);
  l->inner = integer_of(o, "intermediate_size", 0);
  l->context = integer_of(o, "max_position_embeddings", 2048);
  l->epsilon = number_of(o, "rms_norm_eps", 1e-6);
  l->softcap = number_of(o, "attn_logit_softcapping", 0);
  l->final_softcap = number_of(o, "final_logit_softcapping", 0);
  l->scale = 1 / sqrt(number_of(o, "query_pre_attn_scalar", (double)l->head));
  l->rotary = (int64_t)((double)l->head * number_of(o, "partial_rotary_factor", 1));
  l->behind_norms = !strncmp(family->name, "gemma2", 6) || !strncmp(family->name, "gemma3", 6);
  if (number_of(o, "num_local_experts", 0) > 0) refuse(l, "num_local_experts", "mixtures of experts are not converted");
  if (json_object_get(o, "quantization_config"))
    refuse(l, "quantization_config", "quantised weights are not converted; take the model before that, or its GGUF");
  const char *act = text_of(o, json_object_get(o, "hidden_activation") ? "hidden_activation" : "hidden_act");
  if (*act && strcmp(act, family->gelu ? "gelu_pytorch_tanh" : "silu") != 0 && !(family->gelu && !strcmp(act, "gelu")))
    refuse(l, "hidden_act", arena_format(l->c->memory, "'%s' is not converted", act));
}

sdx_status llama_configure(llama *l, str config) {
  json_error_t error;
  conversion *c = l->c;
  json_t *o = json_loadb(config.at, config.size, JSON_ALLOW_NUL, &error);
  if (!o) return convert_fail(c, SDX_INVALID_MODEL, "config.json", NULL, "line %d: %s", error.line, error.text);
  const char *type = text_of(o, "model_type");
  l->family = llama_family_of(str_from(type));
  if (!l->family) {
    convert_fail(c, SDX_NOT_SUPPORTED, "config.json, model_type",
                 "export it in Python: optimum-cli export onnx; 'sardonyx inspect' lists its weights",
                 "nets of '%s' are not converted; these are: %s", type, llama_families(c->memory));
  } else {
    set_numbers(l, o);
    if (!convert_failed(c) && l->rotary > 0 && l->rotary <= INT32_MAX) set_rope(l, o);
    set_window(l, o);
  }
  json_decref(o);
  return c->f->status;
}
