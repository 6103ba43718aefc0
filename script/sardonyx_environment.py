# SPDX-License-Identifier: Apache-2.0
"""What of this Python an image needs: the interpreter with its standard library and shared libraries, and packages with
what they require. Packages that are installed here are taken as they are; others are fetched by pip. The request is read
from stdin, the answer is JSON on stdout: lists of [path in the image, file here].

request: {"requirements": [...], "interpreter": bool, "folder": where pip may put packages, "loader": of shared libraries,
          "python": version of the Python in the image, where it is another one (then everything comes from pip)}
answer: {"interpreter": [...], "packages": [...], "notes": [...], "missing": [...]}; link: [path, {"link": target}]
"""
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig

SITE = "opt/sardonyx/site"
# What Sardonyx itself provides; each stands for these distributions instead.
PROVIDED = {"onnxruntime": ["sardonyx"], "onnxruntime-gpu": ["sardonyx"], "azureml-core": [], "azureml-defaults": ["sardonyx"],
            "azureml-sdk": [], "azureml-monitoring": [], "azureml-contrib-services": []}
SKIPPED_FOLDERS = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
                   "dist-packages", "pydoc_data"}
# Modules with shared libraries that no server needs (and that bring a desktop along).
SKIPPED_MODULES = re.compile(r"^(_tkinter|_test|_xx|xx|_curses|readline|_ctypes_test)")
# Never fetched: a package of that name elsewhere is somebody else's.
OWN = {"sardonyx"}
# What says where and how a package was installed here; it would make images differ.
SKIPPED_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def name_of(requirement):
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def files_below(folder, skipped):
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if f not in skipped and not f.startswith("config-"))
        for name in sorted(files):
            if not name.endswith((".pyc", ".pyo", ".a")) and not ("lib-dynload" in root and SKIPPED_MODULES.match(name)):
                yield os.path.join(root, name)


def target(path):
    return os.path.normpath(path).lstrip("/")


# ---- packages --------------------------------------------------------------------------------------

def requirements_of(distribution):
    """Names a distribution needs here; what is for extras or other systems is left out."""
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        Requirement = None
    for text in distribution.requires or []:
        if Requirement:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            yield requirement.name
        elif ";" not in text:
            yield name_of(text)


def installed(name):
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def version_fits(distribution, requirement):
    try:
        from pip._vendor.packaging.requirements import Requirement
        return Requirement(requirement).specifier.contains(distribution.version, prereleases=True)
    except Exception:  # an unusual requirement, or no pip: what is installed has to do
        return True


def package_files(distribution):
    """[path in the image, file] of an installed distribution."""
    root = pathlib.Path(distribution.locate_file(""))
    listed = distribution.files
    if listed is None:  # of a system's package manager
        tops = (distribution.read_text("top_level.txt") or distribution.metadata["Name"]).split()
        paths = [p for top in tops for p in (root / top, root / (top + ".py")) if p.exists()]
        listed = [pathlib.Path(f).relative_to(root) for p in paths for f in (files_below(p, {"__pycache__"}) if p.is_dir() else [p])]
    for file in listed:
        path = root / file
        parts = pathlib.PurePath(os.path.normpath(str(file))).parts
        outside = ".." in parts or file.suffix == ".pyc" or "__pycache__" in parts or file.name in SKIPPED_FILES
        if not outside and path.is_file():
            yield [f"{SITE}/{'/'.join(parts)}", str(path)]


def collect_installed(requirements, notes):
    """(files, requirements that are not installed here)."""
    todo, done, files, missing = list(requirements), set(), [], []
    while todo:
        requirement = todo.pop(0)
        name = name_of(requirement)
        if not name or name in done:
            continue
        done.add(name)
        if name in PROVIDED:
            todo += PROVIDED[name]
            continue
        distribution = installed(name)
        if distribution is None or not version_fits(distribution, requirement):
            missing.append(requirement)
            continue
        if requirement.strip().lower() != name:
            notes.append(f"{requirement}: {name} {distribution.version} of this machine")
        files += package_files(distribution)
        todo += requirements_of(distribution)
    return files, missing


def fetch(requirements, request, notes):
    """Files of packages that pip puts into the folder of the request."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--only-binary=:all:",
               "--target", request["folder"]]
    if not same_python(request.get("python")):
        command += ["--python-version", request["python"], "--implementation", "cp"]
    done = subprocess.run([*command, *requirements], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, (done.stderr or done.stdout).strip().splitlines()[-1:] or ["pip fails"]
    notes += [f"{r}: fetched by pip" for r in requirements]
    found = files_below(request["folder"], {"__pycache__", "bin"})
    return [[f"{SITE}/{os.path.relpath(f, request['folder'])}", f] for f in found if os.path.basename(f) not in SKIPPED_FILES], []


# ---- the interpreter -------------------------------------------------------------------------------

def shared_libraries(files, loader):
    """The system's libraries that files need; what lies among the files themselves is there already."""
    known = {os.path.realpath(f) for f in files}
    found = {}
    for file in files:
        if ".so" not in os.path.basename(file) and file != os.path.realpath(sys.executable):
            continue
        listed = subprocess.run([loader, "--list", file], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"=> (/\S+) \(0x", listed):
            if os.path.realpath(path) not in known and "/opt/sardonyx/" not in path:
                found[path] = True
    return sorted(found)


def interpreter_files():
    executable = os.path.realpath(sys.executable)
    stdlib = {sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}),
              sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix, "installed_platbase": sys.base_prefix, "base": sys.base_prefix})}
    files = [executable]
    for folder in sorted(stdlib):
        files += files_below(folder, SKIPPED_FOLDERS)
    return executable, sorted(set(files))


def here():
    return ".".join(map(str, sys.version_info[:3]))


def same_python(version):
    """Whether packages that are installed here serve a Python of that version."""
    return not version or version.split(".")[:2] == here().split(".")[:2]


def provided(requirements):
    """Requirements, with what Sardonyx provides in the place of what it stands for."""
    found = {}
    for requirement in requirements:
        for one in PROVIDED.get(name_of(requirement), [requirement]):
            found[name_of(one)] = one
    return found.values()


def main():
    request = json.load(sys.stdin)
    notes, missing, interpreter = [], [], []
    if same_python(request.get("python")):
        packages, todo = collect_installed(request["requirements"], notes)
    else:
        packages, todo = [], [r for r in provided(request["requirements"])]
    for requirement in [r for r in todo if name_of(r) in OWN]:
        todo.remove(requirement)
        missing.append(f"the package {requirement} is not installed for Python {request.get('python') or here()} ({sys.executable})")
    if todo:
        fetched, problem = fetch(todo, request, notes)
        packages += fetched or []
        missing += [f"{', '.join(todo)}: {problem[0]}"] if fetched is None else []
    if request["interpreter"]:
        executable, files = interpreter_files()
        libraries = shared_libraries(files + [f for _, f in packages], request["loader"])
        interpreter = [[target(f), f] for f in files + libraries] + [[target(request["loader"]), request["loader"]]]
        if "usr/bin/python3" not in {p for p, _ in interpreter}:
            interpreter.append(["usr/bin/python3", {"link": executable}])
    json.dump({"interpreter": interpreter, "packages": packages, "notes": notes, "missing": missing,
               "version": here()}, sys.stdout)


if __name__ == "__main__":
    main()
