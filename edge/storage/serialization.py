"""Serialization of arrays, and of data that holds arrays: one safetensors block, no pickle.

Everything that is not an array is msgpack in an array of its own; types are checked on decoding.
safetensors is imported on first use, since a start of the daemon seldom needs it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

HEAD: Final = "head"  # name of the array that holds the msgpack
T = TypeVar("T")


def pack_data(value: Any) -> bytes:
    """Serialize a dataclass of plain values, arrays and other such dataclasses."""
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {}

    def encode(part: Any) -> str | dict[str, Any]:
        if isinstance(part, Mapping):
            return dict(part)
        if not isinstance(part, np.ndarray):
            raise TypeError(f"packing: expected plain values and arrays, found {type(part)}")
        name = f"array {len(arrays)}"
        arrays[name] = np.asarray(part, order="C")
        return name

    head = msgspec.msgpack.encode(value, enc_hook=encode)
    return save({**arrays, HEAD: np.frombuffer(head, np.uint8)})


def unpack_data(block: bytes, kind: type[T]) -> T:
    """Deserialize a value of a type; raises ValueError for bytes of anything else.

    Shapes and dtypes of arrays are not checked: they are as the sender wrote them.
    """
    arrays = unpack_arrays(block)
    head = arrays.pop(HEAD, np.zeros(0, np.uint8))

    def decode(_kind: Any, name: Any) -> NDArray[Any]:
        if not (isinstance(name, str) and name in arrays):
            raise ValueError("an array is missing")
        return arrays[name]

    return msgspec.msgpack.decode(head.tobytes(), type=kind, dec_hook=decode)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Serialize named arrays as a safetensors block."""
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack_arrays(block: bytes) -> dict[str, NDArray[Any]]:
    """Return the named arrays of a safetensors block; raises ValueError for other bytes."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(block)
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error


class LazyArrays(Mapping[str, NDArray[Any]]):
    """Named arrays that are read on first access.  load: reads them all, or raises StateError.

    An adaptor version that is kept for a rollback takes no memory while it does not serve.
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
