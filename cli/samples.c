// SPDX-License-Identifier: Apache-2.0
// Samples of inputs (samples.h).
#include "cli/samples.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/engine.h"
#include "cli/files.h"

static sample *add(samples *s) {
  if (s->count == s->capacity) {
    s->capacity = s->capacity ? 2 * s->capacity : 64;
    s->at = xrealloc(s->at, s->capacity * sizeof *s->at);
  }
  s->at[s->count] = (sample){.label = -1};
  return &s->at[s->count++];
}

// ---- arrays -----------------------------------------------------------------------------------------

// Every array has a row for each sample.
static bool add_rows(samples *s, const char *path, named_values *file) {
  int64_t rows = -1;
  for (size_t i = 0; i < file->count; i++) {
    const sdx_value *v = file->at[i].value;
    int64_t here = sdx_tensor_rank(v) ? sdx_tensor_shape(v)[0] : 0;
    if (rows >= 0 && here != rows)
      return cli_error(CLI_FAILED, "%s: '%s' has %lld rows, '%s' %lld; every array has a row for each sample", path,
                       file->at[0].name, (long long)rows, file->at[i].name, (long long)here),
             false;
    rows = here;
  }
  if (rows < 1) return cli_error(CLI_FAILED, "%s: there is no row", path), false;
  for (int64_t i = 0; i < rows; i++) {
    sample *one = add(s);
    one->file = file, one->row = (size_t)i;
  }
  return true;
}

static bool add_arrays(samples *s, const char *path) {
  why w;
  size_t size;
  if (s->file_count == sizeof s->files / sizeof *s->files)
    return cli_error(CLI_FAILED, "%s: too many files", path), false;
  char *bytes = file_read(path, &size, &w);
  named_values *file = xmalloc(sizeof *file);
  *file = (named_values){0};
  s->files[s->file_count++] = file;
  bool good = bytes != NULL;
  if (good && path_has_suffix(path, ".npz")) {
    good = npz_read(bytes, size, file, &w);
  } else if (good) {
    sdx_value *v = npy_read(bytes, size, &w);
    good = v != NULL;
    if (v) named_add(file, "", v);
  }
  free(bytes);
  if (!good) cli_error(CLI_FAILED, "%s: %s", path, w.text);
  return good && add_rows(s, path, file);
}

// The row as a tensor with a first dimension of 1.
static sdx_value *row_of(const sdx_value *v, size_t row) {
  size_t rank = sdx_tensor_rank(v), bytes = sdx_tensor_bytes(v) / (size_t)sdx_tensor_shape(v)[0];
  int64_t shape[64];
  memcpy(shape, sdx_tensor_shape(v), rank * sizeof *shape);
  shape[0] = 1;
  return sdx_tensor_borrow(sdx_tensor_dtype(v), rank, shape, (char *)sdx_tensor_data(v) + row * bytes, NULL, NULL);
}

static bool row_values(const sample *one, const sdx_session *session, sdx_value **values) {
  for (size_t i = 0; i < sdx_session_input_count(session); i++) {
    const sdx_io *io = sdx_session_input(session, i);
    const sdx_value *v = named_find(one->file, io->name);
    if (!v && one->file->count == 1 && sdx_session_input_count(session) == 1) v = one->file->at[0].value;
    char note[200];
    why w;
    if (!v || sdx_tensor_dtype(v) == SDX_STRING)
      return cli_error(CLI_FAILED, "input '%s': the samples have no numbers of that name", io->name), false;
    values[i] = value_fit(row_of(v, one->row), io, note, &w);
    if (!values[i]) return cli_error(CLI_FAILED, "input '%s': %s", io->name, w.text), false;
  }
  return true;
}

// ---- files by name ----------------------------------------------------------------------------------

static void add_words(samples *s, char *const *words, size_t count, int64_t label) {
  sample *one = add(s);
  one->words = xmalloc((count + 1) * sizeof *one->words);
  for (size_t i = 0; i < count; i++) one->words[i] = xstrdup(words[i]);
  one->words[count] = NULL;
  one->label = label;
}

static bool is_picture(const char *name) {
  static const char *const endings[] = {".png",  ".jpg", ".jpeg", ".bmp", ".gif",
                                        ".webp", ".ppm", ".pgm",  ".tif", ".tiff"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (path_has_suffix(name, endings[i])) return true;
  return false;
}

static bool is_folder(const char *path) {
  struct stat st;
  return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int64_t class_number(samples *s, const char *name) {
  char *end;
  long long number = strtoll(name, &end, 10);
  if (end != name && !*end && number >= 0) return number;
  s->classes = xrealloc(s->classes, (s->class_count + 1) * sizeof *s->classes);
  s->classes[s->class_count] = xstrdup(name);
  return (int64_t)s->class_count++;
}

// Pictures of a folder, and of its subfolders, each of which is a class.
static bool add_pictures(samples *s, const char *path, int64_t label, int depth) {
  struct dirent **list;
  int count = scandir(path, &list, visible, versionsort);
  if (count < 0) return cli_error(CLI_FAILED, "%s cannot be read", path), false;
  for (int i = 0; i < count; i++) {
    char *full = xformat("%s/%s", path, list[i]->d_name);
    if (depth == 0 && is_folder(full)) add_pictures(s, full, class_number(s, list[i]->d_name), 1);
    else if (is_picture(full)) add_words(s, &full, 1, label);
    free(full);
    free(list[i]);
  }
  free(list);
  return true;
}

// Inputs of a folder in their order: input_0.pb, test_data_0_input.pb. Each folder is a sample.
static bool add_sets(samples *s, const char *path, int depth) {
  struct dirent **list;
  int count = scandir(path, &list, visible, versionsort);
  if (count < 0) return cli_error(CLI_FAILED, "%s cannot be read", path), false;
  char **words = xmalloc(((size_t)count + 1) * sizeof *words);
  size_t word_count = 0;
  bool good = true;
  for (int i = 0; i < count; i++) {
    char *full = xformat("%s/%s", path, list[i]->d_name);
    if (path_has_suffix(full, ".pb") && strstr(list[i]->d_name, "input")) words[word_count++] = full;
    else if (depth == 0 && is_folder(full)) good = add_sets(s, full, 1) && good;
    if (!word_count || words[word_count - 1] != full) free(full);
    free(list[i]);
  }
  free(list);
  if (word_count) add_words(s, words, word_count, -1);
  for (size_t i = 0; i < word_count; i++) free(words[i]);
  free(words);
  return good;
}

bool samples_add(samples *s, const char *path) {
  size_t before = s->count;
  struct stat st;
  if (stat(path, &st)) {
    cli_error(CLI_FAILED, "%s: there is no such file or folder", path);
    file_hint(path);
    return false;
  }
  bool arrays = path_has_suffix(path, ".npz") || path_has_suffix(path, ".npy");
  if (arrays && !add_arrays(s, path)) return false;
  if (!arrays && is_folder(path) && (!add_pictures(s, path, -1, 0) || (s->count == before && !add_sets(s, path, 0))))
    return false;
  if (!arrays && !is_folder(path)) {
    char *word = xstrdup(path);
    add_words(s, &word, 1, -1);
    free(word);
  }
  if (s->count > before) return true;
  cli_error(CLI_FAILED, "%s: there is no sample in it", path);
  cli_hint("give .npz or .npy files, a folder of pictures, or a folder of sets with input_0.pb");
  return false;
}

static void sample_free(sample *one) {
  for (char **word = one->words; word && *word; word++) free(*word);
  free(one->words);
}

void samples_limit(samples *s, size_t most) {
  size_t count = s->count, kept = 0;
  if (count <= most) return;
  for (size_t i = 0; i < count; i++) {
    bool wanted = kept < most && i == kept * count / most;
    if (wanted) s->at[kept++] = s->at[i];
    else sample_free(&s->at[i]);
  }
  s->count = kept;
}

void samples_free(samples *s) {
  for (size_t i = 0; i < s->count; i++) sample_free(&s->at[i]);
  for (size_t i = 0; i < s->file_count; i++) {
    named_clear(s->files[i]);
    free(s->files[i]);
  }
  for (size_t i = 0; i < s->class_count; i++) free(s->classes[i]);
  free(s->classes);
  free(s->at);
}

bool samples_values(const samples *s, size_t index, const sdx_session *session, sdx_value **values) {
  const sample *one = &s->at[index];
  if (!one->words) return row_values(one, session, values);
  size_t words = 0;
  int code = CLI_OK;
  while (one->words[words]) words++;
  return engine_inputs(s->a, session, (const char *const *)one->words, words, values, &code);
}

sdx_status samples_feed(void *context, size_t index, sdx_session *session, sdx_run *run) {
  size_t inputs = sdx_session_feed_count(session);
  sdx_value **values = xmalloc((inputs + 1) * sizeof *values);
  memset(values, 0, (inputs + 1) * sizeof *values);
  sdx_status status = samples_values(context, index, session, values) ? SDX_OK : SDX_INVALID_ARGUMENT;
  for (size_t i = 0; i < inputs; i++) {
    if (!status && values[i]) status = sdx_run_set_input(run, i, values[i]);
    sdx_value_release(values[i]);
  }
  free(values);
  return status;
}
