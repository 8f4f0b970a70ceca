"""How exports for microcontrollers, and what comes from them, are shown."""

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
    "blocks": "what a decision compares: hypervector bits; also columns, also a plane",
    "head": "bits a weight; one head for each domain, or one shared; random features",
    "domains": "how many domains are kept",
    "flash bytes": "the extract and the detector's code",
    "RAM bytes": "one decision: features, hypervector and working space",
    "fits": "within --flash and --ram",
    "routed": "share of held-out facts sent to their own domain",
    "labelled": "share of held-out facts whose nearest concept has their label",
    "detected": "share of facts of other domains reported as new; - with one domain",
    "answered": "share of held-out facts that the head gives their label",
    "agreed": "share of facts that the head answers as the served adaptor does",
}
"""The columns of the table of extracts, each with its meaning; longer in docs/firmware.md."""

KEYS = tuple(name.lower().replace(" ", "_") for name in COLUMNS)


def show_plan(plan: ExportPlan, budget: FlashBudget) -> None:
    """Print every extract that was measured, the meaning of the columns, and what the chosen one
    costs and keeps."""
    show_table(tuple(COLUMNS), (_row(one, budget) for one in plan.candidates))
    for name, meaning in COLUMNS.items():
        say(f"{name}: {meaning}")
    chosen = plan.chosen
    say(
        f"chosen: {chosen.shape.bits} bits, {_blocks(chosen)}, head {_head(chosen)}:"
        f" {chosen.flash_bytes} bytes of flash, {chosen.ram_bytes} of RAM"
    )
    best = max(one.labelled for one in plan.candidates)
    if chosen.labelled < best:
        say(f"labelled {chosen.labelled:.1%} of held-out facts; the best here {best:.1%}")


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
    return f"{one.shape.head_bits} bits, {'shared' if one.shape.shared else 'a domain'}{added}"


def _blocks(one: MeasuredExtract) -> str:
    named = ["bits"]
    named += ["columns"] if one.shape.columns else []
    return " + ".join(named + (["plane"] if one.shape.plane else []))


def plan_as_data(
    plan: ExportPlan, budget: FlashBudget, names: tuple[str, ...]
) -> dict[str, object]:
    """What `show_plan` prints, as plain values."""
    candidates = [dict(zip(KEYS, _row(one, budget), strict=True)) for one in plan.candidates]
    chosen = dict(zip(KEYS, _row(plan.chosen, budget), strict=True))
    return {"candidates": candidates, "chosen": chosen, "files": names}


def show_forecaster(told: ExportedForecaster, folder: Path) -> None:
    """Print what a forecaster became."""
    say(
        f"{told.units} units over {told.inputs} inputs: {told.flash_bytes} bytes of weights,"
        f" {told.ram_bytes} of RAM a channel"
    )
    show_written(told.files, folder)


def show_written(names: Sequence[str], folder: Path) -> None:
    """Print the files of an export, and the command that checks them."""
    say(f"wrote {', '.join(names)} to {folder}")
    say(f"check it on this machine: cd {quote(str(folder))} && cc *.c && ./a.out")


def show_decision(decision: Decision) -> None:
    """Print what the runtime makes of a reading."""
    show_prediction(Prediction(decision.observation_id, decision))


def show_attached(attached: Attachment) -> None:
    """Print what came over a port."""
    say(
        f"# {attached.readings} readings, {attached.gaps} missed, {attached.alarms} outputs set,"
        f" {attached.device.link.counters.frames_damaged} frames damaged"
    )


def show_event(told: Mapping[str, Any]) -> None:
    """Print an event of the link, as `event_as_data` tells it, in one line."""
    data = dict(told)
    name = data.pop("event")
    cut = 2 * VALUES_SHOWN
    fields = (
        f"{key} {value[:cut]}{'...' if key in {'values', 'data'} and len(value) > cut else ''}"
        if isinstance(value, str)
        else f"{key} {value}"
        for key, value in data.items()
    )
    say(f"{name:15} {', '.join(fields)}")
