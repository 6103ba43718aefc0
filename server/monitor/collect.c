// SPDX-License-Identifier: Apache-2.0
// Rows as CSV, and the files they are appended to (collect.h). A parcel is three texts with a NUL behind each: the path
// beneath FOLDER/modeldata up to the day, the line of headings, the rows. A file whose headings are others is left
// alone: what does not fit goes to data-1.csv and so on.
#include "server/monitor/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "server/call.h"
#include "server/log.h"
#include "server/monitor/baseline.h"
#include "server/tensor_io.h"
#include "support/files.h"
#include "support/json.h"

enum {
  WAIT_BYTES = 16 << 20,
  COLUMNS = 1024,       // of a row; wider ones are one cell, a list
  LIST_VALUES = 16384,  // of such a list; longer ones are left out
  ROWS = 1000,          // of one request
  FILES = 10,           // of one day with different headings
  FRAME_ROWS = 100000,
  ATTEMPTS = 3
};
static const char hidden[] = "redacted";

struct collector {
  collect_options options;
  const char *place;
  int folder;
  courier *courier;
  long day;  // of `written`; both are the courier's
  uint64_t written;
};

// ---- cells ---------------------------------------------------------------------------------------

static void put_text(text *o, str s) {
  text_put(o, "\"");
  for (size_t i = 0; i < s.size; i++) {
    if (s.at[i] == '"') text_put(o, "\"");
    if (s.at[i]) text_append(o, s.at + i, 1);
  }
  text_put(o, "\"");
}

static bool redacted(const collector *c, const char *name) {
  for (size_t i = 0; i < c->options.redact_count; i++)
    if (!strcmp(c->options.redact[i], name)) return true;
  return false;
}

// The headings that every file ends in, and what stands beneath them.
static void put_origin_names(text *o) { text_put(o, "$aml_dc_correlation_id,$aml_dc_scoring_timestamp\n"); }

static void put_origin(text *o, const char *id, const char *stamp) {
  put_text(o, str_from(id));
  text_format(o, ",%s\n", stamp);
}

static void put_value(text *o, const sdx_value *value, size_t at) {
  size_t size;
  double number = baseline_number(value, at);
  if (sdx_tensor_dtype(value) == SDX_STRING) {
    const char *word = sdx_tensor_string(value, at, &size);
    put_text(o, (str){word, word ? size : 0});
  } else if (sdx_tensor_dtype(value) == SDX_INT64) {
    text_json_i64(o, ((const int64_t *)sdx_tensor_data(value))[at]);
  } else if (sdx_tensor_dtype(value) == SDX_DOUBLE) {
    if (isfinite(number)) text_json_f64(o, number);
  } else if (isfinite(number)) {
    text_json_f32(o, (float)number);
  }
}

// ---- tensors -------------------------------------------------------------------------------------

typedef struct column {
  const sdx_io *io;
  baseline_rows rows;  // value NULL: nothing that has columns
  bool list;
} column;

static column column_of(const sdx_io *io, const sdx_value *value) {
  column k = {.io = io};
  bool fixed = io->has_shape;
  for (size_t d = 1; fixed && d < io->rank; d++) fixed = io->shape[d] >= 0;
  if (!value || !baseline_rows_of(value, io, &k.rows)) k.rows = (baseline_rows){0};
  k.list = !fixed || k.rows.width > COLUMNS;
  return k;
}

static void put_names(text *o, const column *k) {
  size_t count = k->list || !k->rows.value ? 1 : k->rows.width;
  for (size_t i = 0; i < count; i++) {
    char name[300];
    if (count == 1) snprintf(name, sizeof name, "%.250s", k->io->name);
    else snprintf(name, sizeof name, "%.250s[%zu]", k->io->name, i);
    put_text(o, str_from(name));
    text_put(o, ",");
  }
}

static void put_list(text *o, const column *k, size_t row) {
  text list = {0};
  size_t width = k->rows.width;
  for (size_t i = 0; i < width && width <= LIST_VALUES; i++) {
    size_t before = list.size;
    text_put(&list, i ? "," : "[");
    put_value(&list, k->rows.value, row * width + i);
    if (list.size == before + 1) text_put(&list, "null");
  }
  if (width > LIST_VALUES) text_format(&list, "%zu values", width);
  else text_put(&list, width ? "]" : "[]");
  put_text(o, (str){list.at, list.size});
  o->failed |= list.failed;
  text_deinit(&list);
}

static void put_row(const collector *c, text *o, const column *k, size_t row) {
  const baseline_rows *r = &k->rows;
  size_t count = k->list || !r->value ? 1 : r->width, at = r->rows > 1 ? row : 0;
  bool all = redacted(c, k->io->name);
  for (size_t i = 0; i < count; i++, text_put(o, ",")) {
    char name[300];
    snprintf(name, sizeof name, "%.250s[%zu]", k->io->name, i);
    if (all || (count > 1 && redacted(c, name))) text_put(o, hidden);
    else if (r->value && k->list) put_list(o, k, at);
    else if (r->value) put_value(o, r->value, at * r->width + i);
  }
}

// ---- parcels -------------------------------------------------------------------------------------

// What a name may be in a path: what is not a letter, a digit or one of . - _ becomes _.
static void put_part(text *o, const char *name) {
  text_put(o, "/");
  if (!*name || *name == '.') text_put(o, "_");
  for (size_t i = 0; name[i] && i < 128; i++) {
    unsigned char b = (unsigned char)name[i];
    bool good = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '.' || b == '-' ||
                b == '_' || b >= 0x80;
    text_append(o, good ? name + i : "_", 1);
  }
}

static void begin_parcel(const collector *c, text *o, const char *model, const char *version, const char *identifier) {
  uint64_t now = clock_wall_ns() / 1000000000;
  time_t seconds = (time_t)now;
  struct tm day = {0};
  char date[32];
  gmtime_r(&seconds, &day);
  strftime(date, sizeof date, "/%Y/%m/%d/", &day);
  text_put(o, c->place);
  put_part(o, model);
  put_part(o, version);
  put_part(o, identifier);
  text_put(o, date);
}

// By the id of the request, so that what belongs together is taken or left together.
static bool sampled(const collector *c, const char *id) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (; *id; id++) hash = (hash ^ (unsigned char)*id) * 0x100000001B3u;
  hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
  return (double)(hash >> 11) * 0x1p-53 < c->options.share;
}

static void send_parcel(collector *c, text *o) {
  text_append(o, "", 1);
  if (!o->failed) courier_put(c->courier, o->at, o->size);
  text_deinit(o);
}

static void collect_side(collector *c, const call *call, bool outputs) {
  const model *m = call->model;
  size_t count = outputs ? m->output_count : sdx_session_input_count(m->session), rows = 1;
  text o = {.limit = WAIT_BYTES / 4};
  char stamp[CLOCK_STAMP];
  column *columns = calloc(count + 1, sizeof *columns);
  clock_stamp(stamp);
  begin_parcel(c, &o, call->entry->name, call->entry->version, outputs ? "predictions" : "inputs");
  text_append(&o, "data", 5);
  for (size_t i = 0; columns && i < count; i++) {
    const sdx_io *io = outputs ? sdx_session_output(m->session, i) : sdx_session_input(m->session, i);
    columns[i] = column_of(io, outputs ? call->outputs[i] : call->inputs[i]);
    if (columns[i].rows.rows > rows) rows = columns[i].rows.rows;
    put_names(&o, &columns[i]);
  }
  put_origin_names(&o);
  text_append(&o, "", 1);
  for (size_t row = 0; columns && row < rows && row < ROWS; row++) {
    for (size_t i = 0; i < count; i++) {
      bool has = columns[i].rows.rows == 1 || row < columns[i].rows.rows;
      column none = {.io = columns[i].io, .list = columns[i].list};
      put_row(c, &o, has ? &columns[i] : &none, row);
    }
    put_origin(&o, call->id, stamp);
  }
  free(columns);
  send_parcel(c, &o);
}

void collect_result(collector *c, const call *call) {
  if (!sampled(c, call->id)) return;
  collect_side(c, call, false);
  collect_side(c, call, true);
}

// ---- frames --------------------------------------------------------------------------------------

static void put_cell(text *o, const json_t *cell) {
  if (json_is_string(cell)) put_text(o, str_from(json_string_value(cell)));
  else if (json_is_boolean(cell)) text_put(o, json_is_true(cell) ? "true" : "false");
  else if (json_is_integer(cell)) text_json_i64(o, json_integer_value(cell));
  else if (json_is_real(cell)) text_json_f64(o, json_real_value(cell));
}

static void put_frame_rows(const collector *c, text *o, const json_t *names, const json_t *rows) {
  size_t at, i;
  json_t *row, *cell;
  json_array_foreach((json_t *)rows, at, row) {
    if (at == FRAME_ROWS) break;
    json_array_foreach(row, i, cell) {
      const char *name = json_string_value(json_array_get(names, i));
      if (i) text_put(o, ",");
      if (name && redacted(c, name)) text_put(o, hidden);
      else put_cell(o, cell);
    }
    text_put(o, "\n");
  }
}

void collect_frame(collector *c, const call *call, const json_t *head, const char *body, size_t size) {
  const json_t *names = json_object_get(head, "names");
  size_t i;
  json_t *name, *rows = json_loadb(body, size, 0, NULL);
  text o = {.limit = WAIT_BYTES / 4};
  if (json_is_array(rows) && (!call || sampled(c, call->id))) {
    begin_parcel(c, &o, text_of(head, "model"), text_of(head, "version"), text_of(head, "identifier"));
    text file = {0};
    put_part(&file, text_of(head, "file"));
    text_append(&o, file.failed ? "data" : file.at + 1, (file.failed ? 4 : file.size - 1) + 1);
    text_deinit(&file);
    json_array_foreach((json_t *)names, i, name) {
      if (i) text_put(&o, ",");
      put_text(&o, str_from(json_string_value(name)));
    }
    if (json_array_size(names)) text_put(&o, "\n");
    text_append(&o, "", 1);
    put_frame_rows(c, &o, names, rows);
    send_parcel(c, &o);
  }
  json_decref(rows);
}

// ---- files ---------------------------------------------------------------------------------------

// Whether rows under these headings may be appended; they are written where the file is new. It is locked.
static bool fits(int fd, const char *names) {
  size_t size = strlen(names);
  char *there = malloc(size + 1);
  ssize_t got = there ? pread(fd, there, size, 0) : -1;
  bool good = got == 0 ? file_write_all(fd, names, size) : got == (ssize_t)size && !memcmp(there, names, size);
  free(there);
  return good;
}

static int open_rows(const collector *c, const char *path, const char *names, fault *f) {
  for (int n = 0; n < FILES; n++) {
    char *name = n ? path_format("%s-%d.csv", path, n) : path_format("%s.csv", path);
    int fd = name ? openat(c->folder, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd < 0) fault_errno(f, errno, "cannot open %s", name ? name : path);
    free(name);
    if (fd < 0) return -1;
    if (!flock(fd, LOCK_EX) && fits(fd, names)) return fd;
    close(fd);
  }
  fault_set(f, SDX_CONFLICT, "%s.csv has other headings", path);
  return -1;
}

static delivery write_rows(void *context, const char *bytes, size_t size, bool last, char *why, size_t why_size) {
  collector *c = context;
  fault f = {0};
  const char *path = bytes, *names = path + strlen(path) + 1, *rows = names + strlen(names) + 1;
  size_t length = strlen(rows);
  long day = (long)(clock_wall_ns() / 1000000000 / 86400);
  if (day != c->day) c->day = day, c->written = 0;
  c->written += length;
  if (c->written > c->options.day_bytes) {
    snprintf(why, why_size, "%llu bytes were collected today (limit collect-bytes)", (unsigned long long)c->written);
    return DELIVER_NEVER;
  }
  int fd = folder_make_parents(c->folder, path, 0700, &f) ? -1 : open_rows(c, path, names, &f);
  if (fd >= 0 && !file_write_all(fd, rows, length)) fault_errno(&f, errno, "cannot write %s", path);
  if (fd >= 0) close(fd);
  if (!f.status) return DELIVERED;
  snprintf(why, why_size, "%s", f.message);
  return DELIVER_AGAIN;
}

collector *collect_start(const collect_options *options) {
  static const char everywhere[] = "default/default/default/default";
  fault f = {0};
  collector *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->options = *options;
  c->place = options->place ? options->place : everywhere;
  char *root = path_format("%s/modeldata", options->folder);
  c->folder = -1;
  if (!path_beneath(c->place)) fault_set(&f, SDX_INVALID_ARGUMENT, "'%.100s' is no path of four names", c->place);
  else if (root && !folder_make_parents(AT_FDCWD, root, 0700, &f)) c->folder = folder_open(AT_FDCWD, root, 0700, &f);
  free(root);
  const courier_config config = {
      .what = "collected rows", .most_bytes = WAIT_BYTES, .attempts = ATTEMPTS, .deliver = write_rows, .context = c};
  if (c->folder >= 0) c->courier = courier_start(&config);
  if (c->courier) return c;
  log_line("error", "--collect: %s", f.status ? f.message : "memory or threads are exhausted");
  collect_stop(c);
  return NULL;
}

void collect_stop(collector *c) {
  if (!c) return;
  courier_stop(c->courier);
  if (c->folder >= 0) close(c->folder);
  free(c);
}

courier_counts collect_count(collector *c) { return courier_count(c->courier); }
