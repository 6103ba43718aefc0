// SPDX-License-Identifier: Apache-2.0
// A script's files in an image (application.h).
#include "deploy/application.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"

enum { MOST_FILES = 10000 };

const char *application_entry(const char *script) {
  const char *slash = strrchr(script, '/');
  return slash ? slash + 1 : script;
}

typedef struct gathering {
  layer *l;
  const char *folder;  // that the paths of the walk begin in
  const char *target;  // in the image
} gathering;

static sdx_status take(void *context, const char *path, int fd, fault *f) {
  gathering *g = context;
  struct stat info;
  char *inside = path_format("%s/%s", g->target, path), *from = path_format("%s/%s", g->folder, path);
  if (!inside || !from) fault_no_memory(f);
  else layer_add_file(g->l, inside, !fstat(fd, &info) && info.st_mode & 0100 ? 0755 : 0644, from, f);
  free(inside);
  free(from);
  return f->status;
}

static sdx_status add(layer *l, const char *path, const char *target, fault *f) {
  char *real = realpath(path, NULL), *slash = real ? strrchr(real, '/') : NULL;
  int fd = slash ? open(real, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
  if (fd < 0) {
    fault_errno(f, errno, "%s", path);
  } else {
    *slash = 0;
    gathering g = {l, real, target};
    tree_walk(fd, slash + 1, MOST_FILES, take, &g, f);
    close(fd);
  }
  free(real);
  return f->status;
}

sdx_status application_add(layer *l, const char *script, const char *const *files, fault *f) {
  for (; files && *files && !f->status; files++) add(l, *files, APPLICATION_FOLDER, f);
  return f->status ? f->status : add(l, script, APPLICATION_FOLDER, f);
}

sdx_status application_add_worker(layer *l, const char *programs, fault *f) {
  static const char *const names[] = {"sardonyx_worker.py", "sardonyx_standin.py", "compat"};
  for (size_t i = 0; i < sizeof names / sizeof *names && !f->status; i++) {
    char *from = path_format("%s/%s", programs, names[i]);
    if (!from) fault_no_memory(f);
    else add(l, from, "opt/sardonyx/share/sardonyx/script", f);
    free(from);
  }
  return f->status;
}
