"""Write docs/methods/index.md: every paper with its mechanism, code, figure and verdict.

    python scripts/write_methods.py

The papers are in docs/methods/papers.toml; the figures come from the reports of benchmarks in
docs/methods/results/, the other methods from the program's own tables.  A test compares the page
with the output.
"""

import inspect
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent
FOLDER = Path("docs/methods")
VERDICTS = ("core", "default", "option", "peer", "loses")
"""The verdicts, in the order of the legend."""
TAKES: dict[str, Callable[[list[float]], float]] = {"mean": fmean, "max": max, "min": min}
"""What a figure of several rows may be."""
INTRODUCTION = """\
# Methods from papers

The {papers} papers that Auricle stands on, with the code of each, what it measures here, and a
verdict: {verdicts}. `python scripts/write_methods.py` makes this page of
`docs/methods/papers.toml`, the program's tables and the reports of benchmarks in
`docs/methods/results`; a test fails where they differ.

| verdict | meaning |
| --- | --- |
| core | part of what Auricle is |
| default | serves unless it is switched off |
| option | a user can choose it, or growth does where it wins |
| peer | runs in comparisons alone, worth them in the named regime; its row names what serves |
| loses | behind another method in every regime measured, or in all but the named one |

In brackets after a title: the section that the code cites, `code` where the authors' program was
read, else `abstract`."""
"""The head of the page."""


def load_papers(source: Path) -> list[dict[str, Any]]:
    """Read the table of papers."""
    text = (source / FOLDER / "papers.toml").read_text("utf-8")
    papers: list[dict[str, Any]] = tomllib.loads(text)["paper"]
    return papers


def method_tables() -> dict[str, Mapping[str, Any]]:
    """Return the program's tables of methods by name."""
    from edge.core.adaptors import KINDS
    from edge.core.labelling import LABELLING_RULES
    from edge.core.selection import SELECTORS
    from edge.growth import RECIPES
    from edge.sim.adaptation import POLICIES
    from edge.sim.curriculum import TEACHERS
    from edge.sim.strategies import STRATEGIES
    from edge.sim.unlearning import UNLEARNERS

    return {
        "POLICIES": POLICIES,
        "UNLEARNERS": UNLEARNERS,
        "STRATEGIES": STRATEGIES,
        "SELECTORS": SELECTORS,
        "LABELLING_RULES": LABELLING_RULES,
        "TEACHERS": TEACHERS,
        "KINDS": KINDS,
        "RECIPES": RECIPES,
    }


def read_figure(source: Path, figure: Mapping[str, str]) -> float | None:
    """Return a figure of a report: of its summary, or of the rows of a method and a metric, or of
    all metrics that start so; their mean, or as `take` says the largest or smallest.

    An empty method means all methods.  None if the report does not have it.
    """
    path = source / FOLDER / "results" / f"{figure['report']}.json"
    if not path.is_file():
        return None
    report = json.loads(path.read_text("utf-8"))
    if "summary" in figure:
        found = report["summary"].get(figure["summary"])
        return None if found is None else float(found)
    values = [
        row["value"]
        for row in report["rows"]
        if figure["method"] in {"", row["method"]}
        if row["metric"] == figure.get("metric", "")
        or ("starts" in figure and row["metric"].startswith(figure["starts"]))
    ]
    return TAKES[figure.get("take", "mean")](values) if values else None


def format_figure(figure: Mapping[str, str], value: float) -> str:
    """Return a figure with its name and unit."""
    text = {
        "points": f"{value:+.1f} points",
        "percent": f"{100 * value:.1f} %",
        "ratio": f"{value:.2f}",
        "plain": f"{value:.4g}",
    }[figure["unit"]]
    return f"{figure['name']}: {text}"


def describe_code(paper: Mapping[str, Any]) -> str:
    """Return the places of a paper's code and its entries in tables."""
    places = [f"`{one}`" for one in paper["code"]]
    return ", ".join([*places, *(f"`{one}`" for one in paper.get("entry", ()))])


def paper_row(source: Path, paper: Mapping[str, Any]) -> str:
    """Return the line of a paper."""
    figures = []
    for figure in paper.get("figures", ()):
        value = read_figure(source, figure)
        if value is not None:
            figures.append(format_figure(figure, value))
    measured = "; ".join(figures) or paper["note"]
    verdict = f"**{paper['verdict']}**: {paper['where']} ([comparison]({paper['page']}))"
    cells = (
        f"{paper['title']} ({paper['read']})",
        paper["mechanism"],
        describe_code(paper),
        measured,
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def other_rows(papers: list[dict[str, Any]]) -> list[str]:
    """Return a line for each entry of a table that no paper of the list names."""
    named = {entry for paper in papers for entry in paper.get("entry", ())}
    rows = []
    for table, entries in method_tables().items():
        for key, value in entries.items():
            if f"{table}: {key}" not in named:
                rows.append(f"| `{table}: {key}` | {_first_sentence(value)} |")
    return rows


def described(value: Any) -> Any:
    """Return the class or function that a table's entry runs."""
    for inner in ("keep", "func"):
        value = getattr(value, inner, value)
    return value if inspect.isclass(value) or inspect.isfunction(value) else type(value)


def entry_name(value: Any) -> str | None:
    """Return the name of what a table's entry runs; None if it is loaded only when it begins."""
    name = described(value).__qualname__
    return None if "<locals>" in name else str(name)


def _first_sentence(value: Any) -> str:
    """Return the first sentence of the docstring of a table's entry."""
    text = " ".join((inspect.getdoc(described(value)) or "").split())
    # A full stop ends a sentence before a capital, but not in "et al."
    return re.split(r"(?<!al)\. (?=[A-Z])", text)[0].rstrip(".").replace("|", "\\|")


def _reports(source: Path) -> list[str]:
    """Return a line for each report."""
    lines = []
    for path in sorted((source / FOLDER / "results").glob("*.json")):
        report = json.loads(path.read_text("utf-8"))
        machine = report["machine"]
        where = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
        lines.append(f"| `{report['command']}` | {where} |")
    return lines


def write_page(source: Path) -> str:
    """Return the page."""
    papers = load_papers(source)
    counts = Counter(paper["verdict"] for paper in papers)
    shown = ", ".join(f"{counts[one]} {one}" for one in VERDICTS)
    lines = [INTRODUCTION.format(papers=len(papers), verdicts=shown)]
    for part in dict.fromkeys(paper["part"] for paper in papers):
        lines += ["", f"## {part}", ""]
        lines += [
            "| paper | mechanism | code | measured | verdict |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [paper_row(source, paper) for paper in papers if paper["part"] == part]
    lines += [
        "",
        "## Other methods of the tables",
        "",
        "Baselines, and methods of papers outside the list.",
        "",
    ]
    lines += ["| entry | what it is |", "| --- | --- |", *other_rows(papers)]
    lines += [
        "",
        "## Reports",
        "",
        "| command | machine |",
        "| --- | --- |",
        *_reports(source),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page if it differs.  Returns the exit status."""
    page, text = SOURCE / FOLDER / "index.md", write_page(SOURCE)
    if not page.exists() or page.read_text("utf-8") != text:
        page.write_text(text, "utf-8")
        print(page.relative_to(SOURCE))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    raise SystemExit(main())
