// SPDX-License-Identifier: Apache-2.0
// Files that are there wholly or not at all, folders, and paths. Folders are passed as descriptors (AT_FDCWD for the
// current one), so that nobody can swap a part of a path between two steps.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/fault.h"

// malloc'ed text, as by printf; NULL when memory is exhausted.
char *path_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Whether a relative path stays beneath: no empty part, no ".", "..", control character or backslash.
bool path_beneath(const char *path);

// The bytes of a regular file of at most `most` bytes, one NUL behind them; free() them. NULL on failure.
char *file_load(int folder, const char *path, size_t most, size_t *size, fault *f);
// Writes all bytes; false leaves errno.
bool file_write_all(int fd, const void *bytes, size_t size);
// Another name, synced, renamed, the folder synced: after a crash the file is the old or the new one.
sdx_status file_replace(int folder, const char *name, const void *bytes, size_t size, mode_t mode, fault *f);

// Opens a folder, made with `mode` (whatever the umask) if it is not there and mode is not 0. -1 on failure.
int folder_open(int parent, const char *path, mode_t mode, fault *f);
// Makes the folders that lead to the last part of a path beneath `folder`.
sdx_status folder_make_parents(int folder, const char *path, mode_t mode, fault *f);
sdx_status folder_sync(int folder, fault *f);
// Removes a file or a folder with all it holds, never following a link. What is not there counts as removed.
sdx_status tree_remove(int parent, const char *name, fault *f);
// Calls `each` for the open file `fd`, or for every file beneath the open folder `fd` in the order of the bytes of
// their names; their paths begin with `path`. Their descriptors belong to the walk. Anything but files and folders is
// refused. Stops at the first failure.
typedef sdx_status (*tree_visit)(void *context, const char *path, int fd, fault *f);
sdx_status tree_walk(int fd, const char *path, size_t most_files, tree_visit each, void *context, fault *f);
// The same where links are not refused: what `follow` opens for the link `name` of `folder` stands in its place; -1
// passes it over, or fails with a fault.
typedef int (*tree_follow)(void *context, int folder, const char *name, const char *path, fault *f);
sdx_status tree_walk_links(int fd, const char *path, size_t most_files, tree_visit each, tree_follow follow,
                           void *context, fault *f);
