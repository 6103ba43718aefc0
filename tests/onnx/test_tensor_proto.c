// SPDX-License-Identifier: Apache-2.0
// TensorProto: every element type from raw and from typed data, odd offsets, and each lie a file can tell.
#include "onnx/tensor_proto.h"
#include "tests/onnx/make.h"

static arena memory;
static error err;

static int setup(void **state) {
  arena_init(&memory, NULL);
  err = (error){0};
  return 0;
}
static int teardown(void **state) {
  arena_deinit(&memory);
  return 0;
}

static sdx_status read_tensor(const wire_out *t, tensor *out) {
  tensor_reader r = {.memory = &memory, .max_rank = 64};
  err = (error){0};
  return tensor_proto_read(&r, wire_of(t->kept.at, t->kept.size), out, NULL, &err);
}

static void refused(wire_out *t, const char *part) {
  tensor out;
  assert_int_not_equal(read_tensor(t, &out), SDX_OK);
  if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
  wire_out_deinit(t);
}

static wire_out head(sdx_dtype dtype, size_t rank, const int64_t *dims) {
  wire_out t = {0};
  wire_put_ints(&t, 1, dims, rank);
  wire_put_int(&t, 2, dtype);
  return t;
}

static wire_out vector(sdx_dtype dtype, int64_t n) { return head(dtype, 1, &n); }

static void raw_data_of_every_type_and_odd_count(void **state) {
  for (int d = 1; d < SDX_DTYPE_COUNT; d++)
    for (int64_t n = 0; n <= 33 && d != SDX_STRING && d != SDX_FLOAT6E2M3 && d != SDX_FLOAT6E3M2; n++) {
      size_t bytes;
      char raw[600];
      tensor out;
      assert_true(dtype_bytes((sdx_dtype)d, (size_t)n, &bytes));
      for (size_t i = 0; i < bytes; i++) raw[i] = (char)(d == SDX_BOOL ? i % 2 : i * 37 + 11);
      for (size_t shift = 0; shift < 3; shift++) {  // odd offsets: copied where a type needs alignment
        wire_out t = {0};
        for (size_t i = 0; i < shift; i++) wire_put_int(&t, 100, 1);
        wire_put_int(&t, 1, n);
        wire_put_int(&t, 2, d);
        wire_put_bytes(&t, 9, (str){raw, bytes});
        assert_int_equal(read_tensor(&t, &out), SDX_OK);
        assert_int_equal(out.bytes, bytes);
        size_t whole = (size_t)n * (size_t)dtype_bits((sdx_dtype)d) / 8;
        if (whole) assert_memory_equal(out.data, raw, whole);
        if (whole < bytes) {  // padding bits are cleared, elements kept
          unsigned keep = (unsigned)((size_t)n * (size_t)dtype_bits((sdx_dtype)d) % 8);
          assert_int_equal(((unsigned char *)out.data)[whole], (unsigned char)raw[whole] & ((1u << keep) - 1));
        }
        if (dtype_bits((sdx_dtype)d) <= 64 && n)
          assert_int_equal(
              (uintptr_t)out.data %
                  (uintptr_t)(dtype_bits((sdx_dtype)d) >= 16 && d != SDX_COMPLEX64 ? dtype_bits((sdx_dtype)d) / 8 : 1),
              0);
        wire_out_deinit(&t);
      }
      arena_reset(&memory);
    }
}

// Four elements in three bytes, the first in the lowest bits; in memory each has a byte.
static void float6_of_every_count(void **state) {
  for (int64_t n = 0; n <= 33; n++) {
    unsigned char codes[40], raw[40] = {0};
    size_t bytes = (6 * (size_t)n + 7) / 8;
    for (size_t i = 0; i < (size_t)n; i++) {
      codes[i] = (unsigned char)(i * 29 + 43) & 63;
      for (size_t b = 0; b < 6; b++)
        raw[(6 * i + b) / 8] = (unsigned char)(raw[(6 * i + b) / 8] | (codes[i] >> b & 1) << (6 * i + b) % 8);
    }
    unsigned char dirty[40];
    memcpy(dirty, raw, sizeof dirty);
    if (n % 4) dirty[bytes - 1] |= (unsigned char)(0xff << 6 * n % 8);
    tensor out;
    for (size_t form = 0; form < 3; form++) {  // packed, packed with odd bits behind the end, one entry an element
      wire_out t = vector(SDX_FLOAT6E3M2, n);
      if (form < 2) wire_put_bytes(&t, 9, (str){(char *)(form ? dirty : raw), bytes});
      for (size_t i = 0; form == 2 && i < (size_t)n; i++) wire_put_int(&t, 5, codes[i]);
      assert_int_equal(read_tensor(&t, &out), SDX_OK);
      assert_int_equal(out.count, n);
      if (n) assert_memory_equal(out.data, codes, (size_t)n);
      wire_out_deinit(&t);
    }
    if (n) {  // and back
      tensor again;
      wire_out t = {0};
      tensor_proto_write(&t, &out, STR(""));
      assert_memory_equal(t.kept.at + t.kept.size - bytes, raw, bytes);
      assert_int_equal(read_tensor(&t, &again), SDX_OK);
      assert_memory_equal(again.data, codes, (size_t)n);
      wire_out_deinit(&t);
    }
    arena_reset(&memory);
  }
}

static void typed_lists(void **state) {
  tensor out;
  wire_out t = vector(SDX_FLOAT16, 2);
  wire_put_ints(&t, 5, (int64_t[]){0x3c00, 0xc000}, 2);
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_int_equal(((uint16_t *)out.data)[1], 0xc000);
  wire_out_deinit(&t);
  t = vector(SDX_INT8, 300);
  for (int i = 0; i < 300; i++) wire_put_int(&t, 5, i % 2 ? -1 : i % 100);
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_int_equal(((int8_t *)out.data)[299], -1);
  assert_int_equal(((int8_t *)out.data)[298], 98);
  wire_out_deinit(&t);
  t = vector(SDX_INT4, 3);
  wire_put_ints(&t, 5, (int64_t[]){0x21, 0xf3}, 2);  // two elements an entry; the last half is padding
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_memory_equal(out.data, "\x21\x03", 2);
  wire_out_deinit(&t);
  t = vector(SDX_UINT32, 2);
  wire_put_ints(&t, 11, (int64_t[]){5, 0xffffffff}, 2);
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_int_equal(((uint32_t *)out.data)[1], 0xffffffff);
  wire_out_deinit(&t);
  t = vector(SDX_COMPLEX64, 1);
  wire_put_float(&t, 4, 1);
  wire_put_float(&t, 4, -2);
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_true(((float *)out.data)[1] == -2);
  wire_out_deinit(&t);
  t = vector(SDX_STRING, 3);
  wire_put_bytes(&t, 6, (str){"a\0b", 3});
  put(&t, 6, "");
  put(&t, 6, "\xff\xfe");
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_int_equal(((str *)out.data)[0].size, 3);
  assert_int_equal(((str *)out.data)[2].size, 2);
  wire_out_deinit(&t);
}

static void booleans_become_zero_or_one(void **state) {
  tensor out;
  wire_out t = vector(SDX_BOOL, 4);
  wire_put_bytes(&t, 9, (str){"\0\1\2\xff", 4});
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_memory_equal(out.data, "\0\1\1\1", 4);
  wire_out_deinit(&t);
  t = vector(SDX_BOOL, 2);
  wire_put_ints(&t, 5, (int64_t[]){256, 0}, 2);
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_memory_equal(out.data, "\1\0", 2);
  wire_out_deinit(&t);
}

static void empty_tensors_need_no_data(void **state) {
  tensor out;
  wire_out t = head(SDX_FLOAT, 2, (int64_t[]){0, INT64_MAX});
  assert_int_equal(read_tensor(&t, &out), SDX_OK);
  assert_int_equal(out.count, 0);
  wire_out_deinit(&t);
}

static void lies_are_refused(void **state) {
  wire_out t = vector(SDX_FLOAT, 2);
  wire_put_bytes(&t, 9, STR("1234567"));
  refused(&t, "raw_data holds 7 bytes where float[2] needs 8");
  t = vector(SDX_FLOAT, 2);
  wire_put_float(&t, 4, 1);
  refused(&t, "float_data holds 1 entries where float[2] needs 2");
  t = vector(SDX_FLOAT, 2);
  refused(&t, "float_data holds 0 entries");
  t = vector(SDX_FLOAT, 1);
  wire_put_float(&t, 4, 1);
  wire_put_bytes(&t, 9, STR("1234"));
  refused(&t, "both raw_data and float_data");
  t = vector(SDX_FLOAT, 1);
  wire_put_int(&t, 5, 1);
  refused(&t, "int32_data is filled where element type float takes its data from float_data");
  t = vector(SDX_STRING, 1);
  wire_put_bytes(&t, 9, STR("abc"));
  refused(&t, "strings are in raw_data");
  t = vector(SDX_STRING, (int64_t)1 << 31);
  refused(&t, "string_data holds 0 entries");
  t = vector((sdx_dtype)0, 1);
  refused(&t, "data_type 0 is no element type");
  t = vector((sdx_dtype)SDX_DTYPE_COUNT, 1);
  refused(&t, "data_type 29");
  t = vector(SDX_FLOAT6E2M3, 4);
  wire_put_bytes(&t, 9, STR("1234"));
  refused(&t, "raw_data holds 4 bytes where float6e2m3[4] needs 3");
  t = vector(SDX_FLOAT6E2M3, 5);
  wire_put_bytes(&t, 9, STR("123"));
  refused(&t, "raw_data holds 3 bytes where float6e2m3[5] needs 4");
  t = vector(SDX_FLOAT, -1);
  refused(&t, "dimension 0 of shape [?] is negative");
  t = head(SDX_FLOAT, 3, (int64_t[]){(int64_t)1 << 40, (int64_t)1 << 40, 4});
  refused(&t, "more bytes than can be addressed");
  t = head(SDX_DOUBLE, 1, &(int64_t){(int64_t)1 << 61});
  refused(&t, "more bytes than can be addressed");
  int64_t ones[65];
  for (int i = 0; i < 65; i++) ones[i] = 1;
  t = head(SDX_FLOAT, 65, ones);
  refused(&t, "rank 65");
  t = vector(SDX_FLOAT, 0);
  wire_end(&t, wire_begin(&t, 3));
  refused(&t, "segment");
  t = vector(SDX_FLOAT, 1);
  wire_put_int(&t, 14, 1);
  refused(&t, "external data has no place");
}

static wire_out sparse(const int64_t *indices, size_t count, int64_t rank, int64_t dims0, int64_t dims1) {
  wire_out t = {0};
  size_t at = wire_begin(&t, 1);
  wire_put_int(&t, 1, (int64_t)(count / (size_t)rank));
  wire_put_int(&t, 2, SDX_FLOAT);
  for (size_t i = 0; i < count / (size_t)rank; i++) wire_put_float(&t, 4, (float)(i + 1));
  wire_end(&t, at);
  at = wire_begin(&t, 2);
  wire_put_int(&t, 1, (int64_t)(count / (size_t)rank));
  if (rank > 1) wire_put_int(&t, 1, rank);
  wire_put_int(&t, 2, SDX_INT64);
  wire_put_ints(&t, 7, indices, count);
  wire_end(&t, at);
  wire_put_ints(&t, 3, (int64_t[]){dims0, dims1}, 2);
  return t;
}

static void expect_sparse(const int64_t *indices, size_t count, int64_t rank, const char *part) {
  tensor_reader r = {.memory = &memory, .max_rank = 64, .dense_left = 24};
  wire_out t = sparse(indices, count, rank, 2, 3);
  sparse_tensor s;
  tensor dense;
  err = (error){0};
  sdx_status status = sparse_proto_read(&r, wire_of(t.kept.at, t.kept.size), &s, NULL, &err);
  if (part) {
    assert_int_not_equal(status, SDX_OK);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
  } else {
    assert_int_equal(status, SDX_OK);
    assert_int_equal(sparse_to_dense(&r, &s, &dense, &err), SDX_OK);
    const float *f = dense.data;
    assert_true(dense.count == 6 && f[0] == 0 && f[1] == 1 && f[5] == 2);
  }
  wire_out_deinit(&t);
}

static void expect_dense_left(size_t bytes, const char *part) {
  tensor_reader r = {.memory = &memory, .max_rank = 64, .dense_left = bytes};
  wire_out t = sparse((int64_t[]){1, 5}, 2, 1, 2, 3);
  sparse_tensor s;
  err = (error){0};
  assert_int_equal(sparse_proto_read(&r, wire_of(t.kept.at, t.kept.size), &s, NULL, &err), SDX_LIMIT_EXCEEDED);
  assert_non_null(strstr(err.message, part));
  wire_out_deinit(&t);
}

static void sparse_tensors_are_checked(void **state) {
  expect_sparse((int64_t[]){1, 5}, 2, 1, NULL);
  expect_sparse((int64_t[]){0, 1, 1, 2}, 4, 2, NULL);
  expect_sparse((int64_t[]){1, 6}, 2, 1, "sparse index 1 lies outside");
  expect_sparse((int64_t[]){-1, 5}, 2, 1, "sparse index 0 lies outside");
  expect_sparse((int64_t[]){5, 1}, 2, 1, "must ascend");
  expect_sparse((int64_t[]){5, 5}, 2, 1, "twice");
  expect_dense_left(23, "takes 24 bytes when its zeros are written out, expected at most 23 bytes");
  expect_sparse((int64_t[]){0, 1, 2, 0}, 4, 2, "sparse index 1 lies outside");
  expect_sparse((int64_t[]){0, 1, 1, 0, 0, 0}, 6, 3, "expected [2] or [2,2]");
}

static void what_is_written_is_read(void **state) {
  mem_account account;
  mem_account_init(&account, SIZE_MAX, NULL);
  for (int d = 1; d < SDX_DTYPE_COUNT; d++) {
    sdx_value *v, *back;
    assert_int_equal(value_create(&account, (sdx_dtype)d, 2, (int64_t[]){3, 5}, NULL, NULL, NULL, &v, &err), SDX_OK);
    if (d == SDX_STRING) value_set_string(v, 7, (str){"x\0y", 3}, &err);
    else memset(v->value.tensor.data, 1, v->value.tensor.bytes / 2);
    wire_out t = {0};
    assert_int_equal(onnx_write_tensor(&v->value, STR("name"), &t), SDX_OK);
    assert_int_equal(onnx_read_tensor(t.kept.at, t.kept.size, &account, &back, &err), SDX_OK);
    const tensor *a = &v->value.tensor, *b = &back->value.tensor;
    assert_true(a->dtype == b->dtype && tensor_same_shape(a, b));
    if (d == SDX_STRING) assert_true(str_equal(((str *)a->data)[7], ((str *)b->data)[7]));
    else assert_memory_equal(a->data, b->data, a->bytes);
    value_release(v);
    value_release(back);
    wire_out_deinit(&t);
  }
  assert_int_equal(atomic_load(&account.used), 0);
}

static void sequences_optionals_and_maps(void **state) {
  mem_account account;
  sdx_value *v;
  mem_account_init(&account, SIZE_MAX, NULL);
  type_info tensor_type = {.kind = TYPE_TENSOR}, sequence = {.kind = TYPE_SEQUENCE, .element = &tensor_type},
            optional = {.kind = TYPE_OPTIONAL, .element = &tensor_type},
            map = {.kind = TYPE_MAP, .element = &tensor_type};
  wire_out t = {0};
  put_floats(&t, 3, "", 2);
  put_floats(&t, 3, "", 0);
  assert_int_equal(onnx_read_value(t.kept.at, t.kept.size, &sequence, &account, &v, &err), SDX_OK);
  assert_int_equal(v->value.item_count, 2);
  value_release(v);
  assert_int_equal(onnx_read_value(t.kept.at, t.kept.size, &optional, &account, &v, &err),
                   SDX_INVALID_MODEL);  // tensor given twice
  t.kept.size = 0;
  assert_int_equal(onnx_read_value("", 0, &optional, &account, &v, &err), SDX_OK);
  assert_int_equal(v->value.kind, VALUE_NONE);
  value_release(v);
  wire_put_ints(&t, 3, (int64_t[]){7, 9}, 2);
  size_t values = wire_begin(&t, 5);
  put_floats(&t, 3, "", 1);
  put_floats(&t, 3, "", 1);
  wire_end(&t, values);
  assert_int_equal(onnx_read_value(t.kept.at, t.kept.size, &map, &account, &v, &err), SDX_OK);
  assert_int_equal(v->value.items[0]->tensor.count, 2);
  assert_int_equal(v->value.items[1]->tensor.count, 2);
  value_release(v);
  t.kept.size = 0;
  for (int i = 0; i < 200; i++) {  // 200 sequences inside one another
    wire_out outer = {0};
    wire_put_bytes(&outer, 5, (str){t.kept.at, t.kept.size});
    wire_out_deinit(&t);
    t = outer;
  }
  err = (error){0};
  assert_int_equal(onnx_read_value(t.kept.at, t.kept.size, &sequence, &account, &v, &err), SDX_LIMIT_EXCEEDED);
  wire_out_deinit(&t);
  assert_int_equal(atomic_load(&account.used), 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(raw_data_of_every_type_and_odd_count), T(float6_of_every_count),      T(typed_lists),
      T(booleans_become_zero_or_one),          T(empty_tensors_need_no_data), T(lies_are_refused),
      T(sparse_tensors_are_checked),           T(what_is_written_is_read),    T(sequences_optionals_and_maps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
