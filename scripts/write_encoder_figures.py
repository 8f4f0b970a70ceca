r"""Write encoder/models/figures.toml, which `auricle init` shows, from a report of the benchmark.

python -m benchmarks encoders --data DIR --json REPORT.json
python scripts/write_encoder_figures.py REPORT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from encoder.figures import FIGURES, EncoderFigures

NAMES = {
    "lite0": "efficientnet_lite0",
    "lite0 spread": "efficientnet_lite0_spread",
    "lite1": "efficientnet_lite1",
    "lite2": "efficientnet_lite2",
    "lite0 + lite1 at 216": "efficientnet_lite0_spread and efficientnet_lite1 side by side at 216",
}
"""Shipped encoders, and the best two of them side by side, by their names in the report."""
DIGITS = 4
"""Places after the point: tenths of a point, and one more for rounding."""


def figures_text(report: dict[str, object]) -> str:
    """Return the file's text; encoders that the report lacks are left out."""
    rows = report["rows"]
    assert isinstance(rows, list)
    found = {(row["method"], row["metric"]): row["value"] for row in rows}
    lines = ["# Measured by `python -m benchmarks encoders`; see encoder/figures.py for the keys."]
    for name, shipped in NAMES.items():
        if (name, "labels10") in found:
            lines += ["", f"[{shipped if shipped.isidentifier() else json.dumps(shipped)}]"]
            lines += [
                f"{key} = {round(found[name, key], DIGITS)}" for key in EncoderFigures._fields
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    FIGURES.write_text(figures_text(given), encoding="utf-8")
    print(f"wrote {FIGURES}")
