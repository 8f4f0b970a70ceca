"""Small unlike tasks from data that come with the packages of the extra `sim`: no download.

To add a task: one function and one entry of SMALL_TASKS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ...backbone import DAY_STEPS, simulate_links
from ...core import ConfigError
from ..adaptation.source_model import seeded
from ..digits import OPTDIGITS_MAX, load_mnist, load_optdigits
from .strategy import LabelledPart, StreamTask, TaskStream
from .streams import split_rows

Values = NDArray[np.float64]
Names = tuple[str, ...]

SMALL_COLUMNS: Final = 64
"""Columns of every task: eight by eight pixels.  Shorter rows are padded with zeros."""
SIDE: Final = 8
"""Pixels of a side of every picture."""
SMALL_TASKS_MIN: Final = 8
"""Fewest tasks of the stream."""
TILE: Final = 16
"""Pixels of a side of a patch of the map, half of those of a patch of a photograph.  Chosen by
hand."""
DAYS: Final = 14
"""Simulated days of link loads, of which the last may have failures and is not used."""
LINKS: Final = 4
"""Busiest links of which windows are taken."""
LOAD_STEPS: Final = 48
"""Five-minute steps of a window of link loads: four hours."""
TONES_EACH: Final = 100
"""Synthesised tones of each waveform."""
TONE_SAMPLES: Final = 512
"""Samples of a synthesised tone."""
TONE_NOISE: Final = 0.25
"""Standard deviation of the noise on a tone of amplitude one.  Chosen by hand."""
TERTILES: Final = (1 / 3, 2 / 3)
"""Quantiles at which the progression of diabetes is cut into three classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallTask:
    """Rows [n, up to 64] with the number of their label [n].  year: when the data were published,
    the order of the stream; kind: of the data; generated: made by a program, not measured."""

    year: int
    kind: str
    rows: Values = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)
    labels: Names
    generated: bool = False


def _table(name: str, year: int) -> SmallTask:
    """Return a table of scikit-learn."""
    from sklearn import datasets

    held = getattr(datasets, f"load_{name}")()
    labels = tuple(str(one) for one in held.target_names)
    return SmallTask(
        year=year, kind="table", rows=held.data, targets=held.target.astype(np.int64), labels=labels
    )


def iris() -> SmallTask:
    """Return three species of iris by four lengths (Fisher 1936)."""
    return _table("iris", 1936)


def wine() -> SmallTask:
    """Return three cultivars of wine by thirteen chemical measurements (Forina et al. 1991)."""
    return _table("wine", 1991)


def breast_cancer() -> SmallTask:
    """Return tumours, benign or not, by thirty measurements of cell nuclei (Street et al. 1993)."""
    return _table("breast_cancer", 1993)


def optdigits() -> SmallTask:
    """Return handwritten digits of eight by eight pixels (Alpaydin and Kaynak 1998)."""
    digits = load_optdigits()
    pixels = digits.images.reshape(len(digits), -1).astype(np.float64) * (OPTDIGITS_MAX / 255)
    return SmallTask(
        year=1998, kind="digits", rows=pixels, targets=digits.labels, labels=tuple("0123456789")
    )


def mnist() -> SmallTask:
    """Return handwritten digits, the inner 24 by 24 pixels in means of three by three (LeCun et
    al. 1998)."""
    digits = load_mnist()
    inner = digits.images[:, 2:26, 2:26].astype(np.float64)
    return SmallTask(
        year=1998,
        kind="digits",
        rows=_reduced(inner),
        targets=digits.labels,
        labels=tuple("0123456789"),
    )


def diabetes() -> SmallTask:
    """Return patients by ten measurements; the progression after a year in three classes of equal
    size (Efron et al. 2004, whose task is its prediction as a number)."""
    from sklearn.datasets import load_diabetes

    held = load_diabetes()
    targets = np.digitize(held.target, np.quantile(held.target, TERTILES))
    return SmallTask(
        year=2004,
        kind="table",
        rows=held.data,
        targets=targets.astype(np.int64),
        labels=("slow", "middle", "fast"),
    )


def photographs() -> SmallTask:
    """Return spectra of grey patches of the two photographs that come with scikit-learn, and which
    one it is."""
    from sklearn.datasets import load_sample_images

    held = load_sample_images()
    parts = [_patches(np.asarray(picture, np.float64).mean(2), 2 * TILE) for picture in held.images]
    targets = np.repeat(np.arange(len(parts)), [high * wide for _, high, wide in parts])
    rows = np.concatenate([_spectra(patches) for patches, _, _ in parts])
    labels = tuple(Path(name).stem for name in held.filenames)
    return SmallTask(year=2010, kind="textures", rows=rows, targets=targets, labels=labels)


def terrain() -> SmallTask:
    """Return spectra of patches of a map of heights along a fault, from matplotlib's sample data,
    and whether they lie in the west or in the east."""
    from matplotlib.cbook import get_sample_data

    held: Any = get_sample_data("jacksboro_fault_dem.npz")
    heights = np.asarray(held["elevation"], np.float64)
    patches, high, wide = _patches(heights, TILE)
    targets = np.tile(np.arange(wide) * 2 // wide, high)
    return SmallTask(
        year=2012, kind="textures", rows=_spectra(patches), targets=targets, labels=("west", "east")
    )


def link_loads() -> SmallTask:
    """Return windows of the loads of the busiest links of a simulated backbone, each in shares of
    its mean, and which sixth of the day it is.  Generated."""
    world = simulate_links("nsfnet", seed=0, days=DAYS, quiet_days=DAYS - 1)
    quiet = world.loads[: (DAYS - 1) * DAY_STEPS].astype(np.float64)
    busiest = np.argsort(-quiet.mean(0), kind="stable")[:LINKS]
    windows = quiet[:, busiest].reshape(-1, LOAD_STEPS, LINKS).swapaxes(1, 2)
    rows = windows.reshape(-1, LOAD_STEPS)
    shares = rows / rows.mean(1, keepdims=True)
    sixths = DAY_STEPS // LOAD_STEPS
    targets = np.repeat(np.tile(np.arange(sixths), DAYS - 1), LINKS)
    labels = tuple(f"from {24 // sixths * at} h" for at in range(sixths))
    return SmallTask(
        year=2025, kind="sensors", rows=shares, targets=targets, labels=labels, generated=True
    )


def tones() -> SmallTask:
    """Return spectra of tones of four waveforms at random pitch, in noise.  Generated: no sound
    comes with the packages."""
    random = np.random.default_rng(0)
    shapes: dict[str, Callable[[Values], Values]] = {
        "sine": np.sin,
        "square": lambda phase: np.asarray(np.sign(np.sin(phase))),
        "saw": lambda phase: np.asarray(2 * ((phase / (2 * np.pi)) % 1) - 1),
        "triangle": lambda phase: np.asarray(2 * np.arcsin(np.sin(phase)) / np.pi),
    }
    rows = []
    at = np.arange(TONE_SAMPLES)
    for wave in shapes.values():
        for _ in range(TONES_EACH):
            # Periods of 32 to 128 samples: four harmonics of the highest pitch are heard.
            phase = 2 * np.pi * (at / random.uniform(32, 128) + random.random())
            heard = wave(phase) + random.normal(0, TONE_NOISE, TONE_SAMPLES)
            power = np.abs(np.fft.rfft(heard * np.hanning(TONE_SAMPLES)))[1 : 2 * SMALL_COLUMNS + 1]
            rows.append(np.log1p(power.reshape(SMALL_COLUMNS, 2).sum(1)))
    targets = np.repeat(np.arange(len(shapes)), TONES_EACH)
    return SmallTask(
        year=2025,
        kind="sounds",
        rows=np.array(rows),
        targets=targets,
        labels=tuple(shapes),
        generated=True,
    )


SMALL_TASKS: Final[dict[str, Callable[[], SmallTask]]] = {
    "iris": iris,
    "wine": wine,
    "breast cancer": breast_cancer,
    "optdigits": optdigits,
    "mnist": mnist,
    "diabetes": diabetes,
    "photographs": photographs,
    "terrain": terrain,
    "link loads": link_loads,
    "tones": tones,
}
"""The tasks by name, by the year of their data; generated ones last.  Faces are missing: those of
scikit-learn are downloaded."""


def small_stream(
    world: str, held_out: float, samples: int, seed: int
) -> tuple[TaskStream, tuple[str, ...]]:
    """Return the stream of small tasks in the manner of NEVIS'22 (Bornschein et al. 2022, arXiv
    2211.11747): unlike tasks one after another, each known when a row is answered.  And which tasks
    are left out because their data are missing.

    samples: of each task, at most.  Each task is quantised with one scale for each column, frozen
    on its rows to learn.  Raises ConfigError if fewer than eight tasks are left.  Cost: seconds.
    """
    found, left_out = {}, []
    for name, make in SMALL_TASKS.items():
        try:
            found[name] = make()
        except (OSError, KeyError, ValueError) as error:  # A package without its sample data.
            left_out.append(f"{name} ({error})")
    if len(found) < SMALL_TASKS_MIN:
        raise ConfigError(
            f"making the stream of small tasks: expected {SMALL_TASKS_MIN} tasks, found"
            f" {len(found)}; missing: {'; '.join(left_out)}",
            "install scikit-learn and matplotlib from PyPI, with their sample data",
        )
    labels = tuple(f"{name}: {label}" for name, one in found.items() for label in one.labels)
    tasks, begin = [], 0
    for at, (name, one) in enumerate(found.items()):
        title = f"{name} (generated)" if one.generated else name
        train, test = _parts(one, name, held_out, samples, seed)
        tasks.append(StreamTask(title, _placed(train, begin, at), _placed(test, begin, at)))
        begin += len(one.labels)
    stream = TaskStream(
        world=world,
        variant="by year",
        tasks=tuple(tasks),
        spans=((0, SMALL_COLUMNS),),
        labels=labels,
        domains=tuple(task.name for task in tasks),
        task_given=True,
    )
    return stream, tuple(left_out)


def _parts(
    task: SmallTask, name: str, held_out: float, samples: int, seed: int
) -> tuple[LabelledPart, LabelledPart]:
    """Return the quantised rows to learn and those held out, numbered from 0."""
    drawn = seeded("small", name).permutation(len(task.rows))[:samples]
    rows, targets = task.rows[drawn], task.targets[drawn]
    learned, held = split_rows(targets, held_out, seeded("small", name, seed))
    width = rows.shape[1]
    quantiser = encoder.freeze_quantiser(
        rows[learned].astype(np.float32), [slice(0, width)], "channel"
    )
    levels = np.zeros((len(rows), SMALL_COLUMNS), np.uint8)
    levels[:, :width] = quantiser.quantise(rows.astype(np.float32))
    whole = LabelledPart(levels, targets, np.zeros(len(rows), np.int64))
    return whole.select(learned), whole.select(held)


def _placed(part: LabelledPart, begin: int, domain: int) -> LabelledPart:
    """Return a part with its labels numbered from `begin` and its domain."""
    return LabelledPart(part.features, part.targets + begin, np.full(len(part), domain, np.int64))


def _patches(picture: Values, side: int) -> tuple[Values, int, int]:
    """Return the square patches [n, side, side] of a picture, row by row, and how many lie below
    and beside each other."""
    high, wide = (size // side for size in picture.shape)
    cut = picture[: high * side, : wide * side].reshape(high, side, wide, side)
    return cut.swapaxes(1, 2).reshape(-1, side, side), high, wide


def _spectra(patches: Values) -> Values:
    """Return the eight by eight lowest frequencies of patches [n, side, side], as log of 1 +
    amplitude: where things lie in a patch does not count."""
    window = np.hanning(patches.shape[1])
    centred = patches - patches.mean((1, 2), keepdims=True)
    amplitudes = np.abs(np.fft.fft2(centred * window[:, None] * window))
    return np.asarray(np.log1p(amplitudes[:, :SIDE, :SIDE]).reshape(len(patches), -1))


def _reduced(pictures: Values) -> Values:
    """Return square pictures [n, side, side] as means of blocks [n, 64]."""
    block = pictures.shape[1] // SIDE
    blocks = pictures.reshape(len(pictures), SIDE, block, SIDE, block)
    return np.asarray(blocks.mean((2, 4)).reshape(len(pictures), -1))
