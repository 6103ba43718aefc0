// SPDX-License-Identifier: Apache-2.0
// The one allocator seam: every byte of the engine comes from here, charged to an account with a
// limit when it is asked for. Accounts nest (a run's account under its session's). Tests make the
// N-th allocation fail through mem_fail_at.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mem_account {
  atomic_size_t used, peak;
  size_t limit;  // bytes; SIZE_MAX = none
  struct mem_account *parent;
} mem_account;

void mem_account_init(mem_account *account, size_t limit, mem_account *parent);
// Adds / takes back bytes by hand (for memory that does not come from mem_alloc, such as a map).
bool mem_charge(mem_account *account, size_t bytes);
void mem_uncharge(mem_account *account, size_t bytes);

// 64-byte aligned; NULL when the account or the system refuses. Zero bytes give a valid pointer.
// account NULL = uncharged.
void *mem_alloc(mem_account *account, size_t bytes);
void *mem_zalloc(mem_account *account, size_t bytes);  // zeroed
void mem_free(void *pointer);                          // NULL is fine
// From now on charged to an ancestor of its account (NULL: to nobody), so that it may outlive the account.
void mem_lift(void *pointer, mem_account *ancestor);
// The whole pages inside of a part of a block go back to the system and off the account; they read as zeros from then
// on. Returns how many bytes, which mem_recharge puts back on the account before the block is freed, whatever its
// limit.
size_t mem_discard(mem_account *account, const void *at, size_t bytes);
void mem_recharge(mem_account *account, size_t bytes);
uint64_t mem_alloc_count(void);  // allocations of this process so far
uint64_t mem_live_count(void);   // blocks of this process that are not freed yet

// Test hook: allocation number `nth` from now (1 = the next) fails; if `ever_after`, all later too. What is
// taken from an arena counts as an allocation, whether or not there is room in its chunks. 0 switches it
// off. Returns how many allocations there were since the last call, if that one switched it on.
uint64_t mem_fail_at(uint64_t nth, bool ever_after);

// Bump allocator with one life span. Allocations are 16-byte aligned and not zeroed.
typedef struct arena {
  mem_account *account;
  struct arena_chunk *chunks;  // newest first
  size_t next_chunk_bytes;
} arena;

void arena_init(arena *a, mem_account *account);
void arena_deinit(arena *a);
void arena_reset(arena *a);  // forgets the content, keeps the largest chunk
void arena_lift(arena *a, mem_account *ancestor);
void *arena_alloc(arena *a, size_t bytes);
void *arena_zalloc(arena *a, size_t bytes);
void *arena_array(arena *a, size_t count, size_t element_bytes);  // zeroed, product checked
void *arena_copy(arena *a, const void *bytes, size_t count);
char *arena_format(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
