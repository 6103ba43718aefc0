# SPDX-License-Identifier: Apache-2.0
"""The package installs alone, and beside the real one it refuses: when it is built, and when it is imported."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import differences
import pytest

SITE = pathlib.Path(sysconfig.get_path("purelib"))
EXPLAINED = "onnxruntime and sardonyx-onnxruntime both bring the package 'onnxruntime'"


def pip(*arguments, **env):
    return subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
                          env={**os.environ, **env}, capture_output=True, text=True, check=False)


class Installed:
    """An environment that has the package, and of this one's packages only what it needs."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python, self.needs = folder / "venv/bin/python", folder / "needs"
        self.needs.mkdir()
        for name in ("numpy", "numpy.libs", "sardonyx"):
            if (SITE / name).exists():
                (self.needs / name).symlink_to(SITE / name)
        self.made = pip("--python", self.python, "install", "--no-build-isolation", "--no-deps", differences.COMPAT,
                        PYTHONPATH=str(SITE))
        self.site = next((folder / "venv/lib").glob("python*/site-packages"))

    def run(self, program):
        return subprocess.run([self.python, "-c", program], env={**os.environ, "PYTHONPATH": str(self.needs)},
                              capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path):
    environment = Installed(tmp_path)
    assert environment.made.returncode == 0, environment.made.stdout + environment.made.stderr
    return environment


def test_alone(installed):
    done = installed.run("import onnxruntime; print(onnxruntime.__file__, onnxruntime.get_build_info())")
    assert done.stdout.startswith(str(installed.site)) and "Sardonyx" in done.stdout, done.stderr


def test_building_beside_the_real_one_is_refused():
    refused = pip("install", "--no-build-isolation", "--no-deps", differences.COMPAT)
    assert refused.returncode != 0 and EXPLAINED in refused.stdout + refused.stderr
    assert (SITE / "onnxruntime/capi/_pybind_state.py").exists()  # nothing was replaced


def test_importing_beside_the_real_one_is_refused(installed):
    (info,) = SITE.glob("onnxruntime-*.dist-info")
    shutil.copytree(info, installed.site / info.name)
    done = installed.run("import onnxruntime")
    assert "ImportError" in done.stderr and EXPLAINED in done.stderr and "pip uninstall onnxruntime" in done.stderr
    for path in ("__init__.py", *(p.relative_to(SITE / "onnxruntime") for p in SITE.glob("onnxruntime/capi/*.py"))):
        shutil.copy(SITE / "onnxruntime" / path, installed.site / "onnxruntime" / path)
    compiled = next(SITE.glob("onnxruntime/capi/onnxruntime_pybind11_state.*.so"))
    (installed.site / "onnxruntime/capi" / compiled.name).symlink_to(compiled)
    done = installed.run("import onnxruntime")  # the real one was installed over ours
    assert "ImportError" in done.stderr and EXPLAINED in done.stderr
