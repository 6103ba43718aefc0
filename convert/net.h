// SPDX-License-Identifier: Apache-2.0
// Layers of networks, for formats that describe them with channels first: values with what is known of their shapes,
// weights as files write them, and the nodes that layers are made of. net.c: weights, and what changes shapes;
// net_values.c: numbers one by one and over axes; net_layers.c: windows, products, normalisation; net_rnn.c:
// recurrence.
#pragma once

#include "convert/format.h"
#include "convert/nodes.h"

enum { NET_RANK = 8, NET_SPACE = 3, NET_MOST = 1 << 24 };  // the most a kernel, stride, pad or block may be

typedef struct net_tensor {
  sdx_ref ref;  // 0: there is none
  sdx_dtype dtype;
  size_t rank;
  int64_t shape[NET_RANK];  // -1: not known
} net_tensor;

// Where nodes are added, and for whom.
typedef struct net {
  conversion *c;
  const char *layer, *kind;  // in work: nodes are named after it, problems have it as their place
  str_map nodes;             // how many have a name
  str_map outputs;           // names that the results of the model get: no others do
} net;

void net_init(net *n, conversion *c);
void net_reserve(net *n, str output);
sdx_status net_fail(const net *n, sdx_status status, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// "[N, 3, ?]" in a buffer of its own, good until the conversion ends.
const char *net_shape_text(net *n, const net_tensor *x);

// ---- inputs and outputs -----------------------------------------------------------------------------

// x: its type and shape. What is not known of it has names: NAME_0, NAME_1; "N" the first, if it is the batch.
net_tensor net_input(net *n, const char *name, net_tensor x, bool batch);
void net_output(net *n, const char *name, net_tensor x);
// Whether its sizes are such that they can be computed with. False: reported.
bool net_is_sound(net *n, const net_tensor *x);

// ---- weights ----------------------------------------------------------------------------------------

// Numbers of a file. Packed ones of `bits` begin with the highest bit; they are looked up in a table, or scaled.
typedef enum net_coding {
  NET_F32,
  NET_F64,
  NET_F16,
  NET_BF16,
  NET_I32,
  NET_I64,
  NET_I8,
  NET_U8,
  NET_PACKED,
  NET_ZERO
} net_coding;
typedef struct net_numbers {
  const void *at;  // at any address
  size_t count;
  net_coding coding;
  unsigned bits;
  bool low_first;            // packed numbers begin with their lowest bit, in the lowest of a byte
  const void *table;         // floats, by the packed number
  const void *scale, *bias;  // floats, or NULL
  size_t per, scales;        // so many numbers in a row have a scale in common; after `scales` it is the first again
} net_numbers;

double net_number_at(const net_numbers *w, size_t i);

// A part of a constant: numbers that lie so in `from`; NULL: zeros.
typedef struct net_piece {
  const net_numbers *from;
  int64_t offset;
  size_t rank;
  int64_t shape[NET_RANK], stride[NET_RANK];
  double scale;  // 0: as they are
} net_piece;
// Whether the pieces read within their numbers and make those of the shape.
bool net_pieces_fit(size_t rank, const int64_t *shape, size_t count, const net_piece *pieces);
// One piece after the other; they fit, and are looked up when the model is written.
sdx_ref net_filled(conversion *c, const char *label, sdx_dtype dtype, size_t rank, const int64_t *shape, size_t count,
                   const net_piece *pieces);
sdx_ref net_literal(conversion *c, const char *label, sdx_dtype dtype, size_t rank, const int64_t *shape,
                    const double *at);
// One piece after the other, as many numbers as the shape says; made when the model is written.
net_tensor net_pieces(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape, size_t count,
                      const net_piece *pieces);
// All numbers, `shape` as they lie, their dimensions in another order (NULL: as they are).
net_tensor net_constant(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape,
                        const net_numbers *from, const int64_t *order);
net_tensor net_values(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape, const double *at);
net_tensor net_scalar(net *n, sdx_dtype dtype, double number);
net_tensor net_row(net *n, const char *part, int64_t count, double number);  // [count] of floats: the same
net_tensor net_ints(net *n, size_t count, const int64_t *at);                // [count]

// ---- nodes ------------------------------------------------------------------------------------------

sdx_ref net_node(net *n, const char *op, const char *part, size_t count, const sdx_ref *inputs);
net_tensor net_like(net_tensor x, sdx_ref ref);
net_tensor net_apply(net *n, const char *op, const char *part, net_tensor x);  // same shape
net_tensor net_cast(net *n, net_tensor x, sdx_dtype to);
net_tensor net_scale(net *n, const char *op, const char *part, net_tensor x, double number);
net_tensor net_binary(net *n, const char *op, const char *part, net_tensor a, net_tensor b);  // broadcast
net_tensor net_compare(net *n, const char *op, const char *part, net_tensor a, net_tensor b);
bool net_axis(net *n, const net_tensor *x, int64_t axis, size_t *at);      // negative ones count from the end
bool net_axes(net *n, const net_tensor *x, size_t *count, int64_t *axes);  // the same of several; none: all
net_tensor net_transpose(net *n, net_tensor x, const int64_t *order);
net_tensor net_permute(net *n, net_tensor x, size_t count, const int64_t *order);  // an order of the file
// spec: as Reshape's: 0 keeps the dimension of that place, one -1 is what is left.
net_tensor net_reshape(net *n, net_tensor x, size_t rank, const int64_t *spec);
net_tensor net_unsqueeze(net *n, net_tensor x, size_t axis);  // axis: at most its rank
net_tensor net_squeeze(net *n, net_tensor x, size_t axis);
net_tensor net_slice(net *n, net_tensor x, size_t axis, int64_t from, int64_t to, int64_t step);
// Along every dimension, by lists with a number each: what is not to be looked at of from and to, which dimensions go.
net_tensor net_slice_each(net *n, net_tensor x, const int64_t *from, const int64_t *to, const int64_t *step,
                          const int64_t *from_start, const int64_t *to_end, const int64_t *gone);
net_tensor net_concat(net *n, size_t axis, size_t count, const net_tensor *parts);
net_tensor net_stack(net *n, int64_t axis, size_t count, net_tensor *parts);
net_tensor net_pad(net *n, net_tensor x, const char *mode, double value, const int64_t *before, const int64_t *after);
net_tensor net_reduce(net *n, const char *op, net_tensor x, size_t count, const int64_t *axes, bool keep);
net_tensor net_softmax(net *n, const char *op, net_tensor x, size_t axis);
net_tensor net_expand(net *n, net_tensor x, size_t rank, const int64_t *shape);  // 1: as it is
net_tensor net_tile(net *n, net_tensor x, const int64_t *repeats);
net_tensor net_gather(net *n, net_tensor data, net_tensor at, size_t axis);
net_tensor net_gather_along(net *n, net_tensor data, net_tensor at, size_t axis);  // an index for each result
// Parts along an axis: sizes[count].
void net_split(net *n, net_tensor x, size_t axis, size_t count, const int64_t *sizes, net_tensor *parts);
// The first `keep` dimensions, and all others as one.
net_tensor net_flatten(net *n, net_tensor x, size_t keep);
net_tensor net_flatten_2d(net *n, net_tensor x, int64_t axis);     // those before the axis as one, and all others
net_tensor net_shape_of(net *n, net_tensor x);                     // int64 [rank]
int64_t net_product(const net_tensor *x, size_t from, size_t to);  // of dimensions; -1: not known

// ---- numbers ----------------------------------------------------------------------------------------

typedef enum net_gelu_form { NET_GELU_EXACT, NET_GELU_TANH, NET_GELU_SIGMOID } net_gelu_form;
net_tensor net_gelu(net *n, net_tensor x, net_gelu_form form);
net_tensor net_clip(net *n, net_tensor x, double least, double most);
net_tensor net_floor_div(net *n, net_tensor x, net_tensor y);
net_tensor net_modulo(net *n, net_tensor x, net_tensor y);  // with the sign of the divisor
// v with as many dimensions of one element behind it as let it begin at that axis of x.
net_tensor net_along(net *n, net_tensor v, size_t axis, const net_tensor *x);
net_tensor net_l2_norm(net *n, net_tensor x, size_t count, const int64_t *axes, double epsilon);  // x / its length
net_tensor net_arg(net *n, const char *op, net_tensor x, size_t axis, bool keep);                 // int64
net_tensor net_top_k(net *n, net_tensor x, size_t axis, int64_t k, bool largest, net_tensor *at);
net_tensor net_cum_sum(net *n, net_tensor x, size_t axis, bool exclusive, bool reverse);
net_tensor net_one_hot(net *n, net_tensor at, int64_t size, int64_t axis, double off, double on);
net_tensor net_swap_last(net *n, net_tensor x);  // the last two dimensions
net_tensor net_matmul(net *n, const char *part, net_tensor x, net_tensor y);

// ---- layers -----------------------------------------------------------------------------------------

typedef struct net_window {
  size_t n;  // dimensions of space: the last of the value
  int64_t kernel[NET_SPACE], stride[NET_SPACE], dilation[NET_SPACE], before[NET_SPACE], after[NET_SPACE];
  int64_t more[NET_SPACE];  // of a transposed convolution: added behind
  int64_t groups;
  bool ceil;        // of pooling: windows that reach past the end count
  bool count_pads;  // of averages
} net_window;
net_window net_window_of(size_t n);  // of size 1, without pads
// Pads so that the result has ceil(size / stride) elements; more of them before or behind.
bool net_same_pads(net *n, const net_tensor *x, net_window *w, bool before_first);
typedef enum net_share { NET_ALL_AFTER, NET_MORE_AFTER, NET_MORE_BEFORE } net_share;
// More pads, so that the result of a transposed convolution has size * stride elements, or those sizes (NULL: none).
bool net_deconv_pads(net *n, const net_tensor *x, net_window *w, const int64_t *sizes, net_share share);
net_tensor net_conv(net *n, net_tensor x, net_tensor filter, net_tensor bias, const net_window *w);
net_tensor net_deconv(net *n, net_tensor x, net_tensor filter, net_tensor bias, const net_window *w);
net_tensor net_pool(net *n, const char *op, net_tensor x, const net_window *w);
net_tensor net_global_pool(net *n, const char *op, net_tensor x);
// x [rows, in] by weights [out, in].
net_tensor net_dense(net *n, net_tensor x, net_tensor weights, net_tensor bias);
// (x - mean) / sqrt(variance + epsilon) * scale + shift; all of [channels], the second dimension.
net_tensor net_batch_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, net_tensor mean,
                          net_tensor variance, double epsilon);
net_tensor net_instance_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, double epsilon);
// Over the dimensions from `axis` on, which scale and shift have.
net_tensor net_layer_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, int64_t axis, double epsilon);
net_tensor net_lrn(net *n, net_tensor x, int64_t size, double alpha, double beta, double bias);
// Over these axes: (x - mean) / sqrt(variance + epsilon), or x - mean alone.
net_tensor net_mean_variance(net *n, net_tensor x, size_t count, const int64_t *axes, bool variance, double epsilon);
// op: "DepthToSpace" or "SpaceToDepth"; mode: of the former (NULL: DCR).
net_tensor net_blocks(net *n, const char *op, net_tensor x, int64_t block, const char *mode);
// coordinates: of Resize ("half_pixel"); factors of the last two dimensions, or their sizes (NULL: the other counts).
net_tensor net_resize(net *n, net_tensor x, const char *mode, const char *coordinates, const double *factors,
                      const int64_t *sizes);

// ---- recurrent layers -------------------------------------------------------------------------------

enum { NET_GATES = 4 };
// Matrices by gate, in ONNX's order (LSTM: i o f c; GRU: z r h), rows of one unit each; NULL: zeros.
typedef struct net_cell {
  const net_numbers *input[NET_GATES], *state[NET_GATES], *bias[NET_GATES], *state_bias[NET_GATES];
  int64_t offset[NET_GATES];  // rows before those of the gate, in all of them
  const net_numbers *peephole[3];
} net_cell;
typedef struct net_rnn {
  const char *op;  // "LSTM", "GRU", "RNN"
  int64_t units, width;
  size_t directions;
  bool backwards;  // of one direction
  net_cell cells[2];
  const char *activations[6];  // NULL: the operator's own
  float alpha[6], beta[6];     // of those that have them
  double clip;                 // 0: none
  bool coupled, before;        // input_forget, not linear_before_reset
  net_tensor first[2];         // states [directions, batch, units]
} net_rnn;
// x [steps, batch, width]; y[0] [steps, directions, batch, units], y[1], y[2]: the last states.
bool net_recurrent(net *n, net_tensor x, const net_rnn *r, net_tensor y[3]);
net_tensor net_sequence(net *n, const net_rnn *r, net_tensor y);  // y[0] as [steps, batch, directions * units]
