"""Parametric traces: distances of weights and of concept directions to those of a twin.

After Hong et al. 2024, "Intrinsic evaluation of unlearning using parametric knowledge traces",
section 5: an unlearned model may answer well while the vectors that stand for a concept hardly
move.  There the distance is taken to the model before; a twin that never saw the facts is the
stronger reference, and the distance between the home before and the twin is the unit.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core.adaptors import Adaptor
from .answers import AuditedModel
from .findings import Figure, Finding

Floats = NDArray[np.float64]

SOURCE: Final = "Hong et al. 2024, Intrinsic evaluation of unlearning, section 5"


def parametric_finding(
    served: AuditedModel, twin: AuditedModel, before: AuditedModel | None
) -> Finding:
    """Compare the weights and the directions of concepts with the twin's.  before: the home before
    the request, if it is known."""
    weights = _distance(_weights(served), _weights(twin))
    bits = _differing_bits(served.memory, twin.memory)
    figures = [
        Figure(name="distance of the weights to the twin's", value=weights),
        Figure(name="lowest cosine of a label's direction", value=_lowest_cosine(served, twin)),
        Figure(name="differing bits of concepts", value=bits),
    ]
    if before is not None:
        unit = _distance(_weights(before), _weights(twin))
        moved = 100 * weights / unit if unit else 0.0
        figures.append(
            Figure(name="share of the distance before that is left", value=moved, unit="%")
        )
    same = weights == 0 and bits == 0
    return Finding(
        key="parametric_traces",
        title="Weights and directions of concepts",
        evidence="proven",
        outcome="holds" if same else "fails",
        text="All weights and the directions of all concepts are those of the twin."
        if same
        else "Weights or directions of concepts differ from those of the twin.",
        source=SOURCE,
        figures=tuple(figures),
    )


def _weights(model: AuditedModel) -> dict[str, Floats]:
    """Return all arrays of a model's adaptors by a name, for labels and columns that it has."""
    return dict(_named(model.adaptors))


def _named(adaptors: Mapping[str, Adaptor]) -> Iterator[tuple[str, Floats]]:
    for domain, adaptor in adaptors.items():
        weights = getattr(adaptor, "weights", None)
        if weights is not None:
            for column, label in enumerate(adaptor.labels):
                yield f"{domain}/{label}", weights[:, column].astype(np.float64)
        transform = getattr(adaptor, "transform", None)
        if transform is not None:
            for name, array in transform.arrays.items():
                yield f"{domain}:{name}", np.asarray(array, np.float64).ravel()


def _distance(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> float:
    """Return the distance between two sets of named arrays; an array that one lacks, or that has
    another length, counts in full."""
    total = 0.0
    for name in one.keys() | other.keys():
        first, second = one.get(name), other.get(name)
        if first is None or second is None or len(first) != len(second):
            present = [array for array in (first, second) if array is not None]
            total += sum(float(array @ array) for array in present)
        else:
            total += float(((first - second) ** 2).sum())
    return float(np.sqrt(total))


def _lowest_cosine(served: AuditedModel, twin: AuditedModel) -> float:
    one, other = _weights(served), _weights(twin)
    found = [1.0]
    for name in sorted(one.keys() & other.keys()):
        first, second = one[name], other[name]
        size = float(np.linalg.norm(first) * np.linalg.norm(second))
        if "/" in name and len(first) == len(second) and size and not np.array_equal(first, second):
            found.append(float(first @ second) / size)
    return min(found)


def _differing_bits(one: hdc.Memory | None, other: hdc.Memory | None) -> int:
    """Count the bits in which the majorities of concepts differ; a concept that one lacks counts
    with all its bits."""
    mine, theirs = _majorities(one), _majorities(other)
    total = 0
    for key in mine.keys() | theirs.keys():
        first, second = mine.get(key), theirs.get(key)
        if first is None or second is None:
            total += len(first if first is not None else second)  # type: ignore[arg-type]
        else:
            total += int((first != second).sum())
    return total


def _majorities(memory: hdc.Memory | None) -> dict[tuple[str, str], NDArray[np.bool_]]:
    if memory is None or not memory.keys:
        return {}
    packed = memory.pack()
    ones, counts = packed["ones"], packed["counts"]
    return {key: row * 2 > count for key, row, count in zip(memory.keys, ones, counts, strict=True)}
