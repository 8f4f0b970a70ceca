"""Data with arrays in it as bytes, for pipes and blobs: one safetensors block, no pickle.

What is not an array travels as msgpack in an array of its own; types are checked on arrival.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load, save

HEAD: Final = "head"
T = TypeVar("T")


def pack_data(value: Any) -> bytes:
    """Turn a dataclass of plain values, other such dataclasses and arrays into bytes."""
    arrays: dict[str, NDArray[Any]] = {}

    def put(part: Any) -> str | dict[str, Any]:
        if isinstance(part, Mapping):
            return dict(part)
        if not isinstance(part, np.ndarray):
            raise TypeError(f"packing: expected plain values and arrays, found {type(part)}")
        name = f"array {len(arrays)}"
        arrays[name] = np.asarray(part, order="C")
        return name

    head = msgspec.msgpack.encode(value, enc_hook=put)
    return save({**arrays, HEAD: np.frombuffer(head, np.uint8)})


def unpack_data(parcel: bytes, kind: type[T]) -> T:
    """Return the value that bytes stand for; raises ValueError where they are not of this kind.

    The arrays' own shapes and dtypes are whatever the sender gave them.
    """
    arrays = unpack_arrays(parcel)
    head = arrays.pop(HEAD, np.zeros(0, np.uint8))

    def take(_kind: Any, name: Any) -> NDArray[Any]:
        if not (isinstance(name, str) and name in arrays):
            raise ValueError("an array is missing")
        return arrays[name]

    return msgspec.msgpack.decode(head.tobytes(), type=kind, dec_hook=take)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Turn named arrays into a safetensors block."""
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack_arrays(block: bytes) -> dict[str, NDArray[Any]]:
    """Return the named arrays of a safetensors block; raises ValueError for other bytes."""
    try:
        return load(block)
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error
