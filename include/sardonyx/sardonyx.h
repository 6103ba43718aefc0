// SPDX-License-Identifier: Apache-2.0
// Sardonyx: load ONNX models and run them. This header is the whole C API of the engine.
//
//   sdx_session *s;  sdx_run *r;
//   if (sdx_session_load_file("model.onnx", NULL, &s)) return puts(sdx_session_error(s));
//   if (sdx_run_create(s, &r)) return puts("no memory");
//   sdx_value *x = sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){1, 4}, (float[]){1, 2, 3, 4}, NULL, NULL);
//   sdx_run_set_input(r, 0, x);
//   if (sdx_run_execute(r)) return puts(sdx_run_error(r));
//   const float *y = sdx_tensor_data(sdx_run_output(r, 0));
//   printf("%g\n", y[0]);
//
// Conventions. Every fallible function returns sdx_status (SDX_OK is 0); the message of the last
// failure lives on the handle it was called with and stays valid until the handle's next call.
// Strings are NUL-terminated UTF-8; those returned as `const` belong to the handle, `char *` to the
// caller (sdx_string_free). Shapes are arrays of int64_t, outermost dimension first; data is
// row-major and dense. `_ms` are milliseconds, `_bytes` bytes.
// Functions are thread-safe for different handles; a session may be shared by any number of
// threads (its functions only read it), a run and a value belong to one thread at a time unless a
// function says otherwise. A NULL handle is accepted by every *_destroy/_release and by
// sdx_session_error, nowhere else.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sardonyx/types.h"

#if defined(SDX_BUILD_SHARED) && defined(__GNUC__)
#define SDX_API __attribute__((visibility("default")))
#else
#define SDX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sdx_options sdx_options;  // how to load; create, set, pass, destroy
typedef struct sdx_session sdx_session;  // a loaded model; immutable, shareable between threads
typedef struct sdx_run sdx_run;          // one caller's executions of a session
typedef struct sdx_value sdx_value;      // a tensor, sequence, map or empty optional; ref-counted

// ---- library --------------------------------------------------------------------------------

// "major.minor.patch"; static storage.
SDX_API const char *sdx_version(void);
// The sentence, the enum name ("INVALID_GRAPH"), the HTTP code of a status; static storage.
SDX_API const char *sdx_status_text(sdx_status status);
SDX_API const char *sdx_status_name(sdx_status status);
SDX_API int sdx_status_http(sdx_status status);
// Name ("float", as ONNX spells it), bits per element, and the way back (SDX_UNDEFINED if unknown).
SDX_API const char *sdx_dtype_name(sdx_dtype dtype);
SDX_API int sdx_dtype_bits(sdx_dtype dtype);
SDX_API sdx_dtype sdx_dtype_from_name(const char *name);

// ---- values ---------------------------------------------------------------------------------
// Counted by reference: *_create/_borrow return one reference, retain adds one, release drops one.
// retain/release may be called from any thread. Constructors return NULL when memory is exhausted
// or the arguments are not valid (negative dimension, size overflow, rank over 64).

typedef enum sdx_kind { SDX_KIND_TENSOR, SDX_KIND_SEQUENCE, SDX_KIND_MAP, SDX_KIND_NONE } sdx_kind;

// A tensor that owns its memory (64-byte aligned, zeroed). Elements narrower than a byte are packed
// as ONNX packs them, first element in the low bits (float6: a byte each). String tensors start with empty strings.
SDX_API sdx_value *sdx_tensor_create(sdx_dtype dtype, size_t rank, const int64_t *shape);
// A tensor over the caller's memory, which must hold dense row-major data of that shape and stay
// valid until `release(context)` is called (NULL: until the value is released). Not for strings.
SDX_API sdx_value *sdx_tensor_borrow(sdx_dtype dtype, size_t rank, const int64_t *shape, void *data,
                                     void (*release)(void *context), void *context);
SDX_API sdx_value *sdx_sequence_create(size_t count, sdx_value *const *items);  // retains the items
// keys: 1-D int64 or string tensor; values: a tensor with as many elements, or a sequence. Both are retained.
SDX_API sdx_value *sdx_map_create(sdx_value *keys, sdx_value *values);
SDX_API sdx_value *sdx_value_retain(sdx_value *value);  // returns its argument
SDX_API void sdx_value_release(sdx_value *value);
SDX_API sdx_kind sdx_value_kind(const sdx_value *value);  // SDX_KIND_NONE: an empty optional

// Tensor parts: element type, number of dimensions, dimensions, product of them, bytes of the data, the data (NULL
// for strings and for tensors without elements; writable, as the value is). Borrowed from the value.
SDX_API sdx_dtype sdx_tensor_dtype(const sdx_value *value);
SDX_API size_t sdx_tensor_rank(const sdx_value *value);
SDX_API const int64_t *sdx_tensor_shape(const sdx_value *value);
SDX_API size_t sdx_tensor_count(const sdx_value *value);
SDX_API size_t sdx_tensor_bytes(const sdx_value *value);
SDX_API void *sdx_tensor_data(const sdx_value *value);
// String elements: bytes with a length (they may hold NULs). The pointer lives as long as the value
// is not changed. set copies the bytes.
SDX_API const char *sdx_tensor_string(const sdx_value *value, size_t index, size_t *length);
SDX_API sdx_status sdx_tensor_set_string(sdx_value *value, size_t index, const char *bytes, size_t length);
// Sequence items and map parts (item 0 = keys, item 1 = values); borrowed, NULL out of range.
SDX_API size_t sdx_value_item_count(const sdx_value *value);
SDX_API const sdx_value *sdx_value_item(const sdx_value *value, size_t index);

// A value from the bytes of a protobuf file as test sets keep them (input_0.pb). `type` is what is
// expected, as sdx_io spells it: "seq(tensor(float))" reads a SequenceProto; NULL or "tensor(...)" a
// TensorProto. On failure *value is NULL and `message` (may be NULL) gets at most message_size bytes.
SDX_API sdx_status sdx_value_from_pb(const void *bytes, size_t size, const char *type, sdx_value **value, char *message,
                                     size_t message_size);
// TensorProto bytes of a tensor, named `name` (NULL: no name); release with sdx_string_free.
// NULL when memory is exhausted or the value is not a tensor.
SDX_API char *sdx_value_to_pb(const sdx_value *value, const char *name, size_t *size);

// ---- options --------------------------------------------------------------------------------

// For one thread at a time.
SDX_API sdx_options *sdx_options_create(void);  // NULL when memory is exhausted
SDX_API void sdx_options_destroy(sdx_options *options);
// Sets one option by name, the value as text; `sdx_options_list` names them all with default, range and meaning.
//   threads            0 = all the process may use (affinity, cgroup quota)
//   precision          highest | high | medium  (matrix products; highest = at least fp32 FMA)
//   optimize           all | basic | none       (graph passes)
//   disable_passes     comma-separated names
//   memory_limit_bytes, run_memory_limit_bytes, fold_limit_bytes, load_timeout_ms, run_timeout_ms,
//   max_nodes, max_rank, max_subgraph_depth, max_function_depth, max_loop_trips
//   map_file           0 | 1: map the file instead of copying it (only for files nobody rewrites)
//   allow_hard_links   0 | 1: external data may have more than one name, though the model file has one
//   external_data_dir  folder where external data is looked for first (default: that of the model file alone)
//   cache_dir          folder that keeps models as sdx_optimize_file makes them: the first load of a model writes
//   there, a
//                      later one of the same bytes and options maps that; what does not fit is a line of the warnings
//   strict_dims        0 | 1: refuse what sdx_run_warning would say
//   layouts            0 | 1: whether values may lie with channels last in memory (default 1; shapes stay ONNX's)
//   overridable_initializers  names of initializers, comma-separated, or * for all: see sdx_session_feed_count
//   provider           shared library of a device that nodes are offered to (provider.h), "file@1" for its second one;
//                      each call adds one, nodes go to the first that takes them; "cpu" is built in
//   profile            0 | 1: record a Chrome trace, see sdx_session_profile_json
//   plan_cache         how many input-shape signatures keep a plan (default 8)
// Returns SDX_INVALID_ARGUMENT for an unknown name or a bad value; see sdx_options_error.
SDX_API sdx_status sdx_options_set(sdx_options *options, const char *name, const char *value);
// Fixes a symbolic input dimension ("batch") to a number. A name that no input has is an error of the load.
SDX_API sdx_status sdx_options_set_dim(sdx_options *options, const char *symbol, int64_t value);
SDX_API const char *sdx_options_error(const sdx_options *options);
SDX_API char *sdx_options_error_json(const sdx_options *options);  // see sdx_run_error_json
// One line per option: name, default, range, meaning, separated by tabs; static storage.
SDX_API const char *sdx_options_list(void);

// ---- sessions -------------------------------------------------------------------------------
// On failure *session is still set (to a handle that only holds the error) unless memory is
// exhausted, when it is NULL. Destroy it either way. options may be NULL and are copied. Statuses: NOT_FOUND and
// IO_ERROR for the file, INVALID_MODEL for its bytes, INVALID_GRAPH, NOT_SUPPORTED, INVALID_SHAPE for what they
// say, FORBIDDEN for external data out of bounds, NO_MEMORY, LIMIT_EXCEEDED, DEADLINE_EXCEEDED for budgets.

// The file stays open: weights that are kept packed alone are read from it again should other shapes need that. Replace
// a model by renaming another over it; one that is written over is an error then.
SDX_API sdx_status sdx_session_load_file(const char *path, const sdx_options *options, sdx_session **session);
// Only to be looked at with describe and sdx_session_constant: nodes in the versions of the file, local functions not
// expanded. Operators that nobody knows, and whatever else could not be run, are lines of the warnings. Has no runs.
SDX_API sdx_status sdx_session_read_file(const char *path, const sdx_options *options, sdx_session **session);
// The bytes are copied unless `borrow` is set; then they must outlive the session.
SDX_API sdx_status sdx_session_load_bytes(const void *bytes, size_t size, bool borrow, const sdx_options *options,
                                          sdx_session **session);
// `read` fills up to `size` bytes and returns how many (0 = end, negative = failure).
SDX_API sdx_status sdx_session_load_reader(int64_t (*read)(void *context, void *buffer, size_t size), void *context,
                                           const sdx_options *options, sdx_session **session);
// Loads a model and writes it to `target` as it is after passes, with its weights as they are and as the kernels of
// this machine want them packed for the declared shapes (free dimensions count as 1). Loading that file maps it: no
// passes, no packing, no copies, the same results. It is for this version of the library and these kernels alone;
// others refuse it by name. Options that concern the graph (optimize, disable_passes, dimensions) count here, not when
// it is loaded. It replaces `target` whole; while sessions use it, it must not be written over in place.
SDX_API sdx_status sdx_optimize_file(const char *path, const char *target, const sdx_options *options,
                                     sdx_session **session);
SDX_API void sdx_session_destroy(sdx_session *session);  // after all of its runs
// Message of the failed load ("" if it did not fail). Warnings of a load: one a line. Both live as long as the session.
SDX_API const char *sdx_session_error(const sdx_session *session);
SDX_API char *sdx_session_error_json(const sdx_session *session);  // see sdx_run_error_json
SDX_API const char *sdx_session_warnings(const sdx_session *session);

// What goes in and comes out. Everything is borrowed from the session.
typedef struct sdx_io {
  const char *name;
  const char *type;  // ONNX notation: "tensor(float)", "seq(map(int64,tensor(float)))"
  sdx_dtype dtype;   // element type of a tensor, else SDX_UNDEFINED
  bool has_shape;    // false: any rank
  size_t rank;
  const int64_t *shape;        // -1 where the dimension is not fixed
  const char *const *symbols;  // name of each free dimension, NULL where fixed or unnamed
  bool may_be_left_out;        // an input with a default or of an optional type
} sdx_io;
// Inputs and outputs in the model's order. NULL where `index` is out of range.
SDX_API size_t sdx_session_input_count(const sdx_session *session);
SDX_API size_t sdx_session_output_count(const sdx_session *session);
// The inputs and, at the indices behind them, those that have a default: initializers that a run may feed another value
// for, of the type that is declared. The model lists them as inputs (from IR version 4 on: older files had to list all
// initializers), or the option overridable_initializers names them. A run that feeds none keeps its speed; the first
// that feeds one prepares the model for it once more. Shapes of sdx_session_output are those of runs that feed none.
SDX_API size_t sdx_session_feed_count(const sdx_session *session);
// A constant of the model that no run can feed: the option overridable_initializers changes that for initializers.
SDX_API bool sdx_session_is_fixed(const sdx_session *session, const char *name);
SDX_API const sdx_io *sdx_session_input(const sdx_session *session, size_t index);
SDX_API const sdx_io *sdx_session_output(const sdx_session *session, size_t index);
// Index of a name, or -1.
SDX_API int64_t sdx_session_find_input(const sdx_session *session, const char *name);
SDX_API int64_t sdx_session_find_output(const sdx_session *session, const char *name);
// Keys: producer_name producer_version domain description graph_name graph_description
// model_version ir_version opset:<domain> (opset:ai.onnx). NULL when absent. Custom metadata by index: returns the key
// (NULL out of range) and sets *value (may be NULL).
SDX_API const char *sdx_session_metadata(const sdx_session *session, const char *key);
SDX_API size_t sdx_session_custom_metadata_count(const sdx_session *session);
SDX_API const char *sdx_session_custom_metadata(const sdx_session *session, size_t index, const char **value);
// A description as JSON, released with sdx_string_free; docs/inspect.md lists the keys.
//   "summary" metadata, inputs, outputs, operators, bodies · "graph" the graph after passes: text, nodes, values ·
//   "plan" steps, kernels and offsets for the declared shapes (free dimensions count as 1) ·
//   "memory" predicted peak. NULL: unknown word, failed load, or memory is exhausted.
SDX_API char *sdx_session_describe(const sdx_session *session, const char *what);
// Memory charged to the session now: weights, plans, and what its runs keep.
SDX_API uint64_t sdx_session_memory_bytes(const sdx_session *session);
// The constant of that number in "graph": an initializer, or a tensor among attributes. It lies in the session's memory
// and is to be released before it; NULL: there is none, one of strings, or memory is exhausted. A plan may let go of
// the bytes that it has packed: ask before the first run.
SDX_API sdx_value *sdx_session_constant(const sdx_session *session, size_t number);
// Chrome-trace JSON of the runs so far (option profile=1; without it an empty list), also while runs are going on.
// Release with sdx_string_free; NULL when memory is exhausted.
SDX_API char *sdx_session_profile_json(const sdx_session *session);
SDX_API void sdx_string_free(char *text);

// Every problem of a model at once, as JSON: a list of errors as sdx_run_error_json gives them, each with a "severity",
// "error" or "warning".
// Never NULL unless memory is exhausted. Release with sdx_string_free.
SDX_API char *sdx_check_file(const char *path, const sdx_options *options);
SDX_API char *sdx_check_bytes(const void *bytes, size_t size, const sdx_options *options);

// ---- runs -----------------------------------------------------------------------------------
// A run handle keeps bindings and reuses memory from one execution to the next: for static shapes
// an execution allocates nothing once warm. One per thread; any number per session.

// INVALID_ARGUMENT: the session failed to load; NO_MEMORY. Then *run is NULL. The session must outlive the run.
SDX_API sdx_status sdx_run_create(sdx_session *session, sdx_run **run);
SDX_API void sdx_run_destroy(sdx_run *run);
// Binds an input (retained until replaced). NULL unbinds: an input that has a default takes that again. An index out of
// range is refused here, type and shape by execute. The value may be changed between executions, not during one.
SDX_API sdx_status sdx_run_set_input(sdx_run *run, size_t index, sdx_value *value);
// Which outputs are wanted: all by default. `wanted` false skips the output and all work only it
// needs.
SDX_API sdx_status sdx_run_want_output(sdx_run *run, size_t index, bool wanted);
// Binds memory for an output: the result is written into this tensor, whose dtype and shape must
// be the result's. NULL: the run makes (and reuses) its own.
SDX_API sdx_status sdx_run_set_output(sdx_run *run, size_t index, sdx_value *value);
// Limits for the coming executions; 0 = the session's. The deadline counts from execute.
SDX_API void sdx_run_set_timeout_ms(sdx_run *run, uint64_t timeout_ms);
SDX_API void sdx_run_set_memory_limit_bytes(sdx_run *run, uint64_t limit_bytes);
// Runs the model on the calling thread and workers of the process-wide pool; returns when all is done. INVALID_ARGUMENT
// and INVALID_SHAPE: an input is missing or does not fit; NO_MEMORY, LIMIT_EXCEEDED, DEADLINE_EXCEEDED, CANCELLED;
// else what the operator reports. The message names node, input, value and bound. The run can be used again.
SDX_API sdx_status sdx_run_execute(sdx_run *run);
// May be called from any thread: the execution in progress (or the next) ends with SDX_CANCELLED.
SDX_API void sdx_run_cancel(sdx_run *run);
// Output of the last execution, borrowed until the next execute or destroy; retain it to keep it.
// NULL if it was not wanted or the execution failed.
SDX_API sdx_value *sdx_run_output(const sdx_run *run, size_t index);
SDX_API const char *sdx_run_error(const sdx_run *run);  // of the last failed call; "" if none failed
// The same error as fields: {"status", "code", "place", "message", "hint"} and where they are known "node" and
// "operator", the part by its kind ("input", "output", "attribute", "initializer", "dimension", "option", ...: its
// name) with "index", "file", "offset" (bytes), "within", "found", "expected"; docs/errors.md lists them. The text is
// the caller's: release it with sdx_string_free; NULL if no call failed, or memory is exhausted. Like sdx_run_error for
// the thread that uses the handle.
SDX_API char *sdx_run_error_json(const sdx_run *run);
// What the model declares and the last execution did not keep to: inputs that differ in a dimension they give one name,
// an output of another shape. "" if nothing. The option strict_dims makes it an error.
SDX_API const char *sdx_run_warning(const sdx_run *run);
// High-water mark of memory charged to this run's last execution.
SDX_API uint64_t sdx_run_peak_bytes(const sdx_run *run);

// ---- custom operators -----------------------------------------------------------------------
// Registered on options before a load. Domain and name must not be an operator the engine computes:
// of those it knows only ImageDecoder, whose codecs are not part of the library, is open; of its
// registration compute alone is used. infer and compute may be called from several threads at once.

typedef struct sdx_op_context sdx_op_context;  // valid during the callback only

typedef struct sdx_custom_op {
  size_t
      size;  // sizeof(sdx_custom_op): of the header that the caller was built with; entries are only added at the end
  const char *domain;
  const char *name;
  size_t min_inputs, max_inputs;  // max SIZE_MAX = any
  size_t min_outputs, max_outputs;
  void *user;
  // Sets dtype and shape of every output through sdx_op_set_output from what is known of the
  // inputs; leaves outputs whose shape depends on data to compute. May be NULL.
  sdx_status (*infer)(void *user, sdx_op_context *context);
  sdx_status (*compute)(void *user, sdx_op_context *context);
} sdx_custom_op;
// Copied. SDX_INVALID_ARGUMENT for another size than this library knows, for what is missing, and for names built in.
SDX_API sdx_status sdx_options_add_op(sdx_options *options, const sdx_custom_op *op);

SDX_API size_t sdx_op_input_count(const sdx_op_context *context);
SDX_API size_t sdx_op_output_count(const sdx_op_context *context);
// Tensor of an input, borrowed for the callback. In infer its data is NULL unless it is a constant, dimensions that
// are not known are negative, and it is NULL where nothing is known. NULL if absent.
SDX_API const sdx_value *sdx_op_input(sdx_op_context *context, size_t index);
// In infer: declares (negative dimensions: not known; a pointer that is not NULL says "accepted"); in compute:
// returns writable memory of that shape, the run's (NULL on failure).
SDX_API void *sdx_op_set_output(sdx_op_context *context, size_t index, sdx_dtype dtype, size_t rank,
                                const int64_t *shape);
// Counts memory that compute allocates elsewhere against the run's budget until the callback returns;
// SDX_NO_MEMORY when the budget is spent.
SDX_API sdx_status sdx_op_charge(sdx_op_context *context, size_t bytes);
// Not SDX_OK once the run was cancelled or its deadline passed: to be returned. For long loops.
SDX_API sdx_status sdx_op_check(sdx_op_context *context);
// Attributes of the node; false or NULL where it has none of that name and kind. Strings and lists are borrowed.
SDX_API bool sdx_op_attr_int(const sdx_op_context *context, const char *name, int64_t *value);
SDX_API bool sdx_op_attr_float(const sdx_op_context *context, const char *name, float *value);
SDX_API const char *sdx_op_attr_string(const sdx_op_context *context, const char *name, size_t *length);
SDX_API const int64_t *sdx_op_attr_ints(const sdx_op_context *context, const char *name, size_t *count);
SDX_API const float *sdx_op_attr_floats(const sdx_op_context *context, const char *name, size_t *count);
// Sets the message and returns `status`, to be returned from the callback.
SDX_API sdx_status sdx_op_fail(sdx_op_context *context, sdx_status status, const char *message);

// ---- kernels and operators --------------------------------------------------------------------

// JSON of the kernel families and variants of this machine, with the processors and the memory this process may use
// (affinity, control groups, resource limits); and of the operator table. Release with sdx_string_free; NULL when
// memory is exhausted.
SDX_API char *sdx_describe_kernels(void);
SDX_API char *sdx_describe_ops(void);
// Compares every kernel variant with its reference; prints to stdout; returns how many failed (1 if there was none to
// compare).
// filter: family name or NULL; bench: also time each variant.
SDX_API int sdx_selftest_kernels(const char *filter, unsigned rounds, bool bench);

#ifdef __cplusplus
}
#endif
