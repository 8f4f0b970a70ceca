"""Short, seasonal and random-walk series on which the pool is compared with its simple experts."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backbone import STEP_S, simulate_links

Floats = NDArray[np.float64]

ROWS_MAX: Final = 1_500
"""Rows of a long series: this part is about the first samples."""
ROWS_MIN: Final = 125
"""Shortest series: 100 samples are for learning alone."""
DAY_S, HOUR_S, HALF_HOUR_S = 86_400.0, 3_600.0, 1_800.0
"""Seconds."""
MONTHLY: Final = frozenset(
    (
        *("businv", "co2_canada", "construction", "jfk_passengers", "lga_passengers"),
        *("seatbelts", "shanghai_license", "unemployment_nl", "us_population", "usd_isk"),
    )
)
"""Series of the Turing change point set with twelve samples a year."""
ETTH1_PARTS: Final = ((0, 400), (3_000, 1_500), (6_000, 800))
"""First rows and lengths: short, long, medium.  Chosen by hand before any measurement."""
ELEC2_PARTS: Final = ((0, 400), (18_000, 1_500), (30_000, 800))
"""First rows and lengths: short, long, medium.  Chosen by hand before any measurement."""
LENGTHS: Final = (150, 250, 400, 1_000)
"""Lengths of the synthetic series: few samples, and some more.  Chosen by hand."""
SIZES: Final = (1e-3, 1.0, 1e4, 1.0)
"""The units that they are in: no method may depend on it.  Chosen by hand."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PoolSet:
    """values: float64 [steps, channels].  period: steps of a season, None without one."""

    name: str
    values: Floats
    elapsed_s: float
    period: int | None

    @property
    def development(self) -> bool:
        """Whether constants were chosen on this set; the others confirm them."""
        return self.name != "isp" and zlib.crc32(self.name.encode()) % 2 == 0


def pool_sets(data: Path | None, *, quick: bool) -> tuple[list[PoolSet], list[str]]:
    """Return all sets that are available, and what is missing.  quick: a quarter of them."""
    found, notes = [*_synthetic(), *_simulated()], []
    for file, load in (
        ("tcpd.npz", _tcpd),
        ("nab_real.npz", _nab),
        ("ETTh1.npz", _etth1),
        ("elec2.npz", _elec2),
        ("isp_link_traffic_hourly_2005.npz", _isp),
    ):
        path = None if data is None else data / file
        if path is None or not path.exists():
            notes.append(f"{file} is not in the data folder: its series are left out")
            continue
        with np.load(path, allow_pickle=False) as arrays:
            found += load({name: arrays[name] for name in arrays.files})
    packaged: tuple[tuple[str, Callable[[], Iterator[PoolSet]]], ...] = (
        *(("river", _river), ("statsmodels", _statsmodels)),
    )
    for package, shipped in packaged:
        if find_spec(package) is None:
            notes.append(f"{package} is not installed: its series are left out")
        else:
            found += shipped()
    found = [one for one in found if len(one.values) >= ROWS_MIN]
    return (found[::4] if quick else found), notes


def _set(name: str, values: Any, elapsed_s: float = 0.0, period: int | None = None) -> PoolSet:
    table = np.asarray(values, np.float64)
    return PoolSet(
        name=name,
        values=table.reshape(len(table), -1)[:ROWS_MAX],
        elapsed_s=elapsed_s,
        period=period,
    )


# --- the data folder ----------------------------------------------------------------------------


def _tcpd(arrays: Mapping[str, NDArray[Any]]) -> Iterator[PoolSet]:
    for key in sorted(arrays):
        if key.endswith("__v"):
            name = key[:-3]
            yield _set(f"tcpd/{name}", arrays[key], 0.0, 12 if name in MONTHLY else None)


def _nab(arrays: Mapping[str, NDArray[Any]]) -> Iterator[PoolSet]:
    for key in sorted(arrays):
        if key.endswith("__v"):
            step_s = float(np.median(np.diff(arrays[f"{key[:-3]}__t"].astype(np.float64))))
            yield _set(f"nab/{key[:-3]}", arrays[key], step_s, round(DAY_S / step_s))


def _etth1(arrays: Mapping[str, NDArray[Any]]) -> Iterator[PoolSet]:
    for number, (first, rows) in enumerate(ETTH1_PARTS):
        yield _set(f"etth1/{number}", arrays["values"][first : first + rows], HOUR_S, 24)


def _elec2(arrays: Mapping[str, NDArray[Any]]) -> Iterator[PoolSet]:
    names = list(arrays["columns"])
    columns = [names.index("nswprice"), names.index("nswdemand")]
    for number, (first, rows) in enumerate(ELEC2_PARTS):
        values = arrays["values"][first : first + rows, columns]
        yield _set(f"elec2/{number}", values, HALF_HOUR_S, 48)


def _isp(arrays: Mapping[str, NDArray[Any]]) -> Iterator[PoolSet]:
    yield _set("isp", arrays["bits"], HOUR_S, 24)


# --- packages -----------------------------------------------------------------------------------


def _river() -> Iterator[PoolSet]:
    spec = find_spec("river")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    for name in ("apple", "bitcoin", "brent_crude_oil"):
        yield _set(f"river/{name}", _last_column(folder / "drift" / "datasets" / f"{name}.csv"))
    approval = _last_column(folder / "datasets" / "trump_approval.csv.gz")
    yield _set("river/trump", approval, 0.0, 7)
    flow = _last_column(folder / "datasets" / "water-flow.csv")
    yield _set("river/water", flow, HOUR_S, 24)


def _last_column(path: Path) -> list[float]:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return [float(row[-1]) for row in list(csv.reader(text.decode().splitlines()))[1:]]


def _statsmodels() -> Iterator[PoolSet]:
    from statsmodels import datasets

    economy = datasets.macrodata.load_pandas().data
    for column in ("realgdp", "cpi", "unemp", "tbilrate", "realint", "realinv"):
        yield _set(f"macro/{column}", economy[column], 0.0, 4)
    sunspots = datasets.sunspots.load_pandas().data["SUNACTIVITY"]
    yield _set("sm/sunspots", sunspots, 0.0, 11)
    sea = datasets.elnino.load_pandas().data.to_numpy(float)[:, 1:].ravel()
    yield _set("sm/elnino", sea, 0.0, 12)
    carbon = datasets.co2.load_pandas().data["co2"].interpolate()
    yield _set("sm/co2", carbon[:1_000], 0.0, 52)


# --- synthetic series ---------------------------------------------------------------------------


def _simulated() -> Iterator[PoolSet]:
    for number, (topology, links) in enumerate((("nsfnet", None), ("euro28", 8))):
        world = simulate_links(topology, seed=300 + number, days=5, quiet_days=2)
        values = world.loads[:1_000, :links] / 1e3
        yield _set(f"sim/{topology}", values, STEP_S, 288)


def _synthetic() -> Iterator[PoolSet]:
    kinds: dict[str, Callable[[Floats, Floats], Floats]] = {
        "walk": lambda noise, _: np.cumsum(noise),
        "drift": lambda noise, _: np.cumsum(noise + 0.2),
        "heavy": lambda noise, _: np.cumsum(np.sign(noise) * np.abs(noise) ** 1.8),
        "geom": lambda noise, _: 30 * np.exp(np.cumsum(0.02 * noise)),
        "ar": lambda noise, _: _autoregression(noise),
        "local": lambda noise, steps: np.cumsum(0.5 * noise) + np.cos(1.7 * steps**2),
        "noise": lambda noise, _: 5 + noise,
        "season": lambda noise, steps: 10 * np.sin(steps * np.pi / 6) + 0.05 * steps + 2 * noise,
        "seaswalk": lambda noise, steps: 5 * np.sin(steps * np.pi / 12) + np.cumsum(noise),
        "vol": lambda noise, steps: np.cumsum(noise * np.exp(np.sin(steps / 40))),
    }
    for number, (kind, make) in enumerate(kinds.items()):
        for place, (length, size) in enumerate(zip(LENGTHS, SIZES, strict=True)):
            noise = np.random.default_rng([number, place]).normal(size=length)
            values = (make(noise, np.arange(length, dtype=np.float64)) + 100) * size
            # Half of the series without a season get one that they do not have.
            period = {"season": 12, "seaswalk": 24}.get(kind, 24 if place % 2 else None)
            yield _set(f"syn/{kind}_{length}", values, 0.0, period)


def _autoregression(noise: Floats) -> Floats:
    values = np.zeros(len(noise))
    for step in range(1, len(noise)):
        values[step] = 0.97 * values[step - 1] + noise[step]
    return values
