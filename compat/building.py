# SPDX-License-Identifier: Apache-2.0
"""The build backend of the packages beside: scikit-build-core, which is only asked where no other distribution brings a
package of the same name. An installation from these sources beside the original ends here, before anything is replaced; a
wheel runs no code when it is installed, there the first import refuses. Both ask the package's _alone.py."""

import importlib.util
import pathlib
import sysconfig

from scikit_build_core import build
from scikit_build_core.build import *  # noqa: F403  (the hooks of PEP 517 and 660)


def _refuse_beside_others():
    path = min(pathlib.Path.cwd().glob("*/**/_alone.py"))  # hooks run in the project's folder
    spec = importlib.util.spec_from_file_location("_alone", path)
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
