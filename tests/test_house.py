"""The house rules hold in every file, and each rule finds a bad example."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests import house, house_cycles
from tests.house import File, Finding, files_of
from tests.house_table import PACKAGES
from tests.house_tree import TREE_RULES

Rule = Callable[[File], Iterator[Finding]]

EVERYWHERE: tuple[Rule, ...] = (house.sizes, house.finished, house.safe)
IN_ROOMS: tuple[Rule, ...] = (
    house.documented,
    house.annotated,
    house.silent,
    house.pure,
    house.third_party,
    house.neighbours,
    house.package_names,
)
# Rules of TREE_RULES that hold over the packages and the benchmarks: to enable one, add its name.
ENFORCED: tuple[str, ...] = (
    "class_names",
    "constants_with_reasons",
    "file_cycles",
    "folder_cycles",
    "keyword_only",
    "no_format_skips",
    "positional_calls",
)
OTHER_CODE = ("benchmarks", "scripts", "tests")
TEXT_SUFFIXES = frozenset({"", ".c", ".h", ".md", ".py", ".toml", ".yaml", ".yml"})
# The name that a distribution is imported under, where the two differ.
IMPORTED_AS = {
    "avalanche-lib": "avalanche",
    "opencv-python-headless": "cv2",
    "paho-mqtt": "paho",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "pyserial": "serial",
    "pytorch-ood": "pytorch_ood",
    "scikit-learn": "sklearn",
    "torch-hd": "torchhd",
}


def require_none(found: list[str]) -> None:
    """Fail with one line per finding, without a traceback."""
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def messages(rules: Iterable[Rule], files: Iterable[File]) -> list[str]:
    """The findings of some rules in some files."""
    return [f.message(file.path) for file in files for rule in rules for f in rule(file)]


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_a_rule_holds_in_all_code(rule: Rule, source: Path) -> None:
    """Packages, benchmarks, scripts and tests keep the rules for all code."""
    require_none(messages([rule], files_of(source, (*PACKAGES, *OTHER_CODE))))


@pytest.mark.parametrize("rule", IN_ROOMS, ids=lambda rule: rule.__name__)
def test_a_rule_holds_in_the_rooms(rule: Rule, source: Path) -> None:
    """Shipped code keeps the rules for shipped code."""
    require_none(messages([rule], files_of(source, PACKAGES)))


def test_benchmarks_and_scripts_keep_the_doors(source: Path) -> None:
    """Benchmarks have docstrings and annotations, and import packages through their `__init__`."""
    files = files_of(source, (*PACKAGES, "benchmarks"))
    benchmarks = [file for file in files if file.package == "benchmarks"]
    require_none(messages([house.documented, house.annotated, house.neighbours], benchmarks))


@pytest.mark.parametrize("name", ENFORCED)
def test_a_rule_holds_over_the_tree(name: str, source: Path) -> None:
    """The packages and the benchmarks keep each rule over the whole tree."""
    files = files_of(source, (*PACKAGES, "benchmarks"))
    require_none([finding.message(file.path) for file, finding in TREE_RULES[name](files)])


def test_nothing_is_left_unused(source: Path) -> None:
    """Each shipped function and class is used outside its tests."""
    files = files_of(source, PACKAGES)
    readers = files + files_of(source, ("benchmarks", "scripts"))
    script = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    readers.append(File("scripts.py", repr(script)))
    require_none([finding.message(file.path) for file, finding in house.unused(files, readers)])


def test_every_test_has_a_docstring(source: Path) -> None:
    """Each test function has a docstring of one sentence."""
    tests = [file for file in files_of(source, ["tests"]) if "/test_" in file.path]
    silent = [
        f"{file.path}:{node.lineno}: error: {node.name} without a sentence"
        for file in tests
        for node in house.functions(file)
        if node.name.startswith("test_") and not house.docstring(node).rstrip().endswith(".")
    ]
    require_none(silent)


def test_no_text_names_a_machine(source: Path) -> None:
    """No file in the repository names a path of one machine or a host of a registry."""
    texts = {path.relative_to(source).as_posix(): text for path, text in text_files(source)}
    found = [f.message(name) for name, text in texts.items() for f in house.foreign_text(text)]
    require_none(found)
    assert "pyproject.toml" in texts


def text_files(source: Path) -> Iterator[tuple[Path, str]]:
    """The text files that git tracks or would add; without git, those outside hidden folders."""
    listed = subprocess.run(
        ["git", "-C", source, "ls-files", "-coz", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    paths = [source / name for name in names] if names else list(visible(source))
    for path in sorted(paths):
        if path.is_file() and path.suffix in TEXT_SUFFIXES:
            yield path, path.read_text("utf-8", errors="replace")


def visible(folder: Path) -> Iterator[Path]:
    """The files below a folder, but for hidden folders other than .ci."""
    for path in folder.iterdir():
        if path.is_dir() and (path.name == ".ci" or not path.name.startswith(".")):
            yield from visible(path)
        elif path.is_file():
            yield path


def test_dependencies_are_those_that_are_imported(source: Path) -> None:
    """The base install and the users' extras list each package that the code imports; packages of
    tests, benchmarks and scripts do not count."""
    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    base = {imported_name(line) for line in project["dependencies"]}
    extras = {
        imported_name(line)
        for name, lines in project["optional-dependencies"].items()
        if name not in DEVELOPERS
        for line in lines
    }
    used = {
        name.split(".")[0] for file in files_of(source, PACKAGES) for name, _ in house.imports(file)
    }
    outside = {name for name in used if name not in PACKAGES and not house.is_standard(name)}
    assert base - used == set(), "declared, but no code imports it"
    assert outside - base - extras == set(), "imported, but not declared"


DEVELOPERS = frozenset({"assets", "bench", "lint", "test"})
"""Extras for developers."""


def imported_name(requirement: str) -> str:
    """`scikit-learn>=1.6` -> `sklearn`."""
    name = re.split(r"[<>=\[ ]", requirement, maxsplit=1)[0]
    return IMPORTED_AS.get(name, name)


MODULES = frozenset(
    {
        "hdc",
        "hdc.memory",
        "encoder",
        "encoder.session",
        "edge.core",
        "edge.core.knowledge.memory_ledger",
    }
)
SIX_FIELDS = "class A:\n" + "".join(f" {name}: int = 0\n" for name in "abcdef")
# A rule, a file, a bad text, and words of the finding.
BAD: tuple[tuple[Rule, str, str, str], ...] = (
    (house.sizes, "hdc/memory.py", "x = 1\n" * 601, "a file of 601 lines"),
    (house.sizes, "hdc/memory.py", "x = '" + "y" * 95 + "'\n", "a line of 101 columns"),
    (house.sizes, "hdc/memory.py", "def f():\n" + " x = 1\n" * 71, "a function body of 71 lines"),
    (house.documented, "hdc/memory.py", "x = 1\n", "a module without a docstring"),
    (
        house.documented,
        "hdc/memory.py",
        "'A.'\nclass C:\n 'C.'\n def f(self): return 1\n",
        "f with",
    ),
    (house.annotated, "hdc/memory.py", "def f(a) -> int: return 1\n", "argument a of f"),
    (
        house.annotated,
        "hdc/memory.py",
        "def f(*, a: int): return 1\n",
        "f without a type of result",
    ),
    (
        house.finished,
        "hdc/memory.py",
        "x = 1  # TO" + "DO: more\n",
        "do the work, or file an issue",
    ),
    (house.finished, "hdc/memory.py", "def f():\n 'F.'\n pass\n", "the stub f"),
    (house.finished, "hdc/memory.py", "def f(): raise NotImplementedError('x')\n", "the stub f"),
    (house.safe, "hdc/memory.py", "import pickle\n", "use safetensors"),
    (house.safe, "hdc/memory.py", "eval('1')\n", "eval is banned"),
    (house.safe, "hdc/memory.py", "os.system('ls')\n", "subprocess.run with a list"),
    (house.safe, "hdc/memory.py", "run('ls', shell=True)\n", "shell= is banned"),
    (house.safe, "hdc/memory.py", "np.load(p, allow_pickle=True)\n", "allow_pickle= is banned"),
    (house.silent, "hdc/memory.py", "print(1)\n", "it belongs in edge/cli/views"),
    (
        house.pure,
        "edge/core/knowledge/memory_ledger.py",
        "from time import time\n",
        "time in edge is banned",
    ),
    (
        house.pure,
        "edge/core/knowledge/memory_ledger.py",
        "import os.path\n",
        "it belongs in a folder that acts",
    ),
    (
        house.pure,
        "edge/core/knowledge/memory_ledger.py",
        "import sqlite3\n",
        "it belongs in a folder that acts",
    ),
    (
        house.pure,
        "edge/core/knowledge/memory_ledger.py",
        "def f():\n import random\n",
        "randomness enters as a seed",
    ),
    (house.pure, "edge/core/knowledge/memory_ledger.py", "open('x')\n", "open is banned"),
    (house.pure, "edge/core/knowledge/memory_ledger.py", "default_rng()\n", "pass the seed"),
    (
        house.third_party,
        "edge/core/knowledge/memory_ledger.py",
        "import torch\n",
        "it belongs in",
    ),
    (house.third_party, "hdc/memory.py", "import onnxruntime as o\n", "it belongs in encoder"),
    (house.third_party, "hdc/memory.py", "import_module('onnxruntime')\n", "belongs in encoder"),
    (house.third_party, "hdc/memory.py", "import requests\n", "it is in no table"),
    (
        house.neighbours,
        "hdc/memory.py",
        "from encoder import Card\n",
        "it may use no other package",
    ),
    (house.neighbours, "hdc/memory.py", "from hdc.memory import x\n", "use a relative import"),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "from hdc.memory import x\n",
        "import from",
    ),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "from hdc import memory\n",
        "import from",
    ),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "import firmware_bridge\n",
        "firmware_bridge in edge",
    ),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "from ...storage.store import Store\n",
        "edge/storage in",
    ),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "from ...storage import Store\n",
        "edge/storage in edge/core",
    ),
    (
        house.neighbours,
        "edge/sim/world.py",
        "from ..daemon import Daemon\n",
        "edge/daemon in edge/sim",
    ),
    (house.neighbours, "nas/space.py", "import edge\n", "edge in nas/space.py is banned"),
    (
        house.package_names,
        "hdc/__init__.py",
        "from .vectors import bind as memory\n",
        "files are nouns",
    ),
    (
        house.positional_calls,
        "hdc/memory.py",
        "f(1, 2, 3, 4, 5, 6)\n",
        "6 positional arguments of f",
    ),
    (house.positional_calls, "hdc/memory.py", "f(1, *(2, 3, 4), *[5, 6], *x)\n", "6 positional"),
    (house.keyword_only, "hdc/memory.py", f"@dataclass(frozen=True)\n{SIX_FIELDS}", "A, with 6"),
    (house.keyword_only, "hdc/memory.py", f"@dataclasses.dataclass\n{SIX_FIELDS}", "A, with 6"),
    (
        house.keyword_only,
        "hdc/memory.py",
        SIX_FIELDS.replace("A", "A(msgspec.Struct)"),
        "A, with 6",
    ),
    (house.keyword_only, "hdc/memory.py", SIX_FIELDS.replace("A", "A(B, tag='a')"), "A, with 6"),
    (house.no_format_skips, "hdc/memory.py", "x = 1  # fmt: " + "skip\n", "let the formatter"),
    (house.no_format_skips, "hdc/memory.py", "# fmt: " + "off\nx = 1\n", "let the formatter"),
    (house.constants_with_reasons, "hdc/memory.py", "A = 1\n", "the constant A without a reason"),
    (house.constants_with_reasons, "hdc/memory.py", "_A: Final = 64 * 1_024\n", "the constant _A"),
    (house.constants_with_reasons, "hdc/memory.py", "A, B = 1, -2.5\n", "the constant B"),
    (house.constants_with_reasons, "hdc/memory.py", "A = (1, 2)\n\n", "the constant A"),
    (house.constants_with_reasons, "hdc/memory.py", "A = 1  # noqa: X\n", "the constant A"),
    (house.constants_with_reasons, "hdc/memory.py", "# --- sizes ---\n\nA = 1\n", "the constant A"),
    (house.constants_with_reasons, "hdc/memory.py", "# Of a tap.\nA = 1\nB = 2\n", "constant B"),
    (
        house.constants_with_reasons,
        "hdc/memory.py",
        "ROWS_MAX = 9\n'The rows, max.'\n",
        "repeats its",
    ),
)


@pytest.mark.parametrize(("rule", "path", "text", "words"), BAD)
def test_a_rule_finds_a_violation(rule: Rule, path: str, text: str, words: str) -> None:
    """Each rule fails on a small bad file, with path and line."""
    found = messages([rule], [File(path, text, MODULES)])
    assert any(words in message for message in found), found
    assert all(re.match(rf"{re.escape(path)}:\d+: error: .* is banned, .", one) for one in found)


GOOD: tuple[tuple[Rule, str, str], ...] = (
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "import hdc\nfrom hdc import Memory\n",
    ),
    (
        house.neighbours,
        "edge/core/knowledge/memory_ledger.py",
        "from .knowledge import x\nfrom .router import a\n",
    ),
    (house.neighbours, "edge/sim/world.py", "from ..storage import Store\n"),
    (house.neighbours, "edge/sim/world.py", "from encoder.testing import tiny\n"),
    (house.neighbours, "edge/cli/app.py", "from ..sim import simulate\n"),
    (house.finished, "hdc/memory.py", "class P(Protocol):\n def f(self) -> int: ...\n"),
    (house.pure, "edge/daemon/loop.py", "import time\n"),
    (house.silent, "edge/cli/app.py", "print(1)\n"),
    (house.safe, "hdc/memory.py", "np.load(p, allow_pickle=False)\n"),
    (house.positional_calls, "hdc/memory.py", "f(1, 2, 3, 4, 5, a=6, b=7, *x)\n"),
    (house.positional_calls, "hdc/memory.py", "table.add_row(1, 2, 3, 4, 5, 6)\n"),
    (house.keyword_only, "hdc/memory.py", f"@dataclass(kw_only=True)\n{SIX_FIELDS}"),
    (house.keyword_only, "hdc/memory.py", SIX_FIELDS),
    (
        house.keyword_only,
        "hdc/memory.py",
        f"@dataclass\n{SIX_FIELDS}".replace("f: int = 0", "f: int = field(init=False)"),
    ),
    (house.no_format_skips, "hdc/memory.py", "x = '# fmt: " + "skip'\n"),
    (house.constants_with_reasons, "hdc/memory.py", "A = 1\n'Chosen by hand.'\n"),
    (house.constants_with_reasons, "hdc/memory.py", "# RFC 9562, section 5.\nA, B = 1, 2\n"),
    (house.constants_with_reasons, "hdc/memory.py", "A = (\n 1,  # a page\n 2,\n)\nB = A\n"),
    (house.constants_with_reasons, "hdc/memory.py", "A = True\nB = 'b'\nC = f(1)\n"),
)


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_a_rule_lets_good_code_pass(rule: Rule, path: str, text: str) -> None:
    """Allowed code is not reported."""
    assert messages([rule], [File(path, text, MODULES)]) == []


def test_files_are_found_without_git(tmp_path: Path) -> None:
    """In an unpacked archive hidden folders are left out, but for .ci."""
    for name in ("a.md", ".venv/b.py", ".ci/run", "docs/c.md", "docs/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", "utf-8")
    found = [path.relative_to(tmp_path).as_posix() for path, _ in text_files(tmp_path)]
    assert found == [".ci/run", "a.md", "docs/c.md"]


def test_dead_code_is_found() -> None:
    """An unused function is reported, a used one is not."""
    file = File("hdc/memory.py", "def used(): return 1\ndef dead(): return used()\n")
    assert [f.what for _, f in house.unused([file], [file])] == ["the unused dead"]


def test_a_class_name_is_given_once() -> None:
    """The second class of a name is reported with the position of the first."""
    files = [File("hdc/a.py", "class A: ...\nclass B: ...\n"), File("nas/b.py", "\nclass A: ...\n")]
    found = [finding.message(file.path) for file, finding in house.class_names(files)]
    assert found == ["nas/b.py:2: error: a second class A is banned, the first is at hdc/a.py:1"]


def test_a_cycle_of_folders_is_found() -> None:
    """Folders under edge that import each other are one finding, with the cycle."""
    files = [
        File("edge/a/x.py", "from ..b import y\n"),
        File("edge/b/__init__.py", ""),
        File("edge/b/y.py", "def f():\n from ..c.z import g\n"),
        File("edge/c/z.py", "from ..a.x import f\n"),
        File("edge/d.py", "from .a.x import f\n"),
    ]
    ((file, finding),) = house_cycles.folder_cycles(files)
    assert (file.path, finding.line) == ("edge/a/x.py", 1)
    assert "3 folders (edge.a -> edge.b -> edge.c -> edge.a)" in finding.what


def test_a_cycle_of_files_is_found() -> None:
    """Files of one folder that import each other are found, also through an `__init__`; an import
    for type checkers closes no cycle."""
    files = [
        File("hdc/a.py", "from .b import f\n"),
        File("hdc/b/__init__.py", "from .c import f\n"),
        File("hdc/b/c.py", "from .. import a\n"),
        File("nas/a.py", "from .b import f\n"),
        File("nas/b.py", "if TYPE_CHECKING:\n from .a import g\nelse:\n x = 1\n"),
    ]
    ((_, finding),) = house_cycles.file_cycles(files)
    assert "3 files (hdc.a -> hdc.b -> hdc.b.c -> hdc.a)" in finding.what
    assert len(list(house_cycles.file_cycles(files, frozenset(house_cycles.When)))) == 2


def test_a_machine_path_is_found() -> None:
    """An absolute path of one machine is reported, a folder of that name elsewhere is not."""
    assert len(list(house.foreign_text("see /wo" + "rk/x, /ho" + "me/me/y"))) == 1
    assert list(house.foreign_text("../shared/wo" + "rk/x and docs/home/page")) == []
