"""Write the `__init__.py` of each package below edge/: which file each of its names comes from.

Usage: python scripts/write_inits.py [--check]

A package keeps its docstring and its names; names that other packages import from it are added, and
each name is looked up in the files of the package.  Names defined nowhere any more are dropped.
--check changes nothing and ends with status 1 where a file differs from what would be written.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READERS = ("edge", "benchmarks", "scripts", "examples")


def definitions(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file defines at its top level."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (one for target in targets for one in ast.walk(target))
            yield from (one.id for one in names if isinstance(one, ast.Name))


def imported(path: Path, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name taken from a module: the module's dotted name, and the name."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parts = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from ((base, alias.name) for alias in node.names)


def door_names(tree: ast.Module) -> set[str]:
    """Return the names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def located(folder: Path, names: set[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return names by the file below a folder that defines them, and the names of files."""
    places: dict[str, list[str]] = defaultdict(list)
    files = sorted(name for name in names if (folder / f"{name}.py").exists())
    names = names - set(files)
    for path in sorted(folder.rglob("*.py")):
        if path.name != "__init__.py":
            below = ".".join(path.relative_to(folder).with_suffix("").parts)
            found = set(definitions(ast.parse(path.read_text("utf-8")))) & names
            for name in sorted(found - {one for place in places.values() for one in place}):
                places[below].append(name)
    return places, files


def door_text(folder: Path, docstring: str, names: set[str]) -> str:
    """Return the text of an `__init__.py`."""
    places, files = located(folder, names)
    offered = sorted({*files, *(name for place in places.values() for name in place)})
    if not offered:
        return f'"""{docstring}"""\n'
    depth = len(folder.relative_to(ROOT).parts)
    lines = [f'"""{docstring}"""', "", "from typing import TYPE_CHECKING", ""]
    lines += [f"from {'.' * depth}lazy import lazy_names", "", "if TYPE_CHECKING:"]
    lines += [f"    from . import {', '.join(files)}"] if files else []
    lines += [f"    from .{file} import {', '.join(place)}" for file, place in places.items()]
    # Type checkers take a module with `__getattr__` to have every name: they see the imports alone.
    table = {file: tuple(place) for file, place in places.items()}
    lines += ["else:", f"    __getattr__ = lazy_names(__name__, {table!r})"]
    lines += ["", f"__all__ = {offered!r}", ""]
    return "\n".join(lines)


def contents(text: str) -> tuple[set[str], set[str], set[str]]:
    """Return what an `__init__.py` imports, lists and loads; the layout does not matter, so the
    check needs no ruff."""
    tree = ast.parse(text)
    imports = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    tables = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    table = ast.literal_eval(tables[0]) if tables else {}
    return imports, door_names(tree), {f"{file}.{name}" for file in table for name in table[file]}


def formatted(text: str, path: Path) -> str:
    """Return a text as ruff would write the file."""
    name = ["--stdin-filename", str(path), "--no-cache"]
    for command in (["check", "--select", "I,RUF022", "--fix-only", "-q"], ["format"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *name, "-"],
            input=text,
            capture_output=True,
            check=True,
            text=True,
        )
        text = done.stdout
    return text


def main() -> int:
    """Write every `__init__.py`, or with --check compare."""
    trees = {
        path: ast.parse(path.read_text("utf-8"))
        for reader in READERS
        for path in sorted((ROOT / reader).rglob("*.py"))
    }
    wanted: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        inside = ".".join(path.relative_to(ROOT).parent.parts) + "."
        for module, name in imported(path, tree):
            if not inside.startswith(f"{module}."):
                wanted[module].add(name)
    changed = 0
    for path in sorted((ROOT / "edge").rglob("*/__init__.py")):
        module = ".".join(path.relative_to(ROOT).parent.parts)
        docstring = ast.get_docstring(trees[path], clean=False) or ""
        text = door_text(path.parent, docstring, door_names(trees[path]) | wanted[module])
        if contents(text) != contents(path.read_text("utf-8")):
            changed += 1
            print(path.relative_to(ROOT))
            if "--check" not in sys.argv[1:]:
                path.write_text(formatted(text, path), encoding="utf-8")
    return 1 if changed and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
