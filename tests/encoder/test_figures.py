"""What the shipped encoders were measured to give."""

from __future__ import annotations

from encoder import SHIPPED, load_card, shipped_figures


def test_every_shipped_encoder_of_pictures_has_figures() -> None:
    """Each is measured, the default in times of itself, and the size is the file's."""
    found = shipped_figures()
    (pair,) = set(found) - set(SHIPPED)
    assert "side by side" in pair
    assert set(found) - {pair} == {
        name for name, path in SHIPPED.items() if load_card(path).kind == "image"
    }
    assert found["efficientnet_lite0"].time_ratio == 1.0
    for name, figures in found.items():
        assert 0.5 < figures.labels10 < figures.accuracy < 1
        if name == pair:
            continue
        size = SHIPPED[name].with_name("model.onnx").stat().st_size / 2**20
        assert abs(figures.mib - size) < 0.01
