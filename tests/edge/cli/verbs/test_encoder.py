from __future__ import annotations

from pathlib import Path

import numpy as np

import encoder
from tests.homes import CARD, run, run_json
from tests.worlds import WIDTH


def samples(folder: Path) -> Path:
    """Vectors to calibrate on."""
    np.savez(folder / "samples.npz", features=np.random.default_rng(1).normal(size=(50, WIDTH)))
    return folder / "samples.npz"


def test_a_card_is_calibrated_in_place(tmp_path):
    """A card without quantiser gets one from sample data."""
    card = tmp_path / "raw.toml"
    encoder.save_card(encoder.vector_card(WIDTH), card)
    result = run("encoder", "calibrate", card, samples(tmp_path), "--granularity", "channel")
    assert result.exit_code == 0, result.output
    assert "frozen" in result.stdout
    assert encoder.load_card(card).quantiser is not None


def test_a_frozen_card_is_not_overwritten(tmp_path):
    """A calibrated card that homes may use is not overwritten; the new one goes to --out."""
    card = tmp_path / "frozen.toml"
    encoder.save_card(CARD, card)
    result = run("encoder", "calibrate", card, samples(tmp_path))
    assert result.exit_code == 1
    assert "calibrated already" in result.stderr
    assert encoder.load_card(card).fingerprint == CARD.fingerprint
    made = run_json("encoder", "calibrate", card, samples(tmp_path), "--out", tmp_path / "new.toml")
    assert made["fingerprint"] == encoder.load_card(tmp_path / "new.toml").fingerprint


def test_a_file_that_is_no_model_gets_no_card(tmp_path):
    """A file that is not an ONNX model is refused, and an existing card is not overwritten."""
    (tmp_path / "model.onnx").write_text("text", "utf-8")
    result = run("encoder", "card", tmp_path / "model.onnx")
    assert result.exit_code == 1
    assert "ONNX" in result.stderr
    (tmp_path / "model.card.toml").write_text("mine", "utf-8")
    result = run("encoder", "card", tmp_path / "model.onnx")
    assert "exists already" in result.stderr


def test_a_foreign_model_gets_a_card(tmp_path):
    """The shipped model, described like any other, gets a card with its taps."""
    shipped = encoder.load_card(encoder.SHIPPED["efficientnet_lite0"])
    assert shipped.folder is not None
    assert shipped.file is not None
    model = tmp_path / "model.onnx"
    model.write_bytes(Path(shipped.folder, shipped.file).read_bytes())
    made = run_json("encoder", "card", model)
    card = encoder.load_card(made["card"])
    assert {tap.output for tap in card.taps} == {tap.output for tap in shipped.taps}
    assert card.quantiser is None


def test_an_encoder_is_varied(tmp_path):
    """Early taps of a shipped encoder make an encoder of their own, and a home can use it."""
    out = tmp_path / "early"
    made = run_json(
        "encoder", "vary", "efficientnet_lite0", "--taps", "stage3,stage2", "--out", out
    )
    card = encoder.load_card(made["card"])
    assert [tap.name for tap in card.taps] == ["stage3", "stage2"]
    assert made["fingerprint"] == card.fingerprint
    assert run("init", tmp_path / "home", "--encoder", out / "card.toml").exit_code == 0
    result = run("encoder", "vary", out / "card.toml", "--flip", "--out", out)
    assert "exists already" in result.stderr
    both = run_json(
        "encoder", "vary", out / "card.toml", "--beside", made["card"], "--out", tmp_path / "both"
    )
    assert encoder.load_card(both["card"]).width == 2 * card.width


def test_one_change_at_a_time(tmp_path):
    """None or two changes are refused, and nothing is written."""
    for changes in ((), ("--flip", "--side", "192")):
        result = run("encoder", "vary", "efficientnet_lite0", *changes, "--out", tmp_path / "new")
        assert result.exit_code == 1
        assert "one change" in result.stderr
    result = run("encoder", "vary", "efficientnet_lite0", "--crops", 5, "--out", tmp_path / "new")
    assert "give --side too" in result.stderr
    assert not (tmp_path / "new").exists()


def test_the_section_on_other_forms_exists(source):
    """`init` names a section of the documentation, which has the commands for two encoders."""
    page = (source / "docs/howto/encoder.md").read_text("utf-8")
    part = page.partition("\n## Other forms of an encoder\n")[2].partition("\n## ")[0]
    assert "--beside" in part
    assert "--side 216" in part


def test_a_new_home_says_what_other_encoders_give(tmp_path):
    """One line with the gains and one with the way to them for pictures, none for sound; the
    figures are those of the package."""
    result = run("init", tmp_path / "pictures")
    (line,) = [one for one in result.stdout.splitlines() if one.startswith("other encoders")]
    assert "side by side" in line
    assert "efficientnet_lite0 " not in line
    assert "efficientnet_lite2 " not in line  # it takes longer and gains nothing
    assert "with all labels / with ten labels a class in a new style" in line
    assert "times the time" in line
    place = "docs/howto/encoder.md, section Other forms of an encoder"
    assert f"two side by side: the commands are in {place}" in result.stdout
    assert "efficientnet_lite1 +" in line
    assert "one of them: auricle init FOLDER --encoder NAME" in result.stdout
    slower = run("init", tmp_path / "slower", "--encoder", "efficientnet_lite2")
    assert "efficientnet_lite0_spread +" in slower.stdout
    found = run_json("init", tmp_path / "again")["encoders"]
    assert next(iter(found)) == "efficientnet_lite0_spread"
    assert found["efficientnet_lite1"] == encoder.shipped_figures()["efficientnet_lite1"]._asdict()
    assert "other encoders" not in run("init", tmp_path / "ears", "--encoder", "log_mel").stdout
