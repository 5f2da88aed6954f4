"""Reads syntax trees and reports what the house forbids. It knows no file of the project.

Linters do not see most of it: no rule of theirs knows `/`, a float literal, or a walk over a set.
Each check is a function from a parsed module to findings; `HAZARDS` lists those of floors 0 to 4,
where a second machine must compute the same bytes (reliability, section 12).
"""

import ast
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

STANDARD = frozenset(sys.stdlib_module_names) | {"chainperp"}
BANNED_MODULES = frozenset(
    (
        "asyncio", "atexit", "calendar", "concurrent", "contextvars", "datetime", "decimal",
        "fractions", "gc", "gzip", "io", "locale", "logging", "marshal", "multiprocessing", "os",
        "pathlib", "pickle", "platform", "random", "secrets", "shelve", "signal", "socket",
        "sqlite3", "statistics", "subprocess", "sys", "tempfile", "threading", "time",
        "unicodedata", "uuid", "weakref", "zlib",
    )
)  # fmt: skip
WHOLE_MATH = frozenset({"isqrt", "gcd", "lcm", "comb"})
BANNED_NAMES = {
    "float": "float",
    "complex": "float",
    "round": "round",
    "hash": "hash",
    "id": "id",
    "print": "print",
    "open": "open",
    "eval": "eval",
    "exec": "eval",
}
WALKERS = frozenset({"list", "tuple", "sum", "min", "max", "iter", "enumerate", "zip", "map"})
DIVISIONS = {ast.FloorDiv: "//", ast.Mod: "%"}
FAMILY = frozenset(
    (
        "BadRequest", "ChainperpError", "Exception", "Invalid", "InvalidBlock", "InvalidBytes",
        "InvalidFile", "InvalidGenesis", "InvalidProof", "InvalidSnapshot", "InvariantBroken",
    )
)  # fmt: skip
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
LINES_FUNCTION_MAX = 60
LINES_MODULE_MAX = 400
POSITIONAL_MAX = 6


class Finding(NamedTuple):
    """One thing that is not allowed, and where."""

    line: int
    hazard: str
    what: str


Check = Callable[[ast.Module], Iterator[Finding]]


def numbers(tree: ast.Module) -> Iterator[Finding]:
    """Float literals and true division."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (float, complex):
            yield Finding(node.lineno, "float", f"literal {node.value!r}")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield Finding(node.lineno, "/", "true division makes a float")


def builtins(tree: ast.Module) -> Iterator[Finding]:
    """Built-in functions whose result depends on the machine, the process or the outside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BANNED_NAMES:
            yield Finding(node.lineno, BANNED_NAMES[node.id], f"use of {node.id}")


def divisions(tree: ast.Module) -> Iterator[Finding]:
    """Integer division outside the one file that names its rounding."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in DIVISIONS:
            yield Finding(node.lineno, "division", f"{DIVISIONS[type(node.op)]} has no rounding")
        if isinstance(node, ast.Name) and node.id == "divmod":
            yield Finding(node.lineno, "division", "divmod has no rounding")


def _called(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _set_names(tree: ast.Module) -> frozenset[str]:
    """Names that the module binds to a set, by value or by annotation."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_set(node.value, frozenset()):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            noted = ast.unparse(node.annotation)
            if noted.startswith(("set", "frozenset")) or (
                node.value is not None and _is_set(node.value, frozenset())
            ):
                names.add(node.target.id)
        if isinstance(node, ast.arg) and node.annotation is not None:
            noted = ast.unparse(node.annotation)
            if noted.startswith(("set[", "frozenset[", "AbstractSet[")):
                names.add(node.arg)
    return frozenset(names)


def _is_set(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp) or _called(node) in ("set", "frozenset"):
        return True
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(
        node.op, ast.BitOr | ast.BitAnd | ast.BitXor | ast.Sub
    ):
        return _is_set(node.left, names) or _is_set(node.right, names)
    algebra = ("union", "intersection", "difference", "symmetric_difference")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in algebra
    return False


def set_walks(tree: ast.Module) -> Iterator[Finding]:
    """Walks over a set: its order depends on the hash seed. `sorted(...)` first."""
    names = _set_names(tree)
    for node in ast.walk(tree):
        walked: list[ast.expr] = []
        if isinstance(node, ast.For | ast.comprehension):
            walked.append(node.iter)
        if isinstance(node, ast.Starred):
            walked.append(node.value)
        if isinstance(node, ast.Call):
            is_join = isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")
            if is_join or _called(node) in WALKERS:
                walked += node.args
            if (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "pop"
                and _is_set(node.func.value, names)
            ):
                yield Finding(node.lineno, "set order", "pop takes an accidental member")
        for one in walked:
            if _is_set(one, names):
                yield Finding(one.lineno, "set order", f"walk over {ast.unparse(one)}")


def imports(tree: ast.Module) -> Iterator[Finding]:
    """Imports outside the standard library, and of its modules that bring the outside in."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        found = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            found = [node.module or "."]
            if node.module == "math":
                for alias in node.names:
                    if alias.name not in WHOLE_MATH:
                        yield Finding(node.lineno, "float", f"math.{alias.name}")
                continue
        for name in found:
            top = name.partition(".")[0]
            if top not in STANDARD or (top == "math"):
                yield Finding(node.lineno, "import", f"{name} is not for floors 0 to 4")
            elif top in BANNED_MODULES:
                yield Finding(node.lineno, "import", f"{name} brings the outside in")


def statements(tree: ast.Module) -> Iterator[Finding]:
    """`assert`, `global`, broad `except`, and errors raised without the numbers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield Finding(node.lineno, "assert", "vanishes under -O: use ensure")
        if isinstance(node, ast.Global):
            yield Finding(node.lineno, "global", "state is explicit")
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if node.type is None or any(
                name in ("Exception", "BaseException")
                for name in caught.strip("()").replace(",", " ").split()
            ):
                yield Finding(node.lineno, "except", f"catches everything: except {caught}")
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            told = isinstance(node.exc, ast.Call) and bool(node.exc.args or node.exc.keywords)
            if isinstance(error, ast.Name) and error.id in FAMILY and not told:
                yield Finding(node.lineno, "bare raise", f"{error.id} says nothing")


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Functions of a module and methods of its classes, with their names in the module."""
    for node in tree.body:
        if isinstance(node, FUNCTION):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, FUNCTION):
                    yield f"{node.name}.{part.name}", part


def recursion(tree: ast.Module) -> Iterator[Finding]:
    """Cycles among the module's own functions: depth must not depend on the build."""
    bodies = dict(_functions(tree))
    calls: dict[str, list[str]] = {}
    for name, body in bodies.items():
        owner = name.partition(".")[0] if "." in name else ""
        found: dict[str, None] = {}
        for node in ast.walk(body):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in bodies:
                found[called.id] = None
            if (
                isinstance(called, ast.Attribute)
                and isinstance(called.value, ast.Name)
                and called.value.id in ("self", "cls", owner)
                and f"{owner}.{called.attr}" in bodies
            ):
                found[f"{owner}.{called.attr}"] = None
        calls[name] = list(found)
    for name, body in bodies.items():
        reached: dict[str, None] = {}
        waiting = list(calls[name])
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached[one] = None
                waiting += calls[one]
        if name in reached:
            yield Finding(body.lineno, "recursion", f"{name} reaches itself")


def function_lengths(tree: ast.Module) -> Iterator[Finding]:
    """Functions longer than a screen."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LINES_FUNCTION_MAX:
                yield Finding(node.lineno, "long function", f"{node.name} has {lines} lines")


def arguments(tree: ast.Module) -> Iterator[Finding]:
    """More positional arguments than a reader can tell apart."""
    methods = {
        part for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            is_static = any(ast.unparse(one) == "staticmethod" for one in node.decorator_list)
            count = len(node.args.posonlyargs) + len(node.args.args)
            count -= 1 if node in methods and not is_static else 0
            if count > POSITIONAL_MAX:
                yield Finding(node.lineno, "arguments", f"{node.name} takes {count}")


def docstrings(tree: ast.Module) -> Iterator[Finding]:
    """Public modules, classes, functions and methods without a docstring."""
    if tree.body and ast.get_docstring(tree) is None:
        yield Finding(1, "docstring", "the module has none")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield Finding(node.lineno, "docstring", f"class {node.name} has none")
            for part in node.body:
                if isinstance(part, FUNCTION) and _lacks_docstring(part):
                    yield Finding(part.lineno, "docstring", f"{node.name}.{part.name} has none")
    for node in tree.body:
        if isinstance(node, FUNCTION) and _lacks_docstring(node):
            yield Finding(node.lineno, "docstring", f"{node.name} has none")


def _lacks_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is None


def rule_sources(tree: ast.Module) -> Iterator[Finding]:
    """Rules whose docstring does not say where they come from."""
    for name, node in _functions(tree):
        decorators = [_called(one) for one in node.decorator_list]
        if "rule" in decorators and "Source:" not in (ast.get_docstring(node) or ""):
            yield Finding(node.lineno, "source", f"rule {name} cites nothing")


HAZARDS: tuple[Check, ...] = (
    numbers,
    builtins,
    divisions,
    set_walks,
    imports,
    statements,
    recursion,
    docstrings,
    rule_sources,
)
SHAPE: tuple[Check, ...] = (function_lengths, arguments)


def findings(source: str, checks: tuple[Check, ...]) -> list[Finding]:
    """What these checks find in a module's text, by line."""
    tree = ast.parse(source)
    return sorted(finding for check in checks for finding in check(tree))


def module_length(source: str) -> int:
    """Lines of a module."""
    return len(source.splitlines())
