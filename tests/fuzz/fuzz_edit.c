// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model that is opened to be changed (edit.h): each change ends in a model that can be opened again, or
// in an error with a message, and all memory comes back.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "sardonyx/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

// A builder opens files: one in memory. NULL: the bytes are no model.
static sdx_builder *open_bytes(const void *data, size_t size) {
  char path[64];
  int fd = memfd_create("model", MFD_CLOEXEC);
  need(fd >= 0 && write(fd, data, size) == (ssize_t)size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  sdx_options *o = sdx_options_create();
  sdx_builder *b;
  need(o && !sdx_options_set(o, "memory_limit_bytes", "268435456") && !sdx_options_set(o, "threads", "1"));
  if (sdx_builder_open(path, o, &b)) {
    need(b && *sdx_builder_error(b));
    sdx_builder_destroy(b);
    b = NULL;
  }
  sdx_options_destroy(o);
  close(fd);
  return b;
}

static void shrink(sdx_builder *b) { sdx_builder_rewrite(b, "shrink"); }
static void fuse(sdx_builder *b) { sdx_builder_rewrite(b, "contrib"); }
static void raise_opset(sdx_builder *b) { sdx_builder_raise(b, 0); }

// The second half of the nodes: what the first half gives, and all constants, become inputs; bodies give one value more
// for a while.
static void cut(sdx_builder *b) {
  sdx_graph *g = sdx_builder_graph(b), *body;
  sdx_builder_infer(b);
  size_t count = sdx_graph_node_count(g);
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; i < count / 2 && k < sdx_graph_node_output_count(g, i); k++) {
      sdx_ref v = sdx_graph_node_output(g, i, k);
      if (v && sdx_graph_describe(g, v).dtype) sdx_graph_make_input(g, v);
    }
    for (size_t k = 0; (body = sdx_graph_node_body(g, i, k)); k++) {
      sdx_ref v = sdx_graph_output(body, 0);
      sdx_io io = sdx_graph_describe(body, v);
      if (v) sdx_graph_add_output(body, v, &io);
      if (v) sdx_graph_remove_output(body, sdx_graph_output_count(body) - 1);
    }
  }
  for (size_t i = 1; i <= sdx_graph_value_count(g); i++) {
    sdx_value *constant = sdx_graph_constant(g, sdx_graph_value(g, i));
    if (constant) sdx_graph_make_input(g, sdx_graph_value(g, i));
    sdx_value_release(constant);
  }
  sdx_builder_sweep(b);
}

// Every value is renamed and described, every body looked into.
static void rename_all(sdx_graph *g) {
  char name[40];
  for (size_t i = 1; i <= sdx_graph_value_count(g); i++) {
    sdx_ref v = sdx_graph_value(g, i);
    sdx_io io = sdx_graph_describe(g, v);
    snprintf(name, sizeof name, "n%zu", i);
    sdx_graph_rename(g, v, name);
    if (v) sdx_graph_declare(g, v, &io);
    sdx_value_release(sdx_graph_constant(g, v));
  }
  sdx_graph *body;
  for (size_t i = 0; i < sdx_graph_node_count(g); i++)
    for (size_t k = 0; (body = sdx_graph_node_body(g, i, k)); k++) rename_all(body);
}
static void rename_values(sdx_builder *b) { rename_all(sdx_builder_graph(b)); }

static void try(const uint8_t *data, size_t size, void (*change)(sdx_builder *b)) {
  size_t written;
  sdx_builder *b = open_bytes(data, size);
  if (!b) return;
  change(b);
  char *bytes = sdx_builder_bytes(b, &written);
  need(bytes || *sdx_builder_error(b));
  sdx_string_free(sdx_builder_summary(b));
  sdx_builder_destroy(b);
  if (!bytes) return;
  b = open_bytes(bytes, written);
  need(b != NULL);
  sdx_builder_destroy(b);
  sdx_string_free(bytes);
}

// The model becomes part of itself.
static void merge(const uint8_t *data, size_t size) {
  size_t written;
  sdx_builder *b = open_bytes(data, size), *other = b ? open_bytes(data, size) : NULL;
  if (!other) return sdx_builder_destroy(b);
  sdx_builder_append(b, other, "");
  char *bytes = sdx_builder_bytes(b, &written);
  need(bytes || *sdx_builder_error(b));
  sdx_builder_destroy(b);
  sdx_string_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const changes[])(sdx_builder *) = {shrink, fuse, raise_opset, cut, rename_values};
  uint64_t live = mem_live_count();
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) try(data, size, changes[i]);
  merge(data, size);
  need(mem_live_count() == live);
  return 0;
}
