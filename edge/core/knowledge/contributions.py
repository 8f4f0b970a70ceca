"""Contributions: another device's knowledge as sums without facts, for federated learning.

A contribution holds per concept (domain, label) the integer sums of its hypervectors and blocks,
the sums of its features, one Gram matrix over all its facts, and integer thresholds calibrated on
its own facts.  It contains no fact, id, subject, stream or exemplar, and no two revisions differ by
fewer than eight facts (`cohorts`).  It is made from a device's own ledger alone, never from other
devices' contributions, so nothing is counted twice.  One contribution is kept per device; a higher
revision replaces it whole, and an empty one removes it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from ..columns import columns_differ
from ..facts import Ledger
from ..structs import FrozenStruct
from .cohorts import CohortPlan
from .moments import GRAM_COLUMNS_MAX, Moments

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
RANKS: Final = "ranks"
"""A further array of sums of several contributions, which no device's own one has: int64 [held, 2],
the held-out samples of the domain at the device that a row of thresholds is from, and a digest
that breaks ties; see `fleet_sums`."""

MEMBERS: Final = "members"
"""A further array of sums of several contributions: int64 [devices], the sorted numbers of the
devices whose facts these are; see `fleet_members`."""

TIE_MAX: Final = (1 << 56) - 1
"""Largest digest in `RANKS` and `MEMBERS`: seven bytes."""

GRAM_ROUNDING: Final = 1e-9
"""Relative error allowed where squares of sums are compared as float64, which rounds at 1e-16."""

THRESHOLD_MAX: Final = 1 << 40
"""Largest score, scale or threshold accepted; larger ones would overflow int64 where they are
used."""

COORDINATE_MAX: Final = 1 << 31
"""Largest coordinate of one sample accepted, for the same reason."""


class Contribution(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """Sums of one device's facts, at one revision.

    card: fingerprint of its encoder card.  geometry: fingerprint of its geometry, which covers
    `seed`; geometry_version: of the algorithm that fitted it.  samples: number of facts summed.
    arrays: by the names in `NAMES`, integers of any width, and `RANKS` and `MEMBERS` in sums of
    several; empty if samples is 0.  columns: names of the encoder's input columns, if the device
    has any.  devices: how many devices' facts these are.
    """

    device: str
    card: str
    geometry: str
    seed: int
    revision: int
    samples: int = 0
    arrays: Arrays = msgspec.field(default_factory=dict)
    columns: tuple[str, ...] = ()
    geometry_version: int = 1
    devices: int = 1

    @property
    def content(self) -> str:
        """Hex SHA-256 of card, geometry and sums; independent of device, revision and column
        names."""
        state = hashlib.sha256(f"{self.card}\n{self.geometry}\n{self.samples}\n".encode())
        for name in sorted(self.arrays):
            array = shrink_sums(self.arrays[name])
            state.update(f"{name} {array.dtype.str} {array.shape};".encode() + array.tobytes())
        return state.hexdigest()

    @property
    def without_sums(self) -> "Contribution":
        """The same device and revision without sums: kept of one that cannot be used."""
        return msgspec.structs.replace(self, samples=0, arrays={})

    def fits(self, card: str, geometry: hdc.Geometry, columns: tuple[str, ...] = ()) -> bool:
        """Return whether these sums can be added to those of a card, geometry and columns."""
        same = self.card == card and self.geometry == geometry.fingerprint
        return same and not columns_differ(columns, self.columns)

    def replaces(self, held: "Contribution | None", geometry: hdc.Geometry) -> bool:
        """Return whether this replaces the contribution held: it is newer, or of the same revision
        and the only one of the two that can be used with the geometry in use.  A device gives
        every change a new revision, so one without sums at the same revision was refused here."""
        if held is None or self.revision != held.revision:
            return held is None or self.revision > held.revision
        here, unused = geometry.fingerprint, self.samples > held.samples == 0
        return self.geometry == here and (held.geometry != here or unused)


class Publication(FrozenStruct, frozen=True, eq=False):
    """A contribution, and the plan of cohorts to record durably before it leaves the device."""

    contribution: Contribution
    plan: CohortPlan


class ContributionSums(FrozenStruct, frozen=True, eq=False):
    """A contribution's arrays, parsed and validated, as `Knowledge` adds them."""

    memory: hdc.Memory
    calibration: hdc.Calibration


def pack_sums(
    memory: hdc.Memory, calibration: hdc.Calibration, moments: Moments
) -> dict[str, NDArray[Any]]:
    """Return a contribution's arrays: own concepts, thresholds without exemplars, moments."""
    concepts, thresholds = memory.pack(), calibration.pack()
    at = {key: place for place, key in enumerate(memory.keys)}
    made = {
        "names": np.frombuffer("\n".join(map("\t".join, memory.keys)).encode(), np.uint8),
        **{name: concepts[name] for name in ("counts", "ones", "sums")},
        **moments.pack(memory.keys),
        "held": np.array([at[key] for key in calibration.keys], np.int64),
        **{name: thresholds[name] for name in ("scales", "usual", "sizes", "skews", "scores")},
    }
    return {name: shrink_sums(array) for name, array in made.items()}


def shrink_sums(array: NDArray[Any]) -> NDArray[Any]:
    """Return the same integers, little-endian, in the narrowest type that holds all of them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    size = next((n for n in (1, 2, 4) if -low <= 1 << 8 * n - 1 and high < 1 << 8 * n - 1), 8)
    if low >= 0:
        size = next((n for n in (1, 2, 4) if high < 1 << 8 * n), 8)
    kind = f"{'u' if low >= 0 and size < 8 else 'i'}{size}"
    return np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<"))


def concepts_of(arrays: Arrays) -> tuple[Concept, ...]:
    """Return the concepts of a contribution; raises ValueError for invalid names."""
    text = np.asarray(arrays["names"], np.uint8).tobytes().decode()
    pairs = tuple(tuple(line.split("\t")) for line in text.split("\n"))
    made = tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2)
    valid = len(made) == len(pairs) and all(map(_is_name, (t for pair in made for t in pair)))
    if not valid or list(made) != sorted(set(made)):
        raise ValueError("names must be sorted pairs of printable texts, each pair once")
    return made


def count_facts(arrays: Arrays) -> dict[Concept, int]:
    """Return the number of facts in each concept, in the order of rows."""
    return dict(zip(concepts_of(arrays), arrays["counts"].tolist(), strict=True))


def read_contribution(contribution: Contribution, geometry: hdc.Geometry) -> ContributionSums | str:
    """Parse a contribution that is not empty and fits the geometry; a text is the reason why it is
    invalid.  Cost: one pass over its arrays."""
    arrays = contribution.arrays
    if set(arrays) not in ({*NAMES}, {*NAMES, RANKS, MEMBERS}) or any(
        a.dtype.kind not in "iu" or not np.can_cast(a.dtype, np.int64) for a in arrays.values()
    ):
        return f"its arrays must be {', '.join(NAMES)}, of whole numbers that fit int64"
    try:
        names = concepts_of(arrays)
        wrong = (
            _shapes(arrays, names, geometry)
            or _ranges(arrays, contribution.samples)
            or _wrong_members(arrays.get(MEMBERS), contribution.devices)
        )
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
    """Return why a contribution's sums are invalid for the geometry they name; empty if valid."""
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
    half = columns * (columns + 1) // 2 if columns <= GRAM_COLUMNS_MAX else 0
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
    } | ({RANKS: (held, 2)} if RANKS in arrays else {})
    if concepts > limits.CONTRIBUTED_CONCEPTS_MAX:
        return f"it has {concepts} concepts, at most {limits.CONTRIBUTED_CONCEPTS_MAX} are accepted"
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            return f"{name} must be of shape {shape}, found {arrays[name].shape}"
    return ""


def _ranges(arrays: Arrays, samples: int) -> str:
    """Return which array cannot be a sum of so many facts, or would overflow."""
    counts, held = arrays["counts"].astype(np.int64), arrays["held"]
    each = counts[:, None]
    most = THRESHOLD_MAX
    checks = {
        "counts": _within(counts, 1, samples) and counts.sum() == samples,
        "ones": (arrays["ones"] >= 0).all() and (arrays["ones"] <= each).all(),
        "sums": (np.abs(arrays["sums"].astype(np.float64)) <= COORDINATE_MAX * each).all(),
        "features": (arrays["features"] >= 0).all() and (arrays["features"] <= 255 * each).all(),
        "gram": _within(arrays["gram"], 0, 255 * 255 * samples)
        and _is_gram_of(arrays["gram"], arrays["features"], samples),
        "held": _within(held, 0, len(counts) - 1) and (np.diff(held.astype(np.int64)) > 0).all(),
        "scales": _within(arrays["scales"], -most, most) and (arrays["scales"][..., 1] > 0).all(),
        "usual": _within(arrays["usual"], -most, most)
        and (arrays["usual"][:, 0] >= 0).all()
        and ((arrays["usual"][:, 2] > 0) | (arrays["usual"][:, 0] == 0)).all(),
        "sizes": _within(arrays["sizes"], 1, min(samples, limits.CALIBRATION_FACTS_MAX)),
        "skews": _within(arrays["skews"], -most, most),
        "scores": _within(arrays["scores"], -most, most),
        RANKS: _are_ranks(arrays.get(RANKS), samples),
    }
    return next(
        (f"{name} holds values that no facts sum up to" for name, one in checks.items() if not one),
        "",
    )


def _is_gram_of(gram: NDArray[Any], features: NDArray[Any], samples: int) -> bool:
    """Return whether the squares of columns can be those of features 0 to 255 with these sums: at
    least the square of the sum by the number of samples, and at most 255 times the sum."""
    if not gram.size:
        return True
    sums = features.sum(axis=0, dtype=np.float64)
    places = np.arange(1, len(sums) + 1)
    squares = gram[places * (places + 1) // 2 - 1].astype(np.float64)
    least = sums * sums / samples * (1 - GRAM_ROUNDING)
    return bool((squares >= least).all() and (squares <= 255 * sums).all())


def _are_ranks(ranks: NDArray[Any] | None, samples: int) -> bool:
    """Return whether these can be ranks: no device held out more facts than the sum has."""
    most = min(samples, limits.CALIBRATION_FACTS_MAX)
    return ranks is None or (_within(ranks[:, 0], 1, most) and _within(ranks[:, 1], 0, TIE_MAX))


def _wrong_members(members: NDArray[Any] | None, devices: int) -> str:
    """Return why these are not the numbers of so many devices; empty if they are."""
    if members is None and devices > 1:
        return (
            f"it is a sum of {devices} devices that does not name them, as those of earlier"
            " releases: update the aggregator that made it"
        )
    found = 1 if members is None else len(members)
    if found != devices:
        return f"it names {found} members, and is of {devices} devices"
    rising = members is None or (np.diff(members.astype(np.int64)) > 0).all()
    if members is None or (members.ndim == 1 and rising and _within(members, 0, TIE_MAX)):
        return ""
    return "its members must be sorted numbers of seven bytes, each once"


def _within(array: NDArray[Any], low: int, high: int) -> bool:
    return not array.size or bool(array.min() >= low and array.max() <= high)


def _is_name(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= limits.TEXT_CHARS_MAX


def merge_thresholds(
    own: hdc.Calibration, contributed: Iterable[hdc.Calibration], geometry: hdc.Geometry
) -> hdc.Calibration:
    """Merge calibrations in a fixed order, the own one first.

    Each domain's thresholds come from the calibration with most held-out samples there, the first
    of equals; a concept that it does not cover comes from the next one.
    """
    every = (own, *contributed)
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
        doubts={
            domain: every[rank[domain][0]].doubts[domain]
            for domain in domains
            if domain in every[rank[domain][0]].doubts
        },
        exemplars=tuple(one.exemplars[row] for one, row in rows) if blank else (),
        exemplar_scales=np.array([one.exemplar_scales[row] for one, row in rows], np.int64)
        if blank
        else near,
    )


def conflicting_contributions(contributing: Iterable[str], ledger: Ledger) -> str:
    """Name the devices whose sums do not fit the geometry in use; empty if all do.  contributing:
    those whose sums do."""
    names = {one.device for one in ledger.contributions().values() if one.samples}
    out = ", ".join(sorted(names - set(contributing)))
    return f"of another geometry, and left out: {out}" if out else ""
