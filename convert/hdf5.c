// SPDX-License-Identifier: Apache-2.0
// HDF5 (hdf5.h). An object is a header full of messages; a group's messages lead to the names in it, those of an array
// to its type, shape and place.
#include "convert/hdf5.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"

enum {
  MESSAGE_SPACE = 0x01,
  MESSAGE_LINK_INFO = 0x02,
  MESSAGE_TYPE = 0x03,
  MESSAGE_LINK = 0x06,
  MESSAGE_LAYOUT = 0x08,
  MESSAGE_FILTERS = 0x0b,
  MESSAGE_ATTRIBUTE = 0x0c,
  MESSAGE_CONTINUATION = 0x10,
  MESSAGE_GROUP = 0x11,
};
enum { STEPS = 20000000, DEEPEST = 32, MOST_CHUNKS = 1000 };
static const uint64_t NOWHERE = UINT64_MAX;

static bool fail(hdf5 *h, uint64_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fail(hdf5 *h, uint64_t at, const char *format, ...) {
  if (*h->message) return false;
  int n = snprintf(h->message, sizeof h->message, "byte %llu: ", (unsigned long long)at);
  va_list list;
  va_start(list, format);
  vsnprintf(h->message + n, sizeof h->message - (size_t)n, format, list);
  va_end(list);
  return false;
}

// ---- bytes ------------------------------------------------------------------------------------------

static uint64_t number(const unsigned char *at, size_t bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < bytes; i++) n |= (uint64_t)at[i] << 8 * i;
  return n;
}

// A part of the file that is read from its start to its end.
typedef struct window {
  hdf5 *h;
  uint64_t at, end;
} window;

static bool open_window(hdf5 *h, uint64_t at, uint64_t size, window *w) {
  *w = (window){.h = h};
  if (at > h->size || size > h->size - at)
    return fail(h, at, "%llu bytes reach past the end", (unsigned long long)size);
  *w = (window){h, at, at + size};
  return true;
}

static const unsigned char *take(window *w, uint64_t bytes) {
  if (bytes > w->end - w->at) {
    fail(w->h, w->at, "the content ends too early");
    return NULL;
  }
  w->at += bytes;
  return w->h->bytes + w->at - bytes;
}

static uint64_t take_number(window *w, size_t bytes) {
  const unsigned char *at = take(w, bytes);
  return at ? number(at, bytes) : 0;
}

static bool take_mark(window *w, const char *mark) {
  const unsigned char *at = take(w, 4);
  return at && (!memcmp(at, mark, 4) || fail(w->h, w->at - 4, "expected '%s'", mark));
}

static bool step(hdf5 *h, uint64_t at) {
  if (!h->steps) return fail(h, at, "the file goes round in circles");
  h->steps--;
  return !*h->message;
}

bool hdf5_open(hdf5 *h, const void *bytes, size_t size) {
  *h = (hdf5){.bytes = bytes, .size = size, .steps = STEPS};
  window w = {h, 8, size};
  if (size < 16 || memcmp(bytes, "\x89HDF\r\n\x1a\n", 8) != 0) return fail(h, 0, "this is no HDF5 file");
  uint64_t version = take_number(&w, 1);
  if (version > 3) return fail(h, 8, "superblock version %d, expected 0 to 3", (int)version);
  w.at += version < 2 ? 4 : 0;
  const unsigned char *sizes = take(&w, 2);
  if (!sizes) return false;
  if (sizes[0] != 8 || sizes[1] != 8)
    return fail(h, w.at - 2, "offsets of %d and lengths of %d bytes, expected 8", sizes[0], sizes[1]);
  w.at += version == 0 ? 9 : version == 1 ? 13 : 1;
  if (take_number(&w, 8)) return fail(h, w.at - 8, "a file within a file");
  w.at += version < 2 ? 32 : 16;
  h->root = take_number(&w, 8);
  return !hdf5_failed(h);
}

// ---- headers ----------------------------------------------------------------------------------------

typedef struct message {
  unsigned type, flags;
  window body;
} message;

// The messages of a header in turn; they may go on elsewhere.
typedef struct messages {
  hdf5 *h;
  bool second;  // version 2 of headers
  bool ordered;
  window now;
  size_t waiting, chunks;
  window next[8];
} messages;

static bool open_header(hdf5 *h, uint64_t object, messages *m) {
  *m = (messages){.h = h};
  window w;
  if (!open_window(h, object, 16, &w)) return false;
  if (memcmp(h->bytes + object, "OHDR", 4) != 0) {
    if (take_number(&w, 1) != 1) return fail(h, object, "there is no header of an object");
    uint64_t size = number(h->bytes + object + 8, 4);
    return open_window(h, object + 16, size, &m->now);
  }
  w.end = h->size;
  w.at += 4;
  if (take_number(&w, 1) != 2) return fail(h, object, "a header of an unknown version");
  uint64_t flags = take_number(&w, 1);
  w.at += flags & 0x20 ? 16 : 0;
  w.at += flags & 0x10 ? 4 : 0;
  if (w.at > w.end) return fail(h, object, "the content ends too early");
  uint64_t size = take_number(&w, (size_t)1 << (flags & 3));
  m->second = true;
  m->ordered = flags & 4;
  return !hdf5_failed(h) && open_window(h, w.at, size, &m->now);
}

static bool continue_header(messages *m, window body) {
  window w;
  uint64_t at = take_number(&body, 8), size = take_number(&body, 8);
  if (hdf5_failed(m->h) || !open_window(m->h, at, size, &w)) return false;
  if (m->waiting == sizeof m->next / sizeof *m->next || ++m->chunks > MOST_CHUNKS)
    return fail(m->h, at, "a header in too many pieces");
  if (m->second) {
    if (size < 8 || !take_mark(&w, "OCHK")) return fail(m->h, at, "a piece of a header is damaged");
    w.end -= 4;  // its checksum
  }
  m->next[m->waiting++] = w;
  return true;
}

static bool next_message(messages *m, message *out) {
  size_t header = m->second ? (m->ordered ? 6 : 4) : 8;
  while (!hdf5_failed(m->h)) {
    while (m->now.end - m->now.at < header) {
      if (!m->waiting) return false;
      m->now = m->next[--m->waiting];
    }
    if (!step(m->h, m->now.at)) return false;
    out->type = (unsigned)take_number(&m->now, m->second ? 1 : 2);
    uint64_t size = take_number(&m->now, 2);
    out->flags = (unsigned)take_number(&m->now, 1);
    m->now.at += header - (m->second ? 4 : 5);
    out->body = (window){m->h, m->now.at, m->now.at + size};
    if (!take(&m->now, size)) return false;
    if (out->type != MESSAGE_CONTINUATION) return true;
    if (!continue_header(m, out->body)) return false;
  }
  return false;
}

// ---- groups -----------------------------------------------------------------------------------------

static bool heap_of_names(hdf5 *h, uint64_t at, window *names) {
  window w;
  *names = (window){.h = h};
  if (!open_window(h, at, 32, &w) || !take_mark(&w, "HEAP")) return false;
  w.at += 4;
  uint64_t size = take_number(&w, 8);
  w.at += 8;
  return open_window(h, take_number(&w, 8), size, names);
}

static bool name_at(window names, uint64_t offset, str *name) {
  *name = (str){0};
  if (offset >= names.end - names.at) return fail(names.h, names.at, "a name lies outside of its heap");
  name->at = (const char *)names.h->bytes + names.at + offset;
  name->size = strnlen(name->at, names.end - names.at - offset);
  return true;
}

static int order_of(str a, str b) {
  int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
  return order ? order : (a.size > b.size) - (a.size < b.size);
}

// A leaf: up to 2 K names with the objects they belong to.
static bool find_in_leaf(hdf5 *h, uint64_t node, window names, str wanted, uint64_t *object) {
  window w;
  str name;
  if (!open_window(h, node, h->size > node ? h->size - node : 0, &w) || !take_mark(&w, "SNOD")) return false;
  w.at += 2;
  for (uint64_t left = take_number(&w, 2); left; left--) {
    uint64_t offset = take_number(&w, 8), header = take_number(&w, 8), kind = take_number(&w, 4);
    if (!take(&w, 20) || !step(h, w.at) || !name_at(names, offset, &name)) return false;
    if (!str_equal(name, wanted)) continue;
    if (kind == 2) return fail(h, w.at - 40, "'%.*s' is a soft link, which is not followed", STR_ARG(name));
    *object = header;
    return true;
  }
  return false;
}

// Names before version 3 of the format: a B-tree whose keys are names, the least after each child.
static bool find_in_tree(hdf5 *h, uint64_t node, window names, str wanted, uint64_t *object) {
  for (int depth = 0; depth < DEEPEST; depth++) {
    window w;
    str key;
    if (node == NOWHERE) return false;
    if (node < h->size && h->size - node >= 4 && !memcmp(h->bytes + node, "SNOD", 4))
      return find_in_leaf(h, node, names, wanted, object);
    if (!open_window(h, node, h->size > node ? h->size - node : 0, &w) || !take_mark(&w, "TREE")) return false;
    w.at += 2;
    uint64_t children = take_number(&w, 2);
    w.at += 16 + 8;  // the siblings, the key before the first child
    node = NOWHERE;
    for (; children && node == NOWHERE; children--) {
      uint64_t child = take_number(&w, 8), offset = take_number(&w, 8);
      if (!step(h, w.at) || hdf5_failed(h) || !name_at(names, offset, &key)) return false;
      if (order_of(wanted, key) <= 0) node = child;
    }
  }
  return fail(h, node, "a tree of names that has no end");
}

// Names since: a message each, as long as they are few.
static bool is_link_to(message m, str wanted, uint64_t *object) {
  window w = m.body;
  take_number(&w, 1);
  uint64_t flags = take_number(&w, 1), kind = flags & 8 ? take_number(&w, 1) : 0;
  if (!take(&w, (flags & 4 ? 8 : 0) + (flags & 0x10 ? 1 : 0))) return false;
  uint64_t size = take_number(&w, (size_t)1 << (flags & 3));
  const unsigned char *name = take(&w, size);
  if (!name || !str_equal((str){(const char *)name, size}, wanted)) return false;
  if (kind) return fail(m.body.h, m.body.at, "'%.*s' is a link, which is not followed", STR_ARG(wanted));
  *object = take_number(&w, 8);
  return !hdf5_failed(m.body.h);
}

static bool find_member(hdf5 *h, uint64_t group, str name, uint64_t *object) {
  messages all;
  message m;
  window names;
  if (!open_header(h, group, &all)) return false;
  while (next_message(&all, &m)) {
    if (m.type == MESSAGE_GROUP) {
      uint64_t tree = take_number(&m.body, 8), heap = take_number(&m.body, 8);
      if (!hdf5_failed(h) && heap_of_names(h, heap, &names) && find_in_tree(h, tree, names, name, object)) return true;
    } else if (m.type == MESSAGE_LINK) {
      if (is_link_to(m, name, object)) return true;
    } else if (m.type == MESSAGE_LINK_INFO) {
      take_number(&m.body, 1);
      uint64_t flags = take_number(&m.body, 1);
      m.body.at += flags & 1 ? 8 : 0;
      if (m.body.at > m.body.end || take_number(&m.body, 8) != NOWHERE)
        return fail(h, group, "a group in the form of libver='latest'");
    }
  }
  return false;
}

bool hdf5_find(hdf5 *h, uint64_t group, str path, uint64_t *object) {
  *object = group;
  while (path.size && !hdf5_failed(h)) {
    const char *slash = memchr(path.at, '/', path.size);
    size_t size = slash ? (size_t)(slash - path.at) : path.size;
    if (size && !find_member(h, *object, (str){path.at, size}, object)) return false;
    size += slash != NULL;
    path = (str){path.at + size, path.size - size};
  }
  return !hdf5_failed(h);
}

// ---- arrays -----------------------------------------------------------------------------------------

enum { CLASS_INTEGER, CLASS_FLOAT, CLASS_TEXT = 3, CLASS_OPAQUE = 5, CLASS_ENUM = 8, CLASS_VARIABLE = 9 };

typedef struct element {
  unsigned class;
  bool big_endian, is_signed, is_text;  // is_text: of CLASS_VARIABLE
  uint64_t size;
} element;

static bool read_type(window w, element *e) {
  uint64_t head = take_number(&w, 4);
  *e = (element){.class = head & 15,
                 .big_endian = head >> 8 & 1,
                 .is_signed = head >> 11 & 1,
                 .is_text = (head >> 8 & 15) == 1,
                 .size = take_number(&w, 4)};
  return !hdf5_failed(w.h) && (e->size || fail(w.h, w.at, "elements without a size"));
}

static sdx_dtype dtype_of(element e) {
  if (e.big_endian && e.size > 1 && e.class <= CLASS_FLOAT) return SDX_UNDEFINED;
  if (e.class == CLASS_FLOAT) return e.size == 8 ? SDX_DOUBLE : e.size == 4 ? SDX_FLOAT : e.size == 2 ? SDX_FLOAT16 : 0;
  if (e.class == CLASS_OPAQUE && e.size == 2) return SDX_BFLOAT16;
  if (e.class == CLASS_ENUM && e.size == 1) return SDX_BOOL;
  if (e.class != CLASS_INTEGER) return SDX_UNDEFINED;
  switch (e.size) {
    case 1:
      return e.is_signed ? SDX_INT8 : SDX_UINT8;
    case 2:
      return e.is_signed ? SDX_INT16 : SDX_UINT16;
    case 4:
      return e.is_signed ? SDX_INT32 : SDX_UINT32;
    case 8:
      return e.is_signed ? SDX_INT64 : SDX_UINT64;
    default:
      return SDX_UNDEFINED;
  }
}

static bool read_space(window w, hdf5_array *a) {
  uint64_t version = take_number(&w, 1), rank = take_number(&w, 1);
  w.at += 1;  // flags: whether the sizes to which it may grow follow
  if (w.at > w.end) return fail(w.h, w.at, "the content ends too early");
  uint64_t kind = take_number(&w, 1);
  if (version == 1) take(&w, 4);
  else if (version != 2) return fail(w.h, w.at, "shape of version %d, expected 1 or 2", (int)version);
  if (rank > HDF5_RANK) return fail(w.h, w.at, "%d dimensions, expected at most %d", (int)rank, HDF5_RANK);
  a->rank = (size_t)rank;
  for (size_t i = 0; i < rank; i++) a->shape[i] = (int64_t)take_number(&w, 8);
  if (hdf5_failed(w.h)) return false;
  if (!size_product(a->shape, a->rank, &a->count)) return fail(w.h, w.at, "the shape is too large");
  if (version == 2 && kind == 2) a->count = 0;
  return true;
}

static bool place(hdf5 *h, uint64_t at, uint64_t given, hdf5_array *a) {
  size_t bytes;
  window w;
  if (!size_mul(a->count, a->element_bytes, &bytes)) return fail(h, at, "an array is too large");
  if (!bytes) return true;
  if (at == NOWHERE) return fail(h, 0, "an array was never written");
  if (given < bytes) return fail(h, at, "%llu bytes for an array of %zu", (unsigned long long)given, bytes);
  if (!open_window(h, at, bytes, &w)) return false;
  a->at = h->bytes + at;
  return true;
}

static bool read_layout(window w, hdf5_array *a) {
  uint64_t version = take_number(&w, 1);
  if (version < 3) return fail(w.h, w.at, "storage of version %d, expected 3 or 4", (int)version);
  uint64_t class = take_number(&w, 1);
  if (class == 0) {
    uint64_t size = take_number(&w, 2), at = w.at;
    return take(&w, size) && place(w.h, at, size, a);
  }
  if (class != 1) return fail(w.h, w.at, "an array in chunks; 'h5repack -l CONTI OLD NEW' stores it in one piece");
  uint64_t at = take_number(&w, 8), size = take_number(&w, 8);
  return !hdf5_failed(w.h) && place(w.h, at, size, a);
}

bool hdf5_read(hdf5 *h, uint64_t object, hdf5_array *a) {
  messages all;
  message m;
  window layout = {0};
  element e = {0};
  bool has_space = false;
  *a = (hdf5_array){0};
  if (!open_header(h, object, &all)) return false;
  while (next_message(&all, &m)) {
    if (m.type == MESSAGE_FILTERS)
      return fail(h, m.body.at, "a compressed array; 'h5repack -f NONE -l CONTI OLD NEW' unpacks it");
    if (m.type == MESSAGE_LAYOUT) layout = m.body;
    if (m.type == MESSAGE_SPACE) has_space = read_space(m.body, a);
    if (m.type == MESSAGE_TYPE) {
      if (m.flags & 2) return fail(h, m.body.at, "a type that other objects share");
      read_type(m.body, &e);
    }
  }
  if (hdf5_failed(h) || !layout.h || !has_space || !e.size) return false;
  a->dtype = dtype_of(e);
  a->element_bytes = (size_t)e.size;
  return read_layout(layout, a);
}

// ---- attributes -------------------------------------------------------------------------------------

// A text of any length lies in a heap of the whole file.
static bool text_in_heap(hdf5 *h, const unsigned char *at, str *text) {
  uint64_t size = number(at, 4), heap = number(at + 4, 8), wanted = number(at + 12, 4);
  window w;
  *text = (str){"", 0};
  if (!size) return true;
  if (!open_window(h, heap, 16, &w) || !take_mark(&w, "GCOL")) return false;
  w.at += 4;
  if (!open_window(h, heap, take_number(&w, 8), &w)) return false;
  for (w.at += 16; w.at + 16 <= w.end && step(h, w.at);) {
    uint64_t index = take_number(&w, 2);
    w.at += 6;
    uint64_t length = take_number(&w, 8);
    const unsigned char *content = take(&w, length);
    if (!content || !index) break;
    if (index == wanted) {
      *text = (str){(const char *)content, length < size ? length : size};
      return true;
    }
    w.at += w.end - w.at < -length % 8 ? w.end - w.at : -length % 8;
  }
  return fail(h, heap, "a text is not in its heap");
}

static bool read_texts(window w, arena *memory, element e, size_t count, str **texts) {
  *texts = NULL;
  if (!count) return true;  // of any type
  if (e.class == CLASS_VARIABLE ? !e.is_text || e.size != 16 : e.class != CLASS_TEXT)
    return fail(w.h, w.at, "expected texts");
  size_t bytes;
  const unsigned char *at = size_mul(count, e.size, &bytes) ? take(&w, bytes) : NULL;
  if (!at) return fail(w.h, w.at, "the content ends too early");
  if (!(*texts = arena_array(memory, count, sizeof **texts))) return fail(w.h, w.at, "memory is exhausted");
  for (size_t i = 0; i < count; i++, at += e.size) {
    if (e.class == CLASS_TEXT) (*texts)[i] = (str){(const char *)at, strnlen((const char *)at, e.size)};
    else if (!text_in_heap(w.h, at, &(*texts)[i])) return false;
  }
  return true;
}

// Parts of the first version are padded to eight bytes.
static bool take_part(window *w, uint64_t size, bool padded, window *part) {
  *part = *w;
  if (!take(w, padded ? (size + 7) / 8 * 8 : size)) return false;
  part->end = part->at + size;
  return true;
}

// False: another attribute, or a failure.
static bool is_attribute(message m, const char *wanted, arena *memory, str **texts, size_t *count) {
  window w = m.body, name, type, space;
  uint64_t version = take_number(&w, 1);
  uint64_t flags = take_number(&w, 1), sizes[3];
  for (int i = 0; i < 3; i++) sizes[i] = take_number(&w, 2);
  if (version < 1 || version > 3) return fail(w.h, w.at, "attribute of version %d, expected 1 to 3", (int)version);
  if (version == 3) take_number(&w, 1);
  bool padded = version == 1;
  if (hdf5_failed(w.h) || !take_part(&w, sizes[0], padded, &name) || !take_part(&w, sizes[1], padded, &type) ||
      !take_part(&w, sizes[2], padded, &space))
    return false;
  const char *text = (const char *)w.h->bytes + name.at;
  if (!str_equal((str){text, strnlen(text, sizes[0])}, str_from(wanted))) return false;
  if (version > 1 && flags & 3) return fail(w.h, w.at, "a type that other objects share");
  element e;
  hdf5_array shape;
  if (!read_type(type, &e) || !read_space(space, &shape)) return false;
  *count = shape.count;
  return read_texts(w, memory, e, shape.count, texts);
}

bool hdf5_texts(hdf5 *h, arena *memory, uint64_t object, const char *attribute, str **texts, size_t *count) {
  messages all;
  message m;
  if (!open_header(h, object, &all)) return false;
  while (next_message(&all, &m))
    if (m.type == MESSAGE_ATTRIBUTE && is_attribute(m, attribute, memory, texts, count)) return true;
  return false;
}
