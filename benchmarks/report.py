"""The report type of all benchmarks, its text and its JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """One measured number; rates and accuracies are fractions of 1."""

    method: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """The outcome of one benchmark; `notes` list omissions and reasons."""

    name: str
    rows: tuple[BenchmarkRow, ...]
    summary: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())


def machine() -> dict[str, str | int]:
    """Return a description of the machine that runs the benchmark."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def show(report: BenchmarkReport) -> str:
    """Return the report as plain text: one column per method, one line per metric, then the
    summary."""
    metrics = list(dict.fromkeys(row.metric for row in report.rows))
    methods = list(dict.fromkeys(row.method for row in report.rows))
    found = {(row.method, row.metric): row.value for row in report.rows}
    table = [
        ["", *methods],
        *([m, *(_figure(found.get((method, m))) for method in methods)] for m in metrics),
    ]
    lines = _aligned(table)
    lines += ["", *_aligned([[key, _figure(value)] for key, value in report.summary.items()])]
    return "\n".join([report.name, *lines, *report.notes])


def write(report: BenchmarkReport, path: Path, command: str = "") -> None:
    """Write the report as JSON, atomically.  command: the one that gives the report again."""
    content = {
        "name": report.name,
        "command": command,
        "machine": machine(),
        "rows": [
            {"method": row.method, "metric": row.metric, "value": row.value} for row in report.rows
        ],
        "summary": dict(report.summary),
        "notes": list(report.notes),
    }
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    columns = range(len(table[0])) if table else ()
    widths = [max(len(line[column]) for line in table) for column in columns]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
