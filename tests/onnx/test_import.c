// SPDX-License-Identifier: Apache-2.0
// ModelProto -> graph: versions, names and scopes, attributes, subgraphs. Functions: test_functions.c; limits and
// damage: test_damage.c.
#include "tests/onnx/make.h"

// ---- what is no model ---------------------------------------------------------------------------------

#define FILE_OF(bytes, part) \
  { bytes, sizeof bytes - 1, part }

static void other_files_are_no_models(void **state) {
  static const struct {
    const char *bytes;
    size_t size;
    const char *part;
  } files[] = {
      {"", 0, "not an ONNX model: the file is empty"},
      {"\x08", 1, "not an ONNX model: byte 0"},
      {"\x89PNG\r\n\x1a\n....", 12, "not an ONNX model: it looks like a PNG picture"},
      {"RIFF....WEBPVP8 ", 16, "not an ONNX model: it looks like a WebP picture"},
      {"BM, two letters", 15, "not an ONNX model: it looks like text"},
      {"PK\3\4..........", 14, "not an ONNX model: it looks like a zip archive"},
      {"\x7f"
       "ELF......",
       10, "not an ONNX model: it looks like a program"},
      {"{\"a\": 1}", 8, "not an ONNX model: it looks like JSON; look inside"},
      FILE_OF("\x20\0\0\0ORTM\0\0\0\0", "ONNX Runtime's own format; convert the ONNX file"),
      FILE_OF("\x80\4\x95\1\0\0\0\0\0\0\0N.",
              "a Python pickle, as scikit-learn models are saved; 'sardonyx convert --trust'"),
      FILE_OF("PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0archive/data.pkl",
              "a PyTorch file (state dict or TorchScript); 'sardonyx convert --trust"),
      FILE_OF("\x22\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}}  ", "safetensors"),
      FILE_OF("GGUF\3\0\0\0", "a GGUF model; 'sardonyx convert' makes an ONNX model"),
      FILE_OF("\x1c\0\0\0TFL3\0\0\0\0", "a TensorFlow Lite model; 'sardonyx convert'"),
      FILE_OF("\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file, as Keras saves models; 'sardonyx convert'"),
      FILE_OF("<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">\n<layers>", "an OpenVINO network; convert"),
      FILE_OF("7767517\n3 3\nInput data 0 1 data\n", "an ncnn network; convert"),
      FILE_OF("{\"base_code\":{\"magic\":\"pir\",\"version\":1}}",
              "a PaddlePaddle program; 'sardonyx convert --trust'"),
      FILE_OF("\x0a\x1d\x08\0\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x1a\x0c\x0a\4feed\x12\2\x08\x09\x18\1",
              "a PaddlePaddle program; 'sardonyx convert --trust'"),
      FILE_OF("\x08\5\x12\x20\x0a\x0e\x0a\5image\x1a\5\x2a\3\x08\1\x10\x52\x0e\x0a\5label\x1a\5\x2a",
              "a Core ML model; 'sardonyx convert' makes"),
      FILE_OF("<!-- saved -->\n<html><head>", "a web page; the download went wrong"),
      FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
              "a git-lfs pointer, not the file itself; 'git"),
      FILE_OF("Entry not found", "text; look inside: a failed download"),
      FILE_OF("\xff\xfeH\0i\0", "text in UTF-16"),
      FILE_OF("\0\0\0\0\0\0\0\0", "nothing but zero bytes; the download or copy was cut off"),
      FILE_OF("ir_version: 8\ngraph {\n  node { op_type: \"Relu\" }\n}\n", "text form; in Python: onnx.save("),
      FILE_OF("{\"irVersion\":\"8\",\"graph\":{\"node\":[]},\"opsetImport\":[{\"version\":\"18\"}]}",
              "an ONNX model as JSON; in Python: onnx.save("),
      FILE_OF("<\n   ir_version: 8,\n   opset_import: [\"\" : 18]\n>\ng (float[N] x) => (float[N] y) {\n",
              "an ONNX model as text; in Python: onnx.save(onnx.parser"),
      FILE_OF("\x04\x22\x4d\x18\x64\x40\xa7\0", "lz4-compressed; 'unlz4' unpacks it"),
      FILE_OF("SQLite format 3\0\x10\0\1\1", "an SQLite database"),
      FILE_OF("PAR1\x15\x04\x15\x10", "a Parquet table"),
      FILE_OF("ARROW1\0\0\xff\xff\xff\xff", "an Arrow table"),
      FILE_OF("\x1f\x8b\x08\0\0\0\0\0", "gzip-compressed; 'gunzip' unpacks it"),
      {"\x08\x03", 2, "not an ONNX model: there is no graph in it"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    wire_out t = {0};
    wire_put_raw(&t, files[i].bytes, files[i].size);
    expect_model(&t, SDX_INVALID_MODEL, files[i].part);
  }
  wire_out noise = {0};
  uint32_t random = 1;
  for (int i = 0; i < 4096; i++) {
    random = random * 1664525 + 1013904223;
    wire_put_raw(&noise, (char *)&random + 3, 1);
  }
  expect_model(&noise, SDX_INVALID_MODEL, "not an ONNX model");
}

// As a transfer in text mode leaves it.
static void a_model_with_changed_line_ends_is_damaged(void **state) {
  wire_out good = {0}, bad = {0};
  size_t g = begin_model(&good);
  put_value(&good, 11, "x", 4);
  put_node(&good, 1, "Relu", "x", "y");
  put_value(&good, 12, "y", 4);
  wire_end(&good, g);
  for (size_t i = 0; i < good.kept.size; i++) {
    if (good.kept.at[i] == '\n') wire_put_raw(&bad, "\r", 1);
    wire_put_raw(&bad, &good.kept.at[i], 1);
  }
  expect_model(&bad, SDX_INVALID_MODEL, "line ends were changed on the way; transfer it again, in binary mode");
  wire_out_deinit(&good);
}

// ---- versions -----------------------------------------------------------------------------------------

static void versions(void **state) {
  static const struct {
    int64_t ir, opset, again;
    sdx_status status;
    const char *part, *warning;
  } cases[] = {{8, 17, 0, SDX_OK, "", NULL},
               {8, 17, 17, SDX_OK, "", NULL},
               {8, 17, 9, SDX_INVALID_GRAPH, "lists domain 'ai.onnx' twice, with versions 17 and 9", NULL},
               {8, 0, 0, SDX_INVALID_GRAPH, "asks for version 0", NULL},
               {8, -1, 0, SDX_INVALID_GRAPH, "asks for version -1", NULL},
               {8, (int64_t)1 << 31, 0, SDX_INVALID_GRAPH, "asks for version 2147483648", NULL},
               {8, 1000, 0, SDX_OK, "", "opset 1000 of domain 'ai.onnx' is newer"},
               {-1, 17, 0, SDX_INVALID_MODEL, "ir_version is -1", NULL},
               {0, 17, 0, SDX_OK, "", "ir_version is missing"},
               {1000, 17, 0, SDX_OK, "", "ir_version 1000 is newer"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wire_out t = {0};
    imported r;
    if (cases[i].ir) wire_put_int(&t, 1, cases[i].ir);
    put_opset(&t, 8, "", cases[i].opset);
    if (cases[i].again) put_opset(&t, 8, "ai.onnx", cases[i].again);
    size_t g = wire_begin(&t, 7);
    put_value(&t, 11, "x", 4);
    put_node(&t, 1, "Relu", "x", "y");
    put_value(&t, 12, "y", 4);
    wire_end(&t, g);
    import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
    assert_int_equal(r.status, cases[i].status);
    assert_non_null(strstr(r.err.message, cases[i].part));
    if (r.m && cases[i].warning) assert_non_null(strstr(r.m->warnings.at, cases[i].warning));
    if (r.m && !cases[i].warning) assert_int_equal(r.m->warnings.size, 0);
    if (r.m) assert_int_equal(r.m->graph->nodes[0]->version, cases[i].opset);
    drop(&r);
    wire_out_deinit(&t);
  }
}

static void a_file_without_opsets_is_of_version_1(void **state) {
  wire_out t = {0};
  imported r;
  wire_put_int(&t, 1, 3);
  size_t g = wire_begin(&t, 7);
  put_node(&t, 1, "Relu", "x", "y");
  put_value(&t, 11, "x", 4);
  put_value(&t, 12, "y", 4);
  wire_end(&t, g);
  wire_put_raw(&t, "\x0a\x02\x08\x0a", 4);  // the tail of a longer file: tolerated in such files alone
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  assert_int_equal(r.status, SDX_OK);
  assert_int_equal(r.m->graph->nodes[0]->version, 1);
  assert_non_null(strstr(r.m->warnings.at, "4 bytes behind the graph"));
  drop(&r);
  put_opset(&t, 8, "", 7);
  wire_out again = {0};
  put_opset(&again, 8, "", 7);
  wire_put_raw(&again, t.kept.at, t.kept.size);
  expect_model(&again, SDX_INVALID_MODEL, "the wire type does not fit the field");
  wire_out_deinit(&t);
}

static void two_graphs_are_refused(void **state) {
  wire_out t = {0};
  wire_end(&t, begin_small(&t));
  wire_end(&t, wire_begin(&t, 7));
  expect_model(&t, SDX_INVALID_MODEL, "field 'graph' of ModelProto: the field is given twice");
}

static void an_operator_of_an_unlisted_standard_domain_is_refused(void **state) {
  wire_out t = {0};
  wire_put_int(&t, 1, 8);
  put_opset(&t, 8, "ai.onnx.ml", 2);
  size_t g = wire_begin(&t, 7);
  put_node(&t, 1, "Constant", "", "y");
  put_value(&t, 12, "y", 4);
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "'ai.onnx' is not in opset_import");
}

// ---- names --------------------------------------------------------------------------------------------

typedef struct graph_case {
  const char *nodes[4][3];  // op, inputs, outputs
  const char *part;
} graph_case;

static void names(void **state) {
  static const graph_case cases[] = {
      {{{"Relu", "ghost", "y"}}, "node 0 '' (Relu): input 'ghost' is made by no node"},
      {{{"Relu", "x", "z"}}, "output 'y' is made by no node"},
      {{{"Relu", "xx", "y"}}, "did you mean 'x'?"},
      {{{"Relu", "x", "y"}, {"Neg", "x", "y"}}, "node 1 '' (Neg): output 'y' is already"},
      {{{"Relu", "x", "y y"}}, "output 'y' is already"},
      {{{"Relu", "x", "x"}}, "output 'x' is already"},
      {{{"Relu", "y", "y"}}, "cycle of 1 node"},
      {{{"Relu", "b", "y"}, {"Neg", "y", "b"}}, "cycle of 2 nodes"},
      {{{"", "x", "y"}}, "has no op_type"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wire_out t = {0};
    size_t g = begin_small(&t);
    for (int n = 0; n < 4 && cases[i].nodes[n][0]; n++)
      put_node(&t, 1, cases[i].nodes[n][0], cases[i].nodes[n][1], cases[i].nodes[n][2]);
    wire_end(&t, g);
    expect_model(&t, SDX_INVALID_GRAPH, cases[i].part);
  }
}

static void names_are_bytes(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), n;
  n = wire_begin(&t, 1);
  put(&t, 1, "x");
  wire_put_bytes(&t, 2, (str){"a\0b", 3});
  put(&t, 4, "Relu");
  wire_end(&t, n);
  n = wire_begin(&t, 1);
  wire_put_bytes(&t, 1, (str){"a\0b", 3});
  wire_put_bytes(&t, 2, (str){"a\0c", 3});
  put(&t, 4, "Neg");
  wire_end(&t, n);
  put_node(&t, 1, "Abs", "x", "A \xff y");
  wire_end(&t, g);
  expect_nodes(&t,
               "graph(%x: float[4]) -> (%y) {\n  %\"a\\x00b\" = Relu@17(%x)\n  %\"a\\x00c\" = Neg@17(%\"a\\x00b\")\n"
               "  %A, %\"\\xff\", %y: float[4] = Abs@17(%x)\n}\n");
}

static void nodes_may_come_in_any_order(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t);
  put_node(&t, 1, "Neg", "a", "y");
  put_node(&t, 1, "Relu", "x", "a");
  wire_end(&t, g);
  expect_nodes(&t, "graph(%x: float[4]) -> (%y) {\n  %a = Relu@17(%x)\n  %y: float[4] = Neg@17(%a)\n}\n");
}

static void inputs_and_initializers(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t);
  put_value(&t, 11, "w", 2);  // an initializer makes a constant of it
  put_floats(&t, 5, "w", 2);
  put_node(&t, 1, "Add", "x w -", "y -");
  wire_end(&t, g);
  expect_nodes(&t,
               "graph(%x: float[4]) -> (%y) {\n  const %w: float[2]{0, 1}\n  %y: float[4], _ = Add@17(%x, %w, _)\n}\n");
  g = begin_small(&t);
  put_value(&t, 11, "w", 3);
  put_floats(&t, 5, "w", 2);
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "input 'w': it is declared as float[3] but its initializer is float[2]");
  g = begin_small(&t);
  put_value(&t, 11, "x", 4);
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "an input twice");
  g = begin_small(&t);
  put_floats(&t, 5, "w", 2);
  put_floats(&t, 5, "w", 2);
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "made by two initializers");
  g = begin_small(&t);
  put_floats(&t, 5, "y", 2);
  put_node(&t, 1, "Relu", "x", "y");
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "'y' is already");
}

static void outputs_may_be_inputs_or_constants(void **state) {
  wire_out t = {0};
  size_t g = begin_model(&t);
  put_value(&t, 11, "x", 4);
  put_floats(&t, 5, "w", 1);
  put_value(&t, 12, "x", 4);
  put_value(&t, 12, "w", 1);
  wire_end(&t, g);
  expect_nodes(&t, "graph(%x: float[4]) -> (%x, %w) {\n  const %w: float[1]{0}\n}\n");
  wire_end(&t, begin_model(&t));
  expect_nodes(&t, "graph() -> () {\n}\n");
}

// ---- attributes ---------------------------------------------------------------------------------------

// fields: pairs of field number and value; 1000 + n writes a string into field n.
static void expect_attr(int tag, const int *fields, sdx_status status, const char *part) {
  wire_out t = {0};
  imported r;
  size_t g = begin_small(&t), n = begin_node(&t, 1, "Op", "x", "y"), a = wire_begin(&t, 5);
  put(&t, 1, "a");
  if (tag) wire_put_int(&t, 20, tag);
  for (; *fields; fields += 2) {
    if (fields[0] == 2 || fields[0] == 7) wire_put_float(&t, (uint32_t)fields[0], (float)fields[1]);
    else if (fields[0] > 1000) put(&t, (uint32_t)fields[0] - 1000, "text");
    else if (fields[0] == 5 || fields[0] == 6) wire_end(&t, wire_begin(&t, (uint32_t)fields[0]));
    else wire_put_int(&t, (uint32_t)fields[0], fields[1]);
  }
  wire_end(&t, a);
  wire_end(&t, n);
  wire_end(&t, g);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  text out = {0};
  if (r.m) graph_print(r.m->graph, &out);
  if (r.status != status || !strstr(r.m ? out.at : r.err.message, part))
    fail_msg("wanted '%s', got %s", part, r.m ? out.at : r.err.message);
  text_deinit(&out);
  drop(&r);
  wire_out_deinit(&t);
}

static void attributes(void **state) {
  expect_attr(ATTR_INT, (int[]){3, -5, 0}, SDX_OK, "<a=-5>");
  expect_attr(ATTR_FLOAT, (int[]){2, 2, 0}, SDX_OK, "<a=2.0>");
  expect_attr(ATTR_STRING, (int[]){1004, 0, 0}, SDX_OK, "<a=\"text\">");
  expect_attr(ATTR_INTS, (int[]){8, 1, 8, 2, 0}, SDX_OK, "<a=[1, 2]>");
  expect_attr(ATTR_FLOATS, (int[]){7, 1, 0}, SDX_OK, "<a=[1.0]>");
  expect_attr(ATTR_STRINGS, (int[]){1009, 0, 1009, 0, 0}, SDX_OK, "<a=[\"text\", \"text\"]>");
  expect_attr(ATTR_TYPE, (int[]){1014, 0, 0}, SDX_INVALID_MODEL, "byte");
  expect_attr(0, (int[]){8, 1, 0}, SDX_OK, "<a=[1]>");  // before there was a tag
  expect_attr(ATTR_INT, (int[]){0}, SDX_OK, "<a=0>");   // writers that leave out zeros
  expect_attr(ATTR_INTS, (int[]){0}, SDX_OK, "<a=ints[]>");
  expect_attr(0, (int[]){0}, SDX_OK, "Op@17(%x)");  // says nothing
  expect_attr(ATTR_INT, (int[]){2, 1, 0}, SDX_INVALID_MODEL, "field 'f' is filled, but its type tag is 'i'");
  expect_attr(ATTR_INT, (int[]){3, 1, 2, 1, 0}, SDX_INVALID_MODEL, "field 'f' is filled");
  expect_attr(0, (int[]){3, 1, 2, 1, 0}, SDX_INVALID_MODEL, "is filled, but so is");
  expect_attr(15, (int[]){3, 1, 0}, SDX_INVALID_MODEL, "type 15 does not exist");
  expect_attr(-1, (int[]){3, 1, 0}, SDX_INVALID_MODEL, "type -1 does not exist");
  expect_attr(ATTR_TENSOR, (int[]){0}, SDX_INVALID_MODEL, "its type tag is 't', but that field is empty");
  expect_attr(ATTR_GRAPH, (int[]){0}, SDX_INVALID_MODEL, "its type tag is 'g'");
  expect_attr(ATTR_TENSOR, (int[]){5, 0, 0}, SDX_INVALID_MODEL, "node 0 '' (Op): attribute 'a': data_type 0");
  expect_attr(ATTR_INT, (int[]){1021, 0, 0}, SDX_INVALID_GRAPH, "is not in a function");
  wire_out t = {0};
  size_t g = begin_small(&t), n = begin_node(&t, 1, "Op", "x", "y");
  put_attr_int(&t, "a", 1);
  put_attr_int(&t, "a", 1);
  wire_end(&t, n);
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "attribute 'a' is given twice");
}

// ---- subgraphs ----------------------------------------------------------------------------------------

static void subgraphs_see_outer_values(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t);
  put_node(&t, 1, "Relu", "x", "a");
  put_with_body(&t, "y", "a", "o");
  wire_end(&t, g);
  imported r;
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  assert_int_equal(r.status, SDX_OK);
  node *n = r.m->graph->nodes[1];
  assert_int_equal(n->capture_count, 1);
  assert_int_equal(n->captures[0], graph_find(r.m->graph, STR("a")));
  drop(&r);
  expect_nodes(
      &t,
      "graph(%x: float[4]) -> (%y) {\n  %a = Relu@17(%x)\n  %y: float[4] = If@17<body=graph inner() -> (%o) {\n"
      "    outer %a = %a\n    %o = Neg@17(%a)\n  }>(%x)\n}\n");
  g = begin_small(&t);
  put_with_body(&t, "y", "late", "o");
  put_node(&t, 1, "Relu", "x", "late");
  wire_end(&t, g);
  expect_nodes(
      &t,
      "graph(%x: float[4]) -> (%y) {\n  %late = Relu@17(%x)\n  %y: float[4] = If@17<body=graph inner() -> (%o) {\n"
      "    outer %late = %late\n    %o = Neg@17(%late)\n  }>(%x)\n}\n");
  g = begin_small(&t);
  put_with_body(&t, "y", "y", "o");
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "the graph has a cycle of 1 node: If 'y' -> If");
  g = begin_small(&t);
  put_with_body(&t, "y", "x", "x");
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "'x' is already in use by the outer graph");
  g = begin_small(&t);  // its own node's output is not there yet, so the name is free inside
  put_with_body(&t, "y", "x", "y");
  wire_end(&t, g);
  expect_model(&t, SDX_OK, "");
  g = begin_small(&t);  // siblings do not see each other
  put_with_body(&t, "b", "x", "o");
  put_with_body(&t, "y", "o", "p");
  wire_end(&t, g);
  expect_model(&t, SDX_INVALID_GRAPH, "input 'o' is made by no node");
}

static void put_nested(wire_out *t, int depth, const char *input) {
  if (depth == 0) {
    put_node(t, 1, "Neg", input, "deep");
    return;
  }
  size_t n = begin_node(t, 1, "If", "", ""), a = wire_begin(t, 5), b;
  put(t, 1, "body");
  b = wire_begin(t, 6);
  put_nested(t, depth - 1, input);
  wire_end(t, b);
  wire_end(t, a);
  wire_end(t, n);
}

static void nesting_has_a_limit(void **state) {
  for (int depth = 32; depth <= 33; depth++) {
    wire_out t = {0};
    size_t g = begin_small(&t);
    put_node(&t, 1, "Relu", "x", "y");
    put_nested(&t, depth, "y");
    wire_end(&t, g);
    if (depth == 32) {
      imported r;
      import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
      assert_int_equal(r.status, SDX_OK);
      assert_int_equal(r.m->graph->nodes[1]->captures[0], graph_find(r.m->graph, STR("y")));  // handed down 32 graphs
      drop(&r);
    }
    expect_model(&t, depth == 32 ? SDX_OK : SDX_LIMIT_EXCEEDED, depth == 32 ? "" : "more than 32 deep");
  }
  for (int depth = 99; depth <= 101; depth++) {  // sequences of sequences of ...
    wire_out t = {0}, type = {0};
    for (int i = 0; i < depth; i++) {
      wire_out outer = {0};
      size_t s = wire_begin(&outer, 4);
      wire_put_bytes(&outer, 1, (str){type.kept.at, type.kept.size});
      wire_end(&outer, s);
      wire_out_deinit(&type);
      type = outer;
    }
    size_t g = begin_model(&t), v = wire_begin(&t, 11);
    put(&t, 1, "x");
    wire_put_bytes(&t, 2, (str){type.kept.at, type.kept.size});
    wire_end(&t, v);
    wire_end(&t, g);
    wire_out_deinit(&type);
    expect_model(&t, depth <= 100 ? SDX_OK : SDX_LIMIT_EXCEEDED, depth <= 100 ? "" : "nested more than 100 deep");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_files_are_no_models),
      cmocka_unit_test(a_model_with_changed_line_ends_is_damaged),
      cmocka_unit_test(versions),
      cmocka_unit_test(a_file_without_opsets_is_of_version_1),
      cmocka_unit_test(two_graphs_are_refused),
      cmocka_unit_test(an_operator_of_an_unlisted_standard_domain_is_refused),
      cmocka_unit_test(names),
      cmocka_unit_test(names_are_bytes),
      cmocka_unit_test(nodes_may_come_in_any_order),
      cmocka_unit_test(inputs_and_initializers),
      cmocka_unit_test(outputs_may_be_inputs_or_constants),
      cmocka_unit_test(attributes),
      cmocka_unit_test(subgraphs_see_outer_values),
      cmocka_unit_test(nesting_has_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
