// SPDX-License-Identifier: Apache-2.0
// From a pattern to its tree: sets of code points, then a descent by precedence that ends in regex_parse.
#include "base/unicode.h"
#include "ops/parts/regex_tree.h"

enum { FOLD = 1, DOT_ALL = 2, MULTI_LINE = 4, UNGREEDY = 8 };  // (?i) (?s) (?m) (?U)

typedef struct parser {
  arena *memory;
  str in;
  size_t at;
  unsigned flags, depth, folded;
  const char *problem;
} parser;

static re_node *fail(parser *p, const char *problem) {
  if (!p->problem) p->problem = problem;
  return NULL;
}
static re_node *new_node(parser *p, node_kind kind) {
  re_node *n = arena_zalloc(p->memory, sizeof *n);
  if (n) n->kind = kind;
  return n;
}
static bool more(const parser *p) { return p->at < p->in.size; }
static char peek(const parser *p) { return more(p) ? p->in.at[p->at] : 0; }
static bool take(parser *p, const char *text) {
  size_t n = strlen(text);
  if (p->in.size - p->at < n || memcmp(p->in.at + p->at, text, n) != 0) return false;
  p->at += n;
  return true;
}

// ---- sets of code points --------------------------------------------------------------------------

typedef struct set {
  range *at;
  uint32_t count, capacity;
} set;

static bool set_add(parser *p, set *s, int32_t low, int32_t high) {
  if (s->count == REGEX_MAX_RANGES) {
    fail(p, "a class of too many ranges");
    return false;
  }
  if (s->count == s->capacity) {
    uint32_t capacity = s->capacity ? s->capacity * 2 : 8;
    range *at = arena_array(p->memory, capacity, sizeof *at);
    if (!at) return false;
    if (s->count) memcpy(at, s->at, s->count * sizeof *at);
    s->at = at;
    s->capacity = capacity;
  }
  s->at[s->count++] = (range){low, high};
  return true;
}

// Sorts and joins. Sets are short: insertion is enough.
static void set_normalize(set *s) {
  for (uint32_t i = 1; i < s->count; i++)
    for (uint32_t k = i; k > 0 && s->at[k].low < s->at[k - 1].low; k--) {
      range swap = s->at[k];
      s->at[k] = s->at[k - 1], s->at[k - 1] = swap;
    }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->count; i++) {
    if (kept && s->at[i].low <= s->at[kept - 1].high + 1) {
      if (s->at[i].high > s->at[kept - 1].high) s->at[kept - 1].high = s->at[i].high;
    } else {
      s->at[kept++] = s->at[i];
    }
  }
  s->count = kept;
}

enum { CODE_MAX = 0x10ffff };

static bool set_invert(parser *p, set *s) {
  set out = {0};
  int32_t next = 0;
  set_normalize(s);
  for (uint32_t i = 0; i < s->count; i++) {
    if (s->at[i].low > next && !set_add(p, &out, next, s->at[i].low - 1)) return false;
    next = s->at[i].high + 1;
  }
  if (next <= CODE_MAX && !set_add(p, &out, next, CODE_MAX)) return false;
  *s = out;
  return true;
}

// Both cases of every letter. Wide ranges are walked up to the last letter that has cases.
static bool set_fold(parser *p, set *s) {
  enum { LAST_CASED = 0x1e943 };
  set_normalize(s);
  for (uint32_t i = 0, n = s->count; i < n; i++) {
    int32_t end = s->at[i].high < LAST_CASED ? s->at[i].high : LAST_CASED;
    for (int32_t code = s->at[i].low; code <= end; code++) {
      int32_t lower = unicode_lower(code), other = lower == code ? unicode_upper(code) : lower;
      if (other != code && !set_add(p, s, other, other)) return false;
      if (++p->folded > REGEX_MAX_FOLDED) {
        fail(p, "classes too large to match both cases");
        return false;
      }
    }
  }
  return true;
}

static re_node *set_node(parser *p, set *s) {
  set_normalize(s);
  re_node *n = new_node(p, NODE_SET);
  if (n) n->ranges = s->at, n->count = s->count;
  return n;
}

static re_node *literal(parser *p, int32_t code) {
  set s = {0};
  if (!set_add(p, &s, code, code) || ((p->flags & FOLD) && !set_fold(p, &s))) return NULL;
  return set_node(p, &s);
}

typedef struct named_set {
  const char *name;
  range ranges[4];
  int count;
} named_set;
static const named_set perl_sets[] = {
    {"d", {{'0', '9'}}, 1},
    {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}, 3},
    {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
};
static const named_set posix_sets[] = {
    {"alnum:]", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
    {"alpha:]", {{'A', 'Z'}, {'a', 'z'}}, 2},
    {"ascii:]", {{0, 127}}, 1},
    {"blank:]", {{'\t', '\t'}, {' ', ' '}}, 2},
    {"cntrl:]", {{0, 31}, {127, 127}}, 2},
    {"digit:]", {{'0', '9'}}, 1},
    {"graph:]", {{'!', '~'}}, 1},
    {"lower:]", {{'a', 'z'}}, 1},
    {"print:]", {{' ', '~'}}, 1},
    {"punct:]", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, 4},
    {"space:]", {{'\t', '\r'}, {' ', ' '}}, 2},
    {"upper:]", {{'A', 'Z'}}, 1},
    {"word:]", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
    {"xdigit:]", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
};

static bool add_named(parser *p, set *s, const named_set *named, bool inverted) {
  set own = {0};
  for (int i = 0; i < named->count; i++)
    if (!set_add(p, &own, named->ranges[i].low, named->ranges[i].high)) return false;
  if ((p->flags & FOLD) && !set_fold(p, &own)) return false;
  if (inverted && !set_invert(p, &own)) return false;
  for (uint32_t i = 0; i < own.count; i++)
    if (!set_add(p, s, own.at[i].low, own.at[i].high)) return false;
  return true;
}

// \d \D \s ... behind the backslash. 1: added, 0: something else, -1: memory.
static int add_perl(parser *p, set *s) {
  for (size_t i = 0; i < sizeof perl_sets / sizeof *perl_sets; i++) {
    char small = perl_sets[i].name[0], x = peek(p);
    if (x != small && x != small - 32) continue;
    p->at++;
    return add_named(p, s, &perl_sets[i], x != small) ? 1 : -1;
  }
  return 0;
}
// The same for [:alpha:] and [:^alpha:] behind "[:".
static int add_posix(parser *p, set *s) {
  bool inverted = take(p, "^");
  for (size_t i = 0; i < sizeof posix_sets / sizeof *posix_sets; i++)
    if (take(p, posix_sets[i].name)) return add_named(p, s, &posix_sets[i], inverted) ? 1 : -1;
  return 0;
}

// ---- parse ----------------------------------------------------------------------------------------

static int digit_of(char x, int base) {
  int v = x >= '0' && x <= '9'   ? x - '0'
          : x >= 'a' && x <= 'f' ? x - 'a' + 10
          : x >= 'A' && x <= 'F' ? x - 'A' + 10
                                 : 99;
  return v < base ? v : -1;
}

// A code point from the digits ahead; -1: none or too large.
static int32_t number(parser *p, int base, int least, int most) {
  int32_t code = 0;
  int n = 0;
  for (; n < most && digit_of(peek(p), base) >= 0 && code <= CODE_MAX; n++, p->at++)
    code = code * base + digit_of(peek(p), base);
  return n < least || code > CODE_MAX ? -1 : code;
}

// The character of an escape, behind the backslash; -1: problem set.
static int32_t escape(parser *p) {
  static const char *const plain = "a\af\fn\nr\rt\tv\v";
  char x = peek(p);
  int32_t code = -1;
  for (const char *e = plain; *e; e += 2)
    if (x == e[0] && more(p)) {
      p->at++;
      return e[1];
    }
  if (take(p, "x{")) {
    code = number(p, 16, 1, 8);
    if (code >= 0 && !take(p, "}")) code = -1;
  } else if (take(p, "x")) {
    code = number(p, 16, 2, 2);
  } else if (x >= '0' && x <= '7' && more(p)) {
    if (x == '0' || (p->in.size - p->at > 1 && digit_of(p->in.at[p->at + 1], 8) >= 0)) code = number(p, 8, 1, 3);
  } else if (more(p) && (unsigned char)x < 0x80 && x != '_' && digit_of(x, 10) < 0 &&
             !((x | 32) >= 'a' && (x | 32) <= 'z')) {
    p->at++;
    return x;
  }
  if (code < 0) fail(p, "an escape that is not known");
  return code;
}

static int32_t character(parser *p) {
  int32_t code = utf8_next(p->in, &p->at);
  if (code < 0) fail(p, "invalid UTF-8");
  return code;
}

// One end of a range inside of brackets.
static int32_t bracket_character(parser *p) {
  if (!more(p)) {
    fail(p, "a missing ]");
    return -1;
  }
  return take(p, "\\") ? escape(p) : character(p);
}

static re_node *bracket(parser *p) {
  set s = {0};
  bool inverted = take(p, "^");
  for (bool first = true; first || peek(p) != ']'; first = false) {
    if (!more(p)) return fail(p, "a missing ]");
    size_t here = p->at;
    if (take(p, "[:")) {
      int added = add_posix(p, &s);
      if (added < 0) return NULL;
      if (added) continue;
      p->at = here;
    } else if (take(p, "\\")) {
      int added = add_perl(p, &s);
      if (added < 0) return NULL;
      if (added) continue;
      p->at = here;
    }
    int32_t low = bracket_character(p), high = low;
    if (low < 0) return NULL;
    if (peek(p) == '-' && p->in.size - p->at > 1 && p->in.at[p->at + 1] != ']') {
      p->at++;
      high = bracket_character(p);
      if (high < 0) return NULL;
      if (high < low) return fail(p, "a range that ends before it begins");
    }
    if (!set_add(p, &s, low, high)) return NULL;
  }
  p->at++;
  if ((p->flags & FOLD) && !set_fold(p, &s)) return NULL;
  if (inverted && !set_invert(p, &s)) return NULL;
  return set_node(p, &s);
}

static re_node *assert_node(parser *p, assertion a) {
  re_node *n = new_node(p, NODE_ASSERT);
  if (n) n->assertion = a;
  return n;
}

// \Q...\E
static re_node *quoted(parser *p) {
  re_node *list = new_node(p, NODE_LIST);
  for (re_node **end = list ? &list->child : NULL; end && more(p) && !take(p, "\\E"); end = &(*end)->next) {
    int32_t code = character(p);
    if (code < 0 || !(*end = literal(p, code))) return NULL;
  }
  return list;
}

static re_node *escaped(parser *p) {
  set s = {0};
  if (take(p, "A")) return assert_node(p, TEXT_BEGIN);
  if (take(p, "z")) return assert_node(p, TEXT_END);
  if (take(p, "b")) return assert_node(p, WORD_EDGE);
  if (take(p, "B")) return assert_node(p, NOT_WORD_EDGE);
  if (take(p, "Q")) return quoted(p);
  if (peek(p) == 'p' || peek(p) == 'P') return fail(p, "a Unicode class (\\p), which is not supported");
  if (peek(p) == 'C') return fail(p, "\\C, which is not supported");
  int added = add_perl(p, &s);
  if (added) return added < 0 ? NULL : set_node(p, &s);
  int32_t code = escape(p);
  return code < 0 ? NULL : literal(p, code);
}

static re_node *parse_either(parser *p);

// Flags behind "(?": returns false on a fault; *group: a group follows (the colon was read).
static bool read_flags(parser *p, bool *group) {
  bool off = false, any = false;
  for (;; p->at++, any = true) {
    char x = peek(p);
    unsigned flag = x == 'i' ? FOLD : x == 's' ? DOT_ALL : x == 'm' ? MULTI_LINE : x == 'U' ? UNGREEDY : 0;
    if (flag) p->flags = off ? p->flags & ~flag : p->flags | flag;
    else if (x == '-' && !off) off = true;
    else break;
  }
  *group = take(p, ":");
  return *group || (any && take(p, ")"));
}

static bool skip_name(parser *p) {
  size_t first = p->at;
  for (char x = peek(p); x == '_' || digit_of(x, 10) >= 0 || ((x | 32) >= 'a' && (x | 32) <= 'z'); x = peek(p)) p->at++;
  return p->at > first && take(p, ">");
}

static re_node *parenthesis(parser *p) {
  unsigned flags = p->flags;
  bool group = true;
  if (take(p, "?P<") || take(p, "?<")) {
    if (!skip_name(p)) return fail(p, "a group whose name is not valid");
  } else if (take(p, "?")) {
    if (!read_flags(p, &group)) return fail(p, "a group that is not known");
    if (!group) return new_node(p, NODE_EMPTY);  // flags for the rest of the enclosing group
  }
  if (++p->depth > REGEX_MAX_DEPTH) return fail(p, "groups nested too deeply");
  re_node *inner = parse_either(p);
  p->depth--;
  if (!inner) return NULL;
  if (!take(p, ")")) return fail(p, "a missing )");
  p->flags = flags;
  return inner;
}

static re_node *atom(parser *p) {
  set s = {0};
  if (take(p, "(")) return parenthesis(p);
  if (take(p, "[")) return bracket(p);
  if (take(p, "\\")) return more(p) ? escaped(p) : fail(p, "a backslash at the end");
  if (take(p, "^")) return assert_node(p, p->flags & MULTI_LINE ? LINE_BEGIN : TEXT_BEGIN);
  if (take(p, "$")) return assert_node(p, p->flags & MULTI_LINE ? LINE_END : TEXT_END);
  if (take(p, ".")) {
    if (!(p->flags & DOT_ALL) && (!set_add(p, &s, '\n', '\n') || !set_invert(p, &s))) return NULL;
    if ((p->flags & DOT_ALL) && !set_add(p, &s, 0, CODE_MAX)) return NULL;
    return set_node(p, &s);
  }
  if (peek(p) == '*' || peek(p) == '+' || peek(p) == '?') return fail(p, "a repetition of nothing");
  int32_t code = character(p);
  return code < 0 ? NULL : literal(p, code);
}

static int32_t repeat_count(parser *p) {
  int32_t n = -1;
  for (; digit_of(peek(p), 10) >= 0; p->at++) {
    if (n < 0) n = 0;
    if (n <= REGEX_MAX_REPEAT) n = n * 10 + digit_of(peek(p), 10);
  }
  return n;
}

// * + ? {n} {n,} {n,m}; a brace that begins none of these is a character.
static bool repetition(parser *p, int32_t *low, int32_t *high) {
  size_t here = p->at;
  if (take(p, "*")) *low = 0, *high = -1;
  else if (take(p, "+")) *low = 1, *high = -1;
  else if (take(p, "?")) *low = 0, *high = 1;
  else if (!take(p, "{")) return false;
  else {
    *low = *high = repeat_count(p);
    if (*low >= 0 && take(p, ",")) *high = repeat_count(p);
    if (*low < 0 || !take(p, "}")) {
      p->at = here;
      return false;
    }
    if (*low > REGEX_MAX_REPEAT || *high > REGEX_MAX_REPEAT || (*high >= 0 && *high < *low))
      fail(p, "a repetition count that is not valid");
  }
  take(p, "?");  // lazy
  return true;
}

static re_node *repeated(parser *p) {
  re_node *n = atom(p);
  int32_t low, high;
  for (int layers = 0; n && repetition(p, &low, &high); layers++) {
    if (p->problem) return NULL;
    if (layers) return fail(p, "a repetition of a repetition");
    re_node *outer = new_node(p, NODE_REPEAT);
    if (!outer) return NULL;
    outer->child = n, outer->low = low, outer->high = high;
    n = outer;
  }
  return n;
}

static re_node *parse_list(parser *p) {
  re_node *list = new_node(p, NODE_LIST);
  for (re_node **end = list ? &list->child : NULL; end && more(p) && peek(p) != '|' && peek(p) != ')';
       end = &(*end)->next)
    if (!(*end = repeated(p))) return NULL;
  return list;
}

static re_node *parse_either(parser *p) {
  re_node *either = new_node(p, NODE_EITHER);
  if (!either) return NULL;
  re_node **end = &either->child;
  do {
    if (!(*end = parse_list(p))) return NULL;
    end = &(*end)->next;
  } while (take(p, "|"));
  return either;
}

const re_node *regex_parse(arena *memory, str pattern, const char **problem, size_t *at) {
  parser p = {.memory = memory, .in = pattern};
  re_node *tree = pattern.size > REGEX_MAX_BYTES ? fail(&p, "a pattern that is too long") : parse_either(&p);
  if (tree && more(&p)) tree = fail(&p, "a ) that closes nothing");
  *problem = p.problem;
  *at = p.at;
  return p.problem ? NULL : tree;
}
