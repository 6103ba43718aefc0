// SPDX-License-Identifier: Apache-2.0
// Where reference data lies beside models, as found in the wild:
//   folder/model.onnx + folder/<any>/input_0.pb, output_0.pb        (test_data_set_N, dataset_N)
//                       folder/<any>/test_data_0_input.pb, test_data_0_output.pb
//                       folder/io.npz                               (arrays named as the model names them)
//                       folder/<model>_test_data_0.npz              (arrays "inputs" and "outputs")
// All models of a folder share its sets, but for a .npz that begins with one model's name. Sets in a
// folder without models belong to the models of the folder above, else to none.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef enum set_kind { SET_PB, SET_NPZ } set_kind;

typedef struct test_set {
  char *path;  // folder of .pb files, or the .npz
  set_kind kind;
  char **inputs, **outputs;  // paths of .pb files in natural order
  size_t input_count, output_count;
} test_set;

typedef struct test_unit {  // a model with its sets, or sets without a model
  char *model;              // NULL: none
  char *folder;             // of the sets
  bool alone;               // the only model beside these sets: they must fit
  test_set **sets;          // borrowed
  size_t set_count;
} test_unit;

typedef struct test_plan {
  test_unit *units;
  size_t unit_count;
  test_set **sets;  // owned
  size_t set_count, models_without_sets;
} test_plan;

// Walks files and folders; false after printing (a path that does not exist).
bool test_plan_add(test_plan *plan, const char *path);
void test_plan_free(test_plan *plan);
