"""The model that comes with the package: it is whole, and on real images it agrees with float32."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from encoder import (
    IMAGE_VERSION,
    SHIPPED,
    describe_model,
    load_card,
    open_model,
    shipped_card,
)

IMAGES_A_DOMAIN = 25
WIDTHS = {
    "features": 1280,
    "stage1": 16,
    "stage2": 24,
    "stage3": 40,
    "stage4": 80,
    "stage5": 112,
    "stage6": 192,
    "stage7": 320,
}


@pytest.fixture(scope="module")
def model():
    """The shipped model, open."""
    with open_model("efficientnet_lite0") as opened:
        yield opened


def test_every_shipped_model_is_whole() -> None:
    """Card, model, licence and notice lie together, and the digest is the file's."""
    for name, path in SHIPPED.items():
        card = load_card(path)
        assert card.name == name
        assert card.file is not None
        data = (path.parent / card.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == card.sha256
        assert card.licence == "Apache-2.0"
        assert "Apache License" in (path.parent / "LICENSE").read_text("utf-8")
        assert "Changes made" in (path.parent / "NOTICE").read_text("utf-8")


def test_the_taps_are_those_of_efficientnet_lite0(model) -> None:
    """The head and the seven stages, each with one scale."""
    assert {tap.name: tap.width for tap in model.card.taps} == WIDTHS
    for part in model.card.slices:
        assert len(set(model.card.quantiser.scale[part].tolist())) == 1
    assert model.card.quantiser.zero[0] == 0


def test_no_trace_of_the_machine_is_in_the_file(model) -> None:
    """The graph holds no file path of the machine that made it."""
    data = Path(model.card.folder, model.card.file).read_bytes()
    assert re.findall(rb"/(?:home|root|usr|tmp|work)/|\.py\b", data) == []


def test_the_shipped_model_tells_pictures_apart(model) -> None:
    """scikit-learn's two sample photographs differ far more than a photograph and its mirror."""
    datasets = pytest.importorskip("sklearn.datasets")
    china, flower = datasets.load_sample_images().images
    rows = model.encode_batch([china, np.ascontiguousarray(china[:, ::-1]), flower])[:, :1280]
    one, mirror, other = rows.astype(float)
    assert cosine(one, mirror) > 0.9
    assert cosine(one, other) < 0.5


def test_features_agree_with_float32_on_real_images(model, data_folder: Path) -> None:
    """The mean cosine with float32 is at least 0.99 in every tap and domain, in no tap below
    that of an int8 file calibrated on PACS; fewer than 0.1 % of the values are clipped."""
    reference = data_folder.parent / "models" / "efficientnet_lite0_fp32.onnx"
    peer = reference.with_name("efficientnet_lite0_int8.onnx")
    if not (reference.exists() and peer.exists()):
        pytest.skip("needs the reference models next to the data")
    images = real_images(data_folder)
    mine = model.measure(images)
    exact, theirs = (measured(path, model.card, images) for path in (reference, peer))
    for part in model.card.slices:
        similar = cosines(exact[:, part], mine[:, part]).reshape(4, IMAGES_A_DOMAIN).mean(axis=1)
        assert similar.min() >= 0.99
        assert similar.mean() >= cosines(exact[:, part], theirs[:, part]).mean()
        assert model.card.quantiser.clipped(mine)[part].mean() < 0.001


def real_images(folder: Path) -> list[bytes]:
    """The same number of images of each PACS domain, as WebP."""
    with np.load(folder / "pacs_webp65.npz", allow_pickle=False) as archive:
        blob, offsets, domain = archive["blob"], archive["offsets"], archive["domain"]
    rows = [
        row
        for number in range(4)
        for row in np.flatnonzero(domain == number)[:: (domain == number).sum() // IMAGES_A_DOMAIN][
            :IMAGES_A_DOMAIN
        ]
    ]
    return [blob[offsets[row] : offsets[row + 1]].tobytes() for row in rows]


def measured(path: Path, card, images: list[bytes]) -> np.ndarray:
    """Features of another file with the shipped card's preparation and taps."""
    outputs = [tap.output for tap in card.taps]
    with open_model(describe_model(path, preparation=card.preparation, outputs=outputs)) as other:
        return other.measure(images)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of two rows."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cosine of each pair of rows."""
    return np.array([cosine(*pair) for pair in zip(one, other, strict=True)])


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("efficientnet_lite0", "d4b11dcaf5c9725774c2423812bb2d8c18d58d05cf44e299a7ac6db0a926a322"),
        ("efficientnet_lite0", "dd60310aa1400c93a34538f77a1c24c53ca2efc0fcc76258af838323678d9535"),
        (
            "efficientnet_lite0_spread",
            "006462feb37ef07945f20e2fcf49add90c3692245c3b6e6e06bd895e4d072c2f",
        ),
        ("efficientnet_lite1", "955493b6c57c00ba9a4f90ecf87147a961fd32c34727726b3b9ffb6dd36b0d49"),
        ("efficientnet_lite2", "d49afc43b0b116a5bc3f70e9e82a43ef0fe2fc7a0f22500068ff7c15b0e51b25"),
    ],
)
def test_earlier_cards_are_still_shipped(name: str, fingerprint: str) -> None:
    """Ledgers name the fingerprint that they were made with, and it must find its card; an unknown
    fingerprint finds the newest."""
    assert shipped_card(name, fingerprint).fingerprint == fingerprint
    newest = shipped_card(name)
    assert newest.preparation.version == IMAGE_VERSION
    assert shipped_card(name, "0" * 64) == newest
    assert shipped_card(name, newest.fingerprint) == newest
