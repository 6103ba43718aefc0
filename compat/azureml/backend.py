# SPDX-License-Identifier: Apache-2.0
"""The build backend of pyproject.toml: compat/building.py."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from building import *  # noqa: E402, F403  (the hooks of PEP 517 and 660)
