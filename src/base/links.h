// SPDX-License-Identifier: Apache-2.0
// Opens a file by way of its symbolic links. Each part of the path is looked at and entered by the folder's descriptor,
// no name is looked up twice, and where the file lies is told of the folder that was arrived in. So nothing that is
// renamed or swapped meanwhile leads out of the folders that are allowed.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LINKS_PATH = 4096, LINKS_NAME = 256 };

typedef struct folder_id {
  dev_t device;
  ino_t inode;
} folder_id;

// The link followed last.
typedef struct link_seen {
  bool any;
  char name[LINKS_NAME], target[LINKS_PATH];
} link_seen;

// A descriptor that may only be walked from; -1 with errno.
int links_open_folder(int at, const char *path);
bool links_folder_id(int folder, folder_id *id);

// Opens `path`, seen from the folder `base` (AT_FDCWD: the current one), for reading; only in one of the `roots` and
// beneath them (none: anywhere). -1 with errno; EXDEV: the file is not beneath a root. `lies_in` (may be NULL) receives
// a descriptor of the folder the file lies in.
int links_open(int base, const char *path, const folder_id *roots, size_t root_count, link_seen *link, int *lies_in);
