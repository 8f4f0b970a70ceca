"""Makes the golden vectors that Python, C on a PC and on boards agree on, from shipped digits.

    python scripts/make_vectors.py firmware_bridge/vectors

Three extracts: all blocks with 512 bits, hypervectors alone with a shared 4-bit head, and with one
that takes random features.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.bridge.knowledge import learn, load_digits
from edge.export import ExtractShape, measure_extract, with_head
from firmware_bridge import decide, decision_words, pack_extract

SAMPLES = 40
"""Keeps the file of vectors small.  Chosen by hand."""
RATE = 0.02
"""Higher than the default: some vectors are then called new."""
ROUNDS = 8
"""Eight rounds of the 64 columns: 512 random features."""


def make(folder: Path) -> None:
    """Write an extract, samples and the expected decisions, for each of the three."""
    what = load_digits()
    ground = learn(what)
    whole = measure_extract(
        ground, ExtractShape(bits=512, columns=True, plane=True, domains=ground.domains), RATE
    )
    bare = measure_extract(
        ground, ExtractShape(bits=256, columns=False, plane=False, domains=ground.domains), RATE
    )
    small = with_head(ground, bare, 4, shared=True)
    added = with_head(ground, bare, rounds=ROUNDS)
    random = np.random.default_rng(0)
    picked = random.choice(np.flatnonzero(~what.train), SAMPLES, replace=False)
    noise = random.integers(0, 256, (SAMPLES // 4, what.rows.shape[1])).astype(np.uint8)
    rows = np.concatenate([what.rows[picked], noise])
    for name, one in (("digits_all", whole), ("digits_small", small), ("digits_random", added)):
        decided = decision_words(decide(one.extract, rows)).astype("<u4")
        (folder / f"{name}.extract").write_bytes(pack_extract(one.extract))
        (folder / f"{name}.decided").write_bytes(decided.tobytes())
    (folder / "digits.features").write_bytes(rows.tobytes())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
