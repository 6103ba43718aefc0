// SPDX-License-Identifier: Apache-2.0
// Sizes as expressions of symbols, "(s0 + 1)//2": read by precedence, computed by nodes on int64 [1]. A symbol is the
// size of an input, or a number that an operator gave. Read next: pt2.h.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "convert/pt2.h"

enum { DEEPEST = 60 };

typedef struct reader {
  pt2 *p;
  const char *all, *at;
  unsigned depth;
} reader;

typedef struct term {
  bool known;
  int64_t number;
  sdx_ref ref;
} term;

static bool fail(reader *r) {
  return convert_failed(r->p->c) || convert_fail(r->p->c, SDX_NOT_SUPPORTED, "sizes", NULL,
                                                 "the expression '%.150s' is not understood at '%.30s'", r->all, r->at);
}

static void skip(reader *r) {
  while (*r->at == ' ') r->at++;
}

static bool next_is(reader *r, const char *what) {
  skip(r);
  size_t n = strlen(what);
  if (strncmp(r->at, what, n) != 0) return false;
  r->at += n;
  return true;
}

static sdx_ref ref_of(reader *r, term t) {
  return t.known ? sdx_graph_add_scalar(r->p->c->graph, SDX_INT64, (double)t.number) : t.ref;
}

static int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = wrap_div(a, b);
  return wrap_rem(a, b) != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static bool fold(const char *op, int64_t a, int64_t b, int64_t *y) {
  if (!strcmp(op, "Add")) return i64_add(a, b, y);
  if (!strcmp(op, "Sub")) return i64_add(a, wrap_neg(b), y);
  if (!strcmp(op, "Mul")) return i64_mul(a, b, y);
  if (!strcmp(op, "Max")) return *y = i64_max(a, b), true;
  if (!strcmp(op, "Min")) return *y = i64_min(a, b), true;
  if (b == 0) return false;
  *y = !strcmp(op, "Div") ? floor_div(a, b) : wrap_sub(a, wrap_mul(floor_div(a, b), b));
  return true;
}

// Sizes are not negative, so that Div and Mod need no care.
static bool combine(reader *r, const char *op, term a, term b, term *y) {
  *y = (term){.known = a.known && b.known};
  if (y->known) return fold(op, a.number, b.number, &y->number) || !fail(r);
  y->ref = net_node(&r->p->n, op, "size", SDX_REFS(ref_of(r, a), ref_of(r, b)));
  return y->ref != 0;
}

static bool read_sum(reader *r, term *y);

// A symbol is made where it is asked for first, in the graph of the model: all bodies see it there.
static sdx_ref size_of(pt2 *p, pt2_value *symbol) {
  sdx_graph *around = p->c->graph;
  if (symbol->tensor.ref) return symbol->tensor.ref;
  p->c->graph = sdx_builder_graph(p->c->builder);
  int64_t axis = (int64_t)symbol->tensor.rank;
  net_tensor sizes = net_shape_of(&p->n, symbol->base->tensor);
  symbol->tensor.ref = net_slice(&p->n, sizes, 0, axis, axis + 1, 1).ref;
  p->c->graph = around;
  return symbol->tensor.ref;
}

static bool read_symbol(reader *r, str name, term *y) {
  uint32_t at;
  if (!str_map_find(&r->p->symbol_scope.names, name, &at)) return !fail(r);
  *y = (term){.ref = size_of(r->p, r->p->values[at])};
  return y->ref != 0 || !fail(r);
}

static bool read_call(reader *r, str name, term *y) {
  static const char *const calls[][2] = {{"Max", "Max"},      {"Min", "Min"},  {"Mod", "Mod"},     {"PythonMod", "Mod"},
                                         {"FloorDiv", "Div"}, {"floor", NULL}, {"CleanDiv", "Div"}};
  term b;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (!str_is(name, calls[i][0])) continue;
    if (!read_sum(r, y)) return false;
    while (next_is(r, ","))
      if (!calls[i][1] || !read_sum(r, &b) || !combine(r, calls[i][1], *y, b, y)) return !fail(r);
    return next_is(r, ")") || !fail(r);
  }
  return !fail(r);
}

static bool read_atom(reader *r, term *y) {
  skip(r);
  const char *begin = r->at;
  if (next_is(r, "(")) return read_sum(r, y) && (next_is(r, ")") || !fail(r));
  if (isdigit((unsigned char)*begin)) {
    char *end;
    *y = (term){.known = true, .number = strtoll(begin, &end, 10)};
    r->at = end;
    return true;
  }
  while (isalnum((unsigned char)*r->at) || *r->at == '_') r->at++;
  str name = {begin, (size_t)(r->at - begin)};
  if (!name.size) return !fail(r);
  return next_is(r, "(") ? read_call(r, name, y) : read_symbol(r, name, y);
}

static bool read_power(reader *r, term *y) {
  if (!read_atom(r, y)) return false;
  if (!next_is(r, "**")) return true;
  term times, base = *y;
  if (!read_atom(r, &times)) return false;
  if (!times.known || times.number < 1 || times.number > NET_RANK) return !fail(r);
  for (int64_t i = 1; i < times.number; i++)
    if (!combine(r, "Mul", *y, base, y)) return false;
  return true;
}

static bool read_unary(reader *r, term *y) {
  if (!next_is(r, "-")) return read_power(r, y);
  return read_power(r, y) && combine(r, "Sub", (term){.known = true}, *y, y);
}

static bool read_product(reader *r, term *y) {
  term b;
  if (!read_unary(r, y)) return false;
  while (true) {
    const char *op = next_is(r, "//") || next_is(r, "/") ? "Div"
                     : next_is(r, "*")                   ? "Mul"
                     : next_is(r, "%")                   ? "Mod"
                                                         : NULL;
    if (!op) return true;
    if (!read_unary(r, &b) || !combine(r, op, *y, b, y)) return false;
  }
}

static bool read_sum(reader *r, term *y) {
  term b;
  if (++r->depth > DEEPEST || !read_product(r, y)) return !fail(r);
  while (true) {
    const char *op = next_is(r, "+") ? "Add" : next_is(r, "-") ? "Sub" : NULL;
    if (!op) break;
    if (!read_product(r, &b) || !combine(r, op, *y, b, y)) return false;
  }
  r->depth--;
  return true;
}

// ---- SymPy's other form -----------------------------------------------------------------------------

// "Add(Symbol('s0', positive=True, integer=True), Integer(1))", as newer versions write it, to "s0 + 1".
typedef struct printer {
  const char *at;
  text *to;
  unsigned depth;
} printer;

static bool print_term(printer *w, bool inside);

static str take_word(printer *w) {
  while (*w->at == ' ' || *w->at == ',') w->at++;
  size_t n = strspn(w->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  w->at += n;
  return (str){w->at - n, n};
}

// What stands between the quotes, and past the words behind them.
static bool print_symbol(printer *w) {
  if (*w->at++ != '\'') return false;
  size_t n = strcspn(w->at, "'"), rest = strcspn(w->at + n, ")");
  if (!w->at[n] || !w->at[n + rest]) return false;
  text_str(w->to, (str){w->at, n});
  w->at += n + rest + 1;
  return true;
}

static bool print_arguments(printer *w, const char *between, bool inside) {
  for (bool first = true; *w->at && *w->at != ')'; first = false) {
    if (!first) text_put(w->to, between);
    if (!print_term(w, inside)) return false;
    while (*w->at == ' ' || *w->at == ',') w->at++;
  }
  return *w->at++ == ')';
}

static bool print_term(printer *w, bool inside) {
  static const char *const operators[][2] = {{"Add", " + "}, {"Mul", "*"}, {"FloorDiv", "//"}, {"Pow", "**"}};
  str word = take_word(w);
  if (!word.size || ++w->depth > DEEPEST) return false;
  bool good = true;
  const char *between = NULL;
  for (size_t i = 0; i < 4; i++)
    if (str_is(word, operators[i][0])) between = operators[i][1];
  if (*w->at != '(') text_str(w->to, word);
  else if (w->at++, str_is(word, "Symbol")) good = print_symbol(w);
  else if (str_is(word, "Integer")) good = print_arguments(w, "", false);
  else {
    if (!between) text_str(w->to, word);
    if (inside || !between) text_put(w->to, "(");
    good = print_arguments(w, between ? between : ", ", between != NULL);
    if (inside || !between) text_put(w->to, ")");
  }
  w->depth--;
  return good;
}

const char *pt2_plain(pt2 *p, const char *expression) {
  text t = {0};
  printer w = {expression, &t, 0};
  if (!strstr(expression, "Symbol('")) return expression;
  bool good = print_term(&w, false) && !t.failed && t.at;
  const char *plain = good ? arena_format(p->c->memory, "%s", t.at) : expression;
  text_deinit(&t);
  return plain ? plain : "";
}

// ---- reading ----------------------------------------------------------------------------------------

bool pt2_expression_number(const char *expression, int64_t *number) {
  char *end;
  *number = strtoll(expression, &end, 10);
  return end > expression && !*end;
}

sdx_ref pt2_symbol(pt2 *p, const char *expression) {
  if (!expression) return net_fail(&p->n, SDX_NOT_SUPPORTED, NULL, "a size that nothing tells"), 0;
  reader r = {.p = p, .all = expression, .at = expression};
  term y;
  if (!read_sum(&r, &y)) return 0;
  skip(&r);
  if (*r.at) return fail(&r), 0;
  return y.known ? sdx_graph_add_ints(p->c->graph, 1, &y.number) : y.ref;
}

net_tensor pt2_scalar_of(pt2 *p, const char *expression) {
  int64_t number;
  if (pt2_expression_number(expression, &number)) return net_scalar(&p->n, SDX_INT64, (double)number);
  net_tensor y = {pt2_symbol(p, expression), SDX_INT64, 1, {1}};
  return y.ref ? net_squeeze(&p->n, y, 0) : y;
}
