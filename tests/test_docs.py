"""The documentation names everything in the public interface, and its references exist."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house_table import PACKAGES

DECISION_LINES_MAX = 60
INSTALL = "python3 -m venv .venv && .venv/bin/pip install"
FIRST_COMMANDS = [
    f'{INSTALL} ".[sim]" && .venv/bin/auricle demo',
    f'{INSTALL} ".[test]" && .venv/bin/python -m pytest -q -n auto',
]


@pytest.fixture(scope="session")
def pages(source: Path) -> dict[Path, str]:
    """The pages for readers: those at the top level and those in docs/, by path."""
    paths = [*source.glob("*.md"), *(source / "docs").rglob("*.md")]
    return {path: path.read_text("utf-8") for path in sorted(paths)}


@pytest.fixture(scope="session")
def prose(source: Path, pages: dict[Path, str]) -> str:
    """README.md and docs/ as one text; decisions are history and do not count."""
    return "\n".join(
        text
        for path, text in pages.items()
        if path.name == "README.md" or path.is_relative_to(source / "docs")
        if "decisions" not in path.parts
    )


def verbs(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Each command below a group, with the words that call it."""
    for word, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from verbs(child, f"{name} {word}")
        if getattr(child, "invoke_without_command", True):
            yield f"{name} {word}", child


def section(prose: str, words: str) -> str:
    """The text below the first heading that holds some words in backticks, to the next heading."""
    heading = re.search(rf"^#+ .*`{re.escape(words)}[ `].*$", prose, re.MULTILINE)
    if heading is None:
        return ""
    return re.split(r"^#+ ", prose[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def undocumented_options(prose: str, words: str, command: Any) -> list[str]:
    """The long options of a command that its section does not name."""
    text = section(prose, words)
    options = [
        name
        for one in command.params
        for name in (*one.opts, *one.secondary_opts)
        if name.startswith("--")
    ]
    return [one for one in options if one != "--help" and not re.search(rf"{one}(?![\w-])", text)]


def test_every_command_and_option_is_documented(prose: str, source: Path) -> None:
    """Each verb has a heading "`auricle VERB ...`", first in the reference, and the text below
    names all its options."""
    from edge.cli.app import app

    prose = (source / "docs/reference/cli.md").read_text("utf-8") + prose
    found = list(verbs(app, "auricle"))
    assert [words for words, _ in found if not section(prose, words)] == []
    missing = {words: undocumented_options(prose, words, command) for words, command in found}
    assert {words: options for words, options in missing.items() if options} == {}
    assert len(found) >= 10


def test_an_undocumented_option_is_found() -> None:
    """The check above reports an option that its section leaves out, and only that one."""

    class Option:
        opts = ("--seed", "--out")
        secondary_opts = ("--keep",)

    class Command:
        params = (Option,)

    text = "## `auricle run FILE`\n\n`--seed-file` and `--out DIR`\n\n## Next\n\n`--seed`\n"
    assert undocumented_options(text, "auricle run", Command) == ["--seed", "--keep"]
    assert section(text, "auricle walk") == ""


def error_classes(source: Path) -> set[str]:
    """The public exception classes of the packages."""
    trees = [
        ast.parse(p.read_text("utf-8"))
        for package in PACKAGES
        for p in (source / package).rglob("*.py")
    ]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    raised = [
        node.name
        for node in classes
        if any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    ]
    return {name for name in raised if not name.startswith("_")}


def test_every_error_is_documented(prose: str, source: Path) -> None:
    """Each error class is named in the docs."""
    errors = error_classes(source)
    assert {name for name in errors if f"`{name}`" not in prose} == set()
    assert "EdgeError" in errors


def test_every_limit_is_documented(prose: str, source: Path) -> None:
    """Each bound of the core is named in the docs."""
    tree = ast.parse((source / "edge/core/limits.py").read_text("utf-8"))
    limits = {ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert {name for name in limits if f"`{name}`" not in prose} == set()
    assert limits


def keys(kind: Any) -> set[str]:
    """The keys of a configuration class and of the classes it is made of, by their TOML names."""
    if arguments := typing.get_args(kind):
        return set().union(*map(keys, arguments))
    if hasattr(kind, "__struct_encode_fields__"):
        names = set(kind.__struct_encode_fields__)
    elif dataclasses.is_dataclass(kind):
        names = {field.name for field in dataclasses.fields(kind)}
    else:
        return set()
    return names.union(*map(keys, typing.get_type_hints(kind).values()))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("edge", "Config"),
        ("edge.sim.scenarios", "Scenario"),
        ("edge.sim.scenarios", "PolicyScenario"),
        ("edge.config.settings", "Settings"),
    ],
)
def test_every_key_is_documented(module: str, name: str, prose: str) -> None:
    """Each key of the configuration, of a scenario and of the settings is named in the docs, a
    section by its heading."""
    found = keys(getattr(importlib.import_module(module), name))
    named = {key for key in found if re.search(rf"`(?:\[(?:\w+\.)?{key}[\].]|{key}`)", prose)}
    assert found - named == set()
    assert found


def test_keys_are_found_in_parts() -> None:
    """The keys of a class include those of the classes inside it, in lists and options too."""

    @dataclasses.dataclass
    class Part:
        inner: int

    kind = dataclasses.make_dataclass("Whole", [("parts", tuple[Part, ...] | None), ("seed", int)])
    assert keys(kind) == {"parts", "inner", "seed"}


def test_the_readme_starts_with_two_commands(source: Path) -> None:
    """The first two lines of the README's first code block install and run everything."""
    text = (source / "README.md").read_text("utf-8")
    block = re.search(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert block.group(1).splitlines()[:2] == FIRST_COMMANDS


def figures_without_command(text: str) -> list[str]:
    """The rows of measured figures with no command, neither in the row nor above its table."""
    blocks = [block.strip() for block in text.split("\n\n")]
    pairs = zip(["", *blocks], blocks, strict=False)
    command = "`python -m benchmarks "
    return [
        row
        for above, table in pairs
        if table.startswith("|") and command not in above
        for row in table.splitlines()[2:]
        if command not in row
    ]


def test_every_figure_has_its_command(source: Path) -> None:
    """The README and the benchmarks page have tables of measured figures, each row with the command
    that reproduces it, or below it."""
    readme = (source / "README.md").read_text("utf-8")
    measured = readme.partition("\n## Measured\n")[2].partition("\n## ")[0]
    benchmarks = (source / "docs/benchmarks/index.md").read_text("utf-8")
    for text in (measured, benchmarks):
        assert figures_without_command(text) == []
        assert re.search(r"^\| --- \|", text, re.MULTILINE)


def test_a_figure_without_command_is_found() -> None:
    """A table of figures without a command is reported."""
    page = "\n## A subject\n\n{}\n\n| figure | ours |\n| --- | --- |\n| a | 1 |\n\n## More\n"
    assert figures_without_command(page.format("**x**: `python -m benchmarks x`")) == []
    assert figures_without_command(page.format("see below")) == ["| a | 1 |"]
    row = page.format("x").replace("| a | 1 |", "| a `python -m benchmarks x` | 1 |")
    assert figures_without_command(row) == []


def without_blocks(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """A page without its code blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))


def headings(text: str, marks: str = "#+") -> list[str]:
    """The headings of a page; `marks` is a pattern for their level."""
    return re.findall(rf"^{marks} (.*)$", without_blocks(text), re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    words = [re.sub(r"[^\w\- ]", "", one.lower()).strip() for one in headings(text)]
    return {one.replace(" ", "-") for one in words}


def test_every_page_has_its_place(source: Path) -> None:
    """mkdocs.yml lists each page of docs/ once, and no other."""
    listed = re.findall(r"(\S+\.md)$", (source / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    folder = source / "docs"
    assert sorted(listed) == sorted(str(p.relative_to(folder)) for p in folder.rglob("*.md"))


def broken_links(path: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(f"{path.name}: {link}")
    return broken


def test_every_relative_link_resolves(pages: dict[Path, str]) -> None:
    """Each relative link leads to a file that exists, and to a heading in it."""
    assert [link for path, text in pages.items() for link in broken_links(path, text)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """A link to a missing file or heading is reported, a good one and code are not."""
    page = tmp_path / "page.md"
    text = "# A title: here\n[x](page.md#a-title-here) [y](no.md) [z](#none) `[w](gone.md)`\n"
    page.write_text(text, "utf-8")
    assert broken_links(page, text) == ["page.md: no.md", "page.md: #none"]


def test_pages_have_one_title(pages: dict[Path, str]) -> None:
    """Each page has exactly one title, in its first line."""
    bad = [
        path.name
        for path, text in pages.items()
        if not text.startswith("# ")
        or len(re.findall(r"^# ", without_code(text), re.MULTILINE)) != 1
    ]
    assert bad == []


def test_decisions_are_short_and_numbered(source: Path) -> None:
    """Decisions are numbered without gaps and take a page at most."""
    pages = sorted((source / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    long = [p.name for p in pages if len(p.read_text("utf-8").splitlines()) > DECISION_LINES_MAX]
    assert long == []
