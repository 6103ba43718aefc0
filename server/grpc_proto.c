// SPDX-License-Identifier: Apache-2.0
// Descriptors (grpc_proto.h), written from one line a message: "type name number; ...", where * stands for a list,
// map:TYPE for a map from strings, CHOICE:TYPE for a field of that choice (oneof), "Outer.Inner" nests a message.
#include "server/grpc_proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/route.h"

typedef struct line {
  const char *name, *fields;
} line;

static const line inference[] = {
    {"ServerLiveRequest", ""},
    {"ServerLiveResponse", "bool live 1"},
    {"ServerReadyRequest", ""},
    {"ServerReadyResponse", "bool ready 1"},
    {"ModelReadyRequest", "string name 1; string version 2"},
    {"ModelReadyResponse", "bool ready 1"},
    {"ServerMetadataRequest", ""},
    {"ServerMetadataResponse", "string name 1; string version 2; string* extensions 3"},
    {"ModelMetadataRequest", "string name 1; string version 2"},
    {"ModelMetadataResponse.TensorMetadata", "string name 1; string datatype 2; int64* shape 3"},
    {"ModelMetadataResponse",
     "string name 1; string* versions 2; string platform 3; ModelMetadataResponse.TensorMetadata* inputs 4; "
     "ModelMetadataResponse.TensorMetadata* outputs 5"},
    {"InferParameter",
     "parameter_choice:bool bool_param 1; parameter_choice:int64 int64_param 2; parameter_choice:string string_param "
     "3; parameter_choice:double double_param 4; "
     "parameter_choice:uint64 uint64_param 5"},
    {"InferTensorContents",
     "bool* bool_contents 1; int32* int_contents 2; int64* int64_contents 3; uint32* uint_contents 4; "
     "uint64* uint64_contents 5; float* fp32_contents 6; double* fp64_contents 7; bytes* bytes_contents 8"},
    {"ModelInferRequest.InferInputTensor",
     "string name 1; string datatype 2; int64* shape 3; map:InferParameter parameters 4; InferTensorContents contents "
     "5"},
    {"ModelInferRequest.InferRequestedOutputTensor", "string name 1; map:InferParameter parameters 2"},
    {"ModelInferRequest",
     "string model_name 1; string model_version 2; string id 3; map:InferParameter parameters 4; "
     "ModelInferRequest.InferInputTensor* inputs 5; ModelInferRequest.InferRequestedOutputTensor* outputs 6; "
     "bytes* raw_input_contents 7"},
    {"ModelInferResponse.InferOutputTensor",
     "string name 1; string datatype 2; int64* shape 3; map:InferParameter parameters 4; InferTensorContents contents "
     "5"},
    {"ModelInferResponse",
     "string model_name 1; string model_version 2; string id 3; map:InferParameter parameters 4; "
     "ModelInferResponse.InferOutputTensor* outputs 5; bytes* raw_output_contents 6"},
    {"ModelStreamInferResponse", "string error_message 1; ModelInferResponse infer_response 2"},
    {"ModelConfigRequest", "string name 1; string version 2"},
    {"ModelInput", "string name 1; int32 data_type 2; int64* dims 4"},
    {"ModelOutput", "string name 1; int32 data_type 2; int64* dims 3"},
    {"ModelDynamicBatching", ""},
    {"ModelConfig",
     "string name 1; string platform 2; int32 max_batch_size 4; ModelInput* input 5; ModelOutput* output 6; "
     "string default_model_filename 8; scheduling_choice:ModelDynamicBatching dynamic_batching 11; string backend 17"},
    {"ModelConfigResponse", "ModelConfig config 1"},
    {"ModelStatisticsRequest", "string name 1; string version 2"},
    {"StatisticDuration", "uint64 count 1; uint64 ns 2"},
    {"InferStatistics",
     "StatisticDuration success 1; StatisticDuration fail 2; StatisticDuration queue 3; "
     "StatisticDuration compute_input 4; StatisticDuration compute_infer 5; StatisticDuration compute_output 6"},
    {"InferBatchStatistics", "uint64 batch_size 1; StatisticDuration compute_infer 3"},
    {"ModelStatistics",
     "string name 1; string version 2; uint64 last_inference 3; uint64 inference_count 4; uint64 execution_count 5; "
     "InferStatistics inference_stats 6; InferBatchStatistics* batch_stats 7"},
    {"ModelStatisticsResponse", "ModelStatistics* model_stats 1"},
    {"ModelRepositoryParameter",
     "parameter_choice:bool bool_param 1; parameter_choice:int64 int64_param 2; parameter_choice:string string_param "
     "3; parameter_choice:bytes bytes_param 4"},
    {"RepositoryIndexRequest", "string repository_name 1; bool ready 2"},
    {"RepositoryIndexResponse.ModelIndex", "string name 1; string version 2; string state 3; string reason 4"},
    {"RepositoryIndexResponse", "RepositoryIndexResponse.ModelIndex* models 1"},
    {"RepositoryModelLoadRequest",
     "string repository_name 1; string model_name 2; map:ModelRepositoryParameter parameters 3"},
    {"RepositoryModelLoadResponse", ""},
    {"RepositoryModelUnloadRequest",
     "string repository_name 1; string model_name 2; map:ModelRepositoryParameter parameters 3"},
    {"RepositoryModelUnloadResponse", ""},
    {"SystemSharedMemoryStatusRequest", "string name 1"},
    {"SystemSharedMemoryStatusResponse.RegionStatus",
     "string name 1; string key 2; uint64 offset 3; uint64 byte_size 4"},
    {"SystemSharedMemoryStatusResponse", "map:SystemSharedMemoryStatusResponse.RegionStatus regions 1"},
    {"SystemSharedMemoryRegisterRequest", "string name 1; string key 2; uint64 offset 3; uint64 byte_size 4"},
    {"SystemSharedMemoryRegisterResponse", ""},
    {"SystemSharedMemoryUnregisterRequest", "string name 1"},
    {"SystemSharedMemoryUnregisterResponse", ""},
    {"CudaSharedMemoryStatusRequest", "string name 1"},
    {"CudaSharedMemoryStatusResponse", ""},
    {"CudaSharedMemoryUnregisterRequest", "string name 1"},
    {"CudaSharedMemoryUnregisterResponse", ""},
    {0}};
static const line health[] = {
    {"HealthCheckRequest", "string service 1"}, {"HealthCheckResponse", "int32 status 1"}, {0}};

static const struct proto_file {
  const char *name, *package, *service;
  const line *lines;
} files[] = {{"grpc_service.proto", "inference", "GRPCInferenceService", inference},
             {"grpc/health/v1/health.proto", "grpc.health.v1", "Health", health}};
enum { FILES = sizeof files / sizeof *files };

// ---- messages ------------------------------------------------------------------------------------

enum { NAME = 1, OPTIONAL = 1, REPEATED = 3, TYPE_STRING = 9, TYPE_MESSAGE = 11, WORD = 120 };

static void put(wire_out *out, uint32_t number, const char *text) { wire_put_bytes(out, number, str_from(text)); }

static int number_of_type(const char *word) {
  static const char *const names[] = {"",        "double", "float",  "int64", "uint64",  "int32", "fixed64",
                                      "fixed32", "bool",   "string", "group", "message", "bytes", "uint32"};
  for (int i = 1; i < (int)(sizeof names / sizeof *names); i++)
    if (!strcmp(names[i], word)) return i;
  return TYPE_MESSAGE;
}

// `type`: as in a line; `name` and `number` beside it.
static void put_field(wire_out *out, const struct proto_file *f, const char *type, const char *name, int number,
                      int label, bool choice) {
  enum { FIELD = 2, NUMBER = 3, LABEL, TYPE, TYPE_NAME, ONEOF = 9 };
  char whole[WORD * 2];
  int kind = number_of_type(type);
  size_t at = wire_begin(out, FIELD);
  put(out, NAME, name);
  wire_put_int(out, NUMBER, number);
  wire_put_int(out, LABEL, label);
  wire_put_int(out, TYPE, kind);
  snprintf(whole, sizeof whole, ".%s.%s", f->package, type);
  if (kind == TYPE_MESSAGE) put(out, TYPE_NAME, whole);
  if (choice) wire_put_int(out, ONEOF, 0);
  wire_end(out, at);
}

// The message that a map is on the wire: ParametersEntry of `parameters`.
static void put_entry(wire_out *out, const struct proto_file *f, const char *entry, const char *type) {
  enum { NESTED = 3, OPTIONS = 7, MAP_ENTRY = 7 };
  size_t at = wire_begin(out, NESTED);
  put(out, NAME, entry);
  put_field(out, f, "string", "key", 1, OPTIONAL, false);
  put_field(out, f, type, "value", 2, OPTIONAL, false);
  size_t options = wire_begin(out, OPTIONS);
  wire_put_int(out, MAP_ENTRY, 1);
  wire_end(out, options);
  wire_end(out, at);
}

static void put_fields(wire_out *out, const struct proto_file *f, const line *l) {
  enum { CHOICES = 8 };
  char choice[WORD] = "";
  for (const char *p = l->fields; *p; p += strcspn(p, ";"), p += strspn(p, "; ")) {
    char word[WORD] = "", name[WORD] = "", entry[WORD + 8], whole[WORD * 3];
    int number = 0;
    sscanf(p, "%119[^ ] %119[^ ] %d", word, name, &number);
    char *colon = strchr(word, ':'), *type = colon ? colon + 1 : word, *end = type + strlen(type) - 1;
    bool map = !strncmp(word, "map:", 4), list = *end == '*';
    if (list) *end = 0;
    if (map) {
      snprintf(entry, sizeof entry, "%c%sEntry", name[0] - 'a' + 'A', name + 1);
      put_entry(out, f, entry, type);
      snprintf(whole, sizeof whole, "%s.%s", l->name, entry);
      put_field(out, f, whole, name, number, REPEATED, false);
    } else {
      put_field(out, f, type, name, number, list ? REPEATED : OPTIONAL, colon != NULL);
      if (colon) snprintf(choice, sizeof choice, "%.*s", (int)(colon - word), word);
    }
  }
  if (!*choice) return;
  size_t at = wire_begin(out, CHOICES);
  put(out, NAME, choice);
  wire_end(out, at);
}

static void put_message(wire_out *out, const struct proto_file *f, const line *l, uint32_t number) {
  enum { NESTED = 3 };
  size_t at = wire_begin(out, number), size = strlen(l->name);
  const char *dot = strrchr(l->name, '.');
  put(out, NAME, dot ? dot + 1 : l->name);
  put_fields(out, f, l);
  for (const line *inner = f->lines; !dot && inner->name; inner++)
    if (!strncmp(inner->name, l->name, size) && inner->name[size] == '.') put_message(out, f, inner, NESTED);
  wire_end(out, at);
}

// ---- services ------------------------------------------------------------------------------------

// The name of a route's procedure, if it is one of the file's service; else NULL.
static const char *procedure_of(const struct proto_file *f, const http_route *r) {
  char service[WORD * 2];
  int size = snprintf(service, sizeof service, "/%s.%s/", f->package, f->service);
  return r->grpc && !strncmp(r->paths[0], service, (size_t)size) ? r->paths[0] + size : NULL;
}

static void put_service(wire_out *out, const struct proto_file *f) {
  enum { SERVICE = 6, METHOD = 2, INPUT = 2, OUTPUT, CLIENT_STREAMS = 5, SERVER_STREAMS };
  size_t at = wire_begin(out, SERVICE);
  put(out, NAME, f->service);
  for (const http_route *const *r = http_routes; *r; r++) {
    const char *name = procedure_of(f, *r);
    char input[WORD * 2], output[WORD * 2];
    if (!name) continue;
    const char *asked = f->lines == health ? "HealthCheck" : (*r)->messages ? "ModelInfer" : name;
    snprintf(input, sizeof input, ".%s.%sRequest", f->package, asked);
    snprintf(output, sizeof output, ".%s.%sResponse", f->package, f->lines == health ? asked : name);
    size_t method = wire_begin(out, METHOD);
    put(out, NAME, name);
    put(out, INPUT, input);
    put(out, OUTPUT, output);
    if ((*r)->messages) wire_put_int(out, CLIENT_STREAMS, 1);
    if ((*r)->messages) wire_put_int(out, SERVER_STREAMS, 1);
    wire_end(out, method);
  }
  wire_end(out, at);
}

static void put_file(wire_out *out, const struct proto_file *f) {
  enum { PACKAGE = 2, MESSAGE = 4, SYNTAX = 12 };
  put(out, NAME, f->name);
  put(out, PACKAGE, f->package);
  for (const line *l = f->lines; l->name; l++)
    if (!strchr(l->name, '.')) put_message(out, f, l, MESSAGE);
  put_service(out, f);
  put(out, SYNTAX, "proto3");
}

// Whether the file has what is called `name` behind its package.
static bool has(const struct proto_file *f, str name) {
  size_t service = strlen(f->service);
  for (const line *l = f->lines; l->name; l++)
    if (str_is(name, l->name)) return true;
  if (name.size < service || memcmp(name.at, f->service, service) != 0) return false;
  if (name.size == service) return true;
  for (const http_route *const *r = http_routes; *r && name.at[service] == '.'; r++) {
    const char *procedure = procedure_of(f, *r);
    if (procedure && str_is((str){name.at + service + 1, name.size - service - 1}, procedure)) return true;
  }
  return false;
}

bool grpc_proto_write(str symbol, wire_out *out) {
  for (size_t i = 0; i < FILES; i++) {
    size_t package = strlen(files[i].package);
    bool within =
        symbol.size > package + 1 && !memcmp(symbol.at, files[i].package, package) && symbol.at[package] == '.';
    if (!str_is(symbol, files[i].name) &&
        !(within && has(&files[i], (str){symbol.at + package + 1, symbol.size - package - 1})))
      continue;
    put_file(out, &files[i]);
    return true;
  }
  return false;
}

const char *grpc_proto_service(size_t *at) {
  static const char *const names[] = {"inference.GRPCInferenceService", "grpc.health.v1.Health",
                                      "grpc.reflection.v1.ServerReflection",
                                      "grpc.reflection.v1alpha.ServerReflection"};
  return *at < sizeof names / sizeof *names ? names[(*at)++] : NULL;
}
