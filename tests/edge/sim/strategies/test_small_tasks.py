from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")
pytest.importorskip("matplotlib")

from edge import EdgeError
from edge.sim.strategies import SMALL_TASKS, small_stream
from edge.sim.strategies import small_tasks as module

STREAM, MISSING = small_stream("small", 0.25, 400, 1)


def test_at_least_eight_unlike_tasks_need_no_download() -> None:
    """All tasks are there, of tables, digits, textures, sensors and sounds; generated ones say
    so."""
    kinds = {make().kind for make in SMALL_TASKS.values()}
    assert MISSING == ()
    assert len(STREAM.tasks) >= 8
    assert kinds == {"table", "digits", "textures", "sensors", "sounds"}
    generated = {name for name, make in SMALL_TASKS.items() if make().generated}
    assert generated == {"link loads", "tones"}
    named = {task.name for task in STREAM.tasks if task.name.endswith("(generated)")}
    assert named == {f"{name} (generated)" for name in generated}
    assert len(STREAM.tasks) - len(generated) >= 8


def test_tasks_are_sorted_by_the_year_of_their_data() -> None:
    """As in NEVIS'22, the stream is chronological, generated tasks last."""
    years = [make().year for make in SMALL_TASKS.values()]
    assert years == sorted(years)


def test_every_task_has_one_width_and_labels_and_a_domain_of_its_own() -> None:
    """uint8 rows of one width; labels and domain of a task belong to no other."""
    seen: set[int] = set()
    for at, task in enumerate(STREAM.tasks):
        for part in (task.train, task.test):
            assert part.features.dtype == np.uint8
            assert part.features.shape == (len(part), STREAM.columns)
            assert set(part.domains.tolist()) == {at}
        labels = set(task.train.targets.tolist())
        assert set(task.test.targets.tolist()) == labels
        assert labels.isdisjoint(seen)
        seen |= labels
    assert seen == set(range(len(STREAM.labels)))
    assert STREAM.task_given


def iris_task(monkeypatch, row: int = 0, factor: float = 1.0):
    """The task of iris, with one row of the table multiplied."""
    plain = module.iris()
    rows = plain.rows.copy()
    rows[row] *= factor
    monkeypatch.setitem(SMALL_TASKS, "iris", lambda: replace(plain, rows=rows))
    return small_stream("small", 0.25, 200, 1)[0].tasks[0]


def test_the_quantiser_is_frozen_on_the_rows_to_learn(monkeypatch) -> None:
    """An outlier changes how the rows to learn are quantised where it is one of them, and not where
    it is held out."""
    plain = iris_task(monkeypatch)
    unchanged = 0
    for row in range(0, 150, 10):
        found = iris_task(monkeypatch, row, 1_000.0)
        alike = [
            (ours.features == theirs.features)[:, :4].mean()
            for ours, theirs in ((found.train, plain.train), (found.test, plain.test))
        ]
        # A held-out outlier leaves all other held-out rows as they are.
        assert (alike[0] == 1 and alike[1] > 0.9) or max(alike) < 0.2
        unchanged += alike[0] == 1
    assert 1 <= unchanged <= 10


def test_a_task_whose_data_are_missing_is_named_and_left_out(monkeypatch) -> None:
    """Without sample data of a package its task is left out with the reason; below eight tasks the
    stream is refused."""

    def absent():
        """Find no file."""
        message = "no such sample"
        raise FileNotFoundError(message)

    monkeypatch.setitem(SMALL_TASKS, "terrain", absent)
    stream, missing = small_stream("small", 0.25, 200, 1)
    assert missing == ("terrain (no such sample)",)
    assert "terrain" not in {task.name for task in stream.tasks}
    for name in ("iris", "wine"):
        monkeypatch.setitem(SMALL_TASKS, name, absent)
    with pytest.raises(EdgeError, match="expected 8 tasks, found 7"):
        small_stream("small", 0.25, 200, 1)
