"""Session state as a dictionary of arrays, checked when it is loaded.

The keys are part of the stored format.  They stay the same where an attribute is renamed:
`stored_as` maps attributes to such keys.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np

from ..errors import StateError
from .forecaster import State

_SAME: Final[Mapping[str, str]] = MappingProxyType({})


class Stateful(Protocol):
    """A part of a forecaster that is saved and restored."""

    def state(self) -> State:
        """Return everything learned."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


def state_dict(
    owner: object, attributes: Sequence[str], stored_as: Mapping[str, str] = _SAME
) -> dict[str, np.ndarray[Any, Any]]:
    """Return copies of the owner's arrays and numbers by key."""
    return {stored_as.get(name, name): np.array(getattr(owner, name)) for name in attributes}


def load_state(
    owner: object,
    attributes: Sequence[str],
    state: State,
    stored_as: Mapping[str, str] = _SAME,
) -> None:
    """Set the owner's attributes from a state.

    Raises StateError and changes nothing where a key is missing, a shape or dtype differs, or a
    float is not finite.
    """
    for name in attributes:
        _check(stored_as.get(name, name), np.array(getattr(owner, name)), state)
    for name in attributes:
        current, loaded = getattr(owner, name), state[stored_as.get(name, name)]
        if isinstance(current, np.ndarray):
            current[...] = loaded
        else:
            setattr(owner, name, type(current)(loaded))


def nest_state(prefix: str, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """Return a state with `prefix.` before its keys."""
    return {f"{prefix}.{name}": array for name, array in state.items()}


def unnest_state(prefix: str, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """Return the part of a state whose keys start with `prefix.`, without the prefix."""
    start = f"{prefix}."
    return {name[len(start) :]: one for name, one in state.items() if name.startswith(start)}


def _check(key: str, current: np.ndarray[Any, Any], state: State) -> None:
    found = state.get(key)
    fits = (
        found is not None
        and found.shape == current.shape
        and found.dtype.kind == current.dtype.kind
    )
    if found is None or not fits or (found.dtype.kind == "f" and not np.isfinite(found).all()):
        raise StateError(
            f"restoring a forecaster: expected finite {current.dtype} {current.shape} under {key},"
            f" found {None if found is None else (str(found.dtype), found.shape)}",
            "start the series again: it is learned again from new samples",
        )
