"""Decodes untrusted CBOR: plain values and arrays of numbers, never other objects."""

from typing import Any, Final

import cbor2
import numpy as np

DEPTH_MAX: Final = 8
"""Levels of nesting, as of JSON objects in payloads.py."""

TYPED_ARRAYS: Final = {
    64: "u1",
    69: "<u2",
    70: "<u4",
    72: "i1",
    77: "<i2",
    78: "<i4",
    84: "<f2",
    85: "<f4",
    86: "<f8",
}
"""Tags of little-endian arrays (RFC 8746, section 2)."""


def read_cbor(body: bytes) -> Any:
    """Decode plain values; a typed array becomes a list.  Raises ValueError for anything else.

    By default the library decodes some tags to dates, big numbers, regular expressions and
    references; these are refused.
    """
    try:
        return cbor2.loads(
            body, max_depth=DEPTH_MAX, tag_hook=_read_array, semantic_decoders=_REFUSED
        )
    except cbor2.CBORError as error:
        raise ValueError(f"{error.__cause__ or error}") from error


def _read_array(tag: cbor2.CBORTag, _immutable: object) -> list[Any]:
    if tag.tag not in TYPED_ARRAYS or not isinstance(tag.value, bytes):
        raise ValueError(f"the tag {tag.tag} is not supported")
    values: list[Any] = np.frombuffer(tag.value, TYPED_ARRAYS[tag.tag]).tolist()
    return values


def _refuse(_decoder: object, _immutable: object) -> object:
    raise ValueError("only plain values and arrays of numbers are supported")


_REFUSED: Final = dict.fromkeys((*range(64), *range(100, 1_200)), _refuse)
