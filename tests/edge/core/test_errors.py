from __future__ import annotations

import pytest

from edge.core.errors import (
    ConfigError,
    EdgeError,
    ModelMismatchError,
    StateCorruptError,
    StateError,
    StateVersionError,
)


@pytest.mark.parametrize(
    "kind", [ConfigError, ModelMismatchError, StateError, StateCorruptError, StateVersionError]
)
def test_every_error_is_an_edge_error_with_a_hint(kind):
    """One `except EdgeError` catches all, and the printed text includes the hint."""
    error = kind("found", "hint")
    assert isinstance(error, EdgeError)
    assert (error.message, error.hint) == ("found", "hint")
    assert "hint" in str(error)


def test_state_errors_share_a_root():
    """Damage and version are both about the state on disk."""
    assert issubclass(StateCorruptError, StateError)
    assert issubclass(StateVersionError, StateError)
