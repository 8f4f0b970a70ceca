"""The table of strategies."""

from collections.abc import Callable, Mapping
from typing import Final

from .strategy import Strategy, StreamShape

StrategyKind = Callable[[StreamShape, int], Strategy]
"""Begins a strategy from the shape of a stream and a seed."""

STRATEGIES: Final[Mapping[str, StrategyKind]] = {}
"""Each strategy by its short name."""
