"""Contributions: what another device has learned, as sums without facts.

A contribution holds per concept (domain, label) the integer sums of its hypervectors and blocks,
the sums of its features, one Gram matrix over all its facts, and the integer thresholds its own
facts gave.  No fact, id, subject, stream or exemplar is in it.  It comes from a device's own ledger
alone, never from what that device adopted, so nothing is counted twice or goes round in circles.
One is kept per device, replaced whole by a higher revision; an empty one drops it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from ..columns import columns_differ
from .moments import COLUMNS_MAX, Moments

Concept = tuple[str, str]
Arrays = Mapping[str, NDArray[Any]]

NAMES: Final = (
    "names",
    "counts",
    "ones",
    "sums",
    "features",
    "gram",
    "held",
    "scales",
    "usual",
    "sizes",
    "skews",
    "scores",
)
BOUND: Final = 1 << 40
"""Largest score, scale or threshold that can be true; more would overflow where it is used."""

COORDINATE_MAX: Final = 1 << 31
"""Largest coordinate of one sample, for the same reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """Sums of one device's facts, at one revision.

    card: fingerprint of its encoder card.  geometry: fingerprint of its geometry, which covers
    `seed`.  samples: facts summed, 0 where there is nothing (any more).  arrays: by the names in
    `NAMES`, integers of any size; none where samples is 0.  columns: names of the encoder's input
    columns, none where the device has none.
    """

    device: str
    card: str
    geometry: str
    seed: int
    revision: int
    samples: int = 0
    arrays: Arrays = field(default_factory=dict, repr=False)
    columns: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Hex SHA-256 of card, geometry and sums, whatever the device, the revision and the names
        of its columns."""
        state = hashlib.sha256(f"{self.card}\n{self.geometry}\n{self.samples}\n".encode())
        for name in sorted(self.arrays):
            array = shrink_sums(self.arrays[name])
            state.update(f"{name} {array.dtype.str} {array.shape};".encode() + array.tobytes())
        return state.hexdigest()

    @property
    def bare(self) -> "Contribution":
        """The same device and revision without any sums: what stays of one that cannot be used."""
        return replace(self, samples=0, arrays={})

    def fits(self, card: str, geometry: hdc.Geometry, columns: tuple[str, ...] = ()) -> bool:
        """Say whether these sums may be added to those of a card, a geometry and named columns."""
        same = self.card == card and self.geometry == geometry.fingerprint
        return same and not columns_differ(columns, self.columns)

    def replaces(self, held: "Contribution | None", geometry: hdc.Geometry) -> bool:
        """Say whether this one takes the place of the one held: it is newer, or as old and the only
        one of the two that was made with the geometry in use."""
        if held is None or self.revision != held.revision:
            return held is None or self.revision > held.revision
        here = geometry.fingerprint
        return self.geometry == here != held.geometry


@dataclass(frozen=True, slots=True, eq=False)
class ContributionSums:
    """A contribution's arrays, read and checked: all that `Knowledge` adds of it."""

    memory: hdc.Memory
    calibration: hdc.Calibration


def pack_sums(
    memory: hdc.Memory, calibration: hdc.Calibration, moments: Moments
) -> dict[str, NDArray[Any]]:
    """Arrays of a contribution: own concepts, thresholds without exemplars, and moments."""
    whole, held = memory.pack(), calibration.pack()
    at = {key: place for place, key in enumerate(memory.keys)}
    made = {
        "names": np.frombuffer("\n".join(map("\t".join, memory.keys)).encode(), np.uint8),
        **{name: whole[name] for name in ("counts", "ones", "sums")},
        **moments.pack(memory.keys),
        "held": np.array([at[key] for key in calibration.keys], np.int64),
        **{name: held[name] for name in ("scales", "usual", "sizes", "skews", "scores")},
    }
    return {name: shrink_sums(array) for name, array in made.items()}


def shrink_sums(array: NDArray[Any]) -> NDArray[Any]:
    """The same whole numbers, little-endian, in the smallest type that holds them all."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    sizes = ("u1", "u2", "u4") if low >= 0 else ("i1", "i2", "i4")
    kind = next((k for k in sizes if np.iinfo(k).min <= low and high <= np.iinfo(k).max), "i8")
    return np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<"))


def concepts_of(arrays: Arrays) -> tuple[Concept, ...]:
    """The concepts of a contribution; raises ValueError for names that cannot be any."""
    text = np.asarray(arrays["names"], np.uint8).tobytes().decode()
    pairs = tuple(tuple(line.split("\t")) for line in text.split("\n"))
    made = tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2)
    fine = len(made) == len(pairs) and all(map(_is_name, (t for pair in made for t in pair)))
    if not fine or list(made) != sorted(set(made)):
        raise ValueError("names must be sorted pairs of printable texts, each pair once")
    return made


def count_facts(arrays: Arrays) -> dict[Concept, int]:
    """How many facts each concept sums, in the order of the rows."""
    return dict(zip(concepts_of(arrays), arrays["counts"].tolist(), strict=True))


def read_contribution(contribution: Contribution, geometry: hdc.Geometry) -> ContributionSums | str:
    """Read a contribution that is not empty and fits the geometry; a text says what is wrong with
    it.  Cost: one pass over its arrays."""
    arrays = contribution.arrays
    if sorted(arrays) != sorted(NAMES) or any(a.dtype.kind not in "iu" for a in arrays.values()):
        return f"its arrays must be {', '.join(NAMES)}, of whole numbers"
    try:
        names = concepts_of(arrays)
        wrong = _shapes(arrays, names, geometry) or _ranges(arrays, contribution.samples)
        if wrong:
            return wrong
        packed_memory = {
            "domains": [domain for domain, _ in names],
            "labels": [label for _, label in names],
            **{name: arrays[name] for name in ("counts", "ones", "sums")},
        }
        memory = hdc.Memory.unpack(geometry, packed_memory)  # type: ignore[arg-type]
        return ContributionSums(memory, _calibration(arrays, names, geometry))
    except (
        hdc.HdcError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        return f"its arrays cannot be read: {error}"


def find_invalid_contribution(contribution: Contribution, geometry: hdc.Geometry) -> str:
    """Say why a contribution's sums cannot be used with the geometry they name, or nothing."""
    found = read_contribution(contribution, geometry)
    return "" if isinstance(found, ContributionSums) else found


def _calibration(
    arrays: Arrays, names: tuple[Concept, ...], geometry: hdc.Geometry
) -> hdc.Calibration:
    keys = tuple(names[place] for place in arrays["held"].tolist())
    domains = sorted({domain for domain, _ in keys})
    edges = np.cumsum(arrays["sizes"])[:-1].astype(np.intp)
    parts = [np.sort(part) for part in np.split(arrays["scores"].astype(np.int64), edges)]
    exemplars, near = hdc.empty_exemplars(geometry, len(keys))
    return hdc.Calibration(
        keys=keys,
        scales=arrays["scales"].astype(np.int64),
        references=arrays["usual"].astype(np.int64),
        scores=dict(zip(domains, parts, strict=bool(domains))),
        skews=dict(zip(domains, arrays["skews"].tolist(), strict=True)),
        exemplars=exemplars,
        exemplar_scales=near,
    )


def _shapes(arrays: Arrays, names: tuple[Concept, ...], geometry: hdc.Geometry) -> str:
    concepts, blocks = len(names), len(geometry.scales)
    columns = geometry.slices[0][1]
    half = columns * (columns + 1) // 2 if columns <= COLUMNS_MAX else 0
    held, domains = len(arrays["held"]), len(arrays["sizes"])
    expected = {
        "counts": (concepts,),
        "ones": (concepts, geometry.bits),
        "sums": (concepts, geometry.values),
        "features": (concepts, columns),
        "gram": (half,),
        "held": (held,),
        "scales": (held, blocks, 2),
        "usual": (held, 3),
        "sizes": (domains,),
        "skews": (domains,),
        "scores": (int(arrays["sizes"].sum()),),
    }
    if concepts > limits.CONTRIBUTED_CONCEPTS_MAX:
        return f"it has {concepts} concepts, {limits.CONTRIBUTED_CONCEPTS_MAX} are taken"
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            return f"{name} must be of shape {shape}, found {arrays[name].shape}"
    return ""


def _ranges(arrays: Arrays, samples: int) -> str:
    """Say which sums cannot be those of so many facts, or would overflow."""
    counts, held = arrays["counts"].astype(np.int64), arrays["held"]
    each = counts[:, None]
    fine = {
        "counts": _within(counts, 1, samples) and counts.sum() == samples,
        "ones": (arrays["ones"] >= 0).all() and (arrays["ones"] <= each).all(),
        "sums": (np.abs(arrays["sums"].astype(np.float64)) <= COORDINATE_MAX * each).all(),
        "features": (arrays["features"] >= 0).all() and (arrays["features"] <= 255 * each).all(),
        "gram": _within(arrays["gram"], 0, 255 * 255 * samples),
        "held": _within(held, 0, len(counts) - 1) and (np.diff(held.astype(np.int64)) > 0).all(),
        "scales": _within(arrays["scales"], -BOUND, BOUND) and (arrays["scales"][..., 1] > 0).all(),
        "usual": _within(arrays["usual"], -BOUND, BOUND)
        and (arrays["usual"][:, 0] >= 0).all()
        and ((arrays["usual"][:, 2] > 0) | (arrays["usual"][:, 0] == 0)).all(),
        "sizes": _within(arrays["sizes"], 1, limits.CALIBRATION_FACTS_MAX),
        "skews": _within(arrays["skews"], -BOUND, BOUND),
        "scores": _within(arrays["scores"], -BOUND, BOUND),
    }
    return next(
        (f"{name} holds what no facts sum up to" for name, one in fine.items() if not one), ""
    )


def _within(array: NDArray[Any], low: int, high: int) -> bool:
    return not array.size or bool(array.min() >= low and array.max() <= high)


def _is_name(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= limits.TEXT_CHARS_MAX


def merge_sums(
    own: hdc.Calibration, adopted: Iterable[hdc.Calibration], geometry: hdc.Geometry
) -> hdc.Calibration:
    """One calibration of several, in a fixed order, the own one first.

    Of each domain the one with most held-out samples gives the thresholds, the first of equals;
    a concept that it does not cover is as the next one says.
    """
    every = (own, *adopted)
    domains = sorted({domain for one in every for domain in one.scores})
    rank = {
        domain: sorted(
            range(len(every)), key=lambda at: (-len(every[at].scores.get(domain, ())), at)
        )
        for domain in domains
    }
    places = [{key: place for place, key in enumerate(one.keys)} for one in every]
    keys = tuple(sorted({key for one in every for key in one.keys}))
    chosen = [next(at for at in rank[key[0]] if key in places[at]) for key in keys]
    rows = [(every[at], places[at][key]) for at, key in zip(chosen, keys, strict=True)]
    blank, near = hdc.empty_exemplars(geometry, len(keys))
    shape = geometry.scales.shape
    return hdc.Calibration(
        keys=keys,
        scales=np.array([one.scales[row] for one, row in rows], np.int64).reshape(-1, *shape),
        references=np.array([one.references[row] for one, row in rows], np.int64).reshape(-1, 3),
        scores={domain: every[rank[domain][0]].scores[domain] for domain in domains},
        skews={domain: every[rank[domain][0]].skews[domain] for domain in domains},
        exemplars=tuple(one.exemplars[row] for one, row in rows) if blank else (),
        exemplar_scales=np.array([one.exemplar_scales[row] for one, row in rows], np.int64)
        if blank
        else near,
    )
