"""Active learning: labels that each rule needs, and whether the predicted gain of more is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from edge.core.labelling import LABELLING_RULES

from ..ood.sets import MissingError
from ..report import BenchmarkReport, BenchmarkRow
from .gain import (
    COUNTS,
    GainCase,
    constant_share,
    fit_powers,
    gain_cases,
    remeasured_share,
)
from .reach import labels_needed
from .sets import DEVELOPED, SETS, LabelSet, load_set

SEEDS, DRAWS = 3, 10
"""Pools of each set for the rules, and draws of labels for the gains."""
QUICK_SETS: Final = ("wine", "segments")
"""Sets of a quick run: small and not developed on."""
REQUEST: Final = 14
"""Labels of one request, chosen at once."""
TRIVIAL: Final = 3.0
"""Labels that random sampling needs at most where no rule can save any: left out of the means."""
LEARNED: Final = "learned"


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Measure on all sets or some; about half an hour.

    Quick: two small sets, one pool of each; half a minute.  Raises SystemExit for a set that does
    not exist.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise SystemExit(f"active: unknown set {unknown[0]!r}, expected some of {', '.join(SETS)}")
    rows: list[BenchmarkRow] = []
    cases: list[GainCase] = []
    notes: list[str] = []
    needed: dict[str, Mapping[str, float]] = {}
    for name in sets or (QUICK_SETS if quick else SETS):
        try:
            known = load_set(name, data)
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
            continue
        needed[name] = labels_needed(known, tuple(LABELLING_RULES), 1 if quick else SEEDS)
        rows += _rows(name, needed[name], "")
        if known.support is not None:
            rows += _batches(known, 1 if quick else SEEDS)
        cases += gain_cases(known, 2 if quick else DRAWS)
    developed = [one for one in cases if one.name in DEVELOPED]
    others = [one for one in cases if one.name not in DEVELOPED]
    rows += _gain_rows(others, "") + _gain_rows(developed, "developed_")
    notes += _notes(needed, developed)
    return BenchmarkReport("active", tuple(rows), summarise(needed, others), tuple(notes))


def _rows(name: str, needed: Mapping[str, float], suffix: str) -> list[BenchmarkRow]:
    return [BenchmarkRow(rule, f"labels, {name}{suffix}", value) for rule, value in needed.items()]


def _batches(known: LabelSet, seeds: int) -> list[BenchmarkRow]:
    """Return the labels needed where they are chosen by requests of several, as in a domain that is
    new while others are known."""
    needed = labels_needed(known, tuple(LABELLING_RULES), seeds, batch=REQUEST)
    return _rows(known.name, needed, f", {REQUEST} at once")


def _ratios(needed: Mapping[str, Mapping[str, float]], *, developed: bool) -> dict[str, float]:
    """Return each rule's labels over those of random sampling, the mean over sets."""
    counted = [
        found
        for name, found in needed.items()
        if (name in DEVELOPED) == developed and found["random"] > TRIVIAL
    ]
    if not counted:
        return {}
    return {
        rule: fmean(found[rule] / found["random"] for found in counted) for rule in LABELLING_RULES
    }


def _gain_rows(cases: Sequence[GainCase], prefix: str) -> list[BenchmarkRow]:
    made = []
    for labels in COUNTS:
        some = [one for one in cases if one.labels == labels]
        if some:
            made += _gain_figures(some, f"{prefix}gain_{labels}")
    for name in dict.fromkeys(one.name for one in cases):
        some = [one for one in cases if one.name == name]
        made.append(_share(some, f"{prefix}gain_within_a_point, {name}"))
    return made


def _gain_figures(some: Sequence[GainCase], metric: str) -> list[BenchmarkRow]:
    plain = [one for one in some if not one.trivial]
    rows = [
        _share(some, f"{metric}_within_a_point"),
        BenchmarkRow("auricle", f"{metric}_trivial", fmean(one.trivial for one in some)),
        BenchmarkRow("auricle", f"{metric}_measured", fmean(one.measured for one in some)),
        BenchmarkRow("auricle", f"{metric}_predicted", fmean(one.predicted for one in some)),
        BenchmarkRow(
            "auricle",
            f"{metric}_in_range",
            fmean(one.low <= one.measured <= one.high for one in some),
        ),
        BenchmarkRow(
            "always none",
            f"{metric}_within_a_point",
            fmean(abs(one.measured) <= 0.01 for one in some),
        ),
        BenchmarkRow("measured again", f"{metric}_within_a_point", remeasured_share(some)),
        BenchmarkRow("best number of a set", f"{metric}_within_a_point", constant_share(some)),
    ]
    if plain:
        rows.append(_share(plain, f"{metric}_within_a_point_not_trivial"))
    return rows


def _share(some: Sequence[GainCase], metric: str) -> BenchmarkRow:
    return BenchmarkRow("auricle", metric, fmean(one.right for one in some))


def summarise(
    needed: Mapping[str, Mapping[str, float]], cases: Sequence[GainCase]
) -> dict[str, float]:
    """Return figures of the sets that no choice was made on."""
    made: dict[str, float] = {}
    ratios = _ratios(needed, developed=False)
    if ratios:
        made["labels_over_random"] = ratios[LEARNED]
        made |= {
            f"{rule.replace(' ', '_')}_over_random": ratio
            for rule, ratio in ratios.items()
            if rule not in {LEARNED, "random"}
        }
    if cases:
        made["enough_within_one_point"] = fmean(one.right for one in cases)
        made["enough_trivial_share"] = fmean(one.trivial for one in cases)
        made["enough_measured_again"] = remeasured_share(cases)
        made["enough_best_number"] = constant_share(cases)
        made["enough_in_range"] = fmean(one.low <= one.measured <= one.high for one in cases)
        plain = [one.right for one in cases if not one.trivial]
        if plain:
            made["enough_within_one_point_not_trivial"] = fmean(plain)
    return made


def _notes(needed: Mapping[str, Mapping[str, float]], developed: Sequence[GainCase]) -> list[str]:
    notes = [f"choices were made on {', '.join(DEVELOPED)}; the summary does not count them"]
    trivial = [name for name, found in needed.items() if found["random"] <= TRIVIAL]
    if trivial:
        notes.append(
            f"not in the means, since {TRIVIAL:.0f} random labels suffice: {', '.join(trivial)}"
        )
    ratios = _ratios(needed, developed=True)
    if ratios:
        shown = ", ".join(f"{rule} {ratio:.2f}" for rule, ratio in ratios.items())
        notes.append(f"labels over random on developed sets: {shown}")
    if developed:
        error, single = fit_powers(developed)
        notes.append(f"powers fitted to these sets: error {error:.3f}, single {single:.3f}")
    return notes
