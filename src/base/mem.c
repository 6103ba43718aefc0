// SPDX-License-Identifier: Apache-2.0
// Allocator seam and arenas; see mem.h. Each block carries a 64-byte header in front (size,
// account), so freeing needs no lookup. Blocks are aligned here: the C library's aligned_alloc leaves
// gaps that it seldom fills again.
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
// A size that a lying model asks for is refused with NULL, as by the system, not by ending the process.
const char *__asan_default_options(void);
// Weak: the tools link the base beside the engine, which has its own.
__attribute__((weak, visibility("default"))) const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum {
  ALIGNMENT = 64,
  MALLOC_ALIGNMENT = 16,
  ARENA_ALIGNMENT = 16,
  FIRST_CHUNK = 4096,
  LARGEST_CHUNK = 1 << 20,
  LARGE = 1 << 16
};

typedef struct header {
  size_t bytes;
  mem_account *account;
  void *raw;  // what malloc gave
} header;

static atomic_uint_fast64_t alloc_count, free_count, fail_nth, fail_seen;
static atomic_bool fail_ever_after;

void mem_account_init(mem_account *account, size_t limit, mem_account *parent) {
  atomic_init(&account->used, 0);
  atomic_init(&account->peak, 0);
  account->limit = limit;
  account->parent = parent;
}

bool mem_charge(mem_account *account, size_t bytes) {
  for (mem_account *a = account; a; a = a->parent) {
    size_t before = atomic_fetch_add_explicit(&a->used, bytes, memory_order_relaxed);
    size_t after = before + bytes;
    if (after < before || after > a->limit) {
      atomic_fetch_sub_explicit(&a->used, bytes, memory_order_relaxed);
      for (mem_account *b = account; b != a; b = b->parent)
        atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
      return false;
    }
    size_t peak = atomic_load_explicit(&a->peak, memory_order_relaxed);
    while (peak < after && !atomic_compare_exchange_weak(&a->peak, &peak, after)) {
    }
  }
  return true;
}

void mem_uncharge(mem_account *account, size_t bytes) {
  for (; account; account = account->parent) atomic_fetch_sub_explicit(&account->used, bytes, memory_order_relaxed);
}

uint64_t mem_fail_at(uint64_t nth, bool ever_after) {
  atomic_store(&fail_nth, 0);
  uint64_t seen = atomic_exchange(&fail_seen, 0);
  atomic_store(&fail_ever_after, ever_after);
  atomic_store(&fail_nth, nth);
  return seen;
}

static bool must_fail(void) {
  uint64_t nth = atomic_load_explicit(&fail_nth, memory_order_relaxed);
  if (nth == 0) return false;
  uint64_t seen = atomic_fetch_add(&fail_seen, 1) + 1;
  return seen == nth || (seen > nth && atomic_load(&fail_ever_after));
}

uint64_t mem_alloc_count(void) { return atomic_load(&alloc_count); }
uint64_t mem_live_count(void) {
  uint64_t freed = atomic_load(&free_count);  // first: a block freed meanwhile was allocated before
  return atomic_load(&alloc_count) - freed;
}

static bool block_bytes(size_t bytes, size_t *total) {
  return size_add(bytes, ALIGNMENT, total) && size_align(*total, ALIGNMENT, total) && *total <= PTRDIFF_MAX - ALIGNMENT;
}

// What a block really takes, or small ones would pass a budget many times over: room to be aligned, and the notes of
// the C library.
static size_t block_cost(size_t total) { return total + ALIGNMENT; }

// Large blocks take eighths of powers of two: one of a size that grows bit by bit, like the state of a model that is
// fed its own, finds the room of the one before it instead of fresh pages. What is beyond `total` stays untouched.
static size_t large_room(size_t total) {
  size_t step = (size_t)1 << (60 - __builtin_clzll(total));
  return (total + ALIGNMENT + step - 1) / step * step;
}

static void *alloc(mem_account *account, size_t bytes, bool zeroed) {
  size_t total;
  if (!block_bytes(bytes, &total) || must_fail() || !mem_charge(account, block_cost(total))) return NULL;
  size_t room = total < LARGE ? total + ALIGNMENT - MALLOC_ALIGNMENT : large_room(total);
  char *raw = zeroed ? calloc(1, room) : malloc(room);
  if (!raw) {
    mem_uncharge(account, block_cost(total));
    return NULL;
  }
  char *block = raw + (ALIGNMENT - (uintptr_t)raw % ALIGNMENT) % ALIGNMENT;
  atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed);
  *(header *)block = (header){bytes, account, raw};
  return block + ALIGNMENT;
}

void *mem_alloc(mem_account *account, size_t bytes) { return alloc(account, bytes, false); }

// Large blocks are fresh pages, which nobody touches before they are needed: a GB takes no time here.
void *mem_zalloc(mem_account *account, size_t bytes) { return alloc(account, bytes, true); }

void mem_free(void *pointer) {
  if (!pointer) return;
  header *h = (header *)((char *)pointer - ALIGNMENT);
  mem_lift(pointer, NULL);
  atomic_fetch_add_explicit(&free_count, 1, memory_order_relaxed);
  free(h->raw);
}

void mem_lift(void *pointer, mem_account *ancestor) {
  if (!pointer) return;
  header *h = (header *)((char *)pointer - ALIGNMENT);
  size_t total;
  if (block_bytes(h->bytes, &total))
    for (mem_account *a = h->account; a && a != ancestor; a = a->parent)
      atomic_fetch_sub_explicit(&a->used, block_cost(total), memory_order_relaxed);
  h->account = ancestor;
}

size_t mem_discard(mem_account *account, const void *at, size_t bytes) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)at + page - 1) / page * page,
            to = ((uintptr_t)at + bytes) / page * page;
  if (to <= from || madvise((void *)from, to - from, MADV_DONTNEED)) return 0;
  mem_uncharge(account, to - from);
  return to - from;
}

void mem_recharge(mem_account *account, size_t bytes) {
  for (; account; account = account->parent) atomic_fetch_add_explicit(&account->used, bytes, memory_order_relaxed);
}

typedef struct arena_chunk {
  struct arena_chunk *next;
  size_t used, size;
  _Alignas(ARENA_ALIGNMENT) char data[];
} arena_chunk;

void arena_init(arena *a, mem_account *account) { *a = (arena){.account = account, .next_chunk_bytes = FIRST_CHUNK}; }

void arena_deinit(arena *a) {
  while (a->chunks) {
    arena_chunk *c = a->chunks;
    a->chunks = c->next;
    UNPOISON(c->data, c->size);
    mem_free(c);
  }
  a->next_chunk_bytes = FIRST_CHUNK;
}

void arena_lift(arena *a, mem_account *ancestor) {
  for (arena_chunk *c = a->chunks; c; c = c->next) mem_lift(c, ancestor);
  a->account = ancestor;
}

void arena_reset(arena *a) {
  arena_chunk *keep = NULL;
  for (arena_chunk *c = a->chunks; c; c = c->next)
    if (c->size <= LARGEST_CHUNK && (!keep || c->size > keep->size)) keep = c;
  for (arena_chunk *c = a->chunks; c;) {
    arena_chunk *next = c->next;
    if (c != keep) {
      UNPOISON(c->data, c->size);
      mem_free(c);
    }
    c = next;
  }
  a->chunks = keep;
  if (keep) {
    keep->next = NULL;
    keep->used = 0;
    POISON(keep->data, keep->size);
  }
}

void *arena_alloc(arena *a, size_t bytes) {
  size_t n;
  if (!size_align(bytes ? bytes : 1, ARENA_ALIGNMENT, &n) || must_fail()) return NULL;
  arena_chunk *c = a->chunks;
  if (!c || c->size - c->used < n) {
    size_t size = n > a->next_chunk_bytes ? n : a->next_chunk_bytes, total;
    if (!size_add(size, sizeof *c, &total) || !(c = mem_alloc(a->account, total))) return NULL;
    *c = (arena_chunk){.size = size};
    POISON(c->data, size);
    // An oversized block goes behind the current chunk, whose free space stays in use.
    if (n > a->next_chunk_bytes && a->chunks) {
      c->next = a->chunks->next;
      a->chunks->next = c;
    } else {
      c->next = a->chunks;
      a->chunks = c;
      if (a->next_chunk_bytes < LARGEST_CHUNK) a->next_chunk_bytes *= 2;
    }
  }
  void *p = c->data + c->used;
  c->used += n;
  UNPOISON(p, bytes);
  return p;
}

void *arena_zalloc(arena *a, size_t bytes) {
  void *p = arena_alloc(a, bytes);
  if (p) memset(p, 0, bytes);
  return p;
}

void *arena_array(arena *a, size_t count, size_t element_bytes) {
  size_t bytes;
  return size_mul(count, element_bytes, &bytes) ? arena_zalloc(a, bytes) : NULL;
}

void *arena_copy(arena *a, const void *bytes, size_t count) {
  void *p = arena_alloc(a, count);
  if (p && count) memcpy(p, bytes, count);
  return p;
}

char *arena_format(arena *a, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
  if (p) vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  return p;
}
