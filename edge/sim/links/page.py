"""The report of trials on link loads: one self-contained page, and plain data for JSON."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from ...backbone import LinkEvent
from ...pages import environment
from .charts import choose_event, draw_event
from .trial import LinkTrial

EVENTS_MAX: Final = 60
"""Events listed on the page per trial; report.json holds all.  Chosen by hand."""


def render_links(trials: Sequence[LinkTrial], title: str) -> str:
    """Return the page: figures, the failure that moves most traffic, and events of each trial."""
    first = trials[0]
    nodes, links = len(first.world.topology.nodes), len(first.world.topology.channels)
    lead = (
        f"{first.world.topology.name}: {nodes} nodes, {links} directed links, {len(trials)}"
        f" {'run' if len(trials) == 1 else 'runs'}, a load every five minutes, forecast by"
        f" {first.settings.forecaster}, changes by {first.settings.detector}."
    )
    drawn = [_draw_trial(trial, f"t{number}") for number, trial in enumerate(trials)]
    page = environment("edge.sim").get_template("links.html")
    return page.render(title=title, lead=lead, trials=drawn)


def _draw_trial(trial: LinkTrial, name: str) -> dict[str, Any]:
    event = choose_event(trial)
    return {
        "seed": trial.seed,
        "tiles": _tiles(trial.figures),
        "event": draw_event(trial, event, name) if event else "",
        "horizons": [
            (
                ahead,
                f"{trial.figures[f'mae_{ahead}']:.2f}",
                f"{trial.figures[f'mae_last_{ahead}']:.2f}",
                f"{trial.figures[f'coverage_{ahead}']:.1%}",
            )
            for ahead in sorted(set(trial.settings.horizons))
        ],
        "events": [
            {
                "step": f"{event.step:,}",
                "kind": event.kind,
                "links": name_links(trial, event),
                "bucket": event.bucket,
                "late": "missed" if late is None else late,
            }
            for event, late in islice(_alarmed(trial), EVENTS_MAX)
        ],
    }


def _tiles(figures: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """The headline figures: name, value, and one sentence."""
    ahead = max(
        int(name[6:]) for name in figures if name.startswith("ratio_") and name[6:].isdigit()
    )
    tiles = [
        (
            f"Error, {ahead} ahead",
            f"{figures[f'ratio_{ahead}']:.2f}",
            "Of the error made by repeating the last value: below 1 the forecast is better.",
        ),
        (
            f"Inside the interval, {ahead} ahead",
            f"{figures[f'coverage_{ahead}']:.1%}",
            "The share of loads inside their 90 % interval; 90 % is expected.",
        ),
        (
            "Events detected",
            f"{figures['found']:.0f} of {figures['events']:.0f}",
            "Failures and repairs that a change point reported.",
        ),
        (
            "False alarms",
            f"{figures['false_per_1000']:.1f}",
            "Change points without an event, in 1,000 steps.",
        ),
    ]
    after, soon = figures.get("coverage_after"), figures.get(f"ratio_soon_{ahead}")
    if after is not None:
        words = "The share inside their 90 % interval there; 90 % is expected."
        tiles.insert(2, ("Within 100 steps of an event", f"{after:.1%}", words))
    if soon is not None:
        words = "Of the last value's error, in the first five steps after a failure or repair."
        tiles.insert(1, ("First five steps after events", f"{soon:.2f}", words))
    return tiles


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
