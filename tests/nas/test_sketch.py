import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import AdaptorShape, NasError, TaskSketch
from nas.sketch import sample
from tests.nas.sketches import SPANS, sketch


def test_the_shape_follows_from_spans_and_labels():
    """The shape has the columns of each tap and the number of labels."""
    assert sketch().shape == AdaptorShape((24, 8, 12), 3)


def test_columns_come_in_the_order_of_taps():
    """Two taps give their columns side by side."""
    task = sketch()
    assert np.array_equal(task.read((0, 2)), np.delete(task.rows, np.s_[24:32], axis=1))


@pytest.mark.parametrize("flaw", ["dtype", "width", "count", "spans", "own", "nan", "negative"])
def test_an_inconsistent_sketch_is_refused(flaw):
    """Wrong shapes, dtypes and values raise NasError with a hint."""
    good = sketch()
    rows, targets, own = good.rows.copy(), good.targets.copy(), good.own.copy()
    spans: tuple[tuple[int, int], ...] = SPANS
    if flaw == "dtype":
        rows = rows.astype(np.float64)
    elif flaw == "width":
        rows = rows[:, :-1]
    elif flaw == "count":
        targets = targets[:-1]
    elif flaw == "spans":
        spans = ()
    elif flaw == "own":
        own[:] = False
    elif flaw == "nan":
        rows[0, 0] = np.nan
    else:
        targets[0] = -1
    with pytest.raises(NasError, match="sketching a task") as caught:
        TaskSketch(rows, targets, own, spans)
    assert caught.value.hint


@given(st.integers(1, 50), st.integers(0, 30), st.integers(0, 99))
def test_a_sample_is_even_and_within_limits(own, others, seed):
    """A sample has at most the requested facts, own facts first, and balanced labels."""
    few = sample(sketch(), own, others, seed)
    assert few.own.sum() == min(own, 40)
    assert (~few.own).sum() == min(others, 20)
    assert few.own.tolist() == sorted(few.own.tolist(), reverse=True)
    counts = np.bincount(few.targets[few.own], minlength=3)
    assert counts.max() - counts.min() <= 1


def test_a_sample_is_reproducible():
    """The same seed draws the same facts."""
    one, two = (sample(sketch(), 9, 5, 3) for _ in range(2))
    assert np.array_equal(one.rows, two.rows)
