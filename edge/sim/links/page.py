"""The report of trials on link loads: one self-contained page, and plain data for JSON."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from ...backbone import LinkEvent
from .charts import choose_event, draw_event
from .trial import LinkTrial

SENTENCE: Final = (
    "The black line is the measured load; a coloured line is the forecast made at its dot, and"
    " nine of ten loads should lie in the shade around it. Below: the forecast errors."
)
EVENTS_MAX: Final = 60
"""Events listed on the page per trial; report.json holds all.  Chosen by hand."""


def render_links(trials: Sequence[LinkTrial], title: str) -> str:
    """Return the page: figures, the failure that moves most traffic, and events of each trial."""
    style = files("edge.sim").joinpath("data", "report.css").read_text("utf-8")
    parts = "".join(_section(trial, f"t{number}") for number, trial in enumerate(trials))
    first = trials[0]
    nodes, links = len(first.world.topology.nodes), len(first.world.topology.channels)
    lead = (
        f"{first.world.topology.name}: {nodes} nodes, {links} directed links, {len(trials)}"
        f" {'run' if len(trials) == 1 else 'runs'}, a load every five minutes, forecast by"
        f" {escape(first.settings.forecaster)}, changes by {escape(first.settings.detector)}."
    )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n"
        "<body><main><header><p class=brand>Auricle simulation</p>"
        f"<h1>{escape(title)}</h1><p class=lead>{lead}</p></header>{parts}</main></body></html>\n"
    )


def _section(trial: LinkTrial, name: str) -> str:
    event = choose_event(trial)
    drawn = (
        f"<figure class=wide>{draw_event(trial, event, name)}<figcaption>{SENTENCE}</figcaption>"
        "</figure>"
        if event
        else ""
    )
    return (
        f"<section><h2>Seed {trial.seed}</h2><div class=tiles>{_tiles(trial.figures)}</div>{drawn}"
        f"<div class=pair>{_horizons(trial)}{_events(trial)}</div></section>"
    )


def _tiles(figures: Mapping[str, float]) -> str:
    """The headline figures."""
    ahead = max(
        int(name[6:]) for name in figures if name.startswith("ratio_") and name[6:].isdigit()
    )
    tiles = [
        (f"Error, {ahead} ahead", f"{figures[f'ratio_{ahead}']:.2f}", "of the last value's"),
        (
            f"Inside the interval, {ahead} ahead",
            f"{figures[f'coverage_{ahead}']:.1%}",
            "90 % expected",
        ),
        *(
            [("Within 100 steps of an event", f"{after:.1%}", "inside the interval, 90 % expected")]
            if (after := figures.get("coverage_after")) is not None
            else []
        ),
        ("Events detected", f"{figures['found']:.0f} of {figures['events']:.0f}", ""),
        ("False alarms", f"{figures['false_per_1000']:.1f}", "in 1,000 steps"),
    ]
    if f"ratio_soon_{ahead}" in figures:
        soon = (f"{figures[f'ratio_soon_{ahead}']:.2f}", "of the last value's")
        tiles.insert(1, ("First five steps after events", *soon))
    return "".join(
        f"<div class=tile><span class=name>{name}</span><span class=value>{value}</span>"
        f"<span class=under>{under}</span></div>"
        for name, value, under in tiles
    )


def _horizons(trial: LinkTrial) -> str:
    rows = [
        f"<tr><th scope=row>{ahead}</th><td class=number>{trial.figures[f'mae_{ahead}']:.2f}</td>"
        f"<td class=number>{trial.figures[f'mae_last_{ahead}']:.2f}</td>"
        f"<td class=number>{trial.figures[f'coverage_{ahead}']:.1%}</td></tr>"
        for ahead in sorted(set(trial.settings.horizons))
    ]
    return (
        "<div><h2>By horizon</h2><table class=figures><thead><tr><th>Steps ahead</th>"
        "<th>Error, Mbit/s</th><th>Last value's</th><th>Inside 90 %</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _events(trial: LinkTrial) -> str:
    rows = [
        f"<tr><td class=number>{event.step:,}</td><td><span class='kind"
        f" {'alarm' if event.kind == 'failure' else 'cleared'}'>{event.kind}</span></td>"
        f"<td>{escape(name_links(trial, event))}</td><td>{event.bucket}</td>"
        f"<td class=number>{'missed' if late is None else late}</td></tr>"
        for event, late in _alarmed(trial)
    ]
    return (
        "<div><h2>Failures and repairs</h2><div class=scroll><table class=figures><thead><tr>"
        "<th>Step</th><th></th><th>Link</th><th>Shift</th><th>Alarm after</th></tr></thead>"
        f"<tbody>{''.join(rows[:EVENTS_MAX])}</tbody></table></div></div>"
    )


def _alarmed(trial: LinkTrial) -> Iterable[tuple[LinkEvent, int | None]]:
    return ((event, trial.alarm(event)) for event in trial.events)


def name_links(trial: LinkTrial, event: LinkEvent) -> str:
    """Return the names of an event's links, one direction of each."""
    channels = trial.world.topology.channels
    return ", ".join(channels[link] for link in event.links[::2])


def trial_as_data(trial: LinkTrial) -> dict[str, Any]:
    """Return a trial as plain data: `seed`, `settings`, `figures`, `events`, `changes`."""
    channels = trial.world.topology.channels
    return {
        "seed": trial.seed,
        "settings": trial.settings,
        "figures": trial.figures,
        "events": [
            {
                "step": event.step,
                "kind": event.kind,
                "links": [channels[link] for link in event.links],
                "bucket": event.bucket,
                "alarm_after": late,
            }
            for event, late in _alarmed(trial)
        ],
        "changes": [
            {
                "step": change.step,
                "start": change.start,
                "kind": change.kind,
                "severity": change.severity,
                "channels": [channels[at] for at in change.channels],
                "regime": change.regime,
            }
            for change in trial.changes
        ],
    }
