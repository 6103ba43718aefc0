// SPDX-License-Identifier: Apache-2.0
// Movement, shape and sequence operators on constants written as text: results where the suite of ONNX
// has none (packed types, odd sizes, negative pads, NaN order), and the errors of bad inputs, which
// must name the place and stay within the budget.
#include "tests/ops/evaluate.h"

static void packed_types_move(void **state) {
  GIVES("const %x: int4[3,3]{1, -2, 3, -4, 5, -6, 7, -8, 0}\n %y = Transpose(%x)", "int4[3,3]", 1, -4, 7, -2, 5, -8, 3,
        -6, 0);
  GIVES("const %x: int4[3]{1, -2, 3}\n const %p: int64[2]{1, 1}\n %y = Pad(%x, %p)", "int4[5]", 0, 1, -2, 3, 0);
  GIVES("const %s: int64[1]{5}\n %y = ConstantOfShape<value=tensor int4[1]{-3}>(%s)", "int4[5]", -3, -3, -3, -3, -3);
  GIVES("const %x: float[3]{1.9, -9, 20}\n %y = Cast<to=22>(%x)", "int4[3]", 1, 7, 4);
}

static void transposes_every_shape(void **state) {
  for (int64_t rows = 1; rows < 40; rows += 5)
    for (int64_t columns = 1; columns < 40; columns += 3) {
      char body[300];
      snprintf(body, sizeof body,
               "const %%a: int64[]{0}\n const %%b: int64[]{%lld}\n const %%one: int64[]{1}\n"
               "const %%s: int64[3]{2, %lld, %lld}\n"
               "%%r = Range(%%a, %%b, %%one)\n %%x = Reshape(%%r, %%s)\n %%y = Transpose<perm=[0, 2, 1]>(%%x)",
               (long long)(2 * rows * columns), (long long)rows, (long long)columns);
      outcome o = evaluate(body);
      if (o.status != SDX_OK) fail_msg("%s", o.err.message);
      const int64_t *y = o.values[graph_find(o.g, STR("y"))]->value.tensor.data;
      for (int64_t b = 0; b < 2; b++)
        for (int64_t c = 0; c < columns; c++)
          for (int64_t r = 0; r < rows; r++)
            assert_int_equal(y[(b * columns + c) * rows + r], (b * rows + r) * columns + c);
      clear(&o);
    }
}

static void slices_clamp(void **state) {
#define X "const %x: int64[5]{10, 11, 12, 13, 14}\n"
  GIVES(X "const %s: int64[1]{-9223372036854775808}\n const %e: int64[1]{9223372036854775807}\n %y = Slice(%x, %s, %e)",
        "int64[5]", 10, 11, 12, 13, 14);
  GIVES(X
        "const %s: int64[1]{9223372036854775807}\n const %e: int64[1]{-9223372036854775808}\n const %a: int64[1]{0}\n"
        "const %t: int64[1]{-2}\n %y = Slice(%x, %s, %e, %a, %t)",
        "int64[3]", 14, 12, 10);
  GIVES(X
        "const %s: int64[1]{0}\n const %e: int64[1]{5}\n const %a: int64[1]{0}\n"
        "const %t: int64[1]{9223372036854775807}\n %y = Slice(%x, %s, %e, %a, %t)",
        "int64[1]", 10);
  GIVES(X
        "const %s: int64[1]{4}\n const %e: int64[1]{-100}\n const %a: int64[1]{0}\n"
        "const %t: int64[1]{-9223372036854775808}\n %y = Slice(%x, %s, %e, %a, %t)",
        "int64[1]", 14);
}

static void pads_in_every_mode(void **state) {
#define P3 "const %x: int64[3]{1, 2, 3}\n"
  GIVES(P3 "const %p: int64[2]{2, 2}\n %y = Pad<mode=\"reflect\">(%x, %p)", "int64[7]", 3, 2, 1, 2, 3, 2, 1);
  GIVES(P3 "const %p: int64[2]{3, 0}\n %y = Pad<mode=\"reflect\">(%x, %p)", "int64[6]", 2, 3, 2, 1, 2, 3);
  GIVES(P3 "const %p: int64[2]{2, 2}\n %y = Pad<mode=\"edge\">(%x, %p)", "int64[7]", 1, 1, 1, 2, 3, 3, 3);
  GIVES(P3 "const %p: int64[2]{4, 4}\n %y = Pad<mode=\"wrap\">(%x, %p)", "int64[11]", 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1);
  GIVES(P3 "const %p: int64[2]{-1, 2}\n %y = Pad<mode=\"edge\">(%x, %p)", "int64[4]", 2, 3, 3, 3);
  GIVES("const %x: int64[2,2]{1, 2, 3, 4}\n const %p: int64[4]{1, 1, 0, 1}\n %y = Pad<mode=\"edge\">(%x, %p)",
        "int64[3,4]", 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4);
}

static void orders_are_total(void **state) {
  GIVES("const %x: float[5]{1, nan, 3, 3, -1}\n const %k: int64[1]{4}\n %v, %y = TopK(%x, %k)", "int64[4]", 1, 2, 3, 0);
  GIVES("const %x: float[5]{1, nan, 3, 1, -1}\n const %k: int64[1]{5}\n %v, %y = TopK<largest=0>(%x, %k)", "int64[5]",
        4, 0, 3, 2, 1);
  GIVES("const %x: float[6]{2, nan, -0.0, nan, 0, 2}\n %v, _, _, %y = Unique(%x)", "int64[3]", 2, 2, 2);
}

static void casts_are_defined(void **state) {
  GIVES("const %x: float[6]{nan, inf, -inf, 1e30, -2.9, 2.9}\n %y = Cast<to=6>(%x)", "int32[6]", 0, INT32_MAX,
        INT32_MIN, INT32_MAX, -2, 2);
  GIVES("const %x: int64[2]{4294967297, -1}\n %y = Cast<to=6>(%x)", "int32[2]", 1, -1);
  GIVES("const %x: string[3]{\" 12 \", \"-7.9\", \"1e3\"}\n %y = Cast<to=7>(%x)", "int64[3]", 12, -7, 1000);
  fails("const %x: string[2]{\"1\", \"one\"}\n %y = Cast<to=1>(%x)", SDX_INVALID_ARGUMENT,
        "input 0 ('input') has element 1 'one', expected a number");
  fails("const %x: string[1]{\"\"}\n %y = Cast<to=1>(%x)", SDX_INVALID_ARGUMENT, "expected a number");
}

static void indices_are_checked(void **state) {
#define D "const %x: float[3]{1, 2, 3}\n"
  const char *bad[] = {"-4", "3", "2147483648", "4611686018427387904", "-4611686018427387904"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char body[400];
    const char *forms[] = {"%y = Gather(%x, %i)", "%y = GatherElements(%x, %i)", "%y = ScatterElements(%x, %i, %u)",
                           "%y = GatherND(%x, %i)", "const %f: float[]{5}\n %y = ScatterND(%x, %i, %f)"};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
      snprintf(body, sizeof body, "%sconst %%u: float[1]{9}\n const %%i: int64[1]{%s}\n %s", D, bad[i], forms[k]);
      fails(body, SDX_OUT_OF_RANGE, bad[i]);
    }
  }
  GIVES(
      "const %x: int64[3]{1, 2, 3}\n const %i: int64[4]{0, 0, -3, 1}\n const %u: int64[4]{1, 2, 3, 4}\n"
      "%y = ScatterElements<reduction=\"add\">(%x, %i, %u)",
      "int64[3]", 7, 6, 3);
}

static void shapes_are_checked(void **state) {
  fails(D "const %s: int64[2]{-1, -1}\n %y = Reshape(%x, %s)", SDX_INVALID_SHAPE, "-1 at both 0 and 1");
  fails(D "const %s: int64[2]{2, 2}\n %y = Reshape(%x, %s)", SDX_INVALID_SHAPE, "input 1 ('shape') is [2,2]");
  fails(D "const %s: int64[2]{-2, 3}\n %y = Reshape(%x, %s)", SDX_OUT_OF_RANGE, "-2");
  fails(D "const %s: int64[3]{4611686018427387904, 4, 3}\n %y = Reshape(%x, %s)", SDX_INVALID_SHAPE, "counted");
  fails("const %x: float[0]{}\n const %s: int64[2]{0, -1}\n %y = Reshape<allowzero=1>(%x, %s)", SDX_INVALID_SHAPE,
        "-1");
  fails(D "const %s: int64[2]{0, 0}\n %y = Unsqueeze(%x, %s)", SDX_INVALID_ARGUMENT, "twice");
  fails(D "const %s: int64[1]{0}\n %y = Squeeze(%x, %s)", SDX_INVALID_SHAPE, "size is 3");
  fails(D "%y = Flatten<axis=2>(%x)", SDX_OUT_OF_RANGE, "axis");
  fails(D "%y = Concat<axis=1>(%x, %x)", SDX_OUT_OF_RANGE, "axis");
  fails(D "const %s: int64[1]{0}\n %y = Slice(%x, %s, %s, %s, %s)", SDX_INVALID_ARGUMENT, "'steps'");
  fails(D "const %s: int64[2]{0, 0}\n const %e: int64[2]{1, 1}\n %y = Slice(%x, %s, %e, %s)", SDX_INVALID_ARGUMENT,
        "twice");
  fails(D "const %k: int64[1]{4}\n %y, %i = TopK(%x, %k)", SDX_OUT_OF_RANGE, "is 4");
  fails(D "const %k: int64[1]{-1}\n %y, %i = TopK(%x, %k)", SDX_OUT_OF_RANGE, "is -1");
  fails(D "const %k: int64[1,1]{1}\n %y, %i = TopK(%x, %k)", SDX_INVALID_SHAPE, "rank 2");
  fails(D "const %p: int64[2]{-3, 1}\n %y = Pad<mode=\"reflect\">(%x, %p)", SDX_INVALID_SHAPE, "nothing to pad with");
  fails(D "const %p: int64[2]{-4, 0}\n %y = Pad(%x, %p)", SDX_OUT_OF_RANGE, "cut more");
  fails(D "const %p: int64[2]{2305843009213693952, 9223372036854775807}\n %y = Pad(%x, %p)", SDX_INVALID_SHAPE,
        "overflow");
  fails(D "const %c: bool[4]{1, 1, 1, 1}\n %y = Compress(%x, %c)", SDX_INVALID_SHAPE, "4 entries");
  fails(D "const %s: int64[2]{1, 1}\n %y, %z = Split(%x, %s)", SDX_INVALID_SHAPE, "adds up to 2");
  fails(D "const %s: int64[2]{-1, 4}\n %y, %z = Split(%x, %s)", SDX_OUT_OF_RANGE, "-1");
  fails("const %a: float[]{0}\n const %d: float[]{0}\n %y = Range(%a, %a, %d)", SDX_INVALID_ARGUMENT, "'delta'");
  fails("const %a: float[]{0}\n const %d: float[]{nan}\n %y = Range(%a, %a, %d)", SDX_INVALID_ARGUMENT, "finite");
}

// Sizes that data asks for are refused before memory is touched.
static void bombs_hit_the_budget(void **state) {
  fails("const %s: int64[2]{1048576, 1048576}\n %y = ConstantOfShape(%s)", SDX_NO_MEMORY, "budget");
  fails("const %s: int64[2]{4611686018427387904, 4}\n %y = ConstantOfShape(%s)", SDX_INVALID_SHAPE, "bytes");
  fails("const %s: int64[1]{-1}\n %y = ConstantOfShape(%s)", SDX_OUT_OF_RANGE, "-1");
  fails(D "const %s: int64[2]{1000000000, 3}\n %y = Expand(%x, %s)", SDX_NO_MEMORY, "budget");
  fails(D "const %s: int64[1]{4611686018427387904}\n %y = Tile(%x, %s)", SDX_INVALID_SHAPE, "64 bits");
  fails(D "const %s: int64[1]{1000000000}\n %y = Tile(%x, %s)", SDX_NO_MEMORY, "budget");
  fails(
      "const %a: int64[]{-9223372036854775808}\n const %b: int64[]{9223372036854775807}\n const %d: int64[]{1}\n"
      "%y = Range(%a, %b, %d)",
      SDX_LIMIT_EXCEEDED, "2^63");
  fails("const %a: float[]{0}\n const %b: float[]{1e30}\n const %d: float[]{1e-30}\n %y = Range(%a, %b, %d)",
        SDX_LIMIT_EXCEEDED, "too many");
  fails("const %i: int64[1]{0}\n const %d: int64[]{1000000000000}\n const %v: float[2]{0, 1}\n %y = OneHot(%i, %d, %v)",
        SDX_NO_MEMORY, "budget");
}

static void sequences_are_checked(void **state) {
#define S D "%s = SequenceConstruct(%x, %x)\n"
  GIVES(S "const %p: int64[]{-2}\n %t = SequenceErase(%s, %p)\n %y = SequenceLength(%t)", "int64[]", 1);
  fails(S "const %p: int64[]{2}\n %y = SequenceAt(%s, %p)", SDX_OUT_OF_RANGE,
        "input 1 ('position') is 2, expected within [-2, 2)");
  fails(S "const %p: int64[]{3}\n %y = SequenceInsert(%s, %x, %p)", SDX_OUT_OF_RANGE, "is 3, expected within");
  fails(S "const %p: int64[]{-3}\n %y = SequenceErase(%s, %p)", SDX_OUT_OF_RANGE, "is -3, expected within");
  fails("%e = SequenceEmpty()\n %y = SequenceErase(%e)", SDX_OUT_OF_RANGE, "sequence of 0");
  fails("%e = SequenceEmpty()\n %y = ConcatFromSequence<axis=0>(%e)", SDX_INVALID_ARGUMENT, "empty");
  fails(D "const %p: int64[]{0}\n %y = SplitToSequence(%x, %p)", SDX_OUT_OF_RANGE, "'split'");
  fails(S "const %z: float[1,2]{1, 2}\n %t = SequenceInsert(%s, %z)\n %y = ConcatFromSequence<axis=0>(%t)",
        SDX_INVALID_SHAPE, "item 2");
  fails(S "%y = Transpose(%s)", SDX_INVALID_SHAPE, "sequence");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(packed_types_move),    cmocka_unit_test(transposes_every_shape),
      cmocka_unit_test(slices_clamp),         cmocka_unit_test(pads_in_every_mode),
      cmocka_unit_test(orders_are_total),     cmocka_unit_test(casts_are_defined),
      cmocka_unit_test(indices_are_checked),  cmocka_unit_test(shapes_are_checked),
      cmocka_unit_test(bombs_hit_the_budget), cmocka_unit_test(sequences_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
