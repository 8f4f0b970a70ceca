"""The house rules: each is a function from one file, or from all files, to findings.

A rule yields `Finding(line, what, instead)`; `tests/test_house.py` runs every rule on every file
and on a small bad example of its own.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from tests.house_table import (
    IMPURE,
    NEIGHBOURS,
    PACKAGES,
    PUBLIC_FILES,
    PURE,
    THIRD_PARTY,
    UNSAFE,
)

LINES_MAX = 600
BODY_LINES_MAX = 70
COLUMNS_MAX = 100
POSITIONAL_MAX = 5
"""Of a call: readers overlook two swapped arguments among more."""
FIELDS_MAX = 5
"""Of a dataclass with positional fields, as POSITIONAL_MAX."""

VARIADIC = frozenset({"add_row", "chain", "joinpath", "max", "min", "pack", "print", "zip"})
"""Functions of other libraries that take any number of unnamed values."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class File:
    """A Python file: `path` from the source root with forward slashes, and its text.
    modules: the dotted names of all files of the five packages, to distinguish files from names."""

    path: str
    text: str
    modules: frozenset[str] = frozenset()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name; that of a package ends in `.__init__`."""
        return self.path.removesuffix(".py").replace("/", ".")

    @property
    def package(self) -> str:
        """The top-level folder."""
        return PurePosixPath(self.path).parts[0]

    @property
    def folder(self) -> str:
        """The folder for reports: the first one, or in `edge` the second."""
        parts = PurePosixPath(self.path).parts[:-1]
        return "/".join(parts[: 2 if parts[:1] == ("edge",) else 1])

    def within(self, folder: str) -> bool:
        """Whether the file is in a folder or below it."""
        return self.path.startswith(f"{folder}/")


@dataclass(frozen=True)
class Finding:
    """A problem in a line, and the remedy."""

    line: int
    what: str
    instead: str

    def message(self, path: str) -> str:
        """In the format of compilers, so that editors can jump to the line."""
        return f"{path}:{self.line}: error: {self.what} is banned, {self.instead}"


def files_of(source: Path, folders: Iterable[str]) -> list[File]:
    """The Python files below some folders of the source tree."""
    paths = sorted(path for folder in folders for path in (source / folder).rglob("*.py"))
    names = [path.relative_to(source).as_posix() for path in paths]
    modules = frozenset(name.removesuffix(".py").replace("/", ".") for name in names)
    packages = {name.removesuffix(".__init__") for name in modules if name.endswith(".__init__")}
    return [
        File(name, path.read_text("utf-8"), modules | packages)
        for name, path in zip(names, paths, strict=True)
    ]


def sizes(file: File) -> Iterator[Finding]:
    """Files, functions and lines stay small."""
    lines = file.text.splitlines()
    if len(lines) > LINES_MAX:
        yield Finding(LINES_MAX, f"a file of {len(lines)} lines", f"{LINES_MAX} at most: split it")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield Finding(number, f"a line of {len(line)} columns", f"{COLUMNS_MAX} at most")
    for node in ast.walk(file.tree):
        if isinstance(node, Function) and (length := _body_lines(node)) > BODY_LINES_MAX:
            what = f"a function body of {length} lines ({node.name})"
            yield Finding(node.lineno, what, f"{BODY_LINES_MAX} at most: name its parts")


def _body_lines(node: Function) -> int:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def documented(file: File) -> Iterator[Finding]:
    """Modules and public names have a docstring."""
    if not ast.get_docstring(file.tree):
        yield Finding(1, "a module without a docstring", "describe its purpose")
    for node in _public(file.tree):
        exempt = node.name.startswith("__") or _decorators(node) & {
            "overload",
            "override",
            "setter",
        }
        if not exempt and not ast.get_docstring(node):
            yield Finding(node.lineno, f"{node.name} without a docstring", "state its contract")


def annotated(file: File) -> Iterator[Finding]:
    """Public functions annotate their arguments and their result."""
    for node in _public(file.tree):
        if isinstance(node, ast.ClassDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [one for one in (node.args.vararg, node.args.kwarg) if one]
        for argument in arguments:
            if argument.annotation is None and argument.arg not in {"self", "cls"}:
                what = f"the argument {argument.arg} of {node.name} without a type"
                yield Finding(argument.lineno, what, "annotate it")
        if node.returns is None:
            yield Finding(node.lineno, f"{node.name} without a type of result", "annotate it")


def finished(file: File) -> Iterator[Finding]:
    """No stubs, and no notes of unfinished work."""
    for line, text in comments(file).items():
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text):
            yield Finding(line, text.strip(), "do the work, or file an issue")
    for owner, node in _owned_functions(file.tree):
        declared = _decorators(node) & {"overload", "abstractmethod"}
        if not declared and "Protocol" not in owner and _is_stub(node):
            yield Finding(node.lineno, f"the stub {node.name}", "implement it or remove it")


def _is_stub(node: Function) -> bool:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if len(body) != 1:
        return False
    only = ast.unparse(body[0])
    return only in {"pass", "..."} or only.startswith("raise NotImplementedError")


def safe(file: File) -> Iterator[Finding]:
    """Data is never executed as code or passed to a shell."""
    for name, line in imports(file):
        if (root := name.split(".")[0]) in UNSAFE:
            yield Finding(line, root, f"use {UNSAFE[root]}")
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in {"eval", "exec", "compile", "__import__"}:
            yield Finding(node.lineno, called, "use a table of functions")
        if called in {"os.system", "os.popen", "subprocess.getoutput"}:
            yield Finding(node.lineno, called, "use subprocess.run with a list")
        for keyword in node.keywords:
            if keyword.arg in {"shell", "allow_pickle"} and ast.unparse(keyword.value) != "False":
                yield Finding(node.lineno, f"{keyword.arg}=", "leave it False")


def silent(file: File) -> Iterator[Finding]:
    """Only the command line prints."""
    if file.within("edge/cli"):
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "input"}:
            name = ast.unparse(node.func)
            yield Finding(node.lineno, name, "it belongs in edge/cli/views")


def pure(file: File) -> Iterator[Finding]:
    """Pure files have no clock, file, socket, thread or global randomness."""
    if not any(file.within(folder) for folder in PURE):
        return
    for name, line in imports(file):
        if (root := name.split(".")[0]) in IMPURE:
            yield Finding(line, f"{root} in {file.package}", IMPURE[root])
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "open":
            yield Finding(node.lineno, "open", "it belongs in a folder that acts")
        if called.endswith("default_rng") and not (node.args or node.keywords):
            yield Finding(node.lineno, "an unseeded generator", "pass the seed")


def third_party(file: File) -> Iterator[Finding]:
    """Third-party packages are imported only in the folders that the table lists."""
    allowed = THIRD_PARTY[entry_of(file.path, THIRD_PARTY)]
    for name, line in imports(file):
        root = name.split(".")[0]
        if is_standard(root) or root in PACKAGES:
            continue
        if root not in allowed:
            places = [place for place, names in THIRD_PARTY.items() if root in names]
            instead = f"it belongs in {' or '.join(places)}" if places else "it is in no table"
            yield Finding(line, f"{root} in {file.path}", instead)


def neighbours(file: File) -> Iterator[Finding]:
    """Imports inside a package are relative; other folders are imported through their `__init__`,
    as the table allows."""
    own = entry_of(file.path, NEIGHBOURS)
    allowed = NEIGHBOURS[own]
    for name, line in imports(file):
        root = name.split(".")[0]
        if root not in PACKAGES:
            continue
        if root == file.package:
            yield Finding(line, f"the absolute {name} inside {root}", "use a relative import")
        elif root not in allowed:
            yield Finding(line, f"{root} in {file.path}", f"it may use {_listed(allowed)}")
        elif _behind_a_door(name, file.modules):
            yield Finding(
                line, name, f"import from the package: from {name.rpartition('.')[0]} import ..."
            )
    for name, line in _relative_imports(file):
        module = name if name in file.modules else name.rpartition(".")[0]
        target = _entry_of_module(module)
        if target == own:
            continue
        if target not in allowed:
            yield Finding(line, f"{target} in {own}", f"it may use {_listed(allowed)}")
        elif name not in file.modules and _behind_a_door(module, file.modules):
            yield Finding(line, module, "import from its package")


def entry_of(path: str, table: Mapping[str, object]) -> str:
    """The longest entry of a table that is this path or a folder above it."""
    fitting = [one for one in table if path == one or path.startswith(f"{one}/")]
    return max(fitting, key=len)


def _entry_of_module(module: str) -> str:
    """`edge.core.knowledge.ledger` -> `edge/core`, `edge.logs` -> `edge/logs.py`."""
    path = module.replace(".", "/")
    single = f"{path}.py"
    return single if single in NEIGHBOURS else entry_of(path, NEIGHBOURS)


def _behind_a_door(module: str, modules: frozenset[str]) -> bool:
    """Whether a module is a file inside a package, and not public itself."""
    if module in PUBLIC_FILES or f"{module.replace('.', '/')}.py" in NEIGHBOURS:
        return False
    return "." in module and module in modules and f"{module}.__init__" not in modules


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "no other package"


def package_names(file: File) -> Iterator[Finding]:
    """A package never exports a name that is also the name of one of its files."""
    if not file.path.endswith("/__init__.py"):
        return
    package = file.module.removesuffix(".__init__")
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if f"{package}.{alias.asname or alias.name}" in file.modules:
                    what = f"the name {alias.asname or alias.name} of the package {package}"
                    yield Finding(node.lineno, what, "files are nouns, functions are verbs")


def unused(files: list[File], readers: list[File]) -> Iterator[tuple[File, Finding]]:
    """Each top-level function and class of `files` is used somewhere in `readers`."""
    named = {name for reader in readers for name in _names(reader.tree)}
    for file in files:
        for node in file.tree.body:
            if not isinstance(node, _DEFINITIONS) or node.decorator_list:
                continue
            if node.name not in named and not node.name.startswith("__"):
                yield (
                    file,
                    Finding(node.lineno, f"the unused {node.name}", "remove it"),
                )


def class_names(files: list[File]) -> Iterator[tuple[File, Finding]]:
    """No two classes have the same name, nested ones included."""
    first: dict[str, str] = {}
    for file in files:
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            place = f"{file.path}:{node.lineno}"
            if node.name in first:
                what = f"a second class {node.name}"
                yield file, Finding(node.lineno, what, f"the first is at {first[node.name]}")
            first.setdefault(node.name, place)


def positional_calls(file: File) -> Iterator[Finding]:
    """Calls have few positional arguments.  A starred tuple or list counts with its items; a
    starred name counts as none, since its length is unknown."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if (count := _positional(node)) > POSITIONAL_MAX and called.split(".")[-1] not in VARIADIC:
            what = f"{count} positional arguments of {called[:COLUMNS_MAX]}"
            yield Finding(node.lineno, what, f"{POSITIONAL_MAX} at most: name them")


def _positional(call: ast.Call) -> int:
    count = 0
    for argument in call.args:
        if not isinstance(argument, ast.Starred):
            count += 1
        elif isinstance(argument.value, ast.Tuple | ast.List):
            count += len(argument.value.elts)
    return count


def keyword_only(file: File) -> Iterator[Finding]:
    """Dataclasses and structs with many fields are keyword-only: `kw_only=True`.  Only the fields
    that a class itself declares count, without those with `init=False`."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.ClassDef) or (options := _class_options(node)) is None:
            continue
        fields = sum(map(_is_given_field, node.body))
        if fields > FIELDS_MAX and options.get("kw_only") != "True":
            what = f"{node.name}, with {fields} fields by position,"
            yield Finding(node.lineno, what, "make it kw_only=True")


def _class_options(node: ast.ClassDef) -> dict[str, str] | None:
    """The options of a dataclass or a struct; None for any other class.  A struct that extends
    another struct is recognised by its options."""
    given = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
    structs = {"frozen", "forbid_unknown_fields", "kw_only", "tag", "tag_field"}
    if any(ast.unparse(base).endswith("Struct") for base in node.bases) or structs & given.keys():
        return given
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called).split(".")[-1] == "dataclass":
            words = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {word.arg: ast.unparse(word.value) for word in words if word.arg}
    return None


def _is_given_field(node: ast.stmt) -> bool:
    if not isinstance(node, ast.AnnAssign) or "ClassVar" in ast.unparse(node.annotation):
        return False
    given = node.value.keywords if isinstance(node.value, ast.Call) else []
    return all((word.arg, ast.unparse(word.value)) != ("init", "False") for word in given)


def no_format_skips(file: File) -> Iterator[Finding]:
    """The formatter lays out every line."""
    for line, text in comments(file).items():
        if re.search(r"#\s*(fmt|yapf):\s*(skip|off|disable)", text):
            yield Finding(line, text, "let the formatter lay it out")


@dataclass(frozen=True)
class Constant:
    """A numeric constant of a module, with the text that gives its reason, if any."""

    line: int
    name: str
    reason: str

    @property
    def explained(self) -> bool:
        """Whether the reason has a word, or a number, that is not in the name."""
        words = set(re.findall(r"[a-z0-9]+", self.reason.lower()))
        filling = {"a", "an", "in", "is", "it", "of", "that", "the", "this", "to"}
        return bool(words - filling - set(self.name.lower().split("_")))


def constants_with_reasons(file: File) -> Iterator[Finding]:
    """Each numeric constant of a module has its source or its reason: in the comment directly above
    or on the same line, or in the docstring below."""
    for one in constants(file):
        if not one.explained:
            what = f"the constant {one.name} without a reason"
            what = f"the reason of {one.name} that repeats its name" if one.reason else what
            yield Finding(
                one.line, what, "state its source or its reason above, below or on the same line"
            )


def constants(file: File) -> Iterator[Constant]:
    """Every number, or tuple of numbers, at the top level of a module; arithmetic counts, also with
    other constants.  `A, B = 1, 2` are two, with one reason."""
    remarks = comments(file)
    lines = file.text.splitlines()
    for node, below in zip_longest(file.tree.body, file.tree.body[1:]):
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        found = [remarks.get(number, "") for number in range(node.lineno, _last(node) + 1)]
        above = node.lineno - 1
        while above in remarks and lines[above - 1].startswith("#"):
            found.append(remarks[above])
            above -= 1
        found.append(_text_of(below))
        reason = " ".join(text for text in found if _is_reason(text))
        for target in targets:
            for name, value in _paired(target, node.value):
                if _is_number(value) and not isinstance(value, ast.Name):
                    yield Constant(node.lineno, name, reason)


def comments(file: File) -> dict[int, str]:
    """The comments of a file, by line."""
    tokens = tokenize.generate_tokens(io.StringIO(file.text).readline)
    return {one.start[0]: one.string for one in tokens if one.type == tokenize.COMMENT}


def _last(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _text_of(node: ast.stmt | None) -> str:
    text = node.value if isinstance(node, ast.Expr) else None
    return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""


def _is_reason(text: str) -> bool:
    """Whether a comment is for readers: neither a directive to a tool nor a separator."""
    tool = r"#\s*(noqa|type:|fmt:|pragma|pylint|mypy|ruff|isort|-{2,}|={2,})"
    return bool(text.strip("# ")) and not re.match(tool, text)


def _paired(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    """Each name of an assignment with its own value, if it is written out."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple):
        values: list[ast.expr | None] = [value] * len(target.elts)
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            values = list(value.elts)
        for one, its in zip(target.elts, values, strict=True):
            yield from _paired(one, its)


def _is_number(node: ast.expr | None) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.Tuple(elts=elements):
            return bool(elements) and all(map(_is_number, elements))
        case ast.Name(id=name):
            return name.isupper()
        case _:
            return False


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\w+", node.value) if len(node.value) < COLUMNS_MAX else ()


def imports(file: File) -> Iterator[tuple[str, int]]:
    """Every module imported by an absolute name, and each name taken from it, with the line."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, node.lineno
            for alias in node.names:
                if f"{node.module}.{alias.name}" in file.modules:
                    yield f"{node.module}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value, node.lineno


def _relative_imports(file: File) -> Iterator[tuple[str, int]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.module.split(".")[: -node.level] + ([node.module] if node.module else [])
            yield from ((".".join([*base, alias.name]), node.lineno) for alias in node.names)


def _public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Public functions and classes, and the methods of public classes; nothing inside functions."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, _DEFINITIONS):
            if node.name.startswith("_") and not node.name.endswith("__"):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                waiting += node.body
        elif isinstance(node, ast.If | ast.Try):
            waiting += node.body + node.orelse


def functions(file: File) -> Iterator[Function]:
    """Every function of a file, methods and inner ones included."""
    yield from (function for _, function in _owned_functions(file.tree))


def docstring(node: Function) -> str:
    """A function's docstring, or nothing."""
    return ast.get_docstring(node) or ""


def is_standard(name: str) -> bool:
    """Whether a module comes with Python."""
    return name in sys.stdlib_module_names


def _owned_functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function, with the bases of its class."""
    for node in ast.walk(tree):
        bases = " ".join(map(ast.unparse, node.bases)) if isinstance(node, ast.ClassDef) else ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield bases, child


def _decorators(node: Function | ast.ClassDef) -> set[str]:
    return {ast.unparse(one).split("(")[0].split(".")[-1] for one in node.decorator_list}


def foreign_text(text: str) -> Iterator[Finding]:
    """No path of one machine, and no host of a package registry, in any text file."""
    pattern = r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/wheels)/|py(?:pi\.org|thonhosted)"
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(pattern, line):
            yield Finding(number, found.group(), "the project runs on every machine")
