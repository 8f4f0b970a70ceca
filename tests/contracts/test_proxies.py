"""The contract of zero-shot proxies, for every entry of the table."""

import numpy as np
import pytest

from nas import PROXIES, NasError
from tests.blueprints import BLUEPRINTS as BY_KIND
from tests.nas.sketches import build, sketch

BLUEPRINTS = list(BY_KIND.values())
WITHOUT_NETWORK = {"random", "parameters", "macs", "tangent", "smoothed"}


@pytest.fixture(params=list(PROXIES))
def name(request):
    """Each proxy; those that evaluate networks need torch."""
    if request.param not in WITHOUT_NETWORK:
        pytest.importorskip("torch")
    return request.param


def test_a_proxy_gives_one_score_per_blueprint(name):
    """Scores are float64, one per blueprint, without NaN."""
    scores = PROXIES[name](BLUEPRINTS, sketch(), build, 1)
    assert scores.dtype == np.float64
    assert scores.shape == (len(BLUEPRINTS),)
    assert not np.isnan(scores).any()


def test_a_proxy_is_reproducible(name):
    """The same seed gives bit-equal scores."""
    first, second = (PROXIES[name](BLUEPRINTS, sketch(), build, 5) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_proxy_distinguishes_blueprints(name):
    """Different blueprints do not all have the same score."""
    assert len(np.unique(PROXIES[name](BLUEPRINTS, sketch(), build, 1))) > 1


def test_a_proxy_does_not_modify_the_task(name):
    """Rows, targets and flags of the sketch stay the same."""
    task, untouched = sketch(), sketch()
    PROXIES[name](BLUEPRINTS, task, build, 1)
    assert np.array_equal(task.rows, untouched.rows)
    assert np.array_equal(task.targets, untouched.targets)
    assert np.array_equal(task.own, untouched.own)


def test_a_proxy_works_on_few_facts(name):
    """Two facts of two labels give finite scores."""
    scores = PROXIES[name](BLUEPRINTS, sketch(own=2, others=0, classes=2), build, 1)
    assert not np.isnan(scores).any()


def test_only_network_proxies_need_networks(name):
    """Without `build`, a proxy scores blueprints or raises an error that names it."""
    if name in WITHOUT_NETWORK:
        assert len(PROXIES[name](BLUEPRINTS, sketch(), None, 1)) == len(BLUEPRINTS)
        return
    with pytest.raises(NasError, match="builds them") as caught:
        PROXIES[name](BLUEPRINTS, sketch(), None, 1)
    assert "build" in caught.value.hint
