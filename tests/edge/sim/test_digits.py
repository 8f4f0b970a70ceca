"""The digits of the demonstration and the scenarios."""

from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import ConfigError, StateCorruptError
from edge.sim import digits


def test_mnist_holds_500_images_of_each_digit():
    """The shipped file holds the images that its licence note lists."""
    mnist = digits.load_mnist()
    assert mnist.images.shape == (5000, 28, 28)
    assert mnist.images.dtype == np.uint8
    assert np.bincount(mnist.labels).tolist() == [500] * 10


def test_mnist_shows_bright_ink_on_a_dark_ground():
    """The corners of a digit are empty and its middle is not."""
    images = digits.load_mnist().images
    assert images[:, :2, :2].mean() < 1
    assert images[:, 10:18, 10:18].mean() > 50


def test_optdigits_use_the_whole_range_of_grey():
    """Sixteen grey steps become 0 to 255."""
    optdigits = digits.load_optdigits()
    assert optdigits.images.shape == (1797, 8, 8)
    assert optdigits.images.dtype == np.uint8
    assert [int(optdigits.images.min()), int(optdigits.images.max())] == [0, 255]
    assert set(optdigits.labels.tolist()) == set(range(10))


def test_select_keeps_images_and_labels_together():
    """Rows come in the requested order."""
    mnist = digits.load_mnist()
    taken = mnist.select(np.array([4999, 0]))
    assert taken.labels.tolist() == [9, 0]
    assert np.array_equal(taken.images[0], mnist.images[4999])


def test_shipped_file_is_small_and_holds_nothing_else(source: Path):
    """Two arrays, within the size limit."""
    path = source / "edge" / "sim" / "data" / "mnist_subset.npz"
    with np.load(path, allow_pickle=False) as held:
        assert sorted(held) == ["images", "labels"]
    assert path.stat().st_size <= 1_500_000


def test_a_damaged_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A broken installation gives an error with a hint, not a traceback of numpy."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist_subset.npz").write_bytes(b"not an archive")
    monkeypatch.setattr(digits, "files", lambda _package: tmp_path)
    with pytest.raises(StateCorruptError, match="install auricle again"):
        digits.load_mnist()


def test_a_sampler_draws_every_image_once():
    """Images are drawn without replacement, and the seed decides the order."""
    sampler = digits.DigitSampler(digits.load_optdigits(), 1)
    parts = [sampler.draw_evenly(20), sampler.draw(1000), sampler.draw(597)]
    assert np.bincount(parts[0].labels).tolist() == [20] * 10
    assert len(sampler) == 0
    drawn = np.concatenate([part.images for part in parts])
    assert sorted(map(bytes, drawn)) == sorted(map(bytes, digits.load_optdigits().images))
    again = digits.DigitSampler(digits.load_optdigits(), 1).draw_evenly(20)
    assert np.array_equal(again.images, parts[0].images)


@pytest.mark.parametrize("evenly", [True, False])
def test_a_sampler_that_runs_short_raises(evenly: bool):
    """Drawing more than is left is an error, and draws nothing."""
    sampler = digits.DigitSampler(digits.load_optdigits(), 1)
    with pytest.raises(ConfigError, match="1797 are left"):
        sampler.draw_evenly(179) if evenly else sampler.draw(1798)
    assert len(sampler) == 1797
