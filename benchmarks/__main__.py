"""The command line of the benchmarks."""

import argparse
import importlib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from .report import show, write

# Each module has `run(data: Path | None) -> BenchmarkReport`.  Only the chosen one is imported:
# peers are slow to import.
NAMES = {
    "acceptance": "benchmarks.growth.acceptance",
    "active": "benchmarks.active.run",
    "adapt": "benchmarks.adapt.run",
    "adapt-runtime": "benchmarks.adapt_runtime.run",
    "audit": "benchmarks.audit.run",
    "bridge": "benchmarks.bridge.run",
    "classes": "benchmarks.continual.classes",
    "console": "benchmarks.console.run",
    "curriculum": "benchmarks.curriculum.run",
    "daemon": "benchmarks.daemon.run",
    "domains": "benchmarks.continual.domains",
    "encoders": "benchmarks.encoders.run",
    "exact": "benchmarks.exact.run",
    "faults": "benchmarks.faults.run",
    "fleet": "benchmarks.fleet.run",
    "forecast": "benchmarks.forecast.run",
    "forget": "benchmarks.forget.run",
    "growth": "benchmarks.growth.run",
    "heads": "benchmarks.continual.heads",
    "hotpath": "benchmarks.hotpath.run",
    "kinds": "benchmarks.kinds.run",
    "machines": "benchmarks.machines.run",
    "nas": "benchmarks.nas.run",
    "label-columns": "benchmarks.continual.label_columns",
    "labels": "benchmarks.continual.labels",
    "network-recipes": "benchmarks.kinds.forecast_recipes",
    "online": "benchmarks.online.run",
    "ood": "benchmarks.ood.run",
    "trust": "benchmarks.trust.run",
    "public": "benchmarks.public.run",
    "scale": "benchmarks.scale.run",
    "select": "benchmarks.selection.run",
    "strategies": "benchmarks.strategies.run",
    "unlearn": "benchmarks.unlearn.run",
}
# Counts that `run` of a benchmark takes in addition to the data.
COUNTS = {
    "acceptance": ("trials",),
    "bridge": ("inputs", "readings"),
    "daemon": ("observations",),
    "exact": ("histories", "kills"),
    "faults": ("kills", "broker-kills", "messages", "signals"),
}
# Benchmarks whose `run` can skip the slow part.
QUICK = (
    "active",
    "adapt",
    "adapt-runtime",
    "curriculum",
    "domains",
    "encoders",
    "fleet",
    "forecast",
    "forget",
    "kinds",
    "labels",
    "public",
    "scale",
    "select",
    "strategies",
    "trust",
)
# Benchmarks whose `run` can use some of its data sets or parts only.
SETS = (
    "active",
    "adapt",
    "adapt-runtime",
    "domains",
    "encoders",
    "fleet",
    "forecast",
    "forget",
    "kinds",
    "machines",
    "scale",
    "select",
    "strategies",
    "trust",
    "unlearn",
)
# Benchmarks whose `run` can spread its work over a Ray cluster.
BACKENDS = ("domains", "nas")
# Benchmarks whose `run` can compare with a file from another machine.
AGAINST = ("machines",)


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, print its table, write its JSON. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("name", choices=sorted(NAMES))
    parser.add_argument("--data", type=Path, help="folder of data files; else AURICLE_DATA")
    parser.add_argument("--json", type=Path, help="file to write the report to")
    for count in sorted({count for counts in COUNTS.values() for count in counts}):
        users = ", ".join(name for name, counts in COUNTS.items() if count in counts)
        parser.add_argument(f"--{count}", type=int, help=f"how many, for {users}")
    parser.add_argument("--quick", action="store_true", help=f"smaller, for {', '.join(QUICK)}")
    parser.add_argument(
        "--sets", nargs="+", metavar="SET", help=f"only these sets or parts, for {', '.join(SETS)}"
    )
    parser.add_argument(
        "--against", type=Path, help="digests of another machine, for machines: see --digests-only"
    )
    parser.add_argument(
        "--backend",
        choices=("loky", "ray"),
        default="loky",
        help=f"where to run in parallel, for {', '.join(BACKENDS)}; ray needs the extra cluster",
    )
    parser.add_argument(
        "--digests-only", action="store_true", help="print this machine's digests, for machines"
    )
    chosen = parser.parse_args(arguments)
    if chosen.digests_only:
        from .machines.digests import dump
        from .machines.sets import SETS as MACHINE_SETS

        print(dump(chosen.sets or MACHINE_SETS))
        return 0
    given = os.environ.get("AURICLE_DATA")
    data = chosen.data or (Path(given) if given else None)
    given_counts = {
        c.replace("-", "_"): getattr(chosen, c.replace("-", "_"))
        for c in COUNTS.get(chosen.name, ())
    }
    counted = {name: count for name, count in given_counts.items() if count is not None}
    flags = {"quick": True} if chosen.quick and chosen.name in QUICK else {}
    sets = {"sets": chosen.sets} if chosen.sets and chosen.name in SETS else {}
    files = {"against": chosen.against} if chosen.against and chosen.name in AGAINST else {}
    run = importlib.import_module(NAMES[chosen.name]).run
    backend = {"backend": chosen.backend} if chosen.name in BACKENDS else {}
    report = run(data, **counted, **flags, **sets, **files, **backend)
    print(show(report))
    if chosen.json:
        write(report, chosen.json, _command(chosen, counted | flags))
    return 0


def _command(chosen: argparse.Namespace, given: Mapping[str, int | bool]) -> str:
    """Return the command of a run, without the paths of this machine."""
    words = ["python -m benchmarks", chosen.name]
    words += ["--data DIR"] if chosen.data or os.environ.get("AURICLE_DATA") else []
    for name, value in given.items():
        words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    words += [f"--sets {' '.join(map(shlex.quote, chosen.sets))}"] if chosen.sets else []
    return " ".join(words)


if __name__ == "__main__":
    raise SystemExit(main())
