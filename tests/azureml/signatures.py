# SPDX-License-Identifier: Apache-2.0
"""The public surface of a package's sources, {name: Signature}, read without importing them: azureml-core 1.0.23 imports on no
Python of today. `of_folder` and `of_wheel` give the sources; a name is looked up where a program would import it."""
import ast
import collections
import pathlib
import zipfile

MODULES = """azureml.core.workspace azureml.core.model azureml.core.image.image azureml.core.image.container
    azureml.core.webservice.webservice azureml.core.webservice.aci azureml.core.webservice.aks azureml.core.webservice.local
    azureml.core.conda_dependencies azureml.core.environment azureml.core.container_registry azureml.core.compute.compute
    azureml.core.compute.aks azureml.core.resource_configuration azureml.core.authentication azureml.core azureml.core.image
    azureml.core.webservice azureml.core.compute azureml.exceptions azureml.contrib.services azureml.contrib.services.aml_request
    azureml.contrib.services.aml_response""".split()
# kind: function, static, class method, property, class, value, attribute; parameters: [(name, default or None)].
Signature = collections.namedtuple("Signature", "kind parameters")


def of_folder(folder):
    folder = pathlib.Path(folder)
    return {name_of(path.relative_to(folder)): path.read_text(encoding="utf-8-sig") for path in folder.glob("azureml/**/*.py")}


def of_wheel(path):
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("azureml/") and name.endswith(".py")]
        return {name_of(pathlib.PurePosixPath(name)): wheel.read(name).decode("utf-8-sig") for name in names}


def name_of(path):
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Surface:
    def __init__(self, sources):
        self.trees, self.sources = {}, sources

    def tree(self, module):
        if module not in self.trees:
            self.trees[module] = ast.parse(self.sources.get(module, ""))
        return self.trees[module]

    def bindings(self, module):
        """{name: (module, name there) or the node that defines it} of a module's top level."""
        found = {}
        package = module if f"{module}.__init__" in self.sources or self.is_package(module) else module.rpartition(".")[0]
        for node in ast.walk(self.tree(module)):
            if isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    up = package.split(".")[:len(package.split(".")) - node.level + 1]
                    base = ".".join([*up, *([node.module] if node.module else [])])
                for alias in node.names:
                    found.setdefault(alias.asname or alias.name, (base, alias.name))
        for node in self.tree(module).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                found.update({t.id: v for t, v in zip(node.targets[0].elts, node.value.elts)})
        # What is imported when it is asked for: _HOMES = {name: module} beside a __getattr__.
        homes = found.get("_HOMES")
        if isinstance(homes, ast.Dict):
            found.update({k.value: (f"{module}.{v.value}", k.value) for k, v in zip(homes.keys, homes.values)})
        return found

    def is_package(self, module):
        return any(name.startswith(module + ".") for name in self.sources)

    def find(self, module, name):
        """(module, node) of what a name means there, through imports; (None, None) where it is of elsewhere."""
        for _ in range(8):
            if module not in self.sources:
                return None, None
            found = self.bindings(module).get(name)
            if not isinstance(found, tuple):
                return (module, found) if found is not None else (None, None)
            module, name = found
        return None, None

    def default(self, module, node):
        try:
            return repr(ast.literal_eval(node))
        except ValueError:
            if isinstance(node, ast.Name):
                home, value = self.find(module, node.id)
                if value is not None:
                    return self.default(home, value)
            return ast.unparse(node)

    def signature(self, module, node):
        marks = [ast.unparse(d) for d in node.decorator_list]
        kind = "property" if any(m == "property" or m.endswith(".setter") for m in marks) else \
            "static" if "staticmethod" in marks else "class method" if "classmethod" in marks else "function"
        a = node.args
        plain = [*a.posonlyargs, *a.args]
        defaults = [None] * (len(plain) - len(a.defaults)) + [self.default(module, d) for d in a.defaults]
        found = [(p.arg, d) for p, d in zip(plain, defaults)]
        found += [("*" + a.vararg.arg, None)] if a.vararg else []
        found += [(p.arg, d and self.default(module, d)) for p, d in zip(a.kwonlyargs, a.kw_defaults)]
        found += [("**" + a.kwarg.arg, None)] if a.kwarg else []
        return Signature(kind, () if kind == "property" else tuple(found))

    def members(self, module, node):
        """{name: Signature} of a class with what it inherits inside of the package."""
        found = {}
        for base in node.bases:
            home, parent = self.find(module, ast.unparse(base))
            if isinstance(parent, ast.ClassDef):
                found.update(self.members(home, parent))
        for attribute in attributes(node):
            found.setdefault(attribute, Signature("attribute", ()))
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                found[inner.name] = self.signature(module, inner)
            elif isinstance(inner, ast.Assign):
                targets = inner.targets[0].elts if isinstance(inner.targets[0], ast.Tuple) else inner.targets
                found.update({target.id: Signature("value", ()) for target in targets if isinstance(target, ast.Name)})
            elif isinstance(inner, ast.ClassDef):
                found[inner.name] = Signature("class", ())
        return {name: s for name, s in found.items() if name == "__init__" or not name.startswith("_")}

    def of_module(self, module):
        """The public names of a module: what it defines, and of a package also what it takes from its modules."""
        for name, node in self.bindings(module).items():
            shown = not isinstance(node, tuple) or (self.is_package(module) and node[0].startswith("azureml."))
            if name.startswith("_") or not shown:
                continue
            home, node = self.find(module, name)
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{name}", self.signature(home, node)
            elif isinstance(node, ast.ClassDef):
                yield f"{module}.{name}", Signature("class", ())
                if home == module or not self.is_package(module) or home.rpartition(".")[2].startswith("_"):
                    yield from ((f"{module}.{name}.{member}", s) for member, s in self.members(home, node).items())

    def all(self):
        return {name: signature for module in MODULES for name, signature in self.of_module(module)}

    def lookup(self, full):
        """The Signature of a name that a program would use, or None."""
        for module in sorted(MODULES, key=len, reverse=True):
            if full.startswith(module + "."):
                name, _, member = full[len(module) + 1:].partition(".")
                home, node = self.find(module, name)
                if isinstance(node, ast.ClassDef):
                    return self.members(home, node).get(member) if member else Signature("class", ())
                if isinstance(node, ast.FunctionDef) and not member:
                    return self.signature(home, node)
        return None


def attributes(node):
    """Names that a class's methods give to self. `vars(self).update(...)` gives all arguments."""
    for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
        for inner in ast.walk(method):
            if isinstance(inner, (ast.Assign, ast.AnnAssign)):
                targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
                for target in [t for top in targets for t in (top.elts if isinstance(top, ast.Tuple) else [top])]:
                    if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                        yield target.attr
            elif isinstance(inner, ast.Call) and ast.unparse(inner.func) == "vars(self).update":
                yield from (p.arg for p in method.args.args[1:])
