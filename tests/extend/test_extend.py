#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An operator and a kernel variant are one file each: both are added to a scratch copy of the tree by
writing exactly one file, built, and used. The NEON variant is cross-compiled and run under emulation
where the tools are there; otherwise that part says SKIPPED."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from onnx_bytes import FLOAT, graph, model, node, opset, value  # noqa: E402

OPERATOR = r'''// SPDX-License-Identifier: Apache-2.0
// Triple: y = 3 x. An operator that exists in this test only.
#include "ops/infer.h"

static sdx_status infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  for (size_t i = 0; i < x->count; i++) ((float *)y->data)[i] = 3 * ((const float *)x->data)[i];
  return SDX_OK;
}

SDX_CASES = {"x=float[3,4]", NULL};

SDX_OP_MS(Triple) = {.since = 1, .versions = "1", .inputs = "X:T", .outputs = "Y:T", .types = "T=float",
                     .flags = OP_INPLACE, .infer = infer, .compute = compute, .cases = cases};
'''

KERNEL = r'''// SPDX-License-Identifier: Apache-2.0
// binary_f32 with NEON: addition by hand, the rest by the compiler.
#include "kernels/binary_f32/binary_f32.h"

#include <arm_neon.h>
#include <math.h>

static void add(const float *a, const float *b, float *y, size_t n) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vaddq_f32(vld1q_f32(a + i), vld1q_f32(b + i)));
  for (; i < n; i++) y[i] = a[i] + b[i];
}

#define FORM(name, A, B, f) \
  static void name(const float *a, const float *b, float *y, size_t n) { \
    for (size_t i = 0; i < n; i++) { float u = A, v = B; y[i] = f; } \
  }
#define BY_ONE(name, f) FORM(name##_vs, a[i], b[0], f) FORM(name##_sv, a[0], b[i], f)
#define FORMS(name, f) FORM(name##_vv, a[i], b[i], f) BY_ONE(name, f)
BY_ONE(plus, u + v) FORMS(minus, u - v) FORMS(times, u * v) FORMS(over, u / v)
FORMS(least, u != u ? u : v != v ? v : u < v ? u : v) FORMS(most, u != u ? u : v != v ? v : u > v ? u : v)
FORMS(prelu, u >= 0 ? u : u * v) FORMS(plus_relu, u + v < 0 ? 0 : u + v) FORMS(power, powf(u, v))
#define ROW(op, name) [BINARY_F32_##op] = {name##_vv, name##_vs, name##_sv}
KERNEL(binary_f32) = {{[BINARY_F32_ADD] = {add, plus_vs, plus_sv}, ROW(SUB, minus), ROW(MUL, times), ROW(DIV, over),
                       ROW(MIN, least), ROW(MAX, most), ROW(PRELU, prelu), ROW(ADD_RELU, plus_relu), ROW(POW, power)}};
'''

MAIN = r'''#include "sardonyx/sardonyx.h"
int main(void) { return sdx_selftest_kernels("binary_f32", 50, false); }
'''


def run(command, **options):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        print(f"FAILED {' '.join(map(str, command))}\n{done.stdout[-3000:]}")
    return done


def scratch_copy(folder):
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)


def build(folder, name, target, *options):
    out = folder / name
    return (run(["cmake", "-S", folder, "-B", out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DSDX_TESTS=OFF", *options]).returncode == 0
            and run(["ninja", "-C", out, target]).returncode == 0 and out)


def operator_works(folder):
    (folder / "src/ops/com_microsoft/triple.c").write_text(OPERATOR)
    out = build(folder, "host", "sardonyx")
    if not out:
        return False
    path = folder / "triple.onnx"
    path.write_bytes(model(graph([node("Triple", ["x"], ["y"], domain="com.microsoft")], [value("x", FLOAT, [4])],
                                 [value("y", FLOAT, [4])]), extra=opset(1, "com.microsoft")))
    (folder / "x.json").write_text("[1, 2, 3, 4.5]")
    done = run([out / "sardonyx", "run", path, f"x={folder / 'x.json'}"])
    listed = run([out / "sardonyx", "ops"])
    ok = done.returncode == 0 and "3 6 9 13.5" in done.stdout and "Triple" in listed.stdout
    print("ok one file adds an operator" if ok else f"FAILED operator: {done.stdout}")
    return ok


def kernel_works(folder):
    """True, False, or the reason why it could not be tried."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler:
        return "no aarch64-linux-gnu-gcc"
    (folder / "src/kernels/binary_f32/arm_neon.c").write_text(KERNEL)
    out = build(folder, "arm", "sardonyx_static", "-DSDX_TOOLS=OFF", "-DCMAKE_SYSTEM_NAME=Linux",
                "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_C_COMPILER={compiler}",
                "-DCMAKE_OBJCOPY=" + shutil.which("aarch64-linux-gnu-objcopy"))
    if not out:
        return False
    (folder / "main.c").write_text(MAIN)
    if run([compiler, "-I", folder / "include", folder / "main.c", out / "libsardonyx.a", "-o", out / "main", "-static",
            "-pthread", "-lm"]).returncode != 0:
        return False
    if not emulator:
        return "built, but there is no qemu-aarch64 to run it"
    done = run([emulator, out / "main"])
    ok = done.returncode == 0 and "binary_f32 arm_neon" in done.stdout and "FAILED" not in done.stdout
    print("ok one file adds a NEON kernel" if ok else f"FAILED kernel: {done.stdout}")
    return ok


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scratch_copy(folder)
        results = [operator_works(folder), kernel_works(folder)]
    for reason in (r for r in results if isinstance(r, str)):
        print(f"SKIPPED NEON kernel: {reason}")
    passed, failed = results.count(True), results.count(False)
    print(f"{passed} passed, {failed} failed, {len(results) - passed - failed} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
