"""Tasks of sound through `log_mel`, with its three taps: a new speaker, three known ones.

Windows of one recording overlap, so that whole recordings are taught or held out.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core import FactBatch, untimed_batch

from ..nas.tasks import HELD_FACTS, OTHER_FACTS, SearchTask
from ..ood.sets import FeatureSet, MissingError
from ..ood.sounds import prompts

LABELS = ((1, 15), (2, 15))
"""Pairs of the new speaker and windows a class: digits, letters, spelling words and phrases."""


def load_sound_tasks(_data: Path | None, draw: int = 0) -> tuple[list[SearchTask], list[str]]:
    """Load the tasks, or a note which packages they need.  draw: as in `load_tasks`."""
    try:
        source, features = _encoded()
    except MissingError as error:
        return [], [f"skipped sounds: {error}"]
    return [_task(source, features, one, draw) for one in LABELS], []


@cache
def _encoded() -> tuple[FeatureSet, NDArray[np.uint8]]:
    source = prompts()
    scale, zero = source.quantiser(source.values)
    levels = np.rint(source.values / scale) + zero
    return source, np.clip(levels, 0, 255).astype(np.uint8)


def _task(
    source: FeatureSet, features: NDArray[np.uint8], wanted: tuple[int, int], draw: int
) -> SearchTask:
    new, count = wanted
    assert source.group is not None
    order = np.random.default_rng([count, draw]).permutation(len(source.label))
    mine = order[source.domain[order] == new]
    # One window of each recording is taught; the rest of the recording is not used.
    firsts = mine[np.sort(np.unique(source.group[mine], return_index=True)[1])]
    label = source.label[firsts]
    taught = np.concatenate([firsts[label == one][:count] for one in np.unique(label)])
    held = firsts[~np.isin(firsts, taught)][:HELD_FACTS]
    others = order[source.domain[order] != new][: 3 * OTHER_FACTS]
    return SearchTask(
        name=f"sound-{new}-{count}",
        spans=source.slices,
        own=_facts(source, features, taught),
        others=_facts(source, features, others),
        held=features[held],
        sought=source.label[held].astype(np.str_),
    )


def _facts(source: FeatureSet, features: NDArray[np.uint8], rows: NDArray[np.intp]) -> FactBatch:
    rows = np.sort(rows)
    return untimed_batch(
        tuple(f"{row:05}" for row in rows),
        tuple(f"{domain}" for domain in source.domain[rows]),
        tuple(f"{label}" for label in source.label[rows]),
        features[rows],
    )
