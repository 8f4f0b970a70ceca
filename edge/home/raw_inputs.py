"""Raw inputs of recent observations, in memory, to show to a person who labels them; only if the
settings allow it."""

import io
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

BYTES_MAX: Final = 32 << 20
"""Bytes of all raw inputs in memory.  Chosen by hand; effect not measured."""

RAW_BYTES_MAX: Final = 1 << 20
"""Bytes of one raw input: a camera's JPEG file fits.  Chosen by hand; effect not measured."""


class RawInputs:
    """The newest raw inputs by observation, at most `BYTES_MAX` in total.

    Image files are kept unchanged, pixels as PPM, subsampled until they fit; windows of sound or
    of sensor values as npy.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._nbytes = 0

    def add(self, key: str, payload: object) -> None:
        """Keep an observation's payload if it is an image or a window that fits."""
        raw = _raw_of(payload)
        if raw is None:
            return
        self.drop((key,))
        self._kept[key] = raw
        self._nbytes += len(raw)
        while self._nbytes > BYTES_MAX:
            _, oldest = self._kept.popitem(last=False)
            self._nbytes -= len(oldest)

    def of(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the kept raw inputs of observations."""
        return {key: self._kept[key] for key in keys if key in self._kept}

    def get(self, key: str) -> bytes | None:
        """Return the raw input of an observation, None if it is not kept."""
        return self._kept.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def drop(self, keys: Iterable[str]) -> None:
        """Drop the raw inputs of observations."""
        for key in keys:
            self._nbytes -= len(self._kept.pop(key, b""))


def window_of(raw: bytes) -> NDArray[np.float32] | None:
    """Return the window [n, channels] that a raw input holds, None if it holds no window."""
    if not raw.startswith(np.lib.format.MAGIC_PREFIX):
        return None
    try:
        window = np.load(io.BytesIO(raw), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    whole = isinstance(window, np.ndarray) and window.ndim == 2 and window.dtype.kind == "f"
    return window.astype(np.float32) if whole else None


def _raw_of(payload: object) -> bytes | None:
    if isinstance(payload, np.ndarray):
        if payload.dtype.kind == "f" and payload.ndim == 2 and payload.nbytes <= RAW_BYTES_MAX:
            written = io.BytesIO()
            np.save(written, payload, allow_pickle=False)
            return written.getvalue()
        if payload.dtype != np.uint8 or payload.ndim != 3 or payload.shape[2] != 3:
            return None
        every = int(np.ceil(np.sqrt(payload.size / RAW_BYTES_MAX)))
        pixels = np.ascontiguousarray(payload[::every, ::every])
        return b"P6 %d %d 255\n" % pixels.shape[1::-1] + pixels.tobytes()
    if isinstance(payload, bytes) and len(payload) <= RAW_BYTES_MAX:
        return payload
    return None
