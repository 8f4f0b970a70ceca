from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import encoder
from edge.core.errors import ConfigError, EdgeError, StateError
from edge.core.events import (
    Decision,
    DriftAlarm,
    Enrol,
    EraseFacts,
    ForgetRequest,
    Rejected,
    StoreAdaptor,
    StoreFacts,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.home import actions
from edge.home.home import Home
from tests.homes import new_home, run_json, teach, write_csv
from tests.workers import a_record
from tests.worlds import WIDTH


def still(_total: int | None) -> None:
    """A tick without output."""


@pytest.fixture
def home(tmp_path):
    """A new home, open."""
    with Home(new_home(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of two labels."""
    return write_csv(tmp_path / "table.csv")


def test_learning_twice_learns_once(home, table):
    """The second time every example is known, and the knowledge is the same."""
    ticks: list[int | None] = []
    lesson = actions.read_lesson(home, table, "hall", "", ticks.append)
    first = actions.learn(home, lesson)
    second = teach(home, table)
    assert (first.count, second.count) == (24, 0)
    assert "24 already known" in second.detail
    assert first.knowledge_digest == second.knowledge_digest == home.runtime.digest()
    assert first.concepts == (
        actions.ClassCount("hall", "a", 12),
        actions.ClassCount("hall", "b", 12),
    )
    assert ticks == [24] * 24


def test_a_table_beyond_the_range_is_learned_with_a_warning(home, table, tmp_path):
    """Values that the quantiser clips are reported with their share; others are not."""
    lesson = actions.read_lesson(home, table, "hall", "", still)
    assert not [one for one in lesson.warnings if "clipped" in one]
    rows = np.full((4, WIDTH), 1e6)
    rows[:, : WIDTH // 2] = 0
    rows[:, 0] = range(4)
    np.savez(tmp_path / "far.npz", features=rows, label=["x", "y", "x", "y"])
    lesson = actions.read_lesson(home, tmp_path / "far.npz", "hall", "", still)
    (warning,) = [one for one in lesson.warnings if "clipped" in one]
    assert "50.0% of the values" in warning
    assert len(lesson.facts) == 4


def test_another_label_is_a_correction(home, table):
    """A repeated example with another label or domain moves there, whatever its hash, and keeps its
    other fields."""
    teach(home, table, "hall")
    table.write_text(table.read_text("utf-8").replace("\na,", "\nc,"), "utf-8")
    done = teach(home, table)
    assert done.count == 12
    assert home.store.concepts() == {("hall", "b"): 12, ("hall", "c"): 12}
    teach(home, table, "attic")
    assert home.store.concepts() == {("attic", "b"): 12, ("attic", "c"): 12}
    teach(home, table)
    assert home.store.concepts() == {("attic", "b"): 12, ("attic", "c"): 12}


def test_the_names_of_an_example_win(home, tmp_path):
    """`domain` and `label` apply only to examples without their own."""
    rows = np.arange(2 * WIDTH).reshape(2, WIDTH)
    np.savez(tmp_path / "a.npz", features=rows, label=["x", ""], domain=["", "lab"])
    teach(home, tmp_path / "a.npz", "hall", "y")
    assert home.store.concepts() == {("hall", "x"): 1, ("lab", "y"): 1}


def test_duplicates_in_one_lesson_are_reported(home, tmp_path):
    """The same example under two labels is learned once, and reported."""
    rows = np.ones((3, WIDTH))
    np.savez(tmp_path / "a.npz", features=rows, label=["x", "y", "x"])
    done = teach(home, tmp_path / "a.npz")
    assert [skip.reason for skip in done.skipped] == [
        "the same example came before, there with the label x",
        "the same example came before",
    ]
    assert home.store.concepts() == {("domain-1", "x"): 1}


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("x" * 5000, 1.0, "200 printable characters"),
        ("\x1b[31m", 1.0, "printable"),
        ("  ", 1.0, "printable"),
        ("x", np.nan, "finite"),
        ("x", np.inf, "finite"),
        ("x", 1e300, "finite"),
    ],
)
def test_a_bad_example_does_not_spoil_the_others(home, tmp_path, label, value, words):
    """An invalid example is skipped with its reason, and the rest is learned."""
    rows = np.ones((2, WIDTH))
    rows[0, 0] = value
    rows[1] = 2
    np.savez(tmp_path / "a.npz", features=rows, label=[label, "good"])
    done = teach(home, tmp_path / "a.npz")
    assert done.count == 1
    assert words in done.skipped[0].reason


def test_a_reason_is_whole_whatever_the_id_holds(tmp_path):
    """Through the command line, the reason for a skipped row is complete even if the row's id
    contains a colon."""
    folder = new_home(tmp_path / "home")
    table = tmp_path / "rows.csv"
    head = ",".join(f"x{column}" for column in range(WIDTH))
    numbers = ",".join("1" * WIDTH)
    long = "x" * 201
    table.write_text(
        f"label,id,{head}\ngood,i,{numbers}\n{long},pump: 7: left,{numbers}\n", encoding="utf-8"
    )
    output = run_json("learn", table, "--home", folder)
    (skipped,) = output["skipped"]
    assert skipped["reason"].startswith("label must be 1 to 200 printable characters, found 'xxx")


def test_nothing_to_learn_is_an_error(home, tmp_path):
    """If every example is skipped, the error has the first reason, and nothing is changed."""
    np.savez(tmp_path / "a.npz", features=np.ones((2, WIDTH + 1)), label=["a", "b"])
    with pytest.raises(ConfigError, match=r"2 skipped; the first: .*expected shape"):
        teach(home, tmp_path / "a.npz")
    assert home.store.concepts() == {}


def test_an_error_after_the_durable_step_reports_the_kept_facts(home, table, monkeypatch):
    """If only the stamp fails, the error says that the facts are kept."""

    def fail(_digest: str) -> None:
        raise StateError("stamping failed", "make room")

    monkeypatch.setattr(home.store, "stamp", fail)
    with pytest.raises(StateError, match=r"24 facts were learned and kept, but then: stamping"):
        teach(home, table)
    assert sum(home.store.concepts().values()) == 24


def test_predictions_come_in_order_with_alarms(home, table, tmp_path):
    """Each example is decided or rejected, and a novel domain raises an alarm."""
    write_csv(table, per_label=150)
    teach(home, table, "hall")
    random = np.random.default_rng(3).integers(0, 256, (64, WIDTH)).astype(float)
    random[5] = np.nan
    np.savez(tmp_path / "new.npz", features=random)
    output = [one.outcome for one in actions.predict_path(home, tmp_path / "new.npz")[0]]
    assert sum(isinstance(one, Decision) for one in output) == 63
    assert sum(isinstance(one, Rejected) for one in output) == 1
    assert any(isinstance(one, DriftAlarm) and one.raised for one in output)
    known = list(actions.predict_path(home, table)[0])
    right = [one.outcome.guess == one.truth for one in known if isinstance(one.outcome, Decision)]
    assert sum(right) > 290
    assert home.store.digest() == home.store.written_digest()


def test_a_bad_path_fails_before_the_first_prediction(home):
    """The call checks the path, not the first step of the iterator."""
    with pytest.raises(ConfigError, match="no such file"):
        actions.predict_path(home, Path("nowhere.csv"))


def test_verifying_finds_all_well(home, table):
    """After learning, correcting and forgetting there are no complaints."""
    teach(home, table)
    result = actions.verify_home(home)
    assert result.complaints == ()
    assert result.stamped == {
        "facts": result.facts_digest,
        "beside": result.beside_digest,
        "knowledge": result.knowledge_digest,
    }


def test_no_receipt_tests_a_guess_at_the_content(home, table):
    """Learning the same content again under other ids gives the same knowledge, and neither its
    digest nor that of another receipt is the one that the first receipt states."""
    teach(home, table)
    chosen = [home.store.get(key) for key in home.store.select(Selector(label="b"))]
    before = home.runtime.digest()
    first = home.feed(
        ForgetRequest(request_id="first", selector=Selector(label="b"), duplicates="off")
    )[-1]
    again = [replace(one, id=f"again-{one.id}") for one in chosen if one is not None]
    home.feed(Enrol(tuple(again)))
    home.refit_geometry()
    second = home.feed(ForgetRequest(request_id="second", selector=Selector(label="b")))[-1]
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    shown = {first.digest_before, second.digest_before, before, first.digest_after}
    assert len(shown) == 4
    home.refit_geometry()
    assert actions.verify_home(home).receipts == ("first", "second")


def test_verifying_finds_damage(home, table, monkeypatch):
    """Knowledge that differs from its stamp, a forgotten fact in the ledger or in an adaptor, and
    an interrupted erasure are reported."""
    teach(home, table)
    home.store.stamp("0" * 64)
    ids = home.store.select(Selector(label="a"))
    kept = home.store.get(ids[0])
    assert kept is not None
    home.store.apply(
        EraseFacts(
            (ids[0],),
            Receipt(
                request_id="r",
                requested_at_ns=1,
                selector=Selector(),
                facts_forgotten=1,
                concepts_touched=(),
                digest_before="",
                digest_after="",
                rebuilt=(),
                evicted_before=0,
                not_covered=(),
            ),
        )
    )
    home.store.apply(StoreFacts(facts=(kept,)))
    home.store.apply(StoreAdaptor(a_record("hall", 1, (ids[0],))))
    monkeypatch.setattr(type(home.store), "unscrubbed", property(lambda _: True))
    with Home(home.folder, writable=False) as opened:
        found = " | ".join(actions.verify_home(opened).complaints)
    assert "different knowledge at the last stamp" in found
    assert "the ledger contains forgotten facts" in found
    assert "adaptor was trained on forgotten facts" in found
    assert "an erasure was interrupted" in found


def test_rejections_are_raised():
    """A rejection becomes an EdgeError with its hint."""
    with pytest.raises(EdgeError, match="no") as caught:
        actions.acknowledged([Rejected("x", "no", "try again")])
    assert caught.value.hint == "try again"


def test_an_inspection_tells_all(home, table):
    """Concepts, encoder, geometry and file are in the inspection."""
    teach(home, table, "hall")
    shown = actions.inspect_home(home)
    assert [count.facts for count in shown.concepts] == [12, 12]
    assert shown.geometry_fitted
    assert shown.width == WIDTH
    assert shown.file_bytes > 0
    assert shown.card == home.model.card.fingerprint


def test_a_vector_card_covers_its_table(table, tmp_path):
    """The quantiser is frozen on the usable rows; the others are reported."""
    text = table.read_text("utf-8").splitlines()
    text[3] = text[3].replace(",", ",nan,", 2).rsplit(",", 2)[0]
    table.write_text("\n".join(text), "utf-8")
    card, columns, skipped = actions.vector_card_from(table)
    assert columns == tuple(f"x{number}" for number in range(WIDTH))
    assert card.width == WIDTH
    assert card.quantiser is not None
    assert len(skipped) == 1
    for bad in ("label\na\n", "label,x\na,nan\n"):
        table.write_text(bad, "utf-8")
        with pytest.raises(ConfigError):
            actions.vector_card_from(table)


def test_calibrating_uses_readable_inputs(tmp_path):
    """Samples that cannot be encoded are reported, and without any usable one the card stays
    unchanged."""
    rows = np.random.default_rng(1).normal(size=(20, WIDTH))
    rows[3] = np.inf
    np.savez(tmp_path / "a.npz", features=rows)
    with encoder.open_model(encoder.vector_card(WIDTH)) as model:
        made, skipped = actions.calibrate_card(model, tmp_path / "a.npz", "channel", still)
        assert len(skipped) == 1
        wanted = encoder.freeze_quantiser(
            np.delete(rows, 3, 0).astype(np.float32), model.card.slices, "channel"
        )
        assert made.quantiser is not None
        assert made.quantiser.scale.tolist() == wanted.scale.tolist()
        np.savez(tmp_path / "a.npz", features=np.full((2, WIDTH), np.nan))
        with pytest.raises(ConfigError, match="no sample"):
            actions.calibrate_card(model, tmp_path / "a.npz", "tap", still)
