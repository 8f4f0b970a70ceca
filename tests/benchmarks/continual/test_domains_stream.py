from __future__ import annotations

import numpy as np
import pytest

import encoder
from benchmarks.continual.domains_stream import (
    PacsStream,
    StreamRun,
    labelled_accuracy,
    run_stream,
    summarise,
)
from tests.worlds import clouds

WIDE = 64
EACH = 150


def toy() -> PacsStream:
    """Four domains of two clouds each, a tenth held out."""
    rows = [
        values
        for domain in range(4)
        for values in clouds((2 * domain, 2 * domain + 1), EACH, seed=domain, width=WIDE)
    ]
    count = 4 * 2 * EACH
    quantiser = encoder.Quantiser(np.ones(WIDE, np.float32), np.zeros(WIDE, np.int32))
    return PacsStream(
        np.array(rows),
        np.arange(count) // EACH % 2,
        np.arange(count) // (2 * EACH),
        np.arange(count) % 10 == 0,
        encoder.vector_card(WIDE, "toy", quantiser),
    )


def run_(names: dict[tuple[int, str], int], *matrix: tuple[float, ...]) -> StreamRun:
    """A run that filed facts so, with these accuracies."""
    return StreamRun(
        order=(0, 1, 2, 3),
        matrix=matrix,
        with_domain=0.9,
        heads=0.7,
        grown=2,
        names=names,
        alarms=3,
        delays=(20, 30),
        served=0.8,
    )


def test_domains_far_apart_are_all_found():
    """On clouds far apart each domain is opened once and hardly a label goes astray."""
    pytest.importorskip("torch")
    pacs = toy()
    found = summarise([run_stream(pacs, (2, 0, 3, 1), 0)])
    assert found["domains_found_error"] == 0
    assert found["opened_twice"] == 0
    assert found["misfiled_labels"] < 0.02
    assert found["end_to_end_accuracy"] > 0.95
    assert found["told_boundaries_gap_max"] < 0.02
    assert labelled_accuracy(pacs) > 0.95


def test_figures_of_runs():
    """Domains found twice, missed, or filed under others' names are counted as such."""
    names = {(0, "a"): 90, (1, "b"): 8, (1, "c"): 1, (2, "a"): 1}
    found = summarise([run_(names, (0.9, 0.1), (0.8, 0.7))])
    assert found["domains_found_error"] == 1
    assert (found["heads_alone_accuracy"], found["adaptors_serving"]) == (0.7, 2)
    assert found["opened_twice"] == 1
    assert found["misfiled_labels"] == pytest.approx(0.01)
    assert found["end_to_end_accuracy"] == pytest.approx(0.75)
    assert found["end_to_end_forgetting"] == pytest.approx(0.1)
    assert found["alarm_delay_observations"] == 25
