"""The camera source: frames of a camera or a video file, by OpenCV (extra `camera`)."""

import time
from collections.abc import Iterator
from typing import Any, Final

from ..config import CameraStream
from ..extras import install_command
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata, session_recording
from .polling import PollingPause, UnavailableError

STALE_FRAMES: Final = 2
"""Frames that V4L2 drivers buffer: dropped before each read, so that a frame is current."""


class CameraSource:
    """Yields frames as RGB pixels, uint8 [height, width, 3], at a fixed interval; `live`."""

    live = True
    problem = ""

    def __init__(self, stream: str, settings: CameraStream) -> None:
        self._stream, self._settings = stream, settings
        device = settings.device
        self._is_number = device.isdigit()
        self._endless = self._is_number or device.startswith("/dev/") or "://" in device

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        video, frames, session_ns = self._open(), 0, time.time_ns()
        try:
            while not pause.stopped:
                started_s = time.monotonic()
                pixels = self._frame(video)
                if pixels is None:
                    if self._ends(video, frames):
                        return
                    frames = 0
                    continue
                frames += 1
                at_ns = time.time_ns()
                metadata = MeasurementMetadata(
                    subject=self._settings.subject,
                    captured_at_ns=at_ns,
                    recording=session_recording(self._stream, session_ns, at_ns),
                )
                yield Measurement(self._stream, pixels, metadata)
                pause.wait(max(0.0, self._settings.every_s - (time.monotonic() - started_s)))
        finally:
            video.release()

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def _open(self) -> Any:
        try:
            import cv2
        except ImportError as error:
            raise UnavailableError(
                f"reading a camera needs OpenCV: {install_command('camera')}"
            ) from error
        name = self._settings.device
        video = cv2.VideoCapture(int(name) if self._is_number else name)
        if not video.isOpened():
            video.release()
            raise UnavailableError(
                f"the camera {name} cannot be opened: check that it exists and is not in use"
            )
        return video

    def _frame(self, video: Any) -> Any:
        """Return the newest frame in RGB; None if there is none."""
        if self._is_number:
            for _ in range(STALE_FRAMES):
                video.grab()
        success, pixels = video.read()
        return pixels[..., ::-1] if success and pixels is not None and pixels.ndim == 3 else None

    def _ends(self, video: Any, frames: int) -> bool:
        """Return whether a video has ended, or rewind it; raises UnavailableError for a camera
        without frames."""
        name = self._settings.device
        if self._endless or not frames:
            raise UnavailableError(f"{name} gives no frames")
        if not self._settings.loop:
            return True
        import cv2

        if not video.set(cv2.CAP_PROP_POS_FRAMES, 0):
            raise UnavailableError(f"the video {name} cannot be rewound")
        return False
