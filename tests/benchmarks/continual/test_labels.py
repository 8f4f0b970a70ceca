from __future__ import annotations

import numpy as np

from benchmarks.continual.labels import run
from benchmarks.continual.labels_peers import LabelTask, peer_answers


def task() -> LabelTask:
    """Two labels far apart, in two taps."""
    random = np.random.default_rng(1)
    labels = np.arange(40) % 2
    rows = (3 * labels[:, None] + random.standard_normal((40, 6))).astype(np.float32)
    return LabelTask(rows[:8], labels[:8], rows[8:24], labels[8:24], rows[24:])


def test_every_peer_answers_in_every_way():
    """Each peer sees the first tap and all, the new labels and both, and gets easy ones right."""
    found = peer_answers(task(), ((0, 4), (4, 6)))
    for peer in ("linear probe", "knn", "ranpac"):
        ways = {name.split("/")[1] for name in found if name.startswith(peer)}
        assert ways == {"first new", "first both", "all new", "all both"}
        best = max(np.mean(f == np.arange(24, 40) % 2) for n, f in found.items() if peer in n)
        assert best > 0.9


def test_without_data_it_is_skipped():
    """Without measurements the report has no figures."""
    report = run(None)
    assert not report.rows
    assert "skipped" in report.notes[0]
