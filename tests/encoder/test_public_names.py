from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import encoder

HEAVY = "('onnxruntime', 'PIL', 'torch', 'sklearn', 'onnx')"
SCRIPT = f"""
import sys
import numpy as np
import encoder
def heavy():
    return sorted(name for name in sys.modules if name.split('.')[0] in {HEAVY})
assert heavy() == [], heavy()
card = encoder.vector_card(3)
quantiser = encoder.freeze_quantiser(np.eye(3), card.slices)
with encoder.open_model(encoder.vector_card(3, quantiser=quantiser)) as model:
    assert model.encode([0, 1, 0.5]).values.tolist() == [0, 204, 102]
assert heavy() == [], heavy()
"""


def test_the_door_exports_its_names() -> None:
    """Every public name exists and is documented."""
    for name in encoder.__all__:
        assert getattr(encoder, name) is not None
    assert encoder.__all__ == sorted(
        encoder.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n)
    )


def test_nothing_heavy_is_loaded_before_it_is_needed(source: Path) -> None:
    """Importing the room and encoding ready-made vectors load no runtime and no image library."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60, cwd=source)
