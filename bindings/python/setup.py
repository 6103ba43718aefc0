# SPDX-License-Identifier: Apache-2.0
"""Builds the engine as a static library with the repository's CMake, then the extension on top of it."""

import os
import subprocess
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(os.environ.get("SARDONYX_SOURCE") or Path(__file__).resolve().parents[2])


class BuildWithEngine(build_ext):
    def build_extension(self, ext):
        if not (ROOT / "src" / "api").is_dir():
            raise RuntimeError(f"{ROOT} is not the Sardonyx source tree; set SARDONYX_SOURCE to its folder")
        build = Path(self.build_temp).resolve() / "engine"
        build.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DSDX_TOOLS=OFF", "-DSDX_TESTS=OFF"], check=True)
        subprocess.run(["cmake", "--build", str(build), "--target", "sardonyx_static"], check=True)
        ext.extra_objects = [str(build / "libsardonyx.a")]
        ext.depends = ext.extra_objects  # or an extension that is there already keeps the engine it has
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildWithEngine},
    ext_modules=[
        Extension(
            "sardonyx._engine",
            ["sardonyx/_engine.c"],
            include_dirs=[str(ROOT / "include"), numpy.get_include()],
            libraries=["m", "pthread"],
            extra_compile_args=["-std=gnu17", "-fvisibility=hidden"],
            # Only the module's entry point leaves the file: two copies of the engine may live in one process.
            extra_link_args=["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"],
        )
    ],
)
