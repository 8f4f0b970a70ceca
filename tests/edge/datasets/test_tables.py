from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import encoder
from edge.core.errors import ConfigError, ModelMismatchError
from edge.datasets import tables
from edge.datasets.class_folders import Example, Skipped
from edge.datasets.tables import read_examples
from edge.home.transfer import export_facts
from tests.homes import CARD, distinct_facts, new_store, wide_card, write_csv
from tests.worlds import WIDTH

HEADER = "label," + ",".join(f"x{column}" for column in range(3))


def csv_file(folder: Path, text: str | bytes) -> Path:
    """A table with some content."""
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_table_gives_features_and_columns(tmp_path):
    """Reserved columns have their meaning, all others are features; blanks and a byte-order mark
    do not matter."""
    text = "\ufefflabel, id,subject,captured_at_ns,x0, x1\ncat ,i-1,ann,5, 1.5,2\n"
    found = read_examples(csv_file(tmp_path, text))
    assert found.layout == "1 rows of numbers with label, id, subject, captured_at_ns"
    (item,) = found
    assert isinstance(item, Example)
    assert (item.label, item.id, item.subject, item.captured_at_ns) == ("cat", "i-1", "ann", 5)
    assert item.payload.tolist() == [1.5, 2.0]
    assert item.source.endswith("table.csv:2")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,1,2", "more or fewer cells"),
        ("a,1,2,3,4", "more or fewer cells"),
        ("a,1,2,three", "the column 'x2' holds no number: 'three'; name a column of labels"),
        ("a,1,2,", "the column 'x2' is empty"),
    ],
)
def test_a_bad_row_is_skipped_and_named(tmp_path, row, words):
    """An unreadable row is skipped with its line number; the others are read."""
    good, bad, last = read_examples(csv_file(tmp_path, f"{HEADER}\na,1,2,3\n{row}\nb,4,5,6\n"))
    assert isinstance(bad, Skipped)
    assert words in bad.reason
    assert bad.source.endswith(":3")
    assert isinstance(good, Example)
    assert isinstance(last, Example)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found nothing"),
        ("label,domain\na,b\n", "feature columns"),
        ("label,x,x\na,1,2\n", "each name once"),
        ("label,,x\na,1,2\n", "each name once"),
        ("label;x0;x1\na;1;2\n", "separated by commas"),
        (f"{HEADER}\ncaf\xe9,1,2,3\n".encode("latin-1"), "UTF-8, found the byte 0xe9"),
        ("1.5,2,3\n4,5,6\n", "expected a header, found numbers"),
        (f'{HEADER}\n"a,1,2,3\n', "unexpected end"),
        (f"{HEADER}\na,{'9' * 200_000},2,3\n", "field limit"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, words):
    """An invalid table raises ConfigError before the first example."""
    with pytest.raises(ConfigError, match=words) as caught:
        read_examples(csv_file(tmp_path, text))
    assert caught.value.hint


def test_arrays_give_rows(tmp_path):
    """An .npz gives an example for each row; numbers and bytes as labels become text."""
    path = tmp_path / "a.npz"
    label, at = np.array([3.0, 4.0]), np.array([7, 8])
    np.savez(path, features=np.ones((2, 3)), label=label, captured_at_ns=at, subject=[b"x", b"y"])
    found = read_examples(path)
    assert found.total == 2
    items = [item for item in found if isinstance(item, Example)]
    assert [(i.label, i.subject, i.captured_at_ns) for i in items] == [("3", "x", 7), ("4", "y", 8)]
    assert items[0].payload.dtype == np.float32
    assert items[0].source.endswith("a.npz[0]")


def test_tables_and_arrays_agree(tmp_path):
    """The same numbers have the same id in both forms."""
    np.savez(tmp_path / "a.npz", features=np.array([[1.0, 2.0, 3.0]]), label=["a"])
    (one,) = read_examples(tmp_path / "a.npz")
    (other,) = read_examples(csv_file(tmp_path, f"{HEADER}\na,1,2,3\n"))
    assert isinstance(one, Example)
    assert isinstance(other, Example)
    assert one.id == other.id


def save(path: Path, **arrays: object) -> bytes:
    """The bytes of an .npz."""
    whole: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(path, **whole)
    return path.read_bytes()


def test_bad_arrays_are_refused(tmp_path):
    """Anything but arrays of numbers in an .npz raises ConfigError with a hint."""
    path = tmp_path / "a.npz"
    rows = np.ones((3, 4))
    good = save(path, features=rows, label=list("abc"))
    flipped = bytearray(good)
    flipped[good.index(rows.tobytes()) + 5] ^= 0xFF
    cases = [
        good[: len(good) // 2],
        b"",
        b"no archive",
        bytes(flipped),
        save(path, features=np.array([{"a": 1}], object)),
        save(path, features=[["a", "b"]]),
        save(path, features=1.0),
        save(path, features=np.arange(4.0)),
        save(path, features=rows, label=list("ab")),
        save(path, features=rows, images=rows),
        save(path, other=rows),
        save(path, features=rows.astype(complex)),
    ]
    for content in cases:
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            read_examples(path)
        assert caught.value.hint


def test_an_archive_that_unpacks_too_far_is_refused(tmp_path, monkeypatch):
    """A small file that claims to hold too much is not unpacked."""
    monkeypatch.setattr(tables, "NPZ_BYTES_MAX", 500)
    np.savez_compressed(tmp_path / "a.npz", features=np.zeros((100, 100)))
    with pytest.raises(ConfigError, match="unpacks to"):
        read_examples(tmp_path / "a.npz")


def test_a_missing_path_is_refused_before_anything(tmp_path):
    """A path that is neither file nor folder raises at once, not at the first example."""
    with pytest.raises(ConfigError, match="no such file"):
        read_examples(tmp_path / "nothing")


def test_an_export_is_read_as_it_was(tmp_path):
    """Exported facts give their quantised features and every field, with their own card only."""
    facts = distinct_facts(3)
    with new_store(tmp_path / "k.db", facts) as store:
        export_facts(store, tmp_path / "e.npz")
    items = [i for i in read_examples(tmp_path / "e.npz", CARD) if isinstance(i, Example)]
    for fact, item in zip(facts, items, strict=True):
        assert item.payload == encoder.Features(np.frombuffer(fact.features, np.uint8))
        names = ("id", "domain", "label", "subject", "captured_at_ns", "stream", "revision")
        assert all(getattr(item, name) == getattr(fact, name) for name in names)
    for card in (None, wide_card(WIDTH + 1)):
        with pytest.raises(ModelMismatchError, match=CARD.fingerprint[:12]):
            read_examples(tmp_path / "e.npz", card)


def test_a_forged_export_is_refused(tmp_path):
    """Features that claim a card must have its width and be uint8."""
    for features in (np.zeros((2, WIDTH)), np.zeros((2, WIDTH + 1), np.uint8)):
        save(tmp_path / "e.npz", features=features, card=CARD.fingerprint)
        with pytest.raises(ConfigError, match="uint8"):
            read_examples(tmp_path / "e.npz", CARD)


def test_the_right_reader_is_chosen(tmp_path):
    """Folder, table, arrays and image are distinguished by type."""
    (tmp_path / "folder.csv" / "cat").mkdir(parents=True)
    (tmp_path / "folder.csv" / "cat" / "a.png").write_bytes(b"x")
    assert "<label>/<image>" in read_examples(tmp_path / "folder.csv").layout
    assert read_examples(write_csv(tmp_path / "T.CSV")).total == 24
    assert read_examples(tmp_path / "folder.csv" / "cat" / "a.png").total == 1
