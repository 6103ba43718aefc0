// SPDX-License-Identifier: Apache-2.0
// Execution providers: devices that run nodes on memory of their own. A provider is a table of functions in a shared
// library, found by the name SDX_PROVIDER_ENTRY; sdx_options_set(o, "provider", PATH) brings it into a session. The
// engine asks it which nodes it can run, keeps one slab of its memory for each plan, and copies values at the borders.
//
//   const sdx_provider *sdx_provider_get(const sdx_provider_host *host) {
//     return host->abi == SDX_PROVIDER_ABI ? &mine : 0;
//   }
//
// Growth: both tables start with their size and the ABI number. Entries are only ever added at the end, behind `size`;
// what changes meaning changes SDX_PROVIDER_ABI, and libraries of another number are refused by name.
// Errors: a status other than SDX_OK ends what the engine was doing; host->fail says why in words.
// Threads: open and close are called by one thread; everything else by any thread, several runs at a time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SDX_PROVIDER_ABI 1
#define SDX_PROVIDER_ENTRY "sdx_provider_get"

// A node with what is known of it. Valid during the call that it is passed to.
typedef struct sdx_node sdx_node;

typedef enum sdx_layout { SDX_LAYOUT_ONNX, SDX_LAYOUT_CHANNELS_LAST } sdx_layout;

// An input or an output of a node.
typedef struct sdx_port {
  sdx_dtype dtype;       // SDX_UNDEFINED: the node leaves it out
  size_t rank;           //
  const int64_t *shape;  // [rank], as ONNX has it
  sdx_layout layout;     // in which order the elements lie
  size_t bytes;
  const void *constant;  // inputs known before the run, in host memory; else NULL. Not while running.
} sdx_port;

typedef enum sdx_attribute_kind {
  SDX_ATTR_NONE,
  SDX_ATTR_INT,
  SDX_ATTR_FLOAT,
  SDX_ATTR_STRING,
  SDX_ATTR_INTS,
  SDX_ATTR_FLOATS
} sdx_attribute_kind;

typedef struct sdx_attribute {
  sdx_attribute_kind kind;  // SDX_ATTR_NONE: the model does not set it (or sets it to a kind not listed here)
  size_t count;             // elements of lists, bytes of strings
  int64_t i;
  float f;
  const char *string;  // not terminated
  const int64_t *ints;
  const float *floats;
} sdx_attribute;

// What the engine does for a provider.
typedef struct sdx_provider_host {
  size_t size;
  uint32_t abi;
  const char *version;  // of the engine
  // Operators are those of the newest versions: older models are rewritten when they are loaded.
  const char *(*node_domain)(const sdx_node *node);  // "" is ai.onnx
  const char *(*node_operator)(const sdx_node *node);
  size_t (*node_inputs)(const sdx_node *node);
  size_t (*node_outputs)(const sdx_node *node);
  void (*node_input)(const sdx_node *node, size_t index, sdx_port *port);
  void (*node_output)(const sdx_node *node, size_t index, sdx_port *port);
  void (*node_attribute)(const sdx_node *node, const char *name, sdx_attribute *attribute);
  // The engine's own kernels on memory that the host may touch for so long: first in prepare, then in run.
  sdx_status (*prepare_on_host)(sdx_node *node);
  sdx_status (*run_on_host)(sdx_node *node, const void *const *inputs, void *const *outputs);
  // Words for an error; gives the status back.
  sdx_status (*fail)(sdx_node *node, sdx_status status, const char *message);
} sdx_provider_host;

typedef struct sdx_provider {
  size_t size;
  uint32_t abi;
  const char *name;  // as plans show it: "cuda"
  size_t (*devices)(void);
  // Device `index` of them, for one session.
  sdx_status (*open)(size_t index, void **context, char *message, size_t message_size);
  void (*close)(void *context);

  // Buffers. Their addresses are never read by the engine but may be added to: values lie at multiples of 64 bytes
  // in them. NULL: no memory.
  void *(*allocate)(void *context, size_t bytes);
  void (*release_buffer)(void *context, void *buffer);
  // What is asked for runs in the order in which one thread asks for it. copy_in has read `from` when it returns;
  // copy_out may go on until the next synchronise, or until a wait for an event recorded after it.
  sdx_status (*copy_in)(void *context, void *to, const void *from, size_t bytes);
  sdx_status (*copy_out)(void *context, void *to, const void *from, size_t bytes);

  // Whether it runs the node on these types, shapes and layouts. If not, `reason` gets a clause for people
  // ("no double precision"). All shapes are known.
  bool (*can_run)(void *context, const sdx_node *node, char *reason, size_t reason_size);
  // Once for each plan; the node's constants are in host memory. `kernel` is given to run, by several threads.
  sdx_status (*prepare)(void *context, sdx_node *node, void **kernel);
  void (*release_kernel)(void *context, void *kernel);
  // One pointer for each input and output, into buffers; NULL where the node leaves one out. May return before it is
  // done.
  sdx_status (*run)(void *context, sdx_node *node, void *kernel, const void *const *inputs, void *const *outputs);
  // Until everything is done that this thread asked for; its events that nobody waited for are gone.
  sdx_status (*synchronise)(void *context);

  // Events, so that copies overlap with what the host does meanwhile. Both or neither.
  void *(*record)(void *context);                  // after all asked for so far; NULL: no memory
  sdx_status (*wait)(void *context, void *event);  // until it has happened; the event is gone
} sdx_provider;

typedef const sdx_provider *sdx_provider_get_function(const sdx_provider_host *host);

#ifdef __cplusplus
}
#endif
