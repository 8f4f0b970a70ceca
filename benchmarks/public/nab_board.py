"""Every method on NAB: the published board, its scores scored again, and ours."""

from pathlib import Path

from ..report import BenchmarkRow
from .board import NAB
from .gaussian import windowed_gaussian
from .nab import PROFILES, best_threshold, load_nab

METRICS = ("nab_standard", "nab_low_fp", "nab_low_fn")
# Members of the board whose score of every row is in the file of data.
RESCORED = {"knncad": "KNN-CAD", "numenta": "Numenta HTM"}


def nab_rows(folder: Path) -> tuple[list[BenchmarkRow], dict[str, float]]:
    """Return the rows and the summary of NAB."""
    corpus = load_nab(folder)
    rows = [
        BenchmarkRow(f"{name} (published)", metric, value)
        for name, values in NAB.items()
        for metric, value in zip(METRICS, values, strict=True)
    ]
    scored = {
        f"{shown} (scored again)": [series.published[name] for series in corpus]
        for name, shown in RESCORED.items()
    }
    scored["Windowed Gaussian (scored again)"] = [windowed_gaussian(s.values) for s in corpus]
    rows += [
        BenchmarkRow(name, metric, best_threshold(corpus, scores, profile)[0])
        for name, scores in scored.items()
        for metric, profile in zip(METRICS, PROFILES, strict=True)
    ]
    return rows, {}
