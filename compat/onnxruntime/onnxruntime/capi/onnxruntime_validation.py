# SPDX-License-Identifier: Apache-2.0
"""Name and version of the package; every system that sardonyx is built for will do."""
from .build_and_package_info import __version__, package_name


def check_distro_info():
    """Nothing to warn of."""


def get_package_name_and_version_info():
    """(name, version, version of CUDA: "")"""
    return package_name, __version__, ""


def check_training_module():
    """(has training, name, version, version of CUDA)"""
    return False, *get_package_name_and_version_info()
