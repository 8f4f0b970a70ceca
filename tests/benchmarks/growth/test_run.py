from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.growth import run as growth
from benchmarks.growth import serving as growth_serving
from benchmarks.growth.run import Image
from edge.core.events import GrowRequest
from edge.home.home import Home
from tests import workers
from tests.homes import learned_home
from tests.worlds import vector


def test_without_data_it_is_skipped(tmp_path: Path):
    """Without the images the report names the missing files, and has no figures."""
    for data in (None, tmp_path):
        report = growth.run(data)
        assert report.summary == {}
        assert growth.FILE in report.notes[0]


def test_images_are_drawn_without_overlap():
    """The images of every class of every domain are bounded, served images are separate, and the
    draw is always the same."""
    images = [
        Image(domain, label, b"%d" % number)
        for domain in (growth.NEW, "photo")
        for label in "ab"
        for number in range(50)
    ]
    own, others, rest = growth._draw(images)  # noqa: SLF001  the run itself takes minutes
    assert len(own) == 2 * growth.OWN_A_CLASS
    assert len(others) == 2 * growth.OTHERS_A_CLASS
    assert {image.domain for image in own} == {growth.NEW}
    assert not {id(image) for image in rest} & {id(image) for image in own + others}
    assert growth._draw(images)[0] == own  # noqa: SLF001  as above


def test_images_come_back_from_the_file(tmp_path: Path):
    """Only training images are taken, each with its own bytes."""
    np.savez(
        tmp_path / growth.FILE,
        blob=np.frombuffer(b"aabbbc", np.uint8),
        offsets=np.array([0, 2, 5, 6]),
        split=np.array([0, 1, 0]),
        domain=np.array([1, 0, 0]),
        label=np.array([0, 0, 1]),
        domains=np.array(["photo", "sketch"]),
        classes=np.array(["dog", "cat"]),
    )
    found = growth._pacs(tmp_path / growth.FILE)  # noqa: SLF001  as above
    assert found == [Image("sketch", "dog", b"aa"), Image("photo", "cat", b"c")]


def test_memory_is_that_of_a_process():
    """Memory of this process is known, that of one which has ended is 0."""
    assert growth_serving.memory_mib()["VmRSS"] > 10
    assert growth_serving.memory_mib(2**22 + 1) == {"VmHWM": 0.0, "VmRSS": 0.0}
    assert growth_serving.memory_mib(os.getpid())["VmHWM"] > 10


def test_a_growth_is_watched_while_serving(tmp_path: Path):
    """Images are served until the worker's result arrives, and its cost is known."""
    with Home(learned_home(tmp_path / "home")) as home:
        home.worker = workers.worker("slow")
        payloads = [vector(1), vector(2)]
        camera = growth_serving.CameraFeed(home=home, payloads=payloads)  # type: ignore[arg-type]
        assert len(camera.serve_idle(2)) == 2
        began = time.monotonic()
        done = camera.grow(GrowRequest("hall"))
        assert 0.5 < time.monotonic() - began < 30
        assert done.news.state == "serving"
        assert len(done.latencies) > 2
        assert camera.worker_peak_mib > 10
        assert done.worker_cpu_s > 0
