"""Views of exports for microcontrollers, and of the events of their links."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from ...core import Decision
from ...export import ExportedForecaster, ExportPlan, FlashBudget, MeasuredExtract
from ...home import Attachment, Prediction
from .common import say, show_prediction, show_table

# Bytes, two hex digits each: an event fits a line of 80 columns.
VALUES_SHOWN = 8

COLUMNS = {
    "bits": "length of a hypervector",
    "blocks": "distances compared: hypervector bits, with columns and plane or not",
    "head": "bits per weight; a head for each domain or shared; random features",
    "domains": "number of domains",
    "flash bytes": "the extract and the code of the detector",
    "RAM bytes": "one decision: features, hypervector and working memory",
    "fits": "whether it fits --flash and --ram",
    "routed": "share of held-out facts routed to their own domain",
    "labelled": "share of held-out facts whose nearest concept has their label",
    "detected": "share of facts of other domains detected as new; - with one domain",
    "answered": "share of held-out facts that the head classifies correctly",
    "agreed": "share of facts on which head and serving adaptor agree",
}
"""Columns of the table of extracts and their meanings; docs/howto/firmware.md says more."""

KEYS = tuple(name.lower().replace(" ", "_") for name in COLUMNS)


def show_plan(plan: ExportPlan, budget: FlashBudget) -> None:
    """Print all measured extracts, the meaning of the columns, and the chosen extract."""
    show_table(tuple(COLUMNS), (_row(one, budget) for one in plan.candidates))
    for name, meaning in COLUMNS.items():
        say(f"{name}: {meaning}")
    chosen = plan.chosen
    say(
        f"chosen: {chosen.shape.bits} bits, {_blocks(chosen)}, head {_head(chosen)}:"
        f" {chosen.flash_bytes} bytes of flash, {chosen.ram_bytes} bytes of RAM"
    )
    best = max(one.labelled for one in plan.candidates)
    if chosen.labelled < best:
        say(
            f"it labels {chosen.labelled:.1%} of held-out facts; the best extract labels {best:.1%}"
        )


def _row(one: MeasuredExtract, budget: FlashBudget) -> tuple[object, ...]:
    detected = "-" if one.detected is None else f"{one.detected:.3f}"
    return (
        one.shape.bits,
        _blocks(one),
        _head(one),
        len(one.shape.domains),
        one.flash_bytes,
        one.ram_bytes,
        "yes" if budget.holds(one) else "no",
        f"{one.routed:.3f}",
        f"{one.labelled:.3f}",
        detected,
        f"{one.answered:.3f}",
        f"{one.agreed:.3f}",
    )


def _head(one: MeasuredExtract) -> str:
    added = f", {one.random_count} random" if one.random_count else ""
    return f"{one.shape.head_bits} bits, {'shared' if one.shape.shared else 'per domain'}{added}"


def _blocks(one: MeasuredExtract) -> str:
    named = ["bits"]
    named += ["columns"] if one.shape.columns else []
    return " + ".join(named + (["plane"] if one.shape.plane else []))


def plan_as_data(
    plan: ExportPlan, budget: FlashBudget, names: tuple[str, ...]
) -> dict[str, object]:
    """Return the content of `show_plan` as plain values."""
    candidates = [dict(zip(KEYS, _row(one, budget), strict=True)) for one in plan.candidates]
    chosen = dict(zip(KEYS, _row(plan.chosen, budget), strict=True))
    return {"candidates": candidates, "chosen": chosen, "files": names}


def show_forecaster(exported: ExportedForecaster, folder: Path, kind: str) -> None:
    """Print the size of an exported forecaster and its files."""
    say(
        f"{exported.units} units, {exported.inputs} inputs:"
        f" {exported.flash_bytes} bytes of weights, {exported.ram_bytes} bytes of RAM per channel"
    )
    show_written(exported.files, folder, kind)


def show_written(names: Sequence[str], folder: Path, kind: str) -> None:
    """Print the files of an export, and the command that checks them."""
    if kind != "files":
        say(
            f"wrote {len(names)} files to {folder}; README.md there says how to build and test them"
        )
        return
    say(f"wrote {', '.join(names)} to {folder}")
    say(f"check it on this machine: cd {quote(str(folder))} && cc *.c && ./a.out")


def show_decision(decision: Decision) -> None:
    """Print the decision on a reading."""
    show_prediction(Prediction(decision.observation_id, decision))


def show_attached(attached: Attachment) -> None:
    """Print the totals of a device connection."""
    say(
        f"# {attached.readings} readings, {attached.gaps} missed, {attached.alarms} outputs set,"
        f" {attached.device.link.counters.frames_damaged} frames damaged"
    )


def show_event(event: Mapping[str, Any]) -> None:
    """Print an event of the link, as `event_as_data` returns it, on one line."""
    data = dict(event)
    name = data.pop("event")
    cut = 2 * VALUES_SHOWN
    fields = (
        f"{key} {value[:cut]}{'...' if key in {'values', 'data'} and len(value) > cut else ''}"
        if isinstance(value, str)
        else f"{key} {value}"
        for key, value in data.items()
    )
    say(f"{name:15} {', '.join(fields)}")
