"""Raw inputs of recent observations, in memory, so that a person who is asked for a label can see
the observation.  Only where the settings allow it."""

import io
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

BYTES_MAX: Final = 32 << 20
RAW_BYTES_MAX: Final = 1 << 20


class RawInputs:
    """The newest raw inputs by observation, at most `BYTES_MAX` together.

    Images: files as they came, pixels as PPM, thinned until they fit.  Windows of sound or of
    sensor values: npy.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._nbytes = 0

    def add(self, key: str, payload: object) -> None:
        """Keep an observation's payload, where it is an image or a window that fits."""
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
        """Return what is kept of some observations."""
        return {key: self._kept[key] for key in keys if key in self._kept}

    def drop(self, keys: Iterable[str]) -> None:
        """Let go of some observations."""
        for key in keys:
            self._nbytes -= len(self._kept.pop(key, b""))


def window_of(raw: bytes) -> NDArray[np.float32] | None:
    """Return the window [n, channels] that was kept as raw input, None where it is none."""
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
