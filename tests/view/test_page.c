// SPDX-License-Identifier: Apache-2.0
// The page in a program, as a server makes it: of a session, with the policy that it sends as a header; a sink that
// takes no more ends the work with an error.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sardonyx/build.h"
#include "view/view.h"

typedef struct room {
  char *at;
  size_t size, most;
} room;

static bool put(void *context, const char *bytes, size_t size) {
  room *r = context;
  if (r->size + size > r->most) return false;
  memcpy(r->at + r->size, bytes, size);
  r->size += size;
  r->at[r->size] = 0;
  return true;
}

static const char hostile[] = "</script><script>alert(1)</script>";

static json_t *document(void) {
  sdx_builder *b = sdx_builder_create(17);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_session *s;
  fault f = {0};
  sdx_ref x = sdx_graph_add_input(g, &(sdx_io){.name = "x", .dtype = SDX_FLOAT});
  sdx_ref y = sdx_graph_add_node(g, "Relu", hostile, SDX_REFS(x));
  sdx_graph_add_output(g, y, &(sdx_io){.name = "y", .dtype = SDX_FLOAT});
  char path[] = "/tmp/sardonyx-page-XXXXXX";
  close(mkstemp(path));
  assert_int_equal(sdx_builder_save(b, path), SDX_OK);
  assert_int_equal(sdx_session_read_file(path, NULL, &s), SDX_OK);
  unlink(path);
  json_t *model = view_model(s, hostile, VIEW_WEIGHT_BYTES, &f), *all = model ? view_document(model, NULL, &f) : NULL;
  assert_non_null(all);
  sdx_session_destroy(s);
  sdx_builder_destroy(b);
  return all;
}

static void test_page(void **unused) {
  room r = {malloc((1 << 20) + 1), 0, 1 << 20};
  fault f = {0};
  json_t *all = document();
  char *policy = view_policy();
  assert_non_null(r.at);
  assert_int_equal(view_page(all, &(view_sink){put, &r}, &f), SDX_OK);
  assert_non_null(policy);
  assert_non_null(strstr(r.at, policy));
  assert_null(strstr(policy, "unsafe"));
  assert_null(strstr(r.at, "<script>alert"));
  assert_non_null(strstr(r.at, "\\u003c/script>\\u003cscript>alert(1)"));
  free(policy);
  free(r.at);
  json_decref(all);
}

static void test_full(void **unused) {
  char few[101];
  room r = {few, 0, 100};
  fault f = {0}, g = {0};
  json_t *all = document();
  assert_int_equal(view_page(all, &(view_sink){put, &r}, &f), SDX_IO_ERROR);
  r.size = 0;
  assert_int_equal(view_svg(all, &(view_sink){put, &r}, &g), SDX_IO_ERROR);
  json_decref(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_full)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
