from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge import EdgeError
from edge.sim.samples import decode_image, read_samples
from edge.sim.scenarios import DomainSpec


def encoded(value: int) -> bytes:
    """A small grey PNG."""
    target = io.BytesIO()
    Image.new("L", (6, 5), value).save(target, "png")
    return target.getvalue()


def test_shipped_digits_are_images_or_vectors() -> None:
    """The same source serves an image encoder and one of ready-made features."""
    images = read_samples(DomainSpec(source="optdigits", classes=("3",)))
    vectors = read_samples(DomainSpec(source="optdigits", classes=("3",)), flat=True)
    assert set(images.labels) == {"3"}
    assert images.read(0).shape == (8, 8)
    assert vectors.taps == (("pixels", 64),)
    assert np.array_equal(images.read(5).ravel(), vectors.read(5))


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    """Images are read by class folder, in order; other files are left alone."""
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(7))
    (tmp_path / "a" / "notes.txt").touch()
    samples = read_samples(DomainSpec(source=str(tmp_path)))
    assert samples.labels == ("a", "b")
    assert decode_image(samples.read(0)).shape == (5, 6, 3)


def test_encoded_images_in_an_npz_are_cut_by_offsets(tmp_path: Path) -> None:
    """Image i is the bytes between two offsets; `where` and `names` choose and name rows."""
    files = [encoded(value) for value in (10, 20, 30)]
    offsets = np.cumsum([0, *map(len, files)])
    path = tmp_path / "images.npz"
    blob = np.frombuffer(b"".join(files), np.uint8)
    np.savez(
        path, blob=blob, offsets=offsets, label=[0, 1, 1], domain=[0, 0, 1], classes=["u", "v"]
    )
    domain = DomainSpec(source=str(path), labels="label", names="classes", where={"domain": 0})
    samples = read_samples(domain)
    assert samples.labels == ("u", "v")
    assert samples.read(1) == files[1]


def test_several_feature_arrays_become_taps(tmp_path: Path) -> None:
    """Arrays are put side by side and keep their names."""
    path = tmp_path / "f.npz"
    np.savez(path, last=np.ones((4, 3)), first=np.zeros((4, 2)), labels=list("abab"))
    samples = read_samples(DomainSpec(source=str(path), data=("last", "first")))
    assert samples.taps == (("last", 3), ("first", 2))
    assert samples.read(0).tolist() == [1, 1, 1, 0, 0]
    assert samples.spread().tolist() == [0] * 5


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": "nothing"},
        {"data": ("nothing",)},
        {"data": ("short",)},
        {"data": ("objects",)},
        {"names": "short"},
        {"where": {"labels": "z"}},
        {"classes": ("z",)},
        {"source": "nowhere"},
    ],
)
def test_a_source_that_does_not_match_its_description_is_refused(tmp_path: Path, changes) -> None:
    """Missing keys, wrong lengths, pickled objects and absent classes are errors with a hint."""
    path = tmp_path / "f.npz"
    objects = np.array([{}, {}, {}], dtype=object)
    np.savez(path, features=np.ones((3, 4)), labels=list("abc"), short=np.ones(2), objects=objects)
    given = {"source": str(path)} | changes
    with pytest.raises(EdgeError) as caught:
        read_samples(DomainSpec(**given))
    assert caught.value.hint


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    """Half an archive is an error of ours."""
    path = tmp_path / "f.npz"
    np.savez(path, features=np.ones((30, 40)), labels=["a"] * 30)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(EdgeError):
        read_samples(DomainSpec(source=str(path)))
