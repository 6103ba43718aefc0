// SPDX-License-Identifier: Apache-2.0
// The kinds of files (file_kind.h): a row for each, found by magic bytes where it has them, else by a look at its text
// or at the names in a zip archive. What is more particular comes first.
#include "base/file_kind.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

typedef bool test(str head);

#define CONVERTS "'sardonyx convert' makes an ONNX model of it"
#define TRUST(package) \
  "'sardonyx convert --trust' lets your own Python and " package " convert it, if you trust the file"
#define DOWNLOAD "the download went wrong: get the file itself"
#define LOOK "look inside: a failed download leaves such a file"
#define UNPACK "unpack it and give the model inside"

// ---- looking ----------------------------------------------------------------------------------------

static bool begins_at(str s, size_t at, const char *bytes, size_t size) {
  return s.size >= at + size && memcmp(s.at + at, bytes, size) == 0;
}
#define BEGINS(s, literal) begins_at(s, 0, literal, sizeof literal - 1)

static bool holds(str s, const char *text) { return memmem(s.at, s.size, text, strlen(text)) != NULL; }

static str skip_space(str s) {
  if (BEGINS(s, "\xef\xbb\xbf")) s = (str){s.at + 3, s.size - 3};
  while (s.size && isspace((unsigned char)*s.at)) s.at++, s.size--;
  return s;
}

static bool is_object(str s) { return BEGINS(skip_space(s), "{"); }
static bool is_markup(str s) { return BEGINS(skip_space(s), "<"); }

static uint64_t little(str s, size_t at, size_t bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < bytes && at + i < s.size; i++) n |= (uint64_t)(unsigned char)s.at[at + i] << 8 * i;
  return n;
}

static bool is_text(str s) {
  size_t look = s.size < 4096 ? s.size : 4096;
  for (size_t i = 0; i < look; i++) {
    unsigned char c = (unsigned char)s.at[i];
    if (c < 0x20 && !isspace(c)) return false;
  }
  return look > 0;
}

// ---- zip archives -----------------------------------------------------------------------------------

// Whether one of the local headers within the bytes names a file that ends in `end`.
static bool archives(str s, const char *end) {
  size_t length = strlen(end);
  if (!BEGINS(s, "PK\3\4")) return false;
  for (size_t at = 0; at + 30 <= s.size;) {
    const char *next = memmem(s.at + at, s.size - at, "PK\3\4", 4);
    if (!next) return false;
    at = (size_t)(next - s.at);
    size_t name = (size_t)little(s, at + 26, 2);
    if (at + 30 + name <= s.size && name >= length && !memcmp(s.at + at + 30 + name - length, end, length)) return true;
    at += 4;
  }
  return false;
}

static bool is_npz(str s) { return archives(s, ".npy"); }
static bool is_torch_zip(str s) { return archives(s, "/data.pkl") || archives(s, "/constants.pkl"); }
static bool is_pt2(str s) {
  return archives(s, "serialized_exported_program.json") || archives(s, "/archive_format") ||
         archives(s, "/data/weights/weight_0") || archives(s, "/data/weights/model.pt") ||
         archives(s, "/models/model.json");
}
static bool is_keras_zip(str s) { return archives(s, "config.json") && archives(s, "metadata.json"); }
static bool is_skops(str s) { return archives(s, "schema.json"); }
static bool is_mlnet(str s) { return archives(s, "TrainingInfo/Version.txt") || archives(s, "Model.key"); }
static bool is_office(str s) { return archives(s, "[Content_Types].xml"); }
static bool is_zip(str s) { return BEGINS(s, "PK\3\4") || BEGINS(s, "PK\5\6"); }

// ---- text -------------------------------------------------------------------------------------------

static bool is_xgboost_json(str s) {
  return is_object(s) && holds(s, "\"learner\"") && holds(s, "\"gradient_booster\"");
}
static bool is_xgboost_ubjson(str s) { return BEGINS(s, "{") && begins_at(s, 10, "learner{", 8); }
static bool is_lightgbm(str s) { return BEGINS(s, "tree\nversion=") || BEGINS(s, "tree\r\nversion="); }
static bool is_lightgbm_json(str s) {
  return is_object(s) && holds(s, "\"name\"") && holds(s, "\"tree\"") && holds(s, "\"max_feature_idx\"");
}
static bool is_libsvm(str s) { return BEGINS(s, "svm_type "); }
static bool is_catboost_json(str s) {
  return is_object(s) && (holds(s, "\"catboost_version_info\"") || holds(s, "\"oblivious_trees\"") ||
                          (holds(s, "\"ctr_data\"") && holds(s, "\"features_info\"")));
}
static bool is_mxnet_symbol(str s) {
  return is_object(s) && holds(s, "\"nodes\"") && holds(s, "\"op\"") && holds(s, "\"null\"");
}
static bool is_paddle_json(str s) { return is_object(s) && holds(s, "\"base_code\"") && holds(s, "\"pir\""); }
static bool is_keras_json(str s) {
  return is_object(s) && holds(s, "\"class_name\"") && (holds(s, "\"keras_version\"") || holds(s, "\"layers\""));
}
static bool is_ncnn(str s) { return BEGINS(s, "7767517\n") || BEGINS(s, "7767517\r"); }
static bool is_darknet(str s) { return BEGINS(s, "[net]") || BEGINS(s, "[network]"); }
static bool is_openvino(str s) { return is_markup(s) && holds(s, "<net ") && holds(s, "<layers>"); }
static bool is_pmml(str s) { return is_markup(s) && holds(s, "<PMML"); }
static bool is_page(str s) {
  return is_markup(s) &&
         (holds(s, "<html") || holds(s, "<HTML") || holds(s, "<!DOCTYPE html") || holds(s, "<!doctype html"));
}
static bool is_onnx_text(str s) {
  return is_text(s) && (holds(s, "op_type:") || holds(s, "ir_version:")) && holds(s, "graph {");
}
static bool is_onnx_json(str s) { return is_object(s) && (holds(s, "\"opsetImport\"") || holds(s, "\"irVersion\"")); }
// The syntax of onnx.printer: "<ir_version: 8, ...> name (inputs) => (outputs) { ... }".
static bool is_onnx_syntax(str s) { return is_markup(s) && holds(s, "ir_version:") && holds(s, "=>"); }
static bool is_graph_text(str s) {
  str t = skip_space(s);
  return is_text(s) && (BEGINS(t, "node {") || BEGINS(t, "node{")) && holds(s, "op: \"") && holds(s, "name: \"");
}
static bool is_prototxt(str s) {
  return is_text(s) && (holds(s, "layer {") || holds(s, "layers {")) && holds(s, "type:") && holds(s, "bottom:");
}

// ---- binary -----------------------------------------------------------------------------------------

static bool is_xgboost_binary(str s) {
  static const char *const boosters[] = {"gbtree", "dart", "gblinear"};
  size_t at = BEGINS(s, "binf") ? 4 : 0;
  uint64_t length = little(s, at + 136, 8);
  if (at + 152 + length > s.size || length > 64) return false;
  str booster = {s.at + at + 144 + length + 8, s.size - at - 152 - (size_t)length};
  for (size_t i = 0; i < 3; i++) {
    size_t size = strlen(boosters[i]);
    if (little(s, at + 144 + (size_t)length, 8) == size && begins_at(booster, 0, boosters[i], size)) return true;
  }
  return false;
}

static bool is_safetensors(str s) {
  uint64_t length = little(s, 0, 8);
  return s.size > 10 && length >= 2 && length < (uint64_t)1 << 27 && s.at[8] == '{' &&
         (s.at[9] == '"' || s.at[9] == '}');
}

// The opcodes of protocol 2 and later; of the older ones what objects begin with.
static bool is_pickle(str s) {
  if (s.size > 2 && s.at[0] == '\x80' && s.at[1] >= 2 && s.at[1] <= 5) return true;
  return BEGINS(s, "ccopy_reg\n") || BEGINS(s, "c__builtin__\n") || BEGINS(s, "(dp0\n") || BEGINS(s, "(lp0\n") ||
         (BEGINS(s, "csklearn.") && holds(s, "\np0\n"));
}

static bool is_torch_legacy(str s) { return BEGINS(s, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"); }
static bool is_joblib(str s) {
  return BEGINS(s, "ZF0x") ||
         ((BEGINS(s, "\x78\x9c") || BEGINS(s, "\x78\x01") || BEGINS(s, "\x78\xda") || BEGINS(s, "\x78\x5e")) &&
          s.size > 64);
}
static bool is_mxnet_params(str s) { return s.size > 24 && little(s, 0, 8) == 0x112; }
static bool is_tar(str s) { return begins_at(s, 257, "ustar", 5); }

// ---- protobuf without magic -------------------------------------------------------------------------

// Steps over the tag of a delimited field and its length; false where there is another.
static bool enter(str s, size_t *at, unsigned char tag) {
  if (*at >= s.size || (unsigned char)s.at[*at] != tag) return false;
  for (++*at; *at < s.size && (unsigned char)s.at[*at] & 0x80;) ++*at;
  return ++*at < s.size;
}
enum { FIELD_1 = 0x0a, FIELD_2 = 0x12, FIELD_3 = 0x1a };

// Number of the field that follows a string of field 1.
static uint64_t after_name(str s) {
  size_t at = 0;
  if (!enter(s, &at, FIELD_1)) return 0;
  at += (unsigned char)s.at[at - 1];
  uint64_t tag = little(s, at, 2);
  return tag & 0x80 ? (tag & 0x7f) >> 3 | (tag >> 8) << 4 : (tag & 0xff) >> 3;
}

// What describes the graph comes first: one of its fields, all of them delimited.
static bool is_saved_model(str s) {
  size_t at = 2;
  return BEGINS(s, "\x08\x01") && enter(s, &at, FIELD_2) && enter(s, &at, FIELD_1) && s.at[at] > 0 && s.at[at] < '@' &&
         (s.at[at] & 7) == 2;
}
static bool is_cntk(str s) {
  return (BEGINS(s, "\x08\x01\x12") && (holds(s, "CompositeFunction") || holds(s, "PrimitiveFunction"))) ||
         BEGINS(s, "B\0C\0N\0");
}
static bool is_coreml(str s) {
  size_t at = 2;
  if (archives(s, "com.apple.CoreML/model.mlmodel")) return true;  // an .mlpackage that was zipped
  return BEGINS(s, "\x08") && s.size > 16 && (unsigned char)s.at[1] < 32 && enter(s, &at, FIELD_2) &&
         enter(s, &at, FIELD_1) && enter(s, &at, FIELD_1);
}
static bool is_graph_def(str s) {
  size_t at = 0;
  if (!enter(s, &at, FIELD_1) || !enter(s, &at, FIELD_1)) return false;
  at += (unsigned char)s.at[at - 1];
  return enter(s, &at, FIELD_2) && isupper((unsigned char)s.at[at]);
}
static bool is_caffe(str s) {
  uint64_t field = after_name(s);
  return field == 2 || field == 3 || field == 100;  // layers of version 1, inputs, layers
}
static bool is_paddle(str s) {
  size_t at = 0;
  return enter(s, &at, FIELD_1) && begins_at(s, at, "\x08\0\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a", 14);
}

static bool is_blank(str s) { return s.size > 0 && s.at[0] == 0 && memcmp(s.at, s.at + 1, s.size - 1) == 0; }

// A binary file that a transfer took for text: every line feed has got a carriage return.
static bool is_crlf_damaged(str s) {
  size_t feeds = 0;
  if (is_text(s)) return false;
  for (size_t i = 0; i < s.size; i++)
    if (s.at[i] == '\n' && (feeds++, i == 0 || s.at[i - 1] != '\r')) return false;
  return feeds >= 3;
}

// ---- pictures ---------------------------------------------------------------------------------------

// Two bytes say too little where anything may come.
#define MAGIC(at, bytes) || (sizeof bytes > 3 && begins_at(s, at, bytes, sizeof bytes - 1))
#define PICTURE(id, name, library, endings, ...) \
  static bool is_##id##_picture(str s) { return false __VA_ARGS__; }
#include "base/pictures.def"
#undef PICTURE
#undef MAGIC

// ---- the table --------------------------------------------------------------------------------------

typedef struct row {
  file_kind kind;
  const char *magic;  // NULL: test
  size_t size, at;
  test *test;
} row;
#define MAGIC(literal) literal, sizeof literal - 1
#define TEST(function) NULL, 0, 0, function

static const row rows[] = {
    // What downloads and transfers leave.
    {{"git-lfs", "a git-lfs pointer, not the file itself", "'git lfs pull' fetches it", FILE_STAND_IN},
     MAGIC("version https://git-lfs"),
     0,
     NULL},
    {{"html", "a web page", DOWNLOAD, FILE_STAND_IN}, TEST(is_page)},
    // Models of other frameworks.
    {{"xgboost-json", "an XGBoost model (JSON)", CONVERTS, FILE_MODEL}, TEST(is_xgboost_json)},
    {{"xgboost-ubjson", "an XGBoost model (UBJSON)", CONVERTS, FILE_MODEL}, TEST(is_xgboost_ubjson)},
    {{"xgboost-base64", "an XGBoost model in base64 (from old R packages)", "load it in R and save it again as JSON",
      FILE_MODEL},
     MAGIC("bs64"),
     0,
     NULL},
    {{"xgboost-binary", "an XGBoost model (binary)", CONVERTS, FILE_MODEL}, TEST(is_xgboost_binary)},
    {{"lightgbm", "a LightGBM model", CONVERTS, FILE_MODEL}, TEST(is_lightgbm)},
    {{"lightgbm-json", "a LightGBM model dumped as JSON", CONVERTS, FILE_MODEL}, TEST(is_lightgbm_json)},
    {{"libsvm", "a LibSVM model", CONVERTS, FILE_MODEL}, TEST(is_libsvm)},
    {{"catboost", "a CatBoost model (cbm)", CONVERTS, FILE_MODEL}, MAGIC("CBM1"), 0, NULL},
    {{"catboost-json", "a CatBoost model (JSON)", CONVERTS, FILE_MODEL}, TEST(is_catboost_json)},
    {{"keras-json", "a Keras model without its weights", "save the model with its weights: model.save(\"model.keras\")",
      FILE_MODEL},
     TEST(is_keras_json)},
    {{"keras", "a Keras model", CONVERTS, FILE_MODEL}, TEST(is_keras_zip)},
    {{"hdf5", "an HDF5 file, as Keras saves models", CONVERTS, FILE_MODEL}, MAGIC("\x89HDF\r\n\x1a\n"), 0, NULL},
    {{"tflite", "a TensorFlow Lite model", CONVERTS, FILE_MODEL}, MAGIC("TFL3"), 4, NULL},
    {{"ort", "a model in ONNX Runtime's own format", "convert the ONNX file it was made from, it holds the same",
      FILE_MODEL},
     MAGIC("ORTM"),
     4,
     NULL},
    {{"pt2", "a PyTorch exported program", CONVERTS, FILE_MODEL}, TEST(is_pt2)},
    {{"pytorch", "a PyTorch file (state dict or TorchScript)",
      "'sardonyx convert --trust --shape 1x3x224x224' has your own PyTorch export it", FILE_MODEL},
     TEST(is_torch_zip)},
    {{"pytorch-legacy", "an old PyTorch file",
      "'sardonyx convert --trust --shape 1x3x224x224' has your own PyTorch export it", FILE_MODEL},
     TEST(is_torch_legacy)},
    {{"skops", "a scikit-learn model saved by skops", TRUST("skl2onnx"), FILE_MODEL}, TEST(is_skops)},
    {{"pickle", "a Python pickle, as scikit-learn models are saved", TRUST("skl2onnx"), FILE_MODEL}, TEST(is_pickle)},
    {{"joblib", "a compressed Python pickle, as joblib saves scikit-learn models", TRUST("skl2onnx"), FILE_MODEL},
     TEST(is_joblib)},
    {{"mlnet", "an ML.NET model", "in .NET: mlContext.Model.ConvertToOnnx(...)", FILE_MODEL}, TEST(is_mlnet)},
    {{"safetensors", "weights in safetensors, without the program that uses them", CONVERTS " and config.json",
      FILE_MODEL},
     TEST(is_safetensors)},
    {{"gguf", "a GGUF model", CONVERTS, FILE_MODEL}, MAGIC("GGUF"), 0, NULL},
    {{"ggml", "a model in an old format of llama.cpp", "llama.cpp's converters make GGUF of it", FILE_MODEL},
     MAGIC("tjgg"),
     0,
     NULL},
    {{"mxnet-symbol", "an MXNet symbol", CONVERTS, FILE_MODEL}, TEST(is_mxnet_symbol)},
    {{"mxnet-params", "weights of an MXNet model", "'sardonyx convert' makes an ONNX model of it and its -symbol.json",
      FILE_MODEL},
     TEST(is_mxnet_params)},
    {{"tensorflow-text", "a TensorFlow graph as text", CONVERTS, FILE_MODEL}, TEST(is_graph_text)},
    {{"caffe-prototxt", "a Caffe network", CONVERTS, FILE_MODEL}, TEST(is_prototxt)},
    {{"paddle", "a PaddlePaddle program", TRUST("paddle2onnx"), FILE_MODEL}, TEST(is_paddle_json)},
    {{"openvino", "an OpenVINO network", "convert the model it was made from: OpenVINO writes no ONNX", FILE_MODEL},
     TEST(is_openvino)},
    {{"ncnn", "an ncnn network", "convert the model it was made from: ncnn writes no ONNX", FILE_MODEL}, TEST(is_ncnn)},
    {{"darknet", "a Darknet network", "the network's own project has an export to ONNX", FILE_MODEL}, TEST(is_darknet)},
    {{"pmml", "a PMML model", "save the model from the program that made it", FILE_MODEL}, TEST(is_pmml)},
    {{"paddle", "a PaddlePaddle program", TRUST("paddle2onnx"), FILE_MODEL}, TEST(is_paddle)},
    {{"cntk", "a CNTK model", CONVERTS, FILE_MODEL}, TEST(is_cntk)},
    {{"coreml", "a Core ML model", CONVERTS, FILE_MODEL}, TEST(is_coreml)},
    {{"tensorflow", "a TensorFlow SavedModel", CONVERTS, FILE_MODEL}, TEST(is_saved_model)},
    {{"tensorflow-graph", "a TensorFlow graph", CONVERTS, FILE_MODEL}, TEST(is_graph_def)},
    {{"caffemodel", "a Caffe model", CONVERTS, FILE_MODEL}, TEST(is_caffe)},
    {{"tensorrt", "a TensorRT engine, for one kind of GPU", "convert the model it was built from", FILE_MODEL},
     MAGIC("ftrt"),
     0,
     NULL},
    // What may hold a model.
    {{"npz", "NumPy arrays", "they are inputs, not a model", FILE_OTHER}, TEST(is_npz)},
    {{"npy", "a NumPy array", "it is an input, not a model", FILE_OTHER}, MAGIC("\x93NUMPY"), 0, NULL},
    {{"office", "an office document", "", FILE_OTHER}, TEST(is_office)},
    {{"zip", "a zip archive", UNPACK, FILE_OTHER}, TEST(is_zip)},
    {{"gzip", "gzip-compressed", "'gunzip' unpacks it", FILE_OTHER}, MAGIC("\x1f\x8b"), 0, NULL},
    {{"xz", "xz-compressed", "'unxz' unpacks it", FILE_OTHER},
     MAGIC("\xfd"
           "7zXZ"),
     0,
     NULL},
    {{"zstd", "zstd-compressed", "'unzstd' unpacks it", FILE_OTHER}, MAGIC("\x28\xb5\x2f\xfd"), 0, NULL},
    {{"bzip2", "bzip2-compressed", "'bunzip2' unpacks it", FILE_OTHER}, MAGIC("BZh9"), 0, NULL},
    {{"lz4", "lz4-compressed", "'unlz4' unpacks it", FILE_OTHER}, MAGIC("\x04\x22\x4d\x18"), 0, NULL},
    {{"7z", "a 7z archive", UNPACK, FILE_OTHER}, MAGIC("7z\xbc\xaf"), 0, NULL},
    {{"rar", "a rar archive", UNPACK, FILE_OTHER}, MAGIC("Rar!"), 0, NULL},
    {{"tar", "a tar archive", "'tar xf' unpacks it", FILE_OTHER}, TEST(is_tar)},
// Anything else.
#define PICTURE(id, name, library, endings, ...) {{#id, "a " name " picture", "", FILE_OTHER}, TEST(is_##id##_picture)},
#include "base/pictures.def"
    {{"sqlite", "an SQLite database", "", FILE_OTHER}, MAGIC("SQLite format 3"), 0, NULL},
    {{"parquet", "a Parquet table", "", FILE_OTHER}, MAGIC("PAR1"), 0, NULL},
    {{"arrow", "an Arrow table", "", FILE_OTHER}, MAGIC("ARROW1"), 0, NULL},
    {{"pdf", "a PDF document", "", FILE_OTHER}, MAGIC("%PDF"), 0, NULL},
    {{"elf", "a program", "", FILE_OTHER},
     MAGIC("\x7f"
           "ELF"),
     0,
     NULL},
    {{"onnx-text", "an ONNX model in protobuf's text form",
      "in Python: onnx.save(onnx.load(\"MODEL\", format=\"textproto\"), \"model.onnx\")", FILE_OTHER},
     TEST(is_onnx_text)},
    {{"onnx-json", "an ONNX model as JSON",
      "in Python: onnx.save(onnx.load(\"MODEL\", format=\"json\"), \"model.onnx\")", FILE_OTHER},
     TEST(is_onnx_json)},
    {{"onnx-syntax", "an ONNX model as text",
      "in Python: onnx.save(onnx.parser.parse_model(open(\"MODEL\").read()), \"model.onnx\")", FILE_OTHER},
     TEST(is_onnx_syntax)},
    {{"json", "JSON", LOOK, FILE_OTHER}, TEST(is_object)},
    {{"xml", "XML", LOOK, FILE_OTHER}, TEST(is_markup)},
    {{"utf16", "text in UTF-16", LOOK, FILE_OTHER}, MAGIC("\xff\xfe"), 0, NULL},
    {{"blank", "a file of nothing but zero bytes", "the download or copy was cut off: get the file again", FILE_OTHER},
     TEST(is_blank)},
    {{"text", "text", LOOK, FILE_OTHER}, TEST(is_text)},
    {{"crlf", "a binary file whose line ends were changed on the way", "transfer it again, in binary mode", FILE_OTHER},
     TEST(is_crlf_damaged)},
};
enum { ROWS = sizeof rows / sizeof *rows };

const file_kind *file_kind_of(const void *bytes, size_t size) {
  str head = {bytes, size < FILE_KIND_HEAD ? size : FILE_KIND_HEAD};
  for (size_t i = 0; i < ROWS; i++)
    if (rows[i].test ? rows[i].test(head) : begins_at(head, rows[i].at, rows[i].magic, rows[i].size))
      return &rows[i].kind;
  return NULL;
}

const file_kind *file_kind_at(size_t index) { return index < ROWS ? &rows[index].kind : NULL; }
