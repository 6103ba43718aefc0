# SPDX-License-Identifier: Apache-2.0
"""Refuses to work where the files of Azure ML's own packages lie between ours: neither would be whole."""
import pathlib

SITE = pathlib.Path(__file__).resolve().parents[1]


def others(site):
    """Names of distributions in a folder that bring a package azureml of their own."""
    found = []
    for info in pathlib.Path(site).glob("azureml*.dist-info"):
        top = info / "top_level.txt"
        if top.exists() and "azureml" in top.read_text(encoding="utf-8").split():
            found.append(info.name.partition("-")[0].replace("_", "-"))
    return sorted(found)


def explanation(names, site):
    return (f"{', '.join(names)} and sardonyx-azureml bring the same package 'azureml', in {site}: only one of them can be "
            f"there. To use Sardonyx: pip uninstall {' '.join(names)}, then pip install --force-reinstall sardonyx-azureml. "
            f"To go back: pip uninstall sardonyx-azureml, then pip install --force-reinstall {' '.join(names)}.")


def check():
    names = others(SITE)
    if names:
        raise ImportError(explanation(names, SITE))
