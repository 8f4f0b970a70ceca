"""The sets added when peers on standardised columns joined the benchmark: tables and sound; and
later small tables and windows."""

from collections.abc import Callable
from functools import partial

from .packaged import (
    KEEL,
    KEEL_SMALL,
    WINDOWS,
    aeon_windows,
    breast_cancer,
    keel_table,
    shuttle,
)
from .sets import FeatureSet, MissingError
from .sounds import instruments, letters, prompts

SOUNDS: dict[str, Callable[[], FeatureSet]] = {
    "sound_prompts": prompts,
    "sound_letters": letters,
    "sound_instruments": instruments,
}
"""Raw sound through `log_mel`."""

SMALL: dict[str, Callable[[], FeatureSet]] = {
    **{name: partial(keel_table, name) for name in KEEL_SMALL},
    **{name: partial(aeon_windows, name) for name in WINDOWS},
}
"""Most have fewer than 100 samples of a class."""

MORE: dict[str, Callable[[], FeatureSet]] = {
    **{name: partial(keel_table, name) for name in KEEL},
    "breast_cancer": breast_cancer,
    "shuttle": shuttle,
    **SOUNDS,
}
"""Loaders by the name of the set."""


def load_more() -> tuple[list[FeatureSet], list[str]]:
    """Load all available sets, and the reasons for the missing ones."""
    sets, notes = [], []
    for name, load in (MORE | SMALL).items():
        try:
            sets.append(load())
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
    return sets, notes
