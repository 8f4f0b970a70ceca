from __future__ import annotations

import pytest

import encoder
from edge import Store
from edge.core import (
    ConfigError,
    Enrol,
    ForgetRequest,
    ModelMismatchError,
    Rejected,
    Selector,
    StateError,
)
from edge.shell import home
from edge.shell.home import Home, create_home, read_settings
from tests.homes import CARD, new_home, new_store
from tests.worlds import WIDTH, fact, vector


def test_a_new_home_opens(tmp_path):
    """A home just made holds settings, card and an empty ledger, and opens."""
    folder = new_home(tmp_path / "a" / "b")
    assert sorted(path.name for path in folder.iterdir()) == [
        "auricle.toml", "card.toml", "knowledge.db", "knowledge.db.lock",
    ]  # fmt: skip
    with Home(folder) as opened:
        assert opened.store.concepts() == {}
        assert opened.settings == read_settings(folder)


def test_the_template_is_the_default(tmp_path):
    """What the written settings say is what leaving them out means."""
    written = read_settings(new_home(tmp_path))
    assert written == home.Settings(home.EncoderSettings("card.toml"))


@pytest.mark.parametrize("named", ['odd "name" \\ é.toml', "tab\tin.toml"])
def test_any_path_of_a_card_survives(tmp_path, named):
    """A card's path is written so that it reads back as it was."""
    encoder.save_card(CARD, tmp_path / named)
    create_home(tmp_path / "home", None, str(tmp_path / named))
    assert read_settings(tmp_path / "home").encoder.card == str(tmp_path / named)


def test_a_home_is_not_made_twice(tmp_path):
    """Making a home where one is raises ConfigError and changes nothing."""
    new_home(tmp_path)
    before = (tmp_path / "auricle.toml").read_bytes()
    with pytest.raises(ConfigError, match="one already"):
        new_home(tmp_path)
    assert (tmp_path / "auricle.toml").read_bytes() == before


@pytest.mark.parametrize("function", ["write_text", "open_encoder"])
def test_a_failed_making_leaves_nothing(tmp_path, monkeypatch, function):
    """Where a home cannot be finished, nothing of it stays, the new folders neither."""

    def fail(*_: object) -> None:
        raise StateError("making", "no room")

    monkeypatch.setattr(home, function, fail)
    with pytest.raises(StateError):
        new_home(tmp_path / "x" / "y")
    assert list(tmp_path.iterdir()) == []


def test_a_card_without_quantiser_makes_no_home(tmp_path):
    """An encoder that is not calibrated is refused with the command that calibrates it."""
    encoder.save_card(encoder.vector_card(WIDTH), tmp_path / "raw.toml")
    with pytest.raises(ConfigError, match="no frozen quantiser") as caught:
        create_home(tmp_path / "home", None, str(tmp_path / "raw.toml"))
    assert "calibrate" in caught.value.hint
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage [[", "Expected"),
        ('[encoder]\ncrad = "x"\n', "unknown field"),
        ("[knowledge]\n", "encoder"),
        ('[encoder]\ncard = "x"\nthreads = "two"\n', "int"),
        ('[encoder]\ncard = "x"\n[detector]\nfalse_alarm_rate = 3.0\n', "below 0.5"),
        ('[encoder]\ncard = "x"\n[detector]\nwindow = 0\n', "window"),
    ],
)
def test_bad_settings_are_refused(tmp_path, text, words):
    """Settings that cannot be used raise ConfigError with a hint."""
    (tmp_path / "auricle.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        read_settings(tmp_path)
    assert caught.value.hint


def test_a_mistyped_key_is_guessed(tmp_path):
    """The hint names the nearest known key."""
    (tmp_path / "auricle.toml").write_text('[encoder]\ncrad = "x"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_settings(tmp_path)
    assert caught.value.hint == "did you mean card?"
    assert "known keys" in home.nearest_key("unknown field `zzzzzz`")


def test_no_home_and_unreadable_settings(tmp_path):
    """A folder that is no home says how to make one; bytes that are no text are refused."""
    with pytest.raises(ConfigError, match=r"no auricle\.toml"):
        Home(tmp_path)
    (tmp_path / "auricle.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        Home(tmp_path)


def test_a_failed_opening_frees_everything(tmp_path):
    """A home that could not be opened leaves its file free for the next."""
    folder = new_home(tmp_path)
    (folder / "knowledge.db").unlink()
    new_store(folder / "knowledge.db").close()
    encoder.save_card(encoder.vector_card(WIDTH, "other", CARD.quantiser, {"a": 3, "b": 5}),
                      folder / "card.toml")  # fmt: skip
    with pytest.raises(ModelMismatchError):
        Home(folder)
    Store.open(folder / "knowledge.db").close()
    (folder / "card.toml").unlink()
    with pytest.raises(StateError, match="no such file"):
        Home(folder)


def test_effects_are_applied_before_anything_is_told(tmp_path):
    """What `feed` returns is already in the file."""
    with Home(new_home(tmp_path)) as opened:
        opened.feed(Enrol((fact("a"),)))
        assert opened.store.get("a") is not None
        (refused,) = opened.feed(Enrol((fact("b", width=WIDTH + 1),)))
        assert isinstance(refused, Rejected)


def test_features_made_before_pass_through(tmp_path):
    """The home's encoder takes measurements, and features that it made and quantised before."""
    with Home(new_home(tmp_path)) as opened:
        made = opened.model.encode(vector(1))
        assert opened.model.encode(made) is made


def test_burying_reaches_own_facts(tmp_path):
    """What another store has forgotten is forgotten here, with a receipt."""
    other = new_store(tmp_path / "other.db", [fact("a"), fact("b")])
    with Home(new_home(tmp_path / "home")) as opened, other:
        opened.feed(Enrol((fact("a"), fact("b"), fact("c"))))
        with Home(new_home(tmp_path / "third")) as third:
            third.feed(Enrol((fact("a"),)))
            third.feed(ForgetRequest("r", Selector(ids=frozenset({"a"}))))
            assert opened.bury_from(third.store) == 1
        assert opened.store.get("a") is None
        assert opened.store.buried("a")
        assert len(opened.store.receipts()) == 1
        assert opened.store.receipts()[0]["requested_at_ns"] > 0
