// SPDX-License-Identifier: Apache-2.0
// The main of a fuzz target where there is no fuzzer: runs it on every file of the folders named, so
// that whatever a campaign found stays tested in ordinary builds.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END) != 0) return 1;
  size_t size = (size_t)ftell(f);
  rewind(f);
  uint8_t *bytes = malloc(size ? size : 1);  // exactly as long, so that a sanitizer sees a step too far
  int bad = !bytes || fread(bytes, 1, size, f) != size;
  fclose(f);
  if (!bad) LLVMFuzzerTestOneInput(bytes, size);
  free(bytes);
  return bad;
}

int main(int count, char **folders) {
  int files = 0, bad = 0;
  for (int i = 1; i < count; i++) {
    DIR *d = opendir(folders[i]);
    if (!d) return 1;
    for (struct dirent *e; (e = readdir(d));) {
      char path[4096];
      if (e->d_name[0] == '.') continue;
      snprintf(path, sizeof path, "%s/%s", folders[i], e->d_name);
      bad += replay_file(path);
      files++;
    }
    closedir(d);
  }
  printf("%d files, %d unreadable\n", files, bad);
  return bad != 0 || files == 0;
}
