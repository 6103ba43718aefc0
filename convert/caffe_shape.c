// SPDX-License-Identifier: Apache-2.0
// Caffe's layers that move numbers, resize pictures and lay out boxes.
#include <math.h>
#include <string.h>

#include "convert/caffe.h"

static void concat(caffe_layer *l) {
  proto p = caffe_params(l);
  size_t axis;
  if (caffe_axis(l, &p, "axis", "concat_dim", &axis)) l->out[0] = net_concat(l->n, axis, l->in_count, l->in);
}

static void slice(caffe_layer *l) {
  proto p = caffe_params(l);
  int64_t sizes[CAFFE_VALUES], points[CAFFE_VALUES], last = 0;
  size_t axis, count = proto_ints(&p, "slice_point", CAFFE_VALUES, points);
  if (!caffe_axis(l, &p, "axis", "slice_dim", &axis)) return;
  int64_t size = l->in[0].shape[axis];
  if (size < 0 || (count ? count + 1 != l->out_count : size % (int64_t)l->out_count != 0)) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu parts of %s", l->out_count, net_shape_text(l->n, &l->in[0]));
    return;
  }
  for (size_t i = 0; i < l->out_count; i++) {
    int64_t end = !count ? last + size / (int64_t)l->out_count : i < count ? points[i] : size;
    if (end < last || end > size) {
      net_fail(l->n, SDX_INVALID_MODEL, NULL, "a point %lld beyond %lld", (long long)end, (long long)size);
      return;
    }
    sizes[i] = end - last;
    last = end;
  }
  net_split(l->n, l->in[0], axis, l->out_count, sizes, l->out);
}

static void flatten(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0];
  size_t first, last, rank = 0;
  int64_t spec[NET_RANK] = {0};
  if (!caffe_axis(l, &p, "axis", NULL, &first) || !net_axis(l->n, &x, proto_int(&p, "end_axis", -1), &last)) return;
  if (last < first) last = first;
  if (last + 1 == x.rank) {
    l->out[0] = net_flatten(l->n, x, first);
    return;
  }
  for (size_t i = 0; i < x.rank; i++)
    if (i <= first || i > last)
      spec[rank++] = i == first ? net_product(&x, first, last + 1) : i < first ? 0 : x.shape[i];
  l->out[0] = net_reshape(l->n, x, rank, spec);
}

// 0 keeps a dimension, -1 is the rest; dimensions before `axis` and behind `num_axes` stay.
static void reshape(caffe_layer *l) {
  proto p = caffe_params(l), shape;
  net_tensor x = l->in[0];
  int64_t dims[NET_RANK], spec[NET_RANK], axis = proto_int(&p, "axis", 0), axes = proto_int(&p, "num_axes", -1);
  proto_get(&p, "shape", &shape);
  size_t count = proto_ints(&shape, "dim", NET_RANK, dims), rank = 0;
  int64_t first = axis < 0 ? axis + (int64_t)x.rank + 1 : axis, end = axes < 0 ? (int64_t)x.rank : first + axes;
  if (count > NET_RANK || first < 0 || first > (int64_t)x.rank || end > (int64_t)x.rank ||
      (size_t)first + count + x.rank - (size_t)end > NET_RANK) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "a shape of %zu dimensions for %s", count, net_shape_text(l->n, &x));
    return;
  }
  for (size_t i = 0; i < (size_t)first; i++) spec[rank++] = 0;
  for (size_t i = 0; i < count; i++) spec[rank++] = dims[i];
  for (size_t i = (size_t)end; i < x.rank; i++) spec[rank] = rank == i ? 0 : x.shape[i], rank++;
  l->out[0] = net_reshape(l->n, x, rank, spec);
}

static void permute(caffe_layer *l) {
  proto p = caffe_params(l);
  int64_t order[NET_RANK];
  unsigned seen = 0;
  size_t count = proto_ints(&p, "order", NET_RANK, order), rank = l->in[0].rank;
  for (size_t i = 0; i < count && i < rank; i++)
    if (order[i] >= 0 && order[i] < (int64_t)rank) seen |= 1u << order[i];
  for (size_t i = 0; i < rank && count < rank; i++)  // those that are not named follow
    if (!(seen & 1u << i)) order[count++] = (int64_t)i, seen |= 1u << i;
  l->out[0] = net_permute(l->n, l->in[0], count, order);
}

static void tile(caffe_layer *l) {
  proto p = caffe_params(l);
  int64_t repeats[NET_RANK];
  size_t axis;
  if (!caffe_axis(l, &p, "axis", NULL, &axis)) return;
  for (size_t i = 0; i < NET_RANK; i++) repeats[i] = i == axis ? proto_int(&p, "tiles", 1) : 1;
  l->out[0] = net_tile(l->n, l->in[0], repeats);
}

// To the size of the second input.
static void crop(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor y = l->in[0];
  int64_t offsets[NET_RANK] = {0};
  size_t axis, count = proto_ints(&p, "offset", NET_RANK, offsets);
  if (!net_axis(l->n, &y, proto_int(&p, "axis", 2), &axis)) return;
  for (size_t i = axis; i < y.rank; i++) {
    int64_t from = count == 1 ? offsets[0] : count > i - axis ? offsets[i - axis] : 0;
    int64_t size = l->in_count == 2 && l->in[1].rank == y.rank ? l->in[1].shape[i] : -1;
    if (size < 0 || from < 0 || from > NET_MOST) {
      net_fail(l->n, SDX_NOT_SUPPORTED, "give the .prototxt with the input's size", "a size that is not known");
      return;
    }
    y = net_slice(l->n, y, i, from, from + size, 1);
  }
  l->out[0] = y;
}

static void interp(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0];
  int64_t size[] = {proto_int(&p, "height", 0), proto_int(&p, "width", 0)}, zoom = proto_int(&p, "zoom_factor", 1),
          shrink = proto_int(&p, "shrink_factor", 1), pads = proto_int(&p, "pad_beg", 0) | proto_int(&p, "pad_end", 0);
  for (size_t i = 0; i < 2; i++) {
    int64_t known = x.rank == 4 ? l->in_count > 1 && l->in[1].rank == 4 ? l->in[1].shape[2 + i] : x.shape[2 + i] : -1;
    if (size[i] > 0) continue;
    if (known < 1 || zoom < 1 || zoom > 1 << 10 || shrink < 1 || pads) {
      net_fail(l->n, SDX_NOT_SUPPORTED, "give the .prototxt with the input's size",
               "a size that is not known, or borders");
      return;
    }
    if (l->in_count > 1) size[i] = known;
    else {
      size[i] = (known - 1) / shrink + 1;
      size[i] += (size[i] - 1) * (zoom - 1);
    }
  }
  l->out[0] = net_resize(l->n, x, "linear", "align_corners", NULL, size);
}

static void upsample(caffe_layer *l) {
  proto p = caffe_params(l);
  double scale = (double)proto_int(&p, "scale", 2);
  if (l->in_count > 1) net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "places that a pooling layer kept");
  else l->out[0] = net_resize(l->n, l->in[0], "nearest", "asymmetric", (double[]){scale, scale}, NULL);
}

static void shuffle(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0];
  int64_t groups = proto_int(&p, "group", 1);
  if (x.rank != 4 || x.shape[1] < 1 || x.shape[2] < 0 || x.shape[3] < 0 || groups < 1 || x.shape[1] % groups) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "%lld groups of %s", (long long)groups, net_shape_text(l->n, &x));
    return;
  }
  net_tensor y = net_reshape(l->n, x, 5, (int64_t[]){0, groups, x.shape[1] / groups, x.shape[2], x.shape[3]});
  y = net_transpose(l->n, y, (int64_t[]){0, 2, 1, 3, 4});
  l->out[0] = net_reshape(l->n, y, 4, (int64_t[]){0, x.shape[1], x.shape[2], x.shape[3]});
}

// ---- boxes ------------------------------------------------------------------------------------------

typedef struct boxes {
  float *at;
  size_t count;
  double width, height;  // of the picture
} boxes;

static void add_box(boxes *b, double x, double y, double width, double height) {
  const double corners[] = {(x - width / 2) / b->width, (y - height / 2) / b->height, (x + width / 2) / b->width,
                            (y + height / 2) / b->height};
  for (int i = 0; i < 4; i++) b->at[b->count++] = (float)corners[i];
}

typedef struct prior {
  const double *least, *most, *ratios, *variances;
  size_t least_count, most_count, ratio_count, variance_count;
  bool flip;
} prior;

// Whether a ratio is that of the square or came before.
static bool is_known(const prior *p, size_t index) {
  double ratio = p->ratios[index];
  if (fabs(ratio - 1) < 1e-6) return true;
  for (size_t i = 0; i < index; i++)
    if (fabs(p->ratios[i] - ratio) < 1e-6 || (p->flip && fabs(p->ratios[i] * ratio - 1) < 1e-6)) return true;
  return false;
}

static void add_boxes(boxes *b, const prior *p, double x, double y) {
  for (size_t s = 0; s < p->least_count; s++) {
    double least = p->least[s];
    add_box(b, x, y, least, least);
    if (s < p->most_count) add_box(b, x, y, sqrt(least * p->most[s]), sqrt(least * p->most[s]));
    for (size_t i = 0; i < p->ratio_count; i++) {
      if (is_known(p, i)) continue;
      double root = sqrt(p->ratios[i]);
      add_box(b, x, y, least * root, least / root);
      if (p->flip) add_box(b, x, y, least / root, least * root);
    }
  }
}

static size_t boxes_each(const prior *p) {
  size_t ratios = 0;
  for (size_t i = 0; i < p->ratio_count; i++) ratios += is_known(p, i) ? 0 : p->flip ? 2 : 1;
  return p->least_count * (1 + ratios) + (p->most_count < p->least_count ? p->most_count : p->least_count);
}

// Boxes around the centers of a grid, then their variances: a constant, [1, 2, numbers].
static void prior_box(caffe_layer *l) {
  enum { MOST_NUMBERS = 1 << 24 };
  proto p = caffe_params(l);
  net_tensor grid = l->in[0], picture = l->in_count > 1 ? l->in[1] : l->f->first;
  prior r = {.flip = proto_int(&p, "flip", 1)};
  r.least = proto_doubles(&p, "min_size", &r.least_count), r.most = proto_doubles(&p, "max_size", &r.most_count);
  r.ratios = proto_doubles(&p, "aspect_ratio", &r.ratio_count);
  r.variances = proto_doubles(&p, "variance", &r.variance_count);
  size_t each = boxes_each(&r);
  int64_t rows = grid.rank == 4 ? grid.shape[2] : -1, columns = grid.rank == 4 ? grid.shape[3] : -1;
  int64_t numbers = rows > 0 && columns > 0 && rows < 1 << 12 && columns < 1 << 12 && each < 1 << 10
                        ? rows * columns * (int64_t)each * 4
                        : -1;
  if (picture.rank != 4 || picture.shape[2] < 1 || picture.shape[3] < 1 || numbers < 1 || numbers > MOST_NUMBERS) {
    net_fail(l->n, SDX_NOT_SUPPORTED, "give the .prototxt with the input's size", "boxes of a size that is not known");
    return;
  }
  int64_t size = proto_int(&p, "img_size", 0);
  boxes b = {.height = (double)proto_int(&p, "img_h", size ? size : picture.shape[2]),
             .width = (double)proto_int(&p, "img_w", size ? size : picture.shape[3]),
             .at = arena_array(l->f->c->memory, 2 * (size_t)numbers, sizeof *b.at)};
  if (!b.at) {
    convert_no_memory(l->f->c);
    return;
  }
  double step = proto_number(&p, "step", 0), offset = proto_number(&p, "offset", 0.5);
  double down = proto_number(&p, "step_h", step), across = proto_number(&p, "step_w", step);
  if (!(down > 0)) down = b.height / (double)rows;
  if (!(across > 0)) across = b.width / (double)columns;
  for (int64_t y = 0; y < rows; y++)
    for (int64_t x = 0; x < columns; x++) add_boxes(&b, &r, ((double)x + offset) * across, ((double)y + offset) * down);
  bool clipped = proto_int(&p, "clip", 0);
  for (size_t i = 0; i < b.count && clipped; i++) b.at[i] = b.at[i] < 0 ? 0 : b.at[i] > 1 ? 1 : b.at[i];
  for (int64_t i = 0; i < numbers; i++)
    b.at[b.count++] = r.variance_count ? (float)r.variances[r.variance_count == 4 ? i % 4 : 0] : 0.1f;
  net_numbers w = {.at = b.at, .coding = NET_F32, .count = b.count};
  l->out[0] = net_constant(l->n, "boxes", SDX_FLOAT, 3, (int64_t[]){1, 2, numbers}, &w, NULL);
}

const caffe_kind caffe_shape_kinds[] = {
    {"Concat", concat, NULL, "concat_param"},
    {"Slice", slice, NULL, "slice_param"},
    {"Flatten", flatten, NULL, "flatten_param"},
    {"Reshape", reshape, NULL, "reshape_param"},
    {"Permute", permute, NULL, "permute_param"},
    {"Tile", tile, NULL, "tile_param"},
    {"Crop", crop, NULL, "crop_param"},
    {"Interp", interp, NULL, "interp_param"},
    {"Upsample", upsample, NULL, "upsample_param"},
    {"ShuffleChannel", shuffle, NULL, "shuffle_channel_param"},
    {"PriorBox", prior_box, NULL, "prior_box_param"},
    {0},
};
