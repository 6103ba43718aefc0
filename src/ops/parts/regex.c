// SPDX-License-Identifier: Apache-2.0
// See regex.h. Three steps: the pattern becomes a tree (regex_parse.c), the tree a program of a few instructions,
// and the program runs as a set of positions. Read in this order: emit, regex_matches.
#include "base/pool.h"
#include "base/unicode.h"
#include "ops/parts/regex_tree.h"

// ---- program --------------------------------------------------------------------------------------

typedef enum opcode { OP_SET, OP_ASSERT, OP_SPLIT, OP_JUMP, OP_MATCH } opcode;

typedef struct instruction {
  opcode op;
  uint32_t x, y;  // next instructions; OP_ASSERT: y is the assertion
  const range *ranges;
  uint32_t count;
} instruction;

struct regex {
  instruction *code;
  uint32_t count;
};

typedef struct emitter {
  instruction *code;
  uint32_t count;
  bool full;
} emitter;

static uint32_t emit_one(emitter *e, opcode op, uint32_t x, uint32_t y) {
  if (e->count == REGEX_MAX_PROGRAM) {
    e->full = true;
    return 0;
  }
  e->code[e->count] = (instruction){.op = op, .x = x, .y = y};
  return e->count++;
}

static void emit(emitter *e, const re_node *n);

// child{low,high}: `low` copies, then a loop, or copies that may each be the last. What emits nothing matches the
// empty text, however often.
static void emit_repeat(emitter *e, const re_node *n) {
  uint32_t start = e->count;
  for (int32_t i = 0; i < n->low && !e->full; i++) {
    emit(e, n->child);
    if (e->count == start) return;
  }
  if (n->high < 0) {
    uint32_t split = emit_one(e, OP_SPLIT, e->count + 1, 0);
    emit(e, n->child);
    emit_one(e, OP_JUMP, split, 0);
    e->code[split].y = e->count;
    return;
  }
  // Every split leaves to the end, which is known only then: until that they hang on a chain.
  uint32_t chain = UINT32_MAX;
  for (int32_t i = n->low; i < n->high && !e->full; i++) {
    uint32_t split = emit_one(e, OP_SPLIT, e->count + 1, chain);
    emit(e, n->child);
    if (e->full) return;
    chain = split;
  }
  while (chain != UINT32_MAX) {
    uint32_t before = e->code[chain].y;
    e->code[chain].y = e->count;
    chain = before;
  }
}

static void emit_either(emitter *e, const re_node *n) {
  uint32_t chain = UINT32_MAX;  // of jumps to the end
  for (const re_node *child = n->child; child && !e->full; child = child->next) {
    uint32_t split = child->next ? emit_one(e, OP_SPLIT, e->count + 1, 0) : 0;
    emit(e, child);
    if (!child->next || e->full) break;
    chain = emit_one(e, OP_JUMP, chain, 0);
    e->code[split].y = e->count;
  }
  while (!e->full && chain != UINT32_MAX) {
    uint32_t before = e->code[chain].x;
    e->code[chain].x = e->count;
    chain = before;
  }
}

static void emit(emitter *e, const re_node *n) {
  if (e->full) return;
  if (n->kind == NODE_LIST) {
    for (const re_node *child = n->child; child; child = child->next) emit(e, child);
  } else if (n->kind == NODE_EITHER) {
    emit_either(e, n);
  } else if (n->kind == NODE_REPEAT) {
    emit_repeat(e, n);
  } else if (n->kind == NODE_ASSERT) {
    emit_one(e, OP_ASSERT, e->count + 1, n->assertion);
  } else if (n->kind == NODE_SET) {
    uint32_t at = emit_one(e, OP_SET, e->count + 1, 0);
    if (!e->full) e->code[at].ranges = n->ranges, e->code[at].count = n->count;
  }
}

const regex *regex_compile(arena *memory, str pattern, const char **problem, size_t *at) {
  const re_node *tree = regex_parse(memory, pattern, problem, at);
  if (!tree) return NULL;
  emitter e = {.code = mem_alloc(memory->account, REGEX_MAX_PROGRAM * sizeof *e.code)};
  regex *r = arena_zalloc(memory, sizeof *r);
  if (!e.code || !r) {
    mem_free(e.code);
    return NULL;
  }
  emit(&e, tree);
  emit_one(&e, OP_MATCH, 0, 0);
  if (e.full) *problem = "too much repetition: the pattern's program is too large";
  else r->code = arena_copy(memory, e.code, e.count * sizeof *e.code), r->count = e.count;
  mem_free(e.code);
  return e.full || !r->code ? NULL : r;
}

// ---- matching -------------------------------------------------------------------------------------

// Instructions that wait for the next character, each once: `mark` tells which step listed it.
typedef struct positions {
  uint32_t *at, count;
  uint32_t *starts;  // where the match of each began; NULL: nobody asks
} positions;

typedef struct matcher {
  const regex *r;
  uint64_t *marks, step;
  uint32_t *stack;
  bool matched;
  int32_t before, after;  // characters around the place, -1 at the ends of the text; -2: not UTF-8
} matcher;

size_t regex_scratch_bytes(const regex *r) { return r->count * (sizeof(uint64_t) + 5 * sizeof(uint32_t)) + 16; }

static bool is_word(int32_t code) {
  return code == '_' || (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z');
}

static bool holds(const matcher *m, assertion a) {
  switch (a) {
    case TEXT_BEGIN:
      return m->before == -1;
    case TEXT_END:
      return m->after == -1;
    case LINE_BEGIN:
      return m->before == -1 || m->before == '\n';
    case LINE_END:
      return m->after == -1 || m->after == '\n';
    case WORD_EDGE:
      return is_word(m->before) != is_word(m->after);
    case NOT_WORD_EDGE:
      return is_word(m->before) == is_word(m->after);
  }
  return false;
}

// Everything that is reached from `first` without reading a character. Marked when pushed, so the stack holds each
// instruction once.
static void follow(matcher *m, positions *out, uint32_t first, uint32_t start) {
  uint32_t height = 0;
  if (m->marks[first] == m->step) return;
  m->marks[first] = m->step;
  m->stack[height++] = first;
  while (height) {
    uint32_t at = m->stack[--height], next[2], n = 0;
    const instruction *i = &m->r->code[at];
    if (i->op == OP_SET) {
      if (out->starts) out->starts[out->count] = start;
      out->at[out->count++] = at;
    } else if (i->op == OP_MATCH) m->matched = true;
    else if (i->op == OP_JUMP || i->op == OP_SPLIT || holds(m, (assertion)i->y)) next[n++] = i->x;
    if (i->op == OP_SPLIT) next[n++] = i->y;
    while (n--) {
      if (m->marks[next[n]] == m->step) continue;
      m->marks[next[n]] = m->step;
      m->stack[height++] = next[n];
    }
  }
}

static bool contains(const instruction *i, int32_t code) {
  uint32_t low = 0, high = i->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (code > i->ranges[middle].high) low = middle + 1;
    else high = middle;
  }
  return low < i->count && code >= i->ranges[low].low;
}

bool regex_matches(const regex *r, str text, void *scratch) {
  matcher m = {.r = r, .marks = scratch, .before = -1};
  uint32_t *room = (uint32_t *)(m.marks + r->count);
  m.stack = room;
  positions now = {room + r->count, 0, NULL}, next = {room + 2 * (size_t)r->count, 0, NULL};
  memset(m.marks, 0, r->count * sizeof *m.marks);
  size_t at = 0, done = 0;
  int32_t code = -1;
  for (bool first = true; !pool_stopped_after(&done, 64 + now.count * 8); first = false) {
    bool end = at == text.size;
    if (!end && (m.after = utf8_next(text, &at)) < 0) m.after = -2;
    if (end) m.after = -1;
    m.step++;
    m.matched = false;
    if (first) follow(&m, &now, 0, 0);
    next.count = 0;
    for (uint32_t i = 0; !first && i < now.count; i++) {
      const instruction *in = &r->code[now.at[i]];
      if (contains(in, code)) follow(&m, &next, in->x, 0);
    }
    if (!first) {
      positions swap = now;
      now = next, next = swap;
    }
    if (end) return m.matched;
    if (now.count == 0) return false;
    m.before = code = m.after;
  }
  return false;
}

// Places are listed in the order of where their matches began, so that of two that wait at one instruction the earlier
// stays. Whatever began behind the best match so far is dropped.
bool regex_find(const regex *r, str text, size_t from, void *scratch, size_t *begin, size_t *end) {
  matcher m = {.r = r, .marks = scratch, .before = -1};
  uint32_t *room = (uint32_t *)(m.marks + r->count);
  size_t n = r->count, at = from, last = from, done = 0;
  bool found = false;
  m.stack = room;
  positions now = {room + n, 0, room + 2 * n}, next = {room + 3 * n, 0, room + 4 * n};
  memset(m.marks, 0, n * sizeof *m.marks);
  if (text.size > UINT32_MAX) return false;
  while (last > 0 && from - last < 4 && m.before < 0) {  // the character in front
    size_t next_at = --last;
    int32_t code = utf8_next(text, &next_at);
    if (code >= 0 && next_at == from) m.before = code;
  }
  if (from > 0 && m.before < 0) m.before = -2;
  for (int32_t code = -1; !pool_stopped_after(&done, 64 + now.count * 8); m.before = code = m.after) {
    size_t place = at;
    bool stop = at == text.size;
    if (!stop && (m.after = utf8_next(text, &at)) < 0) m.after = -2;
    if (stop) m.after = -1;
    m.step++;
    next.count = 0;
    for (uint32_t i = 0; i <= now.count; i++) {
      bool fresh = i == now.count;  // a match that begins here
      uint32_t start = fresh ? (uint32_t)place : now.starts[i];
      if ((found && start > *begin) || (fresh && found)) break;
      m.matched = false;
      if (fresh) follow(&m, &next, 0, start);
      else if (contains(&r->code[now.at[i]], code)) follow(&m, &next, r->code[now.at[i]].x, start);
      if (m.matched) found = true, *begin = start, *end = place;
    }
    positions swap = now;
    now = next, next = swap;
    if (stop || (found && (now.count == 0 || now.starts[0] > *begin))) return found;
  }
  return false;
}
