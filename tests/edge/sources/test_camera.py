from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edge.config.streams import CameraStream
from edge.sources.factory import SourceContext, open_source
from tests.edge.sources.sinks import Kept, wait_for

cv2 = pytest.importorskip("cv2", reason="the extra `camera` is not installed")

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


@pytest.fixture
def video(tmp_path):
    """A video of three frames: blue, green, red, in OpenCV's channel order."""
    path = tmp_path / "film.avi"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 24))
    for colour in COLOURS:
        film.write(np.full((24, 32, 3), colour, np.uint8))
    film.release()
    return path


def play(tmp_path, sink: Kept, **settings: Any) -> Any:
    """Start a camera source."""
    place = SourceContext(tmp_path, tmp_path, None)
    source = open_source("cam", CameraStream(every_s=0.001, **settings), place, sink)
    assert source is not None
    source.start()
    return source


def test_a_video_ends_after_its_last_frame(tmp_path, video):
    """Frames arrive as RGB, in order, and then the source ends without a problem."""
    sink = Kept()
    source = play(tmp_path, sink, device=str(video))
    wait_for(lambda: source.ended)
    means = [one.payload.reshape(-1, 3).mean(axis=0) for one in sink.measurements]
    assert [mean.argmax() for mean in means] == [2, 1, 0]
    assert all(mean.max() > 240 and mean.min() < 10 for mean in means)
    assert not source.problem
    # One session, named by the stream and the time at which the camera was started.
    (session,) = {one.metadata.recording for one in sink.measurements}
    assert re.fullmatch(r"cam \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", session)


def test_a_video_can_loop(tmp_path, video):
    """With `loop` the video starts again."""
    sink = Kept()
    source = play(tmp_path, sink, device=str(video), loop=True)
    wait_for(lambda: len(sink.measurements) > 7)
    source.stop(5)
    assert not source.ended


@pytest.mark.parametrize("device", ["63", "missing.avi", "empty.avi"])
def test_a_missing_camera_is_reported(tmp_path, device):
    """The problem names a missing device or a file without frames."""
    (tmp_path / "empty.avi").write_bytes(b"")
    name = device if device.isdigit() else str(tmp_path / device)
    source = play(tmp_path, Kept(), device=name)
    wait_for(lambda: source.problem)
    source.stop(5)
    assert name in source.problem
