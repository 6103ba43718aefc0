# SPDX-License-Identifier: Apache-2.0
"""The build backend of pyproject.toml: scikit-build-core, which is only asked where no other distribution brings a
package onnxruntime. An installation from these sources beside the real one ends here, before anything is replaced; a
wheel runs no code when it is installed, there the first import refuses (_alone.py)."""

import importlib.util
import pathlib
import sysconfig

from scikit_build_core import build
from scikit_build_core.build import *  # noqa: F403  (the hooks of PEP 517 and 660)

ALONE = pathlib.Path(__file__).resolve().parent / "onnxruntime/capi/onnxruntime_pybind11_state/_alone.py"


def _refuse_beside_others():
    spec = importlib.util.spec_from_file_location("_alone", ALONE)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    site = sysconfig.get_path("purelib")
    names = alone.others(site)
    if names:
        raise SystemExit(alone.explanation(names, site))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _refuse_beside_others()
    return build.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _refuse_beside_others()
    return build.build_editable(wheel_directory, config_settings, metadata_directory)
