from __future__ import annotations

import pytest

from encoder import CardError, EncoderError, ModelError, PayloadError


@pytest.mark.parametrize("kind", [CardError, ModelError, PayloadError])
def test_every_error_has_one_root_and_a_hint(kind) -> None:
    """The package's errors have one base class, a message and a hint."""
    error = kind("found", "hint")
    assert isinstance(error, EncoderError)
    assert (error.message, error.hint) == ("found", "hint")
    assert str(error) == "found (hint)"
