"""Makes the forecasting networks that ship: edge/core/forecasting/weights/{cfc,gru}.safetensors.

    pip install -e ".[grow,sim]"
    python scripts/train_liquid.py [FOLDER] [--check DATA]

Everything is drawn from seeds: loads of NSFNET and of random backbones under failures, and other
series (seasons, persistent noise, shifts, bursts, switching machines, whole numbers).  The same
code, machine and torch version give the same bytes.  Some minutes on one core.  --check compares
errors on held-out NSFNET, and on ETTh1 and ELEC2 from the folder DATA: mean |error| over that of
last value.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backbone import (
    DAY_STEPS,
    Topology,
    draw_demands,
    draw_outages,
    route_demands,
    simulate_links,
)
from edge.core.forecasting import SEASON_STEPS
from edge.growth import ForecastTrainingSet, make_training_set, predict_network, train_network
from edge.storage import write_weights

TARGET: Final = Path(__file__).parents[1] / "edge" / "core" / "forecasting" / "weights"
STEPS: Final = 4_000
"""Gradient steps.  Chosen by hand; effect not measured."""
SEED: Final = 7
"""Any would do; it is kept so that the weights can be made again."""
FIRST_SEED: Final = 100
"""Seeds below are those of benchmarks."""
WORLDS, BACKBONES, SERIES = 8, 14, 180
"""Training streams of each kind.  Chosen by hand; effect not measured."""
SHARES: Final = (0.25, 0.25, 0.5)
"""Of training steps for each kind of stream.  Chosen by hand; effect not measured."""
LENGTH: Final = 2_400
"""Samples of a drawn series.  Chosen by hand; effect not measured."""
BYTES_MAX: Final = 64 << 10
"""Weights ship in the base install, which stays small."""

Stream = tuple[NDArray[np.float64], NDArray[np.float64], int | None]
"""Values [steps, channels], seconds since the sample before [steps], season in steps."""


def draw_corpus() -> tuple[list[ForecastTrainingSet], list[float]]:
    """Return all streams as training data, and the sampling weight of each."""
    kinds = [
        [nsfnet(FIRST_SEED + number) for number in range(WORLDS)],
        [backbone(np.random.default_rng([SEED, 1, number])) for number in range(BACKBONES)],
        [series(np.random.default_rng([SEED, 2, number])) for number in range(SERIES)],
    ]
    lessons = [make_training_set(*stream) for streams in kinds for stream in streams]
    shares = [
        share / len(streams) for share, streams in zip(SHARES, kinds, strict=True) for _ in streams
    ]
    return lessons, shares


def nsfnet(seed: int) -> Stream:
    """Two weeks of NSFNET's links, failures in the second half."""
    loads = simulate_links("nsfnet", seed, schedule=seed, quiet_days=6).loads
    return loads, np.full(len(loads), 300.0), DAY_STEPS


def backbone(random: np.random.Generator) -> Stream:
    """Ten days of the links of a random backbone, sampled every 5, 15 or 30 minutes."""
    topology = _random_topology(random)
    steps, every = 10 * DAY_STEPS, int(random.choice([1, 1, 1, 3, 6]))
    demands = draw_demands(topology, steps, random)
    demands *= np.exp(random.uniform(0, 0.15) * random.standard_normal(demands.shape))
    outages = draw_outages(topology, 2 * DAY_STEPS, steps, 0.25, random)
    loads = np.empty((steps, 2 * len(topology.links)))
    changes = sorted({0, steps, *(at for one in outages for at in (one.start, one.stop))})
    for start, stop in pairwise(changes):
        down = frozenset(one.link for one in outages if one.start <= start < one.stop)
        loads[start:stop] = demands[start:stop] @ route_demands(topology, down)
    means = loads.reshape(-1, every, loads.shape[1]).mean(axis=1)
    return means, np.full(len(means), 300.0 * every), DAY_STEPS // every


def _random_topology(random: np.random.Generator) -> Topology:
    """A ring of nodes in a plane, with chords between near ones."""
    count = int(random.integers(7, 16))
    places = random.uniform(0, 3_000, (count, 2))
    order = np.argsort(np.arctan2(*(places - places.mean(axis=0)).T))
    pairs = {tuple(sorted((int(a), int(b)))) for a, b in zip(order, np.roll(order, 1), strict=True)}
    for node in range(count):
        near = np.argsort(np.linalg.norm(places - places[node], axis=1))[1:3]
        pairs |= {tuple(sorted((node, int(one)))) for one in near}
    km = {pair: int(np.linalg.norm(places[pair[0]] - places[pair[1]])) + 1 for pair in pairs}
    links = tuple((u, v, km[u, v]) for u, v in sorted(pairs))
    zones = tuple(int(zone) for zone in random.integers(-3, 4, count))
    return Topology("random", tuple(f"n{number}" for number in range(count)), zones, links)


def series(random: np.random.Generator) -> Stream:
    """Some channels of another kind, each in a unit of its own."""
    channels = int(random.choice([1, 1, 2, 4, 7]))
    period = int(random.choice([24, 48, 96, 144, 288]))
    common = _persistent(LENGTH, random.uniform(0.8, 0.999), random)
    values = np.stack([_channel(period, common, random) for _ in range(channels)], axis=1)
    elapsed = np.full(LENGTH, 86_400.0 / period)
    if random.random() < 0.15:
        kept = np.flatnonzero(random.random(LENGTH) < random.uniform(0.4, 0.9))
        return values[kept], np.diff(kept, prepend=kept[0] - 1) * 86_400.0 / period, None
    if random.random() < 0.2:
        values[random.random(values.shape) < 0.02] = np.nan
    return values, elapsed, period if random.random() < 0.75 else None


def _channel(period: int, common: NDArray[np.float64], random: np.random.Generator) -> Any:
    steps = len(common)
    course = random.uniform(0, 1) * common
    course += random.uniform(0, 1.5) * _persistent(steps, random.uniform(0.3, 0.999), random)
    course += random.choice([0, 0.05, 0.3, 0.8]) * random.standard_normal(steps)
    if random.random() < 0.8:
        course += random.uniform(0.3, 3) * _season(steps, period, random)
    if random.random() < 0.3:
        shifts = random.random(steps) < 3 / steps
        course += np.cumsum(shifts * random.normal(0, 3, steps))
    if random.random() < 0.3:
        course += _bursts(steps, random)
    if random.random() < 0.2:
        course += random.uniform(1, 4) * _switching(steps, random)
    if random.random() < 0.1:
        course = np.maximum(course, np.quantile(course, random.uniform(0.1, 0.5)))
    if random.random() < 0.3:
        course = np.exp(np.clip(0.4 * course, -8, 8))
    else:
        course += random.choice([0.0, 5.0, 30.0])
    course *= 10.0 ** random.uniform(-2, 4)
    if random.random() < 0.2:
        grain = course.std() / random.uniform(5, 40)
        course = np.rint(course / grain) * grain
    return course


def _persistent(steps: int, rho: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Noise of unit spread in which each value keeps a share rho of the one before."""
    made = random.standard_normal(steps)
    if random.random() < 0.3:
        made = np.clip(random.standard_t(3, steps), -8, 8)
    made[1:] *= np.sqrt(1 - rho**2)
    for step in range(1, steps):
        made[step] += rho * made[step - 1]
    return made


def _season(steps: int, period: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A repeating shape, four waves or a profile that may be rugged, whose size drifts, with
    another at the end of the week."""
    at = 2 * np.pi * np.arange(period) / period
    shape = np.zeros(period)
    for wave in range(1, 5):
        shape += np.cos(wave * at + random.uniform(0, 2 * np.pi)) * random.uniform(0, 1) / wave
    if random.random() < 0.5:
        width = int(random.integers(1, max(2, period // 6)))
        rugged = np.convolve(np.tile(random.standard_normal(period), 3), np.ones(width), "same")
        shape += random.uniform(0.3, 1.5) * rugged[period : 2 * period] / np.sqrt(width)
    made = np.resize(shape, steps)
    drift = 1 + random.uniform(0, 0.3) * _persistent(steps, 0.998, random)
    rest = np.where(np.arange(steps) // period % 7 >= 5, random.uniform(0.4, 1), 1.0)
    return np.asarray(made * drift * rest)


def _bursts(steps: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Sudden rises that fade."""
    keep = random.uniform(0.3, 0.95)
    made = (random.random(steps) < random.uniform(0.002, 0.02)) * random.exponential(4, steps)
    for step in range(1, steps):
        made[step] += keep * made[step - 1]
    return made


def _switching(steps: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a machine that switches on and off, with similar durations."""
    mean = random.uniform(8, 80)
    spans = np.maximum(1, random.normal(mean, mean / 6, steps)).astype(int)
    return (np.searchsorted(np.cumsum(spans), np.arange(steps)) % 2).astype(np.float64)


def held_out(data: Path) -> Iterator[tuple[str, ForecastTrainingSet, int]]:
    """Return validation streams, with the step from which errors count."""
    for seed in (200, 201):
        yield f"nsfnet {seed}", make_training_set(*nsfnet(seed)), 7 * DAY_STEPS
    hours = np.load(data / "ETTh1.npz")["values"][:14_400].astype(np.float64)
    yield "ETTh1", make_training_set(hours, np.full(len(hours), 3600.0), 24), 8_640
    market = np.load(data / "elec2.npz")
    columns = [list(market["columns"]).index(name) for name in ("nswprice", "nswdemand")]
    halves = market["values"][8_924:22_924, columns].astype(np.float64)
    yield "ELEC2", make_training_set(halves, np.full(len(halves), 1800.0), 48), 8_000


def compare(
    made: dict[str, dict[str, Any]], lessons: list[ForecastTrainingSet], data: Path
) -> None:
    """Print mean |error| of each network and of a straight line over the same inputs, over that of
    last value, by stream and horizon."""
    line = _line(lessons)
    for name, one, start in held_out(data):
        wanted = one.targets[start:]
        usual = np.nanmean(np.abs(wanted), axis=(0, 1))
        rows = {kind: predict_network(kind, arrays, one)[start:] for kind, arrays in made.items()}
        rows["line"] = one.inputs[start:] @ line[:-1] + line[-1]
        for kind, given in rows.items():
            ratios = np.nanmean(np.abs(given - wanted), axis=(0, 1)) / usual
            shown = "  ".join(f"h={h} {r:.3f}" for h, r in zip(SEASON_STEPS, ratios, strict=True))
            print(f"{name:12} {kind:5} {shown}")


def _line(lessons: list[ForecastTrainingSet]) -> NDArray[np.float64]:
    """Least absolute errors (by reweighting) over all inputs: [features + 1, horizons]."""
    inputs = np.concatenate([one.inputs[::7].reshape(-1, one.inputs.shape[2]) for one in lessons])
    wanted = np.concatenate([one.targets[::7].reshape(-1, len(SEASON_STEPS)) for one in lessons])
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], axis=1)
    made = np.zeros((inputs.shape[1], len(SEASON_STEPS)))
    for place in range(len(SEASON_STEPS)):
        usable = ~np.isnan(wanted[:, place])
        x, y = inputs[usable].astype(np.float64), wanted[usable, place]
        for _ in range(10):
            weight = 1 / np.maximum(np.abs(y - x @ made[:, place]), 0.05)
            gram = x.T @ (x * weight[:, None]) + 1e-3 * np.eye(x.shape[1])
            made[:, place] = np.linalg.solve(gram, x.T @ (weight * y))
    return made


def main(arguments: list[str]) -> int:
    """Write both networks and print their size; returns 1 if they are too large."""
    check = arguments.index("--check") if "--check" in arguments else len(arguments)
    folder = Path(arguments[0]) if check else TARGET
    folder.mkdir(parents=True, exist_ok=True)
    lessons, shares = draw_corpus()
    made, size = {}, 0
    for kind in ("cfc", "gru"):
        made[kind] = train_network(kind, lessons, shares, STEPS, SEED)
        path = folder / f"{kind}.safetensors"
        write_weights(path, made[kind])
        size += path.stat().st_size
        print(f"{path}: {sum(array.size for array in made[kind].values()):,} numbers")
    if check < len(arguments):
        compare(made, lessons, Path(arguments[check + 1]))
    return int(size > BYTES_MAX)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
