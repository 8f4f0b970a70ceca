"""When the console fits the geometry of a home by itself."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from edge.web.client import AskError
from edge.web.console import Console
from edge.web.geometry import FITTED_FROM, FITTED_TO, fit_first_geometry


class Asked:
    """A console whose daemon has so many facts.  refuses: it does not fit."""

    def __init__(self, facts: int, *, fitted: bool = False, refuses: bool = False) -> None:
        self.body = {"facts": facts, "geometry": {"fitted": fitted}}
        self.refuses, self.verbs = refuses, list[str]()

    async def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Answer a question."""
        assert fields == {"home": "hall"}
        self.verbs.append(verb)
        if verb == "fit-geometry" and self.refuses:
            raise AskError("it is a member of a fleet")
        return self.body


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (Asked(FITTED_FROM - 1), False),
        (Asked(FITTED_FROM), True),
        (Asked(FITTED_TO), True),
        (Asked(FITTED_TO + 1), False),
        (Asked(FITTED_FROM, fitted=True), False),
    ],
)
def test_it_is_fitted_once_and_never_for_long(asked: Asked, fits: bool) -> None:
    """From enough examples on, up to so many that decisions do not wait for long."""
    assert asyncio.run(fit_first_geometry(cast("Console", asked), "hall")) is fits
    assert ("fit-geometry" in asked.verbs) is fits


def test_a_daemon_that_refuses_changes_nothing_for_the_label() -> None:
    """The label was stored; it is not refused because the geometry cannot be fitted."""
    asked = Asked(FITTED_FROM, refuses=True)
    assert asyncio.run(fit_first_geometry(cast("Console", asked), "hall")) is False
