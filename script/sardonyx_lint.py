# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a score.py without running it. Each function `look_*` gets a Look and yields findings; a finding is
(severity, code, line, message, hint). Errors will happen; warnings may; notes are good to know."""
import ast
import builtins
import difflib
import sys

# import name: what it is called where packages come from.
DISTRIBUTIONS = {
    "azureml": ("azureml-core", "azureml-defaults", "azureml-sdk"), "inference_schema": ("inference-schema",), "cv2": ("opencv-python", "opencv-python-headless"),
    "PIL": ("pillow",), "sklearn": ("scikit-learn",), "skimage": ("scikit-image",), "yaml": ("pyyaml",), "bs4": ("beautifulsoup4",),
    "dateutil": ("python-dateutil",), "onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "google.protobuf": ("protobuf",),
}
# What comes along with another package.
BROUGHT = {"numpy": ("onnxruntime", "onnxruntime-gpu", "scikit-learn", "pandas", "scipy", "sardonyx", "azureml-defaults"),
           "azureml": ("azureml-defaults",)}
LIST_ATTRIBUTES = set(dir(list))
DEFINES_ALL = ("*", "exec", "eval")


class Look:
    """A parsed script with what several rules ask for."""

    def __init__(self, source, path="score.py"):
        self.tree = ast.parse(source, path)
        self.functions = {n.name: n for n in self.tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
        self.run_functions = self._called_from("run")
        self.session_names = {name for n in ast.walk(self.tree) if isinstance(n, ast.Assign) and makes_session(n.value)
                              for target in n.targets for name in names_of(target)}

    def _called_from(self, name):
        """The functions of the script that run() may get to, run() first."""
        found, todo = [], [name]
        while todo:
            name = todo.pop(0)
            if name in self.functions and self.functions[name] not in found:
                found.append(self.functions[name])
                todo += [n.func.id for n in ast.walk(self.functions[name]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        return found


def names_of(target):
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]


def called_name(call):
    """"InferenceSession" of onnxruntime.InferenceSession(...)."""
    if not isinstance(call, ast.Call):
        return ""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def makes_session(node):
    return called_name(node) == "InferenceSession"


def runs_session(node, look):
    """Whether a call is session.run(names, feeds): the variable is known to hold one, or the arguments look like it."""
    if called_name(node) != "run" or not isinstance(node.func, ast.Attribute) or len(node.args) < 2:
        return False
    holder = node.func.value
    known = isinstance(holder, ast.Name) and holder.id in look.session_names
    return known or (isinstance(node.args[0], (ast.List, ast.Constant)) and isinstance(node.args[1], ast.Dict))


# ---- names ---------------------------------------------------------------------------------------

class Scope(ast.NodeVisitor):
    """Names that a function reads and does not define itself; nested functions and classes share its names."""

    def __init__(self, function):
        self.read, self.bound, self.globals = {}, set(), set()
        for argument in ast.walk(function.args):
            if isinstance(argument, ast.arg):
                self.bound.add(argument.arg)
        for statement in function.body:
            self.visit(statement)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            self.read.setdefault(node.id, node.lineno)
        else:
            self.bound.add(node.id)

    def visit_Global(self, node):
        self.globals.update(node.names)

    def visit_alias(self, node):
        self.bound.add((node.asname or node.name).split(".")[0])

    def visit_ExceptHandler(self, node):
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    def visit_arg(self, node):
        self.bound.add(node.arg)
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self.bound.add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef


def look_names(look):
    """Names that nothing defines, among them what init() forgets to make global."""
    module = ast.FunctionDef(name="", body=look.tree.body, decorator_list=[],
                             args=ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]))
    top = Scope(ast.FunctionDef(name="", args=module.args, decorator_list=[],
                                body=[n for n in look.tree.body if n not in look.functions.values()]))
    if any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in ast.walk(look.tree)):
        return
    scopes = {f: Scope(f) for f in look.functions.values()}
    defined = top.bound | set(look.functions) | set(dir(builtins)) | {"__file__", "__name__", "__doc__", "__builtins__"}
    for scope in scopes.values():
        defined |= scope.globals & scope.bound
    for function, scope in [(None, top), *scopes.items()]:
        for name, line in scope.read.items():
            if name in defined or name in scope.bound:
                continue
            makers = [f.name for f, other in scopes.items() if name in other.bound and f is not function]
            if makers:
                yield ("error", "undefined-name", line, f"name '{name}' is not defined: {makers[0]}() assigns it to a variable of its own",
                       f"add 'global {name}' to {makers[0]}()")
            elif name in sys.stdlib_module_names:
                yield ("error", "undefined-name", line, f"name '{name}' is not defined: the module is not imported", f"import {name}")
            else:
                yield ("error", "undefined-name", line, f"name '{name}' is not defined", "")


# ---- the contract --------------------------------------------------------------------------------

def look_contract(look):
    """init() and run(raw_data)."""
    for name, what in (("init", "init()"), ("run", "run(raw_data)")):
        if name not in look.functions and not any(name in names_of(t) for n in look.tree.body if isinstance(n, ast.Assign)
                                                  for t in n.targets):
            yield ("error", "no-" + name, 0, f"the script defines no {what}", "init() runs once at start, run(raw_data) for each request")
    run, init = look.functions.get("run"), look.functions.get("init")
    if isinstance(run, ast.AsyncFunctionDef) or (run and any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(run))):
        yield ("error", "run-returns-nothing", run.lineno, "run() is a coroutine or a generator: what it returns cannot be sent",
               "a plain function that returns what JSON can hold")
    if run and not (run.args.args or run.args.kwonlyargs or run.args.posonlyargs):
        yield ("error", "run-takes-nothing", run.lineno, "run() takes no input", "def run(raw_data):")
    if init and (init.args.args or init.args.kwonlyargs):
        yield ("error", "init-takes-something", init.lineno, "init() takes arguments, and is called without", "def init():")


def look_sessions(look):
    """A model loaded for each request."""
    for function in look.run_functions:
        for node in ast.walk(function):
            if makes_session(node):
                yield ("warning", "session-per-request", node.lineno, f"{function.name}() opens the model on every request",
                       "open it once in init() and keep it in a global")


def look_results(look):
    """What session.run returns is a list, not an array."""
    for function in look.functions.values():
        results = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and runs_session(node.value, look) and len(node.targets) == 1 and \
                    isinstance(node.targets[0], ast.Name):
                results[node.targets[0].id] = node.lineno
        for node in ast.walk(function):
            if not isinstance(node, ast.Attribute) or node.attr in LIST_ATTRIBUTES:
                continue
            direct = runs_session(node.value, look)
            if direct or (isinstance(node.value, ast.Name) and node.value.id in results):
                name = node.value.id if isinstance(node.value, ast.Name) else "the result"
                yield ("error", "list-attribute", node.lineno,
                       f"'list' object has no attribute '{node.attr}': session.run returns a list with one array for each output",
                       f"{name}[0].{node.attr}")


def look_float64(look):
    """Arrays made of Python numbers are float64; models seldom are. Only an indication: the run tells."""
    for function in look.run_functions:
        for node in ast.walk(function):
            if called_name(node) in ("array", "asarray") and len(node.args) == 1 and not node.keywords and not cast(node, function):
                yield ("note", "float64-array", node.lineno, "an array made of JSON numbers is float64", "np.array(data, dtype=np.float32)")


def cast(call, function):
    return any(isinstance(n, ast.Attribute) and n.attr in ("astype", "tolist", "item") and n.value is call for n in ast.walk(function))


def hiding(look):
    """(try statement, return statement) where run() returns any exception as its answer."""
    for function in look.run_functions:
        for block in (n for n in ast.walk(function) if isinstance(n, ast.Try)):
            for handler in block.handlers:
                wide = handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException"))
                raises = any(isinstance(n, ast.Raise) for n in ast.walk(handler))
                returns = next((n for n in ast.walk(handler) if isinstance(n, ast.Return)), None)
                if wide and not raises and returns and called_name(returns.value) != "AMLResponse":
                    yield block, returns


def hiding_blocks(look):
    """First and last lines of the statements whose exceptions become answers."""
    return [(block.body[0].lineno, block.body[-1].end_lineno) for block, _ in hiding(look)]


def look_hidden(look):
    """An exception that is returned looks like success to everybody."""
    for _, returns in hiding(look):
        yield ("warning", "error-as-200", returns.lineno, "an exception is returned as an answer: the client sees status 200, and "
               "monitoring sees nothing", "let it out of run() (status 500), or return AMLResponse(message, 400)")


def nearest(name, names):
    """The name that was meant, or None."""
    folded = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), folded, 1)
    return folded[close[0]] if close else None


def model_problem(name, models, registered):
    """(message, hint) where a script asks for a model that the image does not have; else None."""
    here = [m["name"] for m in models]
    if name in here:
        return None
    meant = nearest(name, here) or nearest(name, registered)
    hint = f"did you mean '{meant}'?" if meant else f"the image has {', '.join(here)}" if here else "the image has no model"
    if name in registered:
        return f"model '{name}' is registered and not in this image", f"build with --model {name}"
    return f"there is no model '{name}' (names are told apart by case)", hint


def look_models(look, models, registered):
    """Models asked for by a name that is written there."""
    for node in ast.walk(look.tree):
        if called_name(node) != "get_model_path":
            continue
        asked = node.args[:1] + [k.value for k in node.keywords if k.arg == "model_name"]
        if asked and isinstance(asked[0], ast.Constant) and isinstance(asked[0].value, str):
            problem = model_problem(asked[0].value, models, registered)
            if problem:
                yield ("error", "unknown-model", node.lineno, *problem)


# ---- imports -------------------------------------------------------------------------------------

def imported(tree):
    """{top name: line} of what a script imports."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name.split(".")[0], node.lineno)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.setdefault(node.module.split(".")[0], node.lineno)
    return found


def look_imports(look, packages, local):
    """Imports against the packages of the environment (lower case; None: no environment is given) and the files beside."""
    if packages is None:
        return
    for name, line in imported(look.tree).items():
        if name in sys.stdlib_module_names or name in local:
            continue
        wanted = DISTRIBUTIONS.get(name, (name.lower().replace("_", "-"),))
        if any(w in packages for w in wanted):
            continue
        brought = next((p for p in BROUGHT.get(name, ()) if p in packages), None)
        if brought:
            yield ("note", "import-not-listed", line, f"{name} is not in the environment file; it comes along with {brought}",
                   f"list {wanted[0]}, to be safe")
        else:
            yield ("error", "import-not-listed", line, f"{name} is imported and not in the environment file", f"add {wanted[0]} to it")


def lint(source, path="score.py", packages=None, local=(), models=(), registered=()):
    """All findings, by line. A script that does not parse has one."""
    try:
        look = Look(source, path)
    except SyntaxError as error:
        return [("error", "syntax", error.lineno or 0, f"{error.msg}: {(error.text or '').strip()}"[:300], "")]
    found = []
    for rule in (look_contract, look_names, look_results, look_sessions, look_float64, look_hidden):
        found += rule(look)
    found += look_models(look, models, registered)
    found += look_imports(look, packages, local)
    return sorted(set(found), key=lambda f: (f[2], f[1]))
