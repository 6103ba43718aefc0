# SPDX-License-Identifier: Apache-2.0
"""The rows of differences.md as {what: reason}, and where the package lies."""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
COMPAT = HERE.parents[2] / "compat/onnxruntime"
REASONS = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", (HERE / "differences.md").read_text(encoding="utf-8"), re.M))
