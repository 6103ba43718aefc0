// SPDX-License-Identifier: Apache-2.0
// Every model under ../shared/models imports, prints as text that parses to the same text, and exports
// to bytes that import again. Skipped where that folder is absent.
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/onnx/make.h"

static int models;

static void check_text(const graph *g, mem_account *account, const char *path) {
  text once = {.account = account}, twice = {.account = account};
  arena memory;
  graph *back;
  error err = {0};
  arena_init(&memory, account);
  graph_print(g, &once);
  if (graph_parse(&memory, (str){once.at, once.size}, &back, &err) != SDX_OK) fail_msg("%s: %s", path, err.message);
  graph_print(back, &twice);
  if (once.size != twice.size || memcmp(once.at, twice.at, once.size) != 0) fail_msg("%s: the text changes", path);
  text_deinit(&once);
  text_deinit(&twice);
  arena_deinit(&memory);
}

static int visit(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
  size_t n = strlen(path);
  if (kind != FTW_F || n < 5 || strcmp(path + n - 5, ".onnx") != 0) return 0;
  char dir[4096];
  snprintf(dir, sizeof dir, "%.*s", ftw->base, path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  void *bytes = mmap(NULL, (size_t)info->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  assert_ptr_not_equal(bytes, MAP_FAILED);
  imported r, again;
  import_bytes(&r, bytes, (size_t)info->st_size, (import_options){.external_dir = dir});
  if (r.status != SDX_OK) fail_msg("%s: %s", path, r.err.message);
  assert_true(atomic_load(&r.account.peak) <= 8 * (size_t)info->st_size + (16u << 20));
  check_text(r.m->graph, &r.account, path);
  if (info->st_size < 4 << 20) {
    wire_out out = {0};
    assert_int_equal(onnx_export(r.m, NULL, &out), SDX_OK);
    import_bytes(&again, out.kept.at, out.kept.size, (import_options){0});
    if (again.status != SDX_OK) fail_msg("%s, exported: %s", path, again.err.message);
    drop(&again);
    wire_out_deinit(&out);
  }
  drop(&r);
  munmap(bytes, (size_t)info->st_size);
  models++;
  return 0;
}

static void every_shared_model_imports(void **state) {
  const char *root = "../shared/models";
  if (access(root, R_OK) != 0) skip();
  assert_int_equal(nftw(root, visit, 16, FTW_PHYS), 0);
  print_message("%d models\n", models);
  assert_true(models > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_shared_model_imports)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
