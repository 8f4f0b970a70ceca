from __future__ import annotations

import numpy as np
import pytest

from edge import EdgeError
from edge.sim.strategies import STREAMS
from edge.sim.strategies.streams import current_rows
from tests.edge.sim.strategies.tiny_strategies import LABELS, blob_source


def rows_of(part) -> set[bytes]:
    """The rows of a part, as bytes."""
    return {row.tobytes() for row in part.features}


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_stream_is_seeded_and_holds_rows_out(name) -> None:
    """The same source gives the same stream, another seed another split, and no held-out row is
    ever learned."""
    one, same, other = (STREAMS[name](blob_source(seed=seed)) for seed in (1, 1, 2))
    for left, right in zip(one.tasks, same.tasks, strict=True):
        assert np.array_equal(left.train.features, right.train.features)
        assert np.array_equal(left.test.targets, right.test.targets)
    assert rows_of(one.tasks[0].train) != rows_of(other.tasks[0].train)
    learned = set().union(*(rows_of(task.train) for task in one.tasks))
    held = set().union(*(rows_of(task.test) for task in one.tasks))
    assert learned.isdisjoint(held)
    shares = [len(task.test) / (len(task.train) + len(task.test)) for task in one.tasks]
    assert shares == pytest.approx([0.25] * len(shares))


@pytest.mark.parametrize("name", ["domains", "classes", "releases"])
def test_the_first_order_is_as_written_and_others_are_shuffled(name) -> None:
    """Order 1 follows the scenario; other orders show something else first, each by its number
    alone."""
    source = blob_source(domains=6)
    first, second, again = (STREAMS[name](blob_source(order, domains=6)) for order in (0, 1, 1))
    known = sorted({int(one) for one in first.tasks[0].train.targets})
    assert first.variant == "order 1"
    assert second.variant == "order 2"
    if name == "domains":
        assert [task.name for task in first.tasks] == list(source.domains)
        assert [task.name for task in second.tasks] != list(source.domains)
    else:
        assert known == list(range(len(known)))
        assert known != sorted({int(one) for one in second.tasks[0].train.targets})
    assert [task.name for task in second.tasks] == [task.name for task in again.tasks]


def test_a_task_of_domains_has_one_domain_and_all_labels() -> None:
    """Domain after domain, every label in each."""
    stream = STREAMS["domains"](blob_source())
    for at, task in enumerate(stream.tasks):
        assert set(task.train.domains.tolist()) == {at}
        assert set(task.test.targets.tolist()) == set(range(LABELS))


def test_a_task_of_classes_brings_new_labels_of_every_domain() -> None:
    """Two labels a task, none twice, with rows of both domains."""
    stream = STREAMS["classes"](blob_source())
    shown = [sorted(set(task.train.targets.tolist())) for task in stream.tasks]
    assert shown == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert all(set(task.train.domains.tolist()) == {0, 1} for task in stream.tasks)


def test_releases_bring_change_and_drop_labels() -> None:
    """Each release after the first brings a label and changes another; from the third on one is
    dropped; a label that changes means a class that nothing meant before."""
    source = blob_source()
    stream = STREAMS["releases"](source)
    classes = {
        row.tobytes(): int(target)
        for rows in source.domains.values()
        for row, target in zip(rows.features, rows.targets, strict=True)
    }
    meant: dict[int, int] = {}
    used: set[int] = set()
    for number, task in enumerate(stream.tasks):
        means = {
            int(label): classes[row.tobytes()]
            for row, label in zip(task.train.features, task.train.targets, strict=True)
        }
        changed = set(means) & set(meant)
        dropped = stream.replaces[number] - set(means)
        assert changed <= stream.replaces[number]
        assert set(means.values()).isdisjoint(used)
        assert (len(changed), len(dropped)) == ((0, 0), (1, 0), (1, 1), (1, 1))[number]
        assert len(set(means) - set(meant)) == (4 if number == 0 else 1)
        used |= set(means.values())
        meant = {label: one for label, one in meant.items() if label not in dropped} | means


def test_rows_of_an_ended_meaning_no_longer_count() -> None:
    """A row of the first release counts until its label changes or is dropped."""
    stream = STREAMS["releases"](blob_source())
    targets = stream.tasks[0].test.targets
    gone: set[int] = set()
    for after, ended in enumerate(stream.replaces):
        gone |= ended
        assert np.array_equal(current_rows(stream, 0, after), ~np.isin(targets, sorted(gone)))
    assert current_rows(stream, 0, 1).sum() < len(targets)


def test_orders_are_never_alike() -> None:
    """All six orders of three domains differ, and a seventh is refused."""
    found = [
        tuple(task.name for task in STREAMS["domains"](blob_source(order, domains=3)).tasks)
        for order in range(6)
    ]
    assert len(set(found)) == 6
    with pytest.raises(EdgeError, match="expected at most 6 orders of 3, found number 7"):
        STREAMS["domains"](blob_source(6, domains=3))


def test_too_few_classes_are_refused() -> None:
    """Three classes make no releases, and one task is no stream; the errors say what is missing."""
    source = blob_source()
    few = type(source)(
        world="few",
        domains={"a": source.domains["place 0"].select(np.arange(120))},
        labels=("a", "b", "c"),
        spans=source.spans,
        classes_per_task=3,
    )
    with pytest.raises(EdgeError, match="expected 4 classes, found 3"):
        STREAMS["releases"](few)
    with pytest.raises(EdgeError, match="expected two tasks"):
        STREAMS["classes"](few)
