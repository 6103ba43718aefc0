// SPDX-License-Identifier: Apache-2.0
// Values for the inputs of a model from the words of a command line (engine.h): which file is for which input, what
// kind of file it is, random numbers for the rest. Read next: io.h, fit.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/table.h"
#include "codecs/codecs.h"
#include "server/score_body.h"
#include "server/v2_request.h"
#include "support/elements.h"

enum {
  MAX_DEPTH = 64,         // of JSON
  RANDOM_BYTES = 1 << 30  // of one input
};

static uint64_t next_random(uint64_t *state) {  // splitmix64
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

// Name of the batch: the first dimension where it is free. "" if it has none; NULL when no input has such a one.
static const char *batch_symbol(const sdx_session *session) {
  for (size_t i = 0; i < sdx_session_input_count(session); i++) {
    const sdx_io *io = sdx_session_input(session, i);
    if (io->has_shape && io->rank && io->shape[0] < 0) return io->symbols && io->symbols[0] ? io->symbols[0] : "";
  }
  return NULL;
}

// Whether such a tensor is one that random numbers are made for; else an error is printed.
static bool random_fits(const sdx_io *io, size_t rank, const int64_t *shape) {
  char takes[32], most[32];
  double bytes = sdx_dtype_bits(io->dtype) / 8.0;
  for (size_t d = 0; d < rank; d++) bytes *= (double)shape[d];
  if (bytes <= RANDOM_BYTES) return true;
  cli_error(CLI_FAILED, "input '%s': --random makes at most %s, but its shape takes %s; give a file", io->name,
            bytes_describe(RANDOM_BYTES, most), bytes_describe(bytes, takes));
  return false;
}

// A tensor of an input's type and shape with numbers that follow from the seed. Free dimensions are 1,
// but for the batch and all free ones of its name.
static sdx_value *random_value(const sdx_io *io, const char *symbol, int64_t batch, uint64_t *state) {
  int64_t shape[64];
  size_t rank = io->has_shape && io->rank <= 64 ? io->rank : 0;
  for (size_t d = 0; d < rank; d++) {
    const char *name = io->symbols && io->symbols[d] ? io->symbols[d] : "";
    bool is_batch = *name ? symbol && !strcmp(name, symbol) : d == 0;
    shape[d] = io->shape[d] >= 0 ? io->shape[d] : is_batch ? batch : 1;
  }
  if (io->dtype && !random_fits(io, rank, shape)) return NULL;
  sdx_value *v = io->dtype ? sdx_tensor_create(io->dtype, rank, shape) : NULL;
  if (!v) cli_error(CLI_FAILED, "input '%s': cannot make a random %s; give a .pb file", io->name, io->type);
  for (size_t i = 0; v && i < sdx_tensor_count(v); i++) {
    double unit = (double)(next_random(state) >> 11) * 0x1p-53;
    if (io->dtype == SDX_STRING) {
      char word[8] = {(char)('a' + (int)(unit * 26)), 0};
      if (sdx_tensor_set_string(v, i, word, 1)) {
        cli_error(CLI_FAILED, "input '%s': no memory for its strings", io->name);
        sdx_value_release(v);
        return NULL;
      }
    } else if (dtype_is_complex(io->dtype)) {
      element_set_part(v, i, 0, unit);
      element_set_part(v, i, 1, 1 - unit);
    } else {
      // Small integers are valid indices, lengths and token ids in most models.
      element_set(v, i, dtype_is_real(io->dtype) ? unit : floor(unit * 2));
    }
  }
  return v;
}

static bool number_list(const char *text, double out[4], double otherwise) {
  char item[64];
  size_t n = 0;
  for (size_t i = 0; i < 4; i++) out[i] = otherwise;
  for (; n < 4 && args_list_item(text, n, item, sizeof item); n++)
    if (!args_parse_number(item, &out[n])) return false;
  for (size_t i = n; n == 1 && i < 4; i++) out[i] = out[0];
  return true;
}

static bool find_fit(const char *word, image_fit *fit) {
  static const char *const words[] = {"stretch", "letterbox", "crop", "none"};  // in the order of image_fit
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcasecmp(word, words[i])) return *fit = (image_fit)i, true;
  return false;
}

static bool image_settings(const args *a, image_options *o) {
  const char *layout = args_text(a, "layout", NULL);
  *o = (image_options){
      .scale = args_number(a, "image-scale", NAN), .invert = args_has(a, "image-invert"), .layout = layout};
  if (layout && strcasecmp(layout, "nchw") && strcasecmp(layout, "nhwc")) {
    cli_error(CLI_USAGE, "--layout %s: expected nchw or nhwc", layout);
    return false;
  }
  const char *fit = args_text(a, "fit", "stretch");
  if (!find_fit(fit, &o->fit)) {
    cli_error(CLI_USAGE, "--fit %s: expected stretch, letterbox, crop or none", fit);
    return false;
  }
  bool ok = number_list(args_text(a, "image-mean", NULL), o->mean, 0) &&
            number_list(args_text(a, "image-std", NULL), o->std, 1);
  for (size_t c = 0; c < 4; c++) ok = ok && o->std[c] != 0;
  if (!ok) cli_error(CLI_USAGE, "--image-mean and --image-std take numbers separated by commas; std is not 0");
  return ok;
}

typedef struct collector {
  const args *a;
  const sdx_session *session;
  sdx_value **inputs;
  image_options image;
  int code;  // of the failure
} collector;

static char *names_of_inputs(const sdx_session *s) {
  char *all = xstrdup("");
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    char *more = xformat("%s%s%s", all, i ? ", " : "", sdx_session_input(s, i)->name);
    free(all);
    all = more;
  }
  return all;
}

static bool unknown_input(collector *c, const char *place, const char *name) {
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 0; i < sdx_session_feed_count(c->session); i++)
    str_nearest_offer(&nearest, str_from(sdx_session_input(c->session, i)->name));
  char *all = names_of_inputs(c->session);
  bool fixed = sdx_session_is_fixed(c->session, name);
  c->code = CLI_USAGE;
  cli_error(CLI_USAGE, fixed ? "%s: '%s' is a constant of the model, fixed at load" : "%s: the model has no input '%s'",
            place, name);
  if (fixed) cli_hint("--option overridable_initializers=%s lets runs feed it", name);
  else if (nearest.best.at) cli_hint("did you mean '%s'?", nearest.best.at);
  else cli_hint(*all ? "its inputs are: %s" : "it has none%s", all);
  free(all);
  return false;
}

// Gives a value (one reference, taken) to input `index`.
static bool place_value(collector *c, size_t index, sdx_value *v, const char *from) {
  const sdx_io *io = sdx_session_input(c->session, index);
  char note[200];
  why w = {""};
  if (c->inputs[index]) {
    sdx_value_release(v);
    c->code = cli_error(CLI_USAGE, "input '%s' is given twice", io->name);
    return false;
  }
  c->inputs[index] = value_fit(v, io, note, &w);
  if (!c->inputs[index]) cli_error(CLI_FAILED, "input '%s' from %s: %s", io->name, from, w.text);
  else if (*note) cli_note("input '%s': %s", io->name, note);
  return c->inputs[index] != NULL;
}

static bool all_taken(collector *c, const char *from) {
  size_t inputs = sdx_session_input_count(c->session);
  char *all = names_of_inputs(c->session);
  c->code = inputs ? cli_error(CLI_USAGE, "%s: all %zu inputs of the model have a value already", from, inputs)
                   : cli_error(CLI_USAGE, "%s: the model has no inputs", from);
  if (inputs) cli_hint("its inputs are: %s", all);
  free(all);
  return false;
}

// The first input that needs a value and has none; -1: there is none.
static int64_t next_input(const collector *c) {
  for (size_t i = 0; i < sdx_session_input_count(c->session); i++)
    if (!c->inputs[i]) return (int64_t)i;
  return -1;
}

static bool place_named(collector *c, named_values *list, const char *from) {
  bool ok = true;
  for (size_t i = 0; i < list->count && ok; i++) {
    int64_t index = sdx_session_find_input(c->session, list->at[i].name);
    if (index < 0 && list->count == 1) index = next_input(c);  // its name ("arr_0") says nothing
    if (index < 0) ok = unknown_input(c, from, list->at[i].name);
    else ok = place_value(c, (size_t)index, sdx_value_retain(list->at[i].value), from);
  }
  return ok;
}

static bool is_text(const char *bytes, size_t size) {
  for (size_t i = 0; i < size && i < 512; i++)
    if ((unsigned char)bytes[i] < ' ' && !strchr("\t\n\f\r", bytes[i] ? bytes[i] : 1)) return false;
  return true;
}

// A list, an object, or one value without anything that could separate cells.
static bool is_json(const char *bytes, size_t size) {
  size_t at = 0;
  if (size >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3)) at = 3;
  while (at < size && strchr(" \t\r\n", bytes[at])) at++;
  if (at == size || bytes[at] == '[' || bytes[at] == '{') return true;
  while (size > at && strchr(" \t\r\n", bytes[size - 1])) size--;
  for (; at < size; at++)
    if (strchr(",;\t\n", bytes[at])) return false;
  return true;
}

// The ending that tells how to read a file. What comes out of a pipe has none: its first bytes tell.
static const char *kind_of(const char *path, const char *bytes, size_t size) {
  struct stat info;
  bool file = !is_standard_stream(path) && strncmp(path, "/dev/", 5) && !stat(path, &info) && S_ISREG(info.st_mode);
  if (file) return path;
  if (size > 6 && !memcmp(bytes, "\x93NUMPY", 6)) return ".npy";
  if (size > 4 && !memcmp(bytes, "PK\3\4", 4)) return ".npz";
  if (is_text(bytes, size) && !(bytes[0] == 'P' && picture_format(bytes, size)))
    return is_json(bytes, size) ? ".json" : ".csv";
  return picture_format(bytes, size) ? ".png" : ".pb";
}

// One value for one input out of a file's bytes, by the ending `kind`.
static sdx_value *read_value(const collector *c, size_t index, const char *kind, const char *bytes, size_t size,
                             char note[200], why *w) {
  const sdx_io *io = sdx_session_input(c->session, index);
  if (path_has_suffix(kind, ".npy")) return npy_read(bytes, size, w);
  if (path_has_suffix(kind, ".pb")) return pb_read(bytes, size, io->type, w);
  if (path_has_suffix(kind, ".raw") || path_has_suffix(kind, ".bin")) return raw_read(bytes, size, io, w);
  if (picture_has_ending(kind)) return image_read(bytes, size, io, &c->image, note, w);
  return why_set(w,
                 "unknown kind of file; expected .npy .npz .pb .raw .bin .json .csv or a picture (.png .jpg .bmp ...)");
}

// ---- JSON ------------------------------------------------------------------------------------

typedef enum body_kind { BODY_PLAIN, BODY_SCORE, BODY_V2 } body_kind;

// Whether an object is a request to the server: {"data": ...} of /score, {"inputs": [...]} of /v2, unless the model has
// inputs of these names. Reading changes the text.
static body_kind find_body_kind(const sdx_session *session, char *text, size_t size) {
  json j;
  bool first = true;
  str key;
  json_init(&j, text, size, MAX_DEPTH, SIZE_MAX);
  j.words = true;
  body_kind kind = BODY_PLAIN;
  if (json_peek(&j) != '{' || !json_open(&j, '{', "")) return kind;
  while (!kind && json_more(&j, '{', &first) && json_key(&j, &key)) {
    char value = json_peek(&j);
    if (str_is(key, "data") && (value == '{' || sdx_session_find_input(session, "data") < 0)) kind = BODY_SCORE;
    else if (str_is(key, "inputs") && value == '[' && sdx_session_find_input(session, "inputs") < 0) kind = BODY_V2;
    else json_skip(&j);
  }
  return kind;
}

// What the server takes, read by the server's own code.
static bool place_body(collector *c, body_kind kind, const char *from, char *text, size_t size) {
  json j;
  json_init(&j, text, size, MAX_DEPTH, SIZE_MAX);
  v2_request *request = kind == BODY_V2 ? v2_request_create(c->session) : NULL;
  bool ok = kind == BODY_SCORE
                ? score_body_read(&j, c->session, c->inputs)
                : request && v2_request_read(request, &j, c->session, c->a->words[0], c->inputs, NULL, 0);
  free(request);
  if (!ok) cli_error(CLI_FAILED, "%s: %s", from, j.failed ? j.message : "out of memory");
  return ok;
}

// *kind BODY_PLAIN: it is no request, and nothing was placed.
static bool place_request(collector *c, const char *from, const char *text, size_t size, body_kind *kind) {
  char *copy = malloc(size + 1);
  if (!copy) return !cli_error(CLI_FAILED, "%s: not enough memory to read it", from);
  *kind = find_body_kind(c->session, memcpy(copy, text, size), size);
  bool ok = !*kind || place_body(c, *kind, from, memcpy(copy, text, size), size);
  free(copy);
  return ok;
}

static bool place_json(collector *c, int64_t index, const char *from, const char *text, size_t size) {
  body_kind kind = BODY_PLAIN;
  size_t mark = size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;  // of the byte order
  text += mark;
  size -= mark;
  if (index < 0) {
    bool placed = place_request(c, from, text, size, &kind);
    if (!placed || kind) return placed;
  }
  json_error_t error;
  json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
  why w = {""};
  bool ok = json != NULL;
  if (!json) {
    cli_error(CLI_FAILED, "%s: line %d, column %d: %s", from, error.line, error.column, error.text);
  } else if (index < 0 && json_is_object(json)) {
    const char *name;
    json_t *field;
    json_object_foreach(json, name, field) {
      int64_t at = sdx_session_find_input(c->session, name);
      sdx_value *v = at < 0 ? NULL : json_read_value(field, sdx_session_input(c->session, (size_t)at), &w);
      if (at < 0) ok = unknown_input(c, from, name);
      else if (!v) ok = !cli_error(CLI_FAILED, "%s: '%s': %s", from, name, w.text);
      else ok = place_value(c, (size_t)at, v, from);
      if (!ok) break;
    }
  } else {
    int64_t at = index < 0 ? next_input(c) : index;
    sdx_value *v = at < 0 ? NULL : json_read_value(json, sdx_session_input(c->session, (size_t)at), &w);
    if (at < 0) ok = all_taken(c, from);
    else if (!v) ok = !cli_error(CLI_FAILED, "%s: %s", from, w.text);
    else ok = place_value(c, (size_t)at, v, from);
  }
  json_decref(json);
  return ok;
}

// The array of an input out of several: that of its name, or the only one.
static bool place_list(collector *c, int64_t index, named_values *list, const char *from) {
  if (index < 0) return place_named(c, list, from);
  const char *name = sdx_session_input(c->session, (size_t)index)->name;
  sdx_value *v = named_find(list, name);
  if (!v && list->count == 1) v = list->at[0].value;
  if (v) return place_value(c, (size_t)index, sdx_value_retain(v), from);
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 0; i < list->count; i++) str_nearest_offer(&nearest, str_from(list->at[i].name));
  cli_error(CLI_FAILED, "%s: no array named '%s' among %zu", from, name, list->count);
  if (nearest.best.at) cli_hint("there is '%s'; files without NAME= go by the names inside", nearest.best.at);
  return false;
}

// What is no file may have been meant as a value or as the name of an input.
static void hint_for_no_file(const collector *c, const char *word) {
  int64_t next = next_input(c);
  if (strchr("[{", *word) && next >= 0)
    cli_hint("a value needs the name of its input: '%s=%s'", sdx_session_input(c->session, (size_t)next)->name, word);
  else if (sdx_session_find_input(c->session, word) >= 0) cli_hint("that is an input; give it a value: %s=FILE", word);
  else file_hint(word);
}

// `index` < 0: by the names inside, else the next input without a value.
static bool place_file(collector *c, int64_t index, const char *path) {
  why w = {""};
  size_t size;
  char *bytes = file_read(path, &size, &w);
  if (!bytes) {
    cli_error(CLI_FAILED, "%s", w.text);
    if (access(path, F_OK)) hint_for_no_file(c, path);
    return false;
  }
  bool ok;
  named_values list = {0};
  const char *kind = kind_of(path, bytes, size);
  if (path_has_suffix(kind, ".npz")) {
    ok = npz_read(bytes, size, &list, &w) ? place_list(c, index, &list, path)
                                          : !cli_error(CLI_FAILED, "%s: %s", path, w.text);
  } else if (path_has_suffix(kind, ".csv") || path_has_suffix(kind, ".tsv")) {
    ok = csv_read(bytes, size, c->session, index, &list, &w) ? place_named(c, &list, path)
                                                             : !cli_error(CLI_FAILED, "%s: %s", path, w.text);
  } else if (path_has_suffix(kind, ".json")) {
    ok = place_json(c, index, path, bytes, size);
  } else {
    char name[256];
    if (index < 0 && path_has_suffix(kind, ".pb"))
      index = sdx_session_find_input(c->session, pb_name(bytes, size, name, sizeof name));
    if (index < 0) index = next_input(c);
    if (index < 0) {
      ok = all_taken(c, path);
    } else {
      char note[200] = "";
      sdx_value *v = read_value(c, (size_t)index, kind, bytes, size, note, &w);
      if (v && *note) cli_note("%s: %s", path, note);
      ok = v ? place_value(c, (size_t)index, v, path) : !cli_error(CLI_FAILED, "%s: %s", path, w.text);
    }
  }
  named_clear(&list);
  free(bytes);
  return ok;
}

static bool place_word(collector *c, const char *word) {
  const char *equals = strchr(word, '=');
  if (!equals || !access(word, F_OK)) return place_file(c, -1, word);
  // Names of inputs may hold '=' or ':'; the longest known name before a '=' wins.
  int64_t index = -1;
  const char *value = NULL;
  for (const char *at = equals; at; at = strchr(at + 1, '=')) {
    char *name = xformat("%.*s", (int)(at - word), word);
    int64_t found = sdx_session_find_input(c->session, name);
    free(name);
    if (found >= 0) {
      index = found;
      value = at + 1;
    }
  }
  if (index < 0) {
    char *name = xformat("%.*s", (int)(equals - word), word);
    unknown_input(c, word, name);
    free(name);
    return false;
  }
  if (!*value) {
    c->code = cli_error(CLI_USAGE, "%s: a file or a value is missing after '='", word);
    return false;
  }
  bool literal = strchr("[-0123456789\"tf", *value) && access(value, F_OK);
  json_t *json = literal ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
  if (!json && (!literal || *value != '[')) return place_file(c, index, value);
  json_decref(json);
  return place_json(c, index, word, value, strlen(value));
}

static bool fill_random(const sdx_session *session, sdx_value **inputs, const char *symbol, int64_t batch,
                        uint64_t *state) {
  for (size_t i = 0; i < sdx_session_input_count(session); i++) {
    const sdx_io *io = sdx_session_input(session, i);
    if (inputs[i] || io->may_be_left_out) continue;
    inputs[i] = random_value(io, symbol, batch, state);
    if (!inputs[i]) return false;
  }
  return true;
}

bool engine_inputs(const args *a, const sdx_session *session, const char *const *words, size_t count,
                   sdx_value **inputs, int *code) {
  collector c = {.a = a, .session = session, .inputs = inputs};
  *code = CLI_USAGE;
  if (!image_settings(a, &c.image)) return false;
  c.code = CLI_FAILED;
  for (size_t i = 0; i < count; i++)
    if (!place_word(&c, words[i])) {
      *code = c.code;
      return false;
    }
  *code = CLI_FAILED;
  if (!args_has(a, "random")) return true;
  int64_t seed = 0;
  const char *text = args_text(a, "random", NULL);
  if (text && !args_parse_int(text, &seed)) {
    *code = cli_error(CLI_USAGE, "--random=%s: expected a whole number", text);
    return false;
  }
  uint64_t state = (uint64_t)seed;
  int64_t batch = args_int(a, "batch", 1);
  const char *symbol = batch_symbol(session);
  if (batch != 1 && !symbol) {
    *code = cli_error(CLI_USAGE, "--batch %lld: the first dimension of the model's inputs is fixed", (long long)batch);
    return false;
  }
  return fill_random(session, inputs, symbol, batch, &state);
}

bool engine_random_inputs(const sdx_session *session, sdx_value **inputs, int64_t batch, uint64_t seed) {
  return fill_random(session, inputs, batch_symbol(session), batch, &seed);
}
