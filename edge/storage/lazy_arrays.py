"""Arrays that stay in their file until somebody looks at them."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from numpy.typing import NDArray


class LazyArrays(Mapping[str, NDArray[Any]]):
    """Named arrays, read once when first asked for.  load: reads them, or raises StateError.

    The version before the one that serves is kept for a rollback; it takes no memory meanwhile.
    """

    def __init__(self, load: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
        self._load = load

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @cached_property
    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return self._load()
