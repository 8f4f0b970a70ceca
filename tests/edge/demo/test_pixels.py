"""The demonstration on raw pixels."""

from __future__ import annotations

import numpy as np

from edge.core.config import Config
from edge.demo.events import DemoEvent, ImageEvent, PixelOutcome
from edge.demo.pixels import run_pixel_demo, shrink
from edge.demo.state import DemoPlan
from edge.sim.digits import load_mnist, load_optdigits
from tests.growers import accept

PLAN = DemoPlan(evaluated=60, known=160, pixels_per_digit=20)


def run() -> tuple[list[DemoEvent], PixelOutcome]:
    """The phase with few digits and without torch."""
    events: list[DemoEvent] = []
    demo = run_pixel_demo(Config(), PLAN, accept)
    while True:
        try:
            events.append(next(demo))
        except StopIteration as end:
            return events, end.value


def test_both_scanners_get_an_adaptor_and_are_routed_to_it() -> None:
    """Random features read raw pixels about as well as the default kernel, and images are routed to
    their scanner."""
    events, pixels = run()
    episodes = pixels.recording.episodes
    assert [(one.domain, one.state) for one in episodes] == [
        ("mnist", "serving"),
        ("optdigits", "serving"),
    ]
    assert episodes[0].asked_at == PLAN.known // 2
    assert pixels.after.known > pixels.before.known - 0.05
    assert pixels.routed > 0.9 * pixels.images
    assert (pixels.recording.metrics["routing_accuracy"] or 0) > 0.9
    assert sum(isinstance(event, ImageEvent) for event in events) == PLAN.known


def test_digits_shrink_to_64_pixels_and_keep_their_ink() -> None:
    """Both sources end up as vectors of one width; small images stay as they are."""
    small, large = load_optdigits(), load_mnist()
    assert shrink(small).images.shape == (len(small), 64)
    np.testing.assert_array_equal(shrink(small).images, small.images.reshape(-1, 64))
    shrunk = shrink(large)
    assert shrunk.images.shape == (len(large), 64)
    assert shrunk.images.dtype == np.uint8
    middle = large.images[:, 2:26, 2:26].astype(float).mean()
    assert abs(shrunk.images.mean() - middle) < 1
