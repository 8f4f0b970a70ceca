"""Session state: the arrays and numbers of an object by name, checked when they come back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import StateError
from .forecaster import State


def load_state(thing: object, names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Return copies of the named arrays and numbers of a thing."""
    return {name: np.array(getattr(thing, name)) for name in names}


def state_dict(thing: object, names: Sequence[str], state: State) -> None:
    """Write what `take` returned back.  Raises StateError where a name is missing, a shape or dtype
    differs, or a float is not finite; nothing is written then."""
    for name in names:
        _check(name, np.array(getattr(thing, name)), state)
    for name in names:
        held = getattr(thing, name)
        if isinstance(held, np.ndarray):
            held[...] = state[name]
        else:
            setattr(thing, name, type(held)(state[name]))


def nest_state(prefix: str, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """Return a state with a prefix before its names."""
    return {f"{prefix}.{name}": array for name, array in state.items()}


def unnest_state(prefix: str, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """Return what `nest` was given."""
    start = f"{prefix}."
    return {name[len(start) :]: one for name, one in state.items() if name.startswith(start)}


def _check(name: str, held: np.ndarray[Any, Any], state: State) -> None:
    found = state.get(name)
    fits = found is not None and found.shape == held.shape and found.dtype.kind == held.dtype.kind
    if found is None or not fits or (found.dtype.kind == "f" and not np.isfinite(found).all()):
        raise StateError(
            f"restoring a forecaster: expected finite {held.dtype} {held.shape} named {name},"
            f" found {None if found is None else (str(found.dtype), found.shape)}",
            "start it anew: what it learned of the stream comes back with the samples",
        )
