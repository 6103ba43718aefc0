# SPDX-License-Identifier: Apache-2.0
"""Refuses to work where the files of another distribution of onnxruntime lie between ours: neither would be whole."""
import pathlib
import re

SITE = pathlib.Path(__file__).resolve().parents[3]


def others(site):
    """Names of distributions in a folder that bring a package onnxruntime of their own."""
    found = []
    for info in pathlib.Path(site).glob("*.dist-info"):
        name = info.name.partition("-")[0].replace("_", "-")
        top = info / "top_level.txt"
        if name != "sardonyx-onnxruntime" and re.match("onnxruntime|ort", name) and top.exists() and \
                "onnxruntime" in top.read_text(encoding="utf-8").split():
            found.append(name)
    return sorted(found)


def explanation(names, site):
    return (f"{' and '.join(names)} and sardonyx-onnxruntime both bring the package 'onnxruntime', in {site}: only one "
            f"of them can be there. To use Sardonyx: pip uninstall {' '.join(names)}, then pip install "
            f"--force-reinstall sardonyx-onnxruntime. To go back: pip uninstall sardonyx-onnxruntime, then pip install "
            f"--force-reinstall {names[0]}.")


def check():
    names = others(SITE)
    if names:
        raise ImportError(explanation(names, SITE))
