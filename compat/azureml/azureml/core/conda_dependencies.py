# SPDX-License-Identifier: Apache-2.0
"""CondaDependencies: the environment file of a score.py (myenv.yml) as an object. It keeps the document as YAML has it:
`dependencies` is a list of conda packages, with one dict {"pip": [packages and options]} among them."""
import copy
import os
import platform
import re

import yaml

from azureml.exceptions import UserErrorException

PYTHON_DEFAULT_VERSION = platform.python_version()  # images are made with the Python that makes them
CPU, GPU = "cpu", "gpu"
CNTK_DEFAULT_VERSION = "2.7"
TENSORFLOW_DEFAULT_VERSION = "2.2.0"
KEYS = ("name", "channels", "dependencies", "prefix", "variables")


def package_name(requirement):
    """The name alone, of a wheel's file, too."""
    if requirement.endswith(".whl"):
        return requirement.rpartition("/")[2].partition("-")[0]
    return re.split(r"[\[=|<>~!]", requirement)[0]


def _check_option(text, wanted):
    if text.startswith("-") != wanted:
        raise UserErrorException(f"Invalid {'pip option' if wanted else 'package name'} {text}")


class CondaDependencies:
    """An environment: read from a file, or azureml-defaults and this Python."""

    DEFAULT_NUMBER_OF_CONDA_PACKAGES = 0
    DEFAULT_NUMBER_OF_PIP_PACKAGES = 0

    def __init__(self, conda_dependencies_file_path=None, _underlying_structure=None):
        if conda_dependencies_file_path is not None:
            with open(conda_dependencies_file_path, encoding="utf-8") as file:
                try:
                    self._document = yaml.safe_load(file)
                except yaml.YAMLError as error:
                    raise UserErrorException(f"{conda_dependencies_file_path} is not YAML: {error}") from None
        else:
            self._document = _underlying_structure or {
                "name": "project_environment", "channels": ["anaconda", "conda-forge"],
                "dependencies": [f"python={PYTHON_DEFAULT_VERSION}", {"pip": ["azureml-defaults"]}]}
        if not isinstance(self._document, dict):
            raise UserErrorException("Environment error: not a valid YAML structure")
        unknown = [key for key in self._document if key not in KEYS]
        if unknown:
            raise UserErrorException(f"Environment error: unknown {unknown[0]} key in environment specification")

    @staticmethod
    def create(pip_indexurl=None, pip_packages=None, conda_packages=None, python_version=PYTHON_DEFAULT_VERSION,
               pin_sdk_version=True):
        """An environment of these packages. Those of the SDK are not pinned: Sardonyx stands in for them."""
        made = CondaDependencies()
        made.set_pip_requirements([])
        made.set_python_version(python_version)
        if pip_indexurl:
            made.set_pip_option(f"--find-links {pip_indexurl}")
        for package in ["azureml-defaults"] if pip_packages is None else pip_packages:
            made.add_pip_package(package)
        for package in conda_packages or ():
            made.add_conda_package(package)
        return made

    @staticmethod
    def merge_requirements(requirements):
        """Requirements of one name as one requirement."""
        merged = {}
        for requirement in requirements:
            name = package_name(requirement)
            merged.setdefault(name, []).append(requirement[len(name):].strip())
        return [name + ",".join(filter(None, bounds)) for name, bounds in merged.items()]

    @staticmethod
    def sdk_origin_url():
        """Where packages come from unless pip is told otherwise."""
        return "https://pypi.python.org/simple"

    def _list(self, key):
        """The document's list of that name, made where it is missing."""
        if self._document.get(key) is None:
            self._document[key] = []
        return self._document[key]

    def _pip(self):
        """The list of pip's packages and options, made where it is missing."""
        packages = self._list("dependencies")
        for entry in packages:
            if isinstance(entry, dict) and "pip" in entry:
                return entry["pip"]
        packages.append({"pip": []})
        return packages[-1]["pip"]

    def _conda(self):
        return [entry for entry in self._document.get("dependencies") or () if isinstance(entry, str)]

    def _pip_entries(self, options):
        found = [entry["pip"] for entry in self._document.get("dependencies") or ()
                 if isinstance(entry, dict) and "pip" in entry]
        return [text for text in (found[0] if found else ()) if text.startswith("-") == options]

    @property
    def conda_channels(self):
        return iter(list(self._document.get("channels") or ()))

    @property
    def conda_packages(self):
        return iter(self._conda())

    @property
    def pip_packages(self):
        return iter(self._pip_entries(False))

    @property
    def pip_options(self):
        return iter(self._pip_entries(True))

    def get_default_number_of_packages(self):
        """(conda packages, pip packages) of an environment that nothing was added to."""
        plain = CondaDependencies()
        return len(plain._conda()), len(plain._pip_entries(False))

    def get_python_version(self):
        for entry in self._conda():
            if package_name(entry) == "python":
                found = re.search(r"\d+\.\d+(\.\d+)?([ab]\d+)?$", entry)
                return found and found.group()
        return None

    def set_python_version(self, version):
        packages, wanted = self._list("dependencies"), f"python={version}"
        at = next((i for i, e in enumerate(packages) if isinstance(e, str) and package_name(e) == "python"), None)
        if at is None:
            packages.append(wanted)
        else:
            packages[at] = wanted

    def add_channel(self, channel):
        if channel not in self._list("channels"):
            self._list("channels").append(channel)

    def remove_channel(self, channel):
        if channel in self.conda_channels:
            self._list("channels").remove(channel)

    def add_conda_package(self, conda_package):
        """Adds a package; another Python takes the place of the one that is there."""
        if conda_package in self._conda():
            return
        found = re.search(r"\d+\.\d+(\.\d+)?([ab]\d+)?$", conda_package) if package_name(conda_package) == "python" else None
        if found:
            self.set_python_version(found.group())
        else:
            self._list("dependencies").append(conda_package)

    def remove_conda_package(self, conda_package):
        if conda_package in self._conda():
            if package_name(conda_package) == "python":
                raise UserErrorException("python must not be removed from conda dependencies")
            self._list("dependencies").remove(conda_package)

    def add_pip_package(self, pip_package):
        """Adds a package at the end, in the place of one of the same name."""
        self.remove_pip_package(pip_package)
        self._pip().append(pip_package)

    def remove_pip_package(self, pip_package):
        _check_option(pip_package, False)
        name = package_name(pip_package)
        same = [text for text in self._pip_entries(False) if package_name(text) == name]
        for text in same:
            self._pip().remove(text)

    def set_pip_index_url(self, index_url):
        self.set_pip_option(index_url)

    def set_pip_option(self, pip_option):
        """Adds an option of pip, in the place of the same one with another value."""
        _check_option(pip_option, True)
        entries, word = self._pip(), pip_option.split()[0]
        at = next((i for i, text in enumerate(entries) if text.split()[0] == word), None)
        if at is None:
            entries.append(pip_option)
        else:
            entries[at] = pip_option

    def remove_pip_option(self, pip_option):
        _check_option(pip_option, True)
        word = pip_option.split()[0]
        same = [text for text in self._pip_entries(True) if text.split()[0] == word]
        for text in same:
            self._pip().remove(text)

    def set_pip_requirements(self, pip_requirements):
        """Exactly these packages and options."""
        self._pip()[:] = pip_requirements

    def _one_of(self, prefix, core_type, version):
        """The requirement of a framework for processors or GPUs; what was there of it is taken away."""
        if core_type not in (CPU, GPU):
            raise UserErrorException(f"Invalid core type {core_type}. Only accept 'cpu' or 'gpu'")
        for text in [text for text in self._pip_entries(False) if text.startswith(prefix)]:
            self.remove_pip_package(text)
        return f"{prefix}{'-gpu' if core_type == GPU else ''}{version}"

    def add_cntk_package(self, core_type=CPU):
        self.add_pip_package(self._one_of("cntk", core_type, f"=={CNTK_DEFAULT_VERSION}"))

    def add_tensorflow_pip_package(self, core_type=CPU, version=None):
        self.add_pip_package(self._one_of("tensorflow", core_type, f"=={version or TENSORFLOW_DEFAULT_VERSION}"))

    def add_tensorflow_conda_package(self, core_type=CPU, version=None):
        for text in [text for text in self._conda() if text.startswith("tensorflow")]:
            self.remove_conda_package(text)
        self.add_conda_package(self._one_of("tensorflow", core_type, f"={version or TENSORFLOW_DEFAULT_VERSION}"))

    def save_to_file(self, base_directory, conda_file_path=None):
        """Writes the file beneath a folder; its path in there."""
        folder = "aml_config" if os.path.exists(os.path.join(base_directory, "aml_config")) else ".azureml"
        path = conda_file_path or f"{folder}/auto_conda_dependencies.yml"
        self._write(os.path.join(os.path.abspath(base_directory), path))
        return path

    def save(self, path=None):
        """Writes the file; its path."""
        if os.path.isdir(path):
            raise UserErrorException(f"{path} is a folder; save() wants the path of a file")
        if os.path.dirname(path) and not os.path.isdir(os.path.dirname(path)):
            raise UserErrorException(f"{os.path.dirname(path)}, where {os.path.basename(path)} is to be, is no folder")
        self._write(path)
        return path

    def _write(self, path):
        if self.get_python_version() is None:
            raise UserErrorException("Python package is missing.")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.serialize_to_string())

    def serialize_to_string(self):
        """The YAML of the file."""
        return yaml.safe_dump(self._document, sort_keys=False, default_flow_style=False, allow_unicode=True)

    def as_dict(self):
        return copy.deepcopy(self._document)
