// SPDX-License-Identifier: Apache-2.0
// Any bytes as an OCI layout in one archive: what comes into the store has the digests it says, and nothing stays when
// nobody commits it. Slower than the others: each input passes through files and a real registry, made once.
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/layout.h"
#include "support/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/sardonyx-fuzz-XXXXXX";
static registry *r;

static void need(bool holds) {
  if (!holds) abort();
}

static void clean_up(void) {
  fault f = {0};
  registry_close(r);
  tree_remove(AT_FDCWD, folder, &f);
}

static void set_up(void) {
  fault f = {0};
  char *config;
  need(mkdtemp(folder) && !chdir(folder));
  need(!registry_create_workspace(&(registry_place){.folder = folder, .name = "fuzz"}, &config, &f));
  free(config);
  need(!registry_open(&(registry_options){.workspace = folder, .command = "none"}, &r, &f));
  atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!r) set_up();
  fault f = {0};
  registry_change *c;
  json_t *index;
  int fd = open("input.tar", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  need(fd >= 0 && file_write_all(fd, data, size));
  close(fd);
  need(!registry_begin(r, &c, &f));
  if (layout_read(c, "input.tar", &index, &f)) need(f.message[0] && !index);
  else need(json_is_array(json_object_get(index, "manifests")));
  json_decref(index);
  registry_expect_garbage(c);
  registry_end(c);
  DIR *blobs = opendir(".sardonyx/blobs/sha256");
  for (struct dirent *e; blobs && (e = readdir(blobs));) need(e->d_name[0] == '.');
  closedir(blobs);
  return 0;
}
