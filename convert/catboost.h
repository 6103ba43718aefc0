// SPDX-License-Identifier: Apache-2.0
// What is read out of a CatBoost model, whichever way it is written: catboost_json.c reads JSON, catboost_cbm.c the
// binary form, catboost.c makes the graph. A split is a column and a border: the columns are the numeric features, then
// one for each category that some split asks for (1 where a row has it, else 0).
#pragma once

#include "convert/document.h"
#include "convert/trees.h"

typedef struct catboost_list {
  void *at;
  size_t count, capacity;
} catboost_list;

typedef struct catboost_category {
  uint32_t feature, hash;
  str text;  // at NULL: the file tells the hash only
} catboost_category;

typedef struct catboost_split {
  uint32_t column;
  float border;  // yes: above it
} catboost_split;

typedef enum catboost_nan { NAN_AS_IS, NAN_AS_FALSE, NAN_AS_TRUE } catboost_nan;

typedef struct catboost {
  conversion *c;
  str version, loss;         // "1.2.10"; "RMSE", or ""
  str *numeric, *categoric;  // names of the features, by number
  uint8_t *nan;              // catboost_nan of each numeric feature
  size_t numeric_count, categoric_count;
  catboost_list categories;  // catboost_category: those that splits ask for
  str_map category_of;       // by feature and hash
  str *class_names;
  size_t class_count;
  // Oblivious trees: depth of each; the splits of all, one after the other; values of their leaves, `width` each.
  catboost_list depths, splits, values;  // uint32_t, catboost_split, double
  forest *trees;                         // the others
  size_t width;                          // 0 until a leaf or the bias tells
  double scale, *bias;
  size_t bias_count;
} catboost;

// Appends; false: no memory.
bool catboost_add(catboost_list *l, const void *element, size_t bytes);
// The column of a category; UINT32_MAX: no memory.
uint32_t catboost_column_of(catboost *b, uint32_t feature, uint32_t hash);
// Room for the names of so many features; false: a problem was reported.
bool catboost_set_features(catboost *b, size_t numeric, size_t categoric);
// Reads `params` (what the loss is) or `class_params`, JSON in both forms.
bool catboost_read_info(catboost *b, document *d, str key);
bool catboost_copy(catboost *b, str text, str *to);
void catboost_refuse(catboost *b, const char *place, str what);

bool catboost_read_json(catboost *b);
bool catboost_read_cbm(catboost *b);
