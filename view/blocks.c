// SPDX-License-Identifier: Apache-2.0
// Scopes and repeated blocks (blocks.h). Repeats are looked for in the order of the nodes: a node's signature is its
// operator with its attributes, and a run of signatures that follows itself is a repeat. The longest one that begins at
// a node is taken, then looked into again.
#include "view/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "support/json.h"

// Nested so deep; so long a period; so many comparisons in all, after which no more repeats are looked for.
enum { MOST_DEEP = 4, MOST_SCOPES_DEEP = 16, MOST_PERIOD = 4096, LEAST_SINGLES = 4, LEAST_COVERED = 8 };
static const size_t MOST_COMPARISONS = (size_t)1 << 28;

static int32_t add_block(blocks *b, char *label, int32_t parent) {
  if (!label) return -1;
  if ((b->count & (b->count - 1)) == 0) {
    block *more = realloc(b->at, (b->count ? 2 * b->count : 1) * sizeof *more);
    if (!more) {
      free(label);
      return -1;
    }
    b->at = more;
  }
  b->at[b->count] = (block){.label = label, .parent = parent};
  return (int32_t)b->count++;
}

static bool start(const json_t *nodes, blocks *b) {
  size_t count = json_array_size(nodes);
  *b = (blocks){.of_node = malloc((count + 1) * sizeof *b->of_node)};
  for (size_t i = 0; b->of_node && i < count; i++) b->of_node[i] = -1;
  return b->of_node;
}

void blocks_free(blocks *b) {
  for (size_t i = 0; i < b->count; i++) free(b->at[i].label);
  free(b->at);
  free(b->of_node);
  *b = (blocks){0};
}

// ---- scopes -----------------------------------------------------------------------------------------

static const char *name_of(const json_t *nodes, size_t i) { return text_of(json_array_get(nodes, i), "name"); }

// '/' where names have it, else '.'; 0: they have no scopes.
static char separator(const json_t *nodes) {
  size_t count = json_array_size(nodes), with[2] = {0};
  for (size_t i = 0; i < count; i++)
    for (int k = 0; k < 2; k++) with[k] += *name_of(nodes, i) && strchr(name_of(nodes, i) + 1, "/."[k]) != NULL;
  return 4 * with[0] > count ? '/' : 4 * with[1] > count ? '.' : 0;
}

// A scope of one node, or one that holds nothing but another scope, would be a fold that folds nothing.
static void drop_idle(blocks *b, size_t nodes) {
  uint32_t *kept = calloc(b->count + 1, sizeof *kept), count = 0;
  if (!kept) return;
  for (size_t i = 0; i < b->count; i++) {
    block *at = &b->at[i];
    bool idle = at->count < 2 || (at->parent >= 0 && b->at[at->parent].count == at->count);
    kept[i] = idle ? UINT32_MAX : count;
    count += !idle;
  }
  for (size_t i = 0; i < b->count; i++)
    while (b->at[i].parent >= 0 && kept[b->at[i].parent] == UINT32_MAX) b->at[i].parent = b->at[b->at[i].parent].parent;
  for (size_t i = 0; i < nodes; i++) {
    while (b->of_node[i] >= 0 && kept[b->of_node[i]] == UINT32_MAX) b->of_node[i] = b->at[b->of_node[i]].parent;
    if (b->of_node[i] >= 0) b->of_node[i] = (int32_t)kept[b->of_node[i]];
  }
  for (size_t i = 0; i < b->count; i++)
    if (b->at[i].parent >= 0) b->at[i].parent = (int32_t)kept[b->at[i].parent];
  for (size_t i = 0; i < b->count; i++) {
    if (kept[i] == UINT32_MAX) free(b->at[i].label);
    else b->at[kept[i]] = b->at[i];
  }
  b->count = count;
  free(kept);
}

static bool add_scopes(blocks *b, json_t *known, const char *name, char by, uint32_t node) {
  char path[1024];
  int32_t parent = -1;
  size_t size = strnlen(name, sizeof path - 1), from = *name == by, depth = 0;
  memcpy(path, name, size);
  path[size] = 0;
  for (size_t i = from; i < size && depth < MOST_SCOPES_DEEP; i++) {
    if (path[i] != by || i == from) continue;
    path[i] = 0;
    json_t *found = json_object_get(known, path);
    int32_t at = found ? (int32_t)json_integer_value(found) : add_block(b, strdup(path + from), parent);
    if (at < 0 || (!found && json_object_set_new(known, path, json_integer(at)))) return false;
    if (!b->at[at].count++) b->at[at].first = node;
    path[i] = by;
    parent = at, from = i + 1, depth++;
  }
  b->of_node[node] = parent;
  return true;
}

bool blocks_by_scope(const json_t *nodes, blocks *b) {
  size_t count = json_array_size(nodes);
  char by = separator(nodes);
  if (!start(nodes, b)) return false;
  if (!by) return true;
  json_t *known = json_object();
  bool good = known;
  for (uint32_t i = 0; good && i < count; i++)
    if (json_string_length(json_object_get(json_array_get(nodes, i), "name")) == strlen(name_of(nodes, i)))
      good = add_scopes(b, known, name_of(nodes, i), by, i);
  json_decref(known);
  if (good) drop_idle(b, count);
  return good;
}

// ---- repeats ----------------------------------------------------------------------------------------

static void mix(uint64_t *hash, const char *text) {
  for (; *text; text++) *hash = (*hash ^ (unsigned char)*text) * 0x100000001b3u;
  *hash = (*hash ^ 0xff) * 0x100000001b3u;
}

static uint64_t signature(const json_t *node) {
  uint64_t hash = 0xcbf29ce484222325u;
  size_t i;
  json_t *attribute;
  mix(&hash, text_of(node, "domain"));
  mix(&hash, text_of(node, "op"));
  json_array_foreach(json_object_get(node, "attributes"), i, attribute) {
    json_t *value = json_object_get(attribute, "value");
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    mix(&hash, text_of(attribute, "name"));
    mix(&hash, text ? text : "");
    free(text);
  }
  hash = (hash ^ json_array_size(json_object_get(node, "inputs"))) * 0x100000001b3u;
  return hash;
}

typedef struct repeat {
  uint32_t period, turns;
} repeat;

typedef struct search {
  blocks *blocks;
  const json_t *nodes;
  const uint64_t *signatures;
  size_t compared;
} search;

// The repeat that covers most from `at` on.
static repeat longest(search *w, uint32_t at, uint32_t end) {
  const uint64_t *s = w->signatures;
  uint32_t left = end - at, best = 0;
  repeat found = {0};
  for (uint32_t period = 1; period <= left / 2 && period <= MOST_PERIOD && w->compared < MOST_COMPARISONS; period++) {
    uint32_t same = 0;
    while (at + same + period < end && s[at + same] == s[at + same + period]) same++;
    w->compared += same + 1;
    uint32_t turns = same / period + 1;
    if (turns < (period == 1 ? LEAST_SINGLES : 2) || turns * period <= best || turns * period < LEAST_COVERED) continue;
    best = turns * period;
    found = (repeat){period, turns};
  }
  return found;
}

// "Conv … Relu": where it begins and ends.
static char *name_block(const json_t *nodes, uint32_t first, uint32_t count) {
  const char *begin = text_of(json_array_get(nodes, first), "op"),
             *end = text_of(json_array_get(nodes, first + count - 1), "op");
  return count > 1 ? path_format("%s … %s", begin, end) : strdup(begin);
}

// Recursion is at most MOST_DEEP deep.
static bool look_into(search *w, uint32_t at, uint32_t end, int32_t parent, int deep) {
  blocks *b = w->blocks;
  const json_t *nodes = w->nodes;
  while (at < end) {
    repeat r = longest(w, at, end);
    for (uint32_t turn = 0; turn < r.turns && r.period > 1; turn++) {
      uint32_t first = at + turn * r.period;
      int32_t added = add_block(b, name_block(nodes, first, r.period), parent);
      if (added < 0) return false;
      block *new = &b->at[added];
      new->first = first, new->count = r.period, new->turn = turn + 1, new->turns = r.turns;
      for (uint32_t i = first; i < first + r.period; i++) b->of_node[i] = added;
      if (deep < MOST_DEEP && !look_into(w, first, first + r.period, added, deep + 1)) return false;
    }
    if (r.turns && r.period == 1) {
      int32_t added = add_block(b, name_block(nodes, at, 1), parent);
      if (added < 0) return false;
      b->at[added].first = at, b->at[added].count = r.turns;
      for (uint32_t i = at; i < at + r.turns; i++) b->of_node[i] = added;
    }
    at += r.turns ? r.turns * r.period : 1;
  }
  return true;
}

bool blocks_by_repeat(const json_t *nodes, blocks *b) {
  size_t count = json_array_size(nodes);
  uint64_t *signatures = malloc((count + 1) * sizeof *signatures);
  bool good = signatures && start(nodes, b);
  for (size_t i = 0; good && i < count; i++) signatures[i] = signature(json_array_get(nodes, i));
  search w = {.blocks = b, .nodes = nodes, .signatures = signatures};
  good = good && look_into(&w, 0, (uint32_t)count, -1, 1);
  free(signatures);
  return good;
}
