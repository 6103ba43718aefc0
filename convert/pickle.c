// SPDX-License-Identifier: Apache-2.0
// A machine for the few instructions of pickle that tensors need (pickle.h). Its values live in an arena; nothing
// recurses, and what it builds is bounded by the bytes that are there.
#include "convert/pickle.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"
#include "convert/zip.h"

// ---- tensors ----------------------------------------------------------------------------------------

size_t stored_number_bytes(sdx_dtype dtype) {
  switch ((int)dtype) {
    case SDX_DOUBLE:
    case SDX_INT64:
    case SDX_UINT64:
      return 8;
    case SDX_FLOAT:
    case SDX_INT32:
    case SDX_UINT32:
      return 4;
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
    case SDX_INT16:
    case SDX_UINT16:
      return 2;
    default:
      return 1;
  }
}

const char *stored_tensor_check(str storage, int64_t offset, stored_tensor *t) {
  size_t count, bytes = stored_number_bytes(t->dtype);
  int64_t least = offset, most = offset;
  if (!size_product(t->shape, t->rank, &count)) return "it has a shape that cannot be";
  for (size_t i = 0; count && i < t->rank; i++) {
    int64_t reach;
    if (!i64_mul(t->stride[i], t->shape[i] - 1, &reach) ||
        !i64_add(reach < 0 ? least : most, reach, reach < 0 ? &least : &most))
      return "it has strides that cannot be";
  }
  if (count && (least < 0 || most < 0 || (uint64_t)most >= storage.size / bytes))
    return "it reaches past the end of its storage";
  if (count > 1u << 16 && count / 4 > storage.size) return "it repeats its storage too often";
  t->bytes = count ? storage.at + (size_t)offset * bytes : storage.at;
  return NULL;
}

// ---- values -----------------------------------------------------------------------------------------

typedef enum value_kind { NOTHING, MARK, NUMBER, TEXT, LIST, DICTIONARY, GLOBAL, STORAGE, TENSOR } value_kind;
typedef struct value {
  value_kind kind;
  int64_t number;  // of a storage: how many numbers it has
  str text;        // of a storage: its key
  sdx_dtype dtype;
  stored_tensor *tensor;
  struct value **items;  // of dictionaries: key, value, key, ...
  size_t count, room;
} value;

typedef struct machine {
  arena *memory;
  const zip *archive;
  const char *at, *end;
  value **stack, **memo;
  size_t depth, stack_room, memo_room, memo_count, bytes;
  char *wrong;
} machine;

static bool fail(machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(machine *m, const char *format, ...) {
  va_list list;
  va_start(list, format);
  if (!*m->wrong) vsnprintf(m->wrong, 200, format, list);
  va_end(list);
  return false;
}

static bool put_in(machine *m, value ***items, size_t *count, size_t *room, value *v) {
  if (*count == *room) {
    size_t more = *room ? 2 * *room : 8;
    value **longer = arena_array(m->memory, more, sizeof *longer);
    if (!longer) return fail(m, "not enough memory");
    if (*count) memcpy(longer, *items, *count * sizeof *longer);
    *items = longer;
    *room = more;
  }
  (*items)[(*count)++] = v;
  return true;
}

static bool push(machine *m, value *v) { return v && put_in(m, &m->stack, &m->depth, &m->stack_room, v); }

static value *make(machine *m, value v) {
  value *made = arena_copy(m->memory, &v, sizeof v);
  if (!made) fail(m, "not enough memory");
  return made;
}

static bool push_new(machine *m, value v) { return push(m, make(m, v)); }

static value *pop(machine *m) {
  if (m->depth && m->stack[m->depth - 1]->kind != MARK) return m->stack[--m->depth];
  fail(m, "the pickle takes more than it has put");
  return NULL;
}

static value *top(machine *m) {
  value *v = pop(m);
  if (v) m->depth++;
  return v;
}

// What was put since the last mark, which goes.
static bool pop_to_mark(machine *m, value ***items, size_t *count) {
  size_t at = m->depth;
  while (at && m->stack[at - 1]->kind != MARK) at--;
  if (!at) return fail(m, "the pickle has no mark where it needs one");
  *items = m->stack + at;
  *count = m->depth - at;
  m->depth = at - 1;
  return true;
}

static bool make_tuple(machine *m, size_t count, value *const *items) {
  value v = {.kind = LIST, .count = count, .room = count};
  if (count && !(v.items = arena_copy(m->memory, items, count * sizeof *items))) return fail(m, "not enough memory");
  return push_new(m, v);
}

static bool tuple_of_top(machine *m, size_t count) {
  if (m->depth < count) return fail(m, "the pickle takes more than it has put");
  m->depth -= count;
  return make_tuple(m, count, m->stack + m->depth);
}

// ---- reading ----------------------------------------------------------------------------------------

static bool take(machine *m, size_t bytes, uint64_t *number) {
  *number = 0;
  if ((size_t)(m->end - m->at) < bytes) return fail(m, "the pickle ends too early");
  for (size_t i = 0; i < bytes; i++) *number |= (uint64_t)(unsigned char)m->at[i] << 8 * i;
  m->at += bytes;
  return true;
}

static bool take_text(machine *m, size_t length_bytes, str *text) {
  uint64_t size = 0;
  *text = (str){0};
  if (!take(m, length_bytes, &size)) return false;
  if (size > (size_t)(m->end - m->at)) return fail(m, "a text reaches past the end of the pickle");
  *text = (str){m->at, (size_t)size};
  m->at += size;
  return true;
}

static bool take_line(machine *m, str *line) {
  const char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
  *line = (str){0};
  if (!end) return fail(m, "the pickle ends too early");
  *line = (str){m->at, (size_t)(end - m->at)};
  m->at = end + 1;
  return true;
}

static bool take_global(machine *m) {
  str module = {0}, name = {0};
  if (!take_line(m, &module) || !take_line(m, &name)) return false;
  char *text = arena_format(m->memory, "%.*s.%.*s", STR_ARG(module), STR_ARG(name));
  return text ? push_new(m, (value){.kind = GLOBAL, .text = str_from(text)}) : fail(m, "not enough memory");
}

static bool take_long(machine *m) {
  uint64_t size = 0, number = 0;
  if (!take(m, 1, &size) || size > 8) return fail(m, "a number that is too long");
  if (!take(m, (size_t)size, &number)) return false;
  if (size && size < 8 && number >> (8 * size - 1)) number |= UINT64_MAX << 8 * size;
  return push_new(m, (value){.kind = NUMBER, .number = (int64_t)number});
}

static bool keep(machine *m, size_t index_bytes) {
  uint64_t index = m->memo_count;
  if (index_bytes && !take(m, index_bytes, &index)) return false;
  if (index > m->bytes || !top(m)) return fail(m, "a place %llu to keep a value in", (unsigned long long)index);
  while (m->memo_count <= index)
    if (!put_in(m, &m->memo, &m->memo_count, &m->memo_room, NULL)) return false;
  m->memo[index] = top(m);
  return true;
}

static bool recall(machine *m, size_t index_bytes) {
  uint64_t index = 0;
  if (!take(m, index_bytes, &index)) return false;
  if (index >= m->memo_count || !m->memo[index]) return fail(m, "nothing was kept at %llu", (unsigned long long)index);
  return push(m, m->memo[index]);
}

// ---- what is called ---------------------------------------------------------------------------------

static sdx_dtype dtype_of(str name) {
  static const struct {
    const char *storage, *dtype;
    sdx_dtype is;
  } types[] = {
      {"torch.FloatStorage", "torch.float32", SDX_FLOAT},  {"torch.DoubleStorage", "torch.float64", SDX_DOUBLE},
      {"torch.HalfStorage", "torch.float16", SDX_FLOAT16}, {"torch.BFloat16Storage", "torch.bfloat16", SDX_BFLOAT16},
      {"torch.LongStorage", "torch.int64", SDX_INT64},     {"torch.IntStorage", "torch.int32", SDX_INT32},
      {"torch.ShortStorage", "torch.int16", SDX_INT16},    {"torch.CharStorage", "torch.int8", SDX_INT8},
      {"torch.ByteStorage", "torch.uint8", SDX_UINT8},     {"torch.BoolStorage", "torch.bool", SDX_BOOL},
      {"torch.storage.UntypedStorage", "", SDX_UINT8}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (str_is(name, types[i].storage) || str_is(name, types[i].dtype)) return types[i].is;
  return SDX_UNDEFINED;
}

static const value *item(const value *list, size_t index, value_kind kind) {
  return list->kind == LIST && index < list->count && list->items[index]->kind == kind ? list->items[index] : NULL;
}

// ('storage', torch.FloatStorage, '0', 'cpu', 16)
static bool load_storage(machine *m) {
  const value *id = pop(m);
  if (!id) return false;
  const value *type = item(id, 1, GLOBAL), *key = item(id, 2, TEXT), *count = item(id, 4, NUMBER);
  sdx_dtype dtype = type ? dtype_of(type->text) : SDX_UNDEFINED;
  if (!key || !count || !dtype)
    return fail(m, "a storage of the kind '%.*s'", STR_ARG(type ? type->text : STR("unknown")));
  return push_new(m, (value){.kind = STORAGE, .number = count->number, .text = key->text, .dtype = dtype});
}

static bool read_sizes(const value *list, size_t *rank, int64_t *sizes) {
  if (!list || list->count > NET_RANK) return false;
  *rank = list->count;
  for (size_t i = 0; i < list->count; i++) {
    const value *v = item(list, i, NUMBER);
    if (!v) return false;
    sizes[i] = v->number;
  }
  return true;
}

// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks); v3 has the type behind.
static bool rebuild_tensor(machine *m, const value *a) {
  const value *storage = item(a, 0, STORAGE), *offset = item(a, 1, NUMBER), *type = item(a, 6, GLOBAL);
  stored_tensor t = {0};
  size_t strides;
  char name[80];
  if (!storage || !offset || !read_sizes(item(a, 2, LIST), &t.rank, t.shape) ||
      !read_sizes(item(a, 3, LIST), &strides, t.stride) || strides != t.rank)
    return fail(m, "a tensor without storage, or of more than %d dimensions", NET_RANK);
  t.dtype = type ? dtype_of(type->text) : storage->dtype;
  if (!t.dtype) return fail(m, "a tensor of the type '%.*s'", STR_ARG(type->text));
  snprintf(name, sizeof name, "data/%.*s", (int)(storage->text.size < 60 ? storage->text.size : 60), storage->text.at);
  const zip_member *member = zip_find(m->archive, name);
  if (!member || member->packed) return fail(m, "there is no storage '%s'", name);
  const char *wrong = stored_tensor_check(member->bytes, offset->number, &t);
  if (wrong) return fail(m, "a tensor of storage '%s': %s", name, wrong);
  value v = {.kind = TENSOR, .tensor = arena_copy(m->memory, &t, sizeof t)};
  return v.tensor ? push_new(m, v) : fail(m, "not enough memory");
}

static bool call(machine *m) {
  const value *arguments = pop(m), *what = arguments ? pop(m) : NULL;
  if (!what) return false;
  str name = what->text;
  if (what->kind != GLOBAL || arguments->kind != LIST) return fail(m, "a call of what is no function");
  if (str_is(name, "collections.OrderedDict")) return push_new(m, (value){.kind = DICTIONARY});
  if (str_is(name, "torch._utils._rebuild_tensor_v2") || str_is(name, "torch._utils._rebuild_tensor_v3"))
    return rebuild_tensor(m, arguments);
  if (str_is(name, "torch._utils._rebuild_parameter") || str_is(name, "torch._tensor._rebuild_from_type_v2")) {
    const value *inner = item(arguments, 0, TENSOR), *made = item(arguments, 2, LIST);
    if (inner) return push(m, arguments->items[0]);
    const value *function = item(arguments, 0, GLOBAL);
    if (function && made && str_is(function->text, "torch._utils._rebuild_tensor_v2")) return rebuild_tensor(m, made);
  }
  return fail(m, "it calls '%.*s', which is not done for it", STR_ARG(name));
}

static bool add_items(machine *m, value_kind to, size_t count, value *const *items) {
  value *v = top(m);
  if (!v) return false;
  if (v->kind != to || (to == DICTIONARY && count % 2)) return fail(m, "items for what does not take them");
  for (size_t i = 0; i < count; i++)
    if (!put_in(m, &v->items, &v->count, &v->room, items[i])) return false;
  return true;
}

static bool add_pair(machine *m) {
  value *pair[2];
  return (pair[1] = pop(m)) && (pair[0] = pop(m)) && add_items(m, DICTIONARY, 2, pair);
}

static bool add_marked(machine *m, value_kind to) {
  value **items;
  size_t count;
  return pop_to_mark(m, &items, &count) && add_items(m, to, count, items);
}

static bool tuple_of_marked(machine *m) {
  value **items;
  size_t count;
  return pop_to_mark(m, &items, &count) && make_tuple(m, count, items);
}

// One instruction, by its letter in pickle's own list.
static bool step(machine *m, unsigned char instruction) {
  uint64_t n = 0;
  str text = {0};
  switch (instruction) {
    case 0x80:  // PROTO
      return take(m, 1, &n);
    case 0x95:  // FRAME
      return take(m, 8, &n);
    case '(':
      return push_new(m, (value){.kind = MARK});
    case 'N':
      return push_new(m, (value){.kind = NOTHING});
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      return push_new(m, (value){.kind = NUMBER, .number = instruction == 0x88});
    case 'K':
    case 'M':
    case 'J':
      return take(m,
                  instruction == 'K'   ? 1
                  : instruction == 'M' ? 2
                                       : 4,
                  &n) &&
             push_new(m, (value){.kind = NUMBER, .number = instruction == 'J' ? (int32_t)n : (int64_t)n});
    case 0x8a:  // LONG1
      return take_long(m);
    case 'G':  // a float, of which nothing of ours is made
      return take(m, 8, &n) && push_new(m, (value){.kind = NOTHING});
    case 'X':
    case 0x8c:  // SHORT_BINUNICODE
      return take_text(m, instruction == 'X' ? 4 : 1, &text) && push_new(m, (value){.kind = TEXT, .text = text});
    case 'c':
      return take_global(m);
    case 'q':
      return keep(m, 1);
    case 'r':
      return keep(m, 4);
    case 0x94:  // MEMOIZE
      return keep(m, 0);
    case 'h':
      return recall(m, 1);
    case 'j':
      return recall(m, 4);
    case ')':
    case ']':
      return push_new(m, (value){.kind = LIST});
    case '}':
      return push_new(m, (value){.kind = DICTIONARY});
    case 't':
      return tuple_of_marked(m);
    case 0x85:  // TUPLE1, 2, 3
    case 0x86:
    case 0x87:
      return tuple_of_top(m, instruction - 0x84u);
    case 'Q':
      return load_storage(m);
    case 'R':
      return call(m);
    case 's':
      return add_pair(m);
    case 'u':
      return add_marked(m, DICTIONARY);
    case 'e':
      return add_marked(m, LIST);
    case 'b':  // BUILD: what is set on an object, such as the versions of modules
      return pop(m) && top(m);
    default:
      return fail(m, "the instruction 0x%02x of pickle is not one that tensors need", instruction);
  }
}

static const value *run(machine *m) {
  while (m->at < m->end) {
    unsigned char instruction = (unsigned char)*m->at++;
    if (instruction == '.') return pop(m);
    if (!step(m, instruction)) return NULL;
  }
  fail(m, "the pickle ends too early");
  return NULL;
}

static bool collect(machine *m, const value *all, pickle_tensors *to) {
  if (all->kind != DICTIONARY) return fail(m, "the pickle holds no dictionary of tensors");
  to->entries = arena_array(m->memory, all->count / 2 + 1, sizeof *to->entries);
  if (!to->entries) return fail(m, "not enough memory");
  for (size_t i = 0; i + 1 < all->count; i += 2)
    if (all->items[i]->kind == TEXT && all->items[i + 1]->kind == TENSOR)
      to->entries[to->count++] = (pickle_entry){all->items[i]->text, *all->items[i + 1]->tensor};
  return true;
}

bool pickle_read_tensors(str archive, arena *memory, pickle_tensors *all, char wrong[200]) {
  zip z;
  machine m = {.memory = memory, .archive = &z, .wrong = wrong};
  *wrong = 0;
  *all = (pickle_tensors){0};
  const char *problem = zip_read(archive, memory, &z);
  if (problem) return fail(&m, "%s", problem);
  const zip_member *pickle = zip_find(&z, "data.pkl"), *order = zip_find(&z, "byteorder");
  if (!pickle || pickle->packed) return fail(&m, "the archive has no data.pkl that is stored as it is");
  if (order && !str_is(order->bytes, "little")) return fail(&m, "its numbers do not begin with their low bytes");
  m.at = pickle->bytes.at;
  m.end = m.at + pickle->bytes.size;
  m.bytes = pickle->bytes.size;
  const value *result = run(&m);
  return result && collect(&m, result, all);
}
