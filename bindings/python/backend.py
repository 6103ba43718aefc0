# SPDX-License-Identifier: Apache-2.0
"""The build backend of pyproject.toml: scikit-build-core, and a source distribution that carries the engine's sources,
which in the repository lie outside of the package's folder."""

import os
import pathlib
import shutil
import tempfile

from scikit_build_core import build
from scikit_build_core.build import *  # noqa: F403  (the hooks of PEP 517 and 660)

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = ("CMakeLists.txt", "LICENSE", "cmake", "include", "src")


def build_sdist(sdist_directory, config_settings=None):
    if (HERE / "engine").is_dir():  # a source distribution already
        return build.build_sdist(sdist_directory, config_settings)
    with tempfile.TemporaryDirectory() as folder:
        stage, before = pathlib.Path(folder) / "python", pathlib.Path.cwd()
        target = str((before / sdist_directory).resolve())
        shutil.copytree(HERE, stage, ignore=shutil.ignore_patterns("__pycache__", "build", "dist"))
        shutil.copy(HERE.parents[1] / "LICENSE", stage)
        (stage / "engine").mkdir()
        for name in ENGINE:
            source = HERE.parents[1] / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, stage / "engine" / name)
        try:
            os.chdir(stage)
            return build.build_sdist(target, config_settings)
        finally:
            os.chdir(before)
