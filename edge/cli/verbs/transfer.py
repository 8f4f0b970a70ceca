"""Verbs that copy and combine knowledge: `auricle backup`, `restore`, `export`, `merge`."""

from dataclasses import asdict
from pathlib import Path

import click

from ...config import read_settings
from ...export import DecisionRequest, export_decision
from ...home import Home, transfer
from ...storage import Store
from ..options import PATH, DefaultVerbGroup, home_option, json_option
from ..views import common as views


@click.command
@click.argument("target", type=PATH, help="The new file.")
@home_option
@json_option
def backup(*, target: Path, home: Path, as_json: bool) -> None:
    """Write a consistent copy of the knowledge file."""
    with _store(home) as store:
        store.backup(target)
    if as_json:
        views.show_json({"file": str(target), "file_bytes": target.stat().st_size})
    else:
        views.say(f"wrote {target}, {target.stat().st_size} bytes")


@click.command
@click.argument("source", type=PATH, help="A file written by `auricle backup`.")
@home_option
@json_option
def restore(*, source: Path, home: Path, as_json: bool) -> None:
    """Replace the knowledge file with a backup; the old file is kept."""
    done = transfer.restore_home(home, source)
    views.show_json(done) if as_json else views.show_restored(done)


@click.group(cls=DefaultVerbGroup, short_help="Write the facts, or the decision as ONNX.")
def export() -> None:
    """Write the facts as .npz (without a verb: `auricle export FILE`), or the decision as ONNX."""


@export.command("facts")
@click.argument("target", type=PATH, help="The new .npz file.")
@home_option
@json_option
def export_facts(*, target: Path, home: Path, as_json: bool) -> None:
    """Write all facts with their quantised features to an .npz."""
    with _store(home) as store:
        count = transfer.export_facts(store, target)
    if as_json:
        views.show_json({"file": str(target), "count": count})
    else:
        views.say(f"wrote {count} facts to {target}")


@export.command("onnx")
@click.argument("target", type=PATH, help="The new .onnx file.")
@click.option("--domain", default="", help="The domain that answers; default: all, with routing.")
@click.option(
    "--without-novelty", is_flag=True, help="Leave the detector out: label and scores alone."
)
@home_option
@json_option
def export_onnx(
    *, target: Path, domain: str, without_novelty: bool, home: Path, as_json: bool
) -> None:
    """Write encoder, detector, router and adaptors as one ONNX graph."""
    with Home(home, writable=False) as opened:
        request = DecisionRequest(
            domain=domain, novelty=not without_novelty, rate=opened.runtime.config.false_alarm_rate
        )
        made = export_decision(target, opened.model.card, opened.runtime.knowledge, request)
    if as_json:
        views.show_json({"file": str(target), **asdict(made)})
        return
    shape = ", ".join(map(str, made.input_shape))
    views.say(f"wrote {target}, {made.file_bytes} bytes")
    views.show_pairs(
        (
            ("input", f"{made.input_name} {made.input_dtype} [batch, {shape}]"),
            ("outputs", f"label, scores, domain{', novelty, threshold' if made.novelty else ''}"),
            ("labels", ", ".join(made.labels)),
            ("domains", ", ".join(made.domains)),
            ("digest", made.digest),
        )
    )


@click.command
@click.argument("other", type=PATH, help="Another knowledge file with the same encoder.")
@home_option
@json_option
def merge(*, other: Path, home: Path, as_json: bool) -> None:
    """Add the facts of another knowledge file; what either forgot stays forgotten."""
    with Home(home) as opened, Store.open(other, writable=False) as store:
        done = transfer.merge_store(opened, store)
    views.show_json(done) if as_json else views.show_merged(done)


def _store(home: Path) -> Store:
    return Store.open(home / read_settings(home).knowledge.file, writable=False)
