// SPDX-License-Identifier: Apache-2.0
// Tables to inputs and outputs to tables (io.h). A row is an item of the batch. A column belongs to the input of its
// name, to an element of it ("x[2]"), or, where no column is named after an input, to the next feature.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "cli/csv.h"
#include "cli/files.h"
#include "cli/io.h"
#include "support/elements.h"

// ---- reading -----------------------------------------------------------------------------------

typedef struct mapping {
  const sdx_session *session;
  csv table;
  bool header;
  size_t rows;
  size_t *input, *feature;  // by column: the input (their number for none), and the which of its columns it is
} mapping;

static bool is_missing(const csv_cell *c) {
  static const char *const words[] = {"", "NA", "N/A", "nan", "null", "None"};
  for (size_t i = 0; i < sizeof words / sizeof *words && !c->quoted; i++)
    if (!strcasecmp(c->text, words[i])) return true;
  return false;
}

// With semicolons or tabs between cells, "1,5" is one and a half.
static bool read_number(const csv_cell *c, char separator, long double *number) {
  char text[128], *end, *comma;
  if (!*c->text || strlen(c->text) >= sizeof text) return false;
  snprintf(text, sizeof text, "%s", c->text);
  if (separator != ',' && !strchr(text, '.') && (comma = strchr(text, ','))) *comma = '.';
  *number = strtold(text, &end);
  return end != text && !*end;
}

static size_t inputs_of(const mapping *m) { return sdx_session_feed_count(m->session); }
static size_t needed_of(const mapping *m) { return sdx_session_input_count(m->session); }
static const sdx_io *input_at(const mapping *m, size_t i) { return sdx_session_input(m->session, i); }

// "x" and "x[3]"; the number of inputs where there is none.
static size_t find_input(const mapping *m, const char *name) {
  int64_t found = sdx_session_find_input(m->session, name);
  const char *open = strrchr(name, '[');
  if (found < 0 && open && open[1 + strspn(open + 1, "0123456789")] == ']') {
    char *base = xformat("%.*s", (int)(open - name), name);
    found = sdx_session_find_input(m->session, base);
    free(base);
  }
  return found < 0 ? inputs_of(m) : (size_t)found;
}

// A first row names the columns when it names an input, or when something in it is no number (where the model takes
// strings: when nothing in it is one).
static bool has_header(const mapping *m) {
  size_t numbers = 0, words = 0;
  bool strings = false;
  long double number;
  for (size_t i = 0; i < needed_of(m); i++) strings |= input_at(m, i)->dtype == SDX_STRING;
  for (size_t c = 0; c < m->table.columns; c++) {
    const csv_cell *cell = csv_at(&m->table, 0, c);
    if (find_input(m, cell->text) < inputs_of(m)) return true;
    if (read_number(cell, m->table.separator, &number)) numbers++;
    else words += !is_missing(cell);
  }
  return words && !(strings && numbers);
}

static const char *column_name(const mapping *m, size_t c, char buffer[80]) {
  if (m->header) snprintf(buffer, 80, "column %zu '%.40s'", c + 1, csv_at(&m->table, 0, c)->text);
  else snprintf(buffer, 80, "column %zu", c + 1);
  return buffer;
}

// Columns an input takes: all but its first dimension; 0: any number.
static size_t width_of(const sdx_io *io) {
  size_t width = 1;
  if (!io->has_shape) return 0;
  for (size_t d = 1; d < io->rank; d++)
    if (io->shape[d] < 0 || __builtin_mul_overflow(width, (size_t)io->shape[d], &width)) return 0;
  return width;
}

static bool unknown_columns(const mapping *m, why *w) {
  char *list = xstrdup("");
  for (size_t i = 0; i < inputs_of(m); i++) {
    char *more = xformat("%s%s'%s'", list, i ? ", " : "", input_at(m, i)->name);
    free(list);
    list = more;
  }
  for (size_t c = 0; c < m->table.columns; c++) {
    const char *name = csv_at(&m->table, 0, c)->text;
    str_nearest nearest;
    str_nearest_init(&nearest, str_from(name));
    for (size_t i = 0; i < inputs_of(m); i++) str_nearest_offer(&nearest, str_from(input_at(m, i)->name));
    if (m->input[c] < inputs_of(m) || (!nearest.best.at && c + 1 < m->table.columns)) continue;
    why_set(w, "column %zu '%.60s': the model has no such input%s%.*s%s; its inputs are: %.300s", c + 1, name,
            nearest.best.at ? "; did you mean '" : "", STR_ARG(nearest.best), nearest.best.at ? "'?" : "", list);
    break;
  }
  free(list);
  return false;
}

// Without names that fit: one input takes all columns, several take theirs in order.
static bool map_by_order(mapping *m, why *w) {
  size_t column = 0, inputs = needed_of(m), columns = m->table.columns;
  for (size_t i = 0; i < inputs; i++) {
    size_t width = inputs == 1 ? columns : width_of(input_at(m, i));
    for (size_t k = 0; k < (width ? width : 1) && column < columns; k++) m->input[column++] = i;
  }
  size_t wanted = 0;
  for (size_t i = 0; i < inputs; i++) wanted += inputs == 1 ? columns : width_of(input_at(m, i));
  if (wanted == columns) return true;
  return (bool)why_set(w, "%zu columns without names for %zu inputs that take %zu; name them in a first row", columns,
                       inputs, wanted);
}

static bool map_columns(mapping *m, int64_t only, why *w) {
  size_t named = 0, inputs = inputs_of(m);
  for (size_t c = 0; c < m->table.columns; c++) {
    m->input[c] = only >= 0 ? (size_t)only : m->header ? find_input(m, csv_at(&m->table, 0, c)->text) : inputs;
    named += m->input[c] < inputs;
  }
  if (!named && needed_of(m) > 1 && m->header) return unknown_columns(m, w);
  if (!named) return needed_of(m) ? map_by_order(m, w) : (bool)why_set(w, "the model has no inputs");
  for (size_t i = 0; i < inputs && named < m->table.columns; i++) {
    bool given = input_at(m, i)->may_be_left_out;
    for (size_t c = 0; c < m->table.columns; c++) given |= m->input[c] == i;
    if (!given) return unknown_columns(m, w);  // its column may be one of those that are left
  }
  for (size_t c = 0; c < m->table.columns; c++) {
    char name[80];
    if (m->input[c] == inputs) cli_note("%s is no input of the model and not used", column_name(m, c, name));
  }
  return true;
}

static bool store(const mapping *m, sdx_value *v, size_t at, const csv_cell *cell, const char **wrong) {
  long double number = 0;
  sdx_dtype dtype = sdx_tensor_dtype(v);
  if (dtype == SDX_STRING) return !sdx_tensor_set_string(v, at, cell->text, strlen(cell->text));
  if (is_missing(cell)) {
    *wrong = "a missing value, which";
    if (dtype_is_real(dtype)) element_set(v, at, NAN);
    return dtype_is_real(dtype);
  }
  if (dtype == SDX_BOOL && (!strcasecmp(cell->text, "true") || !strcasecmp(cell->text, "false")))
    number = *cell->text == 't' || *cell->text == 'T';
  else if (!read_number(cell, m->table.separator, &number)) return *wrong = "no number, which", false;
  element_set(v, at, number);
  *wrong = "a number that";
  return isnan(number) ? dtype_is_real(dtype) : element_holds(v, at, number);
}

// The shape of `width` columns for an input. False: they do not fit.
static bool shape_of(const mapping *m, const sdx_io *io, size_t width, size_t *rank, int64_t *shape) {
  *rank = io->has_shape ? io->rank : width == 1 ? 1 : 2;
  if (*rank > 64) return false;
  for (size_t d = 0; d < *rank; d++) shape[d] = io->has_shape ? io->shape[d] : -1;
  if (*rank == 0) return m->rows == 1 && width == 1;
  if (*rank == 1 && width > 1) {  // one row of a vector
    if (m->rows != 1 || (shape[0] >= 0 && shape[0] != (int64_t)width)) return false;
    shape[0] = (int64_t)width;
    return true;
  }
  if (shape[0] >= 0 && shape[0] != (int64_t)m->rows) return false;
  shape[0] = (int64_t)m->rows;
  size_t fixed = 1, open = 0;
  for (size_t d = 1; d < *rank; d++) {
    if (shape[d] < 0 && open) shape[d] = 1;
    else if (shape[d] < 0) open = d;
    if (d != open && __builtin_mul_overflow(fixed, (size_t)shape[d], &fixed)) return false;
  }
  if (open && fixed && width % fixed == 0) shape[open] = (int64_t)(width / fixed);
  else if (open || fixed != width) return false;
  return true;
}

// "x[2]" is the third column of x wherever it stands. False: not each of them is there once.
static bool order_features(mapping *m, size_t input, size_t width) {
  bool *seen = xmalloc(width * sizeof *seen), ok = true;
  size_t next = 0;
  for (size_t c = 0; c < m->table.columns; c++) {
    if (m->input[c] != input) continue;
    const char *name = m->header ? csv_at(&m->table, 0, c)->text : "", *open = strrchr(name, '[');
    bool indexed = open && sdx_session_find_input(m->session, name) < 0 && open[1] >= '0' && open[1] <= '9';
    m->feature[c] = indexed ? strtoul(open + 1, NULL, 10) : next++;
    ok = ok && m->feature[c] < width && !seen[m->feature[c]];
    if (ok) seen[m->feature[c]] = true;
  }
  free(seen);
  return ok;
}

static sdx_value *read_input(mapping *m, size_t input, why *w) {
  const sdx_io *io = input_at(m, input);
  size_t width = 0, rank, first = m->header;
  int64_t shape[64];
  char wanted[256], name[80];
  const char *wrong = "something that";
  io_describe(io, wanted, sizeof wanted);
  for (size_t c = 0; c < m->table.columns; c++) width += m->input[c] == input;
  if (!dtype_is_number(io->dtype) && io->dtype != SDX_STRING)
    return why_set(w, "input '%.100s': a table cannot hold %s", io->name, wanted);
  if (!shape_of(m, io, width, &rank, shape))
    return why_set(w, "%zu row%s of %zu column%s do not fit input '%.100s', which takes %s", m->rows,
                   m->rows == 1 ? "" : "s", width, width == 1 ? "" : "s", io->name, wanted);
  if (!order_features(m, input, width))
    return why_set(w, "the columns of input '%.100s' are not each of %.100s[0] to [%zu] once", io->name, io->name,
                   width - 1);
  sdx_value *v = sdx_tensor_create(io->dtype, rank, shape);
  if (!v) return why_set(w, "not enough memory for input '%.100s'", io->name);
  for (size_t r = 0; r < m->rows; r++)
    for (size_t c = 0; c < m->table.columns; c++) {
      const csv_cell *cell = csv_at(&m->table, r + first, c);
      if (m->input[c] != input || store(m, v, r * width + m->feature[c], cell, &wrong)) continue;
      sdx_value_release(v);
      return why_set(w, "row %zu, %s: '%.40s' is %s %s cannot hold", r + 1, column_name(m, c, name), cell->text, wrong,
                     sdx_dtype_name(io->dtype));
    }
  return v;
}

bool csv_read(const char *bytes, size_t size, const sdx_session *session, int64_t only, named_values *out, why *w) {
  mapping m = {.session = session};
  char message[CSV_MESSAGE];
  if (!csv_parse(&m.table, bytes, size, message)) return (bool)why_set(w, "%s", message);
  m.header = has_header(&m);
  m.rows = m.table.rows - m.header;
  m.input = xmalloc(m.table.columns * sizeof *m.input);
  m.feature = xmalloc(m.table.columns * sizeof *m.feature);
  bool ok = (m.rows || why_set(w, "there are no rows below the names of the columns")) && map_columns(&m, only, w);
  for (size_t i = 0; i < inputs_of(&m) && ok; i++) {
    bool given = false;
    for (size_t c = 0; c < m.table.columns; c++) given |= m.input[c] == i;
    sdx_value *v = given ? read_input(&m, i, w) : NULL;
    if (v) named_add(out, input_at(&m, i)->name, v);
    ok = v || !given;
  }
  if (!ok) named_clear(out);
  free(m.input);
  free(m.feature);
  csv_free(&m.table);
  return ok;
}

// ---- writing -----------------------------------------------------------------------------------

// Where the cells of an output come from: a tensor's rows, or the maps of a sequence.
static bool output_size(const sdx_value *v, size_t *rows, size_t *columns) {
  *rows = *columns = 1;
  if (!v) return false;
  if (sdx_value_kind(v) == SDX_KIND_TENSOR) {
    size_t rank = sdx_tensor_rank(v), count = sdx_tensor_count(v);
    if (dtype_is_complex(sdx_tensor_dtype(v))) return false;
    if (rank) *rows = (size_t)sdx_tensor_shape(v)[0];
    if (rank > 1) *columns = *rows ? count / *rows : 0;
    return true;
  }
  const sdx_value *map = v;
  if (sdx_value_kind(v) == SDX_KIND_SEQUENCE) {
    *rows = sdx_value_item_count(v);
    map = *rows ? sdx_value_item(v, 0) : NULL;
  }
  if (!map) return *columns = 0, true;
  if (sdx_value_kind(map) != SDX_KIND_MAP) return false;
  *columns = sdx_tensor_count(sdx_value_item(map, 0));
  for (size_t r = 0; r < *rows && map != v; r++) {
    const sdx_value *other = sdx_value_item(v, r);
    if (sdx_value_kind(other) != SDX_KIND_MAP || sdx_tensor_count(sdx_value_item(other, 0)) != *columns) return false;
  }
  return true;
}

static void put_text(FILE *f, const char *text, size_t size) {
  bool plain = size && !memchr(text, ',', size) && !memchr(text, '"', size) && !memchr(text, '\n', size) &&
               !memchr(text, '\r', size) && !strchr(" \t", text[0]) && !strchr(" \t", text[size - 1]);
  if (!plain) fputc('"', f);
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '"') fputc('"', f);
    fputc(text[i], f);
  }
  if (!plain) fputc('"', f);
}

static void put_element(FILE *f, const sdx_value *v, size_t i) {
  char text[NUMBER_TEXT > 64 ? NUMBER_TEXT : 64];
  size_t length;
  sdx_dtype dtype = sdx_tensor_dtype(v);
  if (dtype == SDX_STRING) {
    const char *string = sdx_tensor_string(v, i, &length);
    put_text(f, string ? string : "", string ? length : 0);
    return;
  }
  long double number = element_number(v, i);
  if (isnan(number)) fputs("NaN", f);
  else if (!dtype_is_real(dtype) || isinf(number)) fputs(element_text(v, i, text, sizeof text), f);
  else {
    number_print(text, (double)number, dtype != SDX_DOUBLE);
    fputs(text, f);
  }
}

static void put_name(FILE *f, const struct named_value *output, size_t column, size_t columns) {
  const sdx_value *v = output->value;
  char *name;
  if (sdx_value_kind(v) == SDX_KIND_TENSOR) {
    name = columns == 1 ? xstrdup(output->name) : xformat("%s[%zu]", output->name, column);
  } else {
    const sdx_value *keys = sdx_value_item(sdx_value_kind(v) == SDX_KIND_MAP ? v : sdx_value_item(v, 0), 0);
    size_t length = 0;
    char number[32];
    const char *key = sdx_tensor_dtype(keys) == SDX_STRING ? sdx_tensor_string(keys, column, &length)
                                                           : element_text(keys, column, number, sizeof number);
    name = xformat("%s[%.*s]", output->name, (int)(key == number ? strlen(key) : length), key);
  }
  put_text(f, name, strlen(name));
  free(name);
}

static void put_cell(FILE *f, const sdx_value *v, size_t row, size_t column, size_t columns) {
  if (sdx_value_kind(v) == SDX_KIND_TENSOR) put_element(f, v, row * columns + column);
  else put_element(f, sdx_value_item(sdx_value_kind(v) == SDX_KIND_MAP ? v : sdx_value_item(v, row), 1), column);
}

// Row 0 holds the names.
static void put_row(FILE *f, const named_values *list, size_t row) {
  bool first = true;
  for (size_t i = 0; i < list->count; i++) {
    size_t rows, columns;
    output_size(list->at[i].value, &rows, &columns);
    for (size_t c = 0; c < columns; c++) {
      if (!first) fputc(',', f);
      first = false;
      if (row) put_cell(f, list->at[i].value, row - 1, c, columns);
      else put_name(f, &list->at[i], c, columns);
    }
  }
  fputc('\n', f);
}

bool csv_write(const char *path, const named_values *list, why *w) {
  size_t rows = 0, others, columns;
  for (size_t i = 0; i < list->count; i++) {
    if (!output_size(list->at[i].value, &others, &columns))
      return (bool)why_set(w, "output '%.100s' is no table; use .json or .npz, or --outputs", list->at[i].name);
    if (i && others != rows)
      return (bool)why_set(w, "outputs '%.100s' of %zu rows and '%.100s' of %zu make no table; choose with --outputs",
                           list->at[0].name, rows, list->at[i].name, others);
    rows = others;
  }
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  for (size_t r = 0; f && r <= rows; r++) put_row(f, list, r);
  bool ok =
      f && !fclose(f) ? file_write(path, false, text, size, w) : (bool)why_set(w, "not enough memory for %s", path);
  free(text);
  return ok;
}
