// SPDX-License-Identifier: Apache-2.0
// Changes in place: what an operator such as relu_ gives is the value of its argument from then on. Where that is a
// view, the value it is a view of changes, too, and so on (pt2.h).
#include <string.h>

#include "convert/pt2.h"

enum { MOST_VIEWS = 1000 };

static const char *const views[] = {"alias",   "detach",  "view",      "reshape", "flatten", "unflatten",
                                    "view_as", "squeeze", "unsqueeze", "t",       "permute", "transpose",
                                    "slice",   "narrow",  "select",    "expand"};

static bool is_view(const char *name) {
  for (size_t i = 0; i < sizeof views / sizeof *views; i++)
    if (!strcmp(views[i], name)) return true;
  return false;
}

static pt2_value *first_argument(pt2_op *op) {
  pt2_value *v = pt2_value_in(op, "self");
  return v ? v : pt2_value_in(op, "input");
}

static pt2_value *result_of(pt2_op *op) {
  const char *name = op->out_count ? pt2_argument_name(op->outputs[0]) : "";
  return *name ? pt2_find(op->p, name) : NULL;
}

bool pt2_remember_view(pt2_op *op) {
  if (!is_view(op->kind->name)) return true;
  pt2_value *base = first_argument(op), *v = result_of(op);
  if (!base || !v || base == v) return !convert_failed(op->p->c);
  v->base = base;
  v->view_by = op->node;
  return true;
}

// The order that undoes the one of a view.
static net_tensor turn_back(pt2_op *view, net_tensor x) {
  int64_t order[NET_RANK], inverse[NET_RANK];
  size_t a, b, count = pt2_ints(view, "dims", order);
  for (size_t i = 0; i < x.rank; i++) inverse[i] = (int64_t)i;
  if (!strcmp(view->kind->name, "permute")) {
    if (count != x.rank || !net_axes(view->n, &x, &count, order)) return x;
    for (size_t i = 0; i < count; i++) inverse[order[i]] = (int64_t)i;
  } else if (x.rank > 1) {
    bool last = !strcmp(view->kind->name, "t");
    if (!net_axis(view->n, &x, last ? -2 : pt2_int(view, "dim0", 0), &a) ||
        !net_axis(view->n, &x, last ? -1 : pt2_int(view, "dim1", 1), &b))
      return x;
    inverse[a] = (int64_t)b;
    inverse[b] = (int64_t)a;
  }
  return net_permute(view->n, x, x.rank, inverse);
}

// What the base of a view is, now that the view is `x`.
static bool put_back(pt2_op *op, pt2_value *v, net_tensor x, net_tensor *whole) {
  const char *target = text_of(v->view_by, "target");
  pt2_op view = {.p = op->p, .n = op->n, .node = v->view_by, .kind = pt2_find_kind(target)};
  net_tensor base = pt2_tensor_of(op->p, v->base);
  const char *becomes = view.kind->op;
  if (!strcmp(becomes, "Identity")) *whole = x;
  else if (!strcmp(becomes, "Reshape") || !strcmp(becomes, "Squeeze") || !strcmp(becomes, "Unsqueeze"))
    *whole = pt2_reshape(&view, x, v->size, v->base);
  else if (!strcmp(becomes, "Transpose")) *whole = turn_back(&view, x);
  else if (!strcmp(becomes, "Slice") || !strcmp(becomes, "Gather")) {
    pt2_put_back(&view, base, x);
    *whole = view.out[0];
  } else {
    return !net_fail(op->n, SDX_NOT_SUPPORTED, "clone() what is changed in place", "a change of what '%.60s' gave",
                     target);
  }
  return whole->ref != 0 && !convert_failed(op->p->c);
}

bool pt2_mutate(pt2_op *op) {
  pt2_value *self = first_argument(op), *result = result_of(op);
  if (!self || !result) return !convert_failed(op->p->c);
  net_tensor x = net_cast(op->n, result->tensor, pt2_tensor_of(op->p, self).dtype);
  result->base = self->base;
  result->view_by = self->view_by;
  size_t steps = 0;
  for (pt2_value *v = self; v; v = v->base) {
    if (++steps > MOST_VIEWS)
      return !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "a view of a view and so on, %d times", MOST_VIEWS);
    net_tensor whole = x;
    if (v->base && !put_back(op, v, x, &whole)) return false;
    v->tensor = net_like(v->tensor, x.ref);
    x = whole;
  }
  return true;
}
