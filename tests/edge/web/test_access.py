from __future__ import annotations

import stat

import pytest

from edge.web import access
from edge.web.access import Sessions
from edge.web.links import hash_secret


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        """The time."""
        return self.now_s


@pytest.fixture
def clock():
    """The clock of the sessions."""
    return Clock()


def test_a_session_is_found_by_its_secret_alone(tmp_path, clock) -> None:
    """The secret finds the session; its hash, its CSRF token and others do not."""
    sessions = Sessions(tmp_path, clock)
    opened = sessions.open("labeller")
    secret = opened.secret
    assert sessions.find(secret) is opened
    for other in ("", opened.csrf, hash_secret(secret), secret[:-1], secret.swapcase()):
        assert sessions.find(other) is None


@pytest.mark.parametrize("jump_s", [access.IDLE_S + 1, -access.IDLE_S - 1])
def test_a_session_ends_when_it_is_idle(tmp_path, clock, jump_s) -> None:
    """Without a request for the idle time a session ends, also if the clock was set back."""
    sessions = Sessions(tmp_path, clock)
    opened = sessions.open("owner")
    clock.now_s += jump_s
    assert sessions.find(opened.secret) is None
    assert not sessions.holds(opened)


def test_a_session_ends_in_any_case(tmp_path, clock) -> None:
    """A session that is used every hour ends after its longest time."""
    sessions = Sessions(tmp_path, clock)
    secret = sessions.open("owner").secret
    begun = clock.now_s
    while clock.now_s - begun <= access.SESSION_S:
        assert sessions.find(secret) is not None
        clock.now_s += 3600
    assert sessions.find(secret) is None


def test_sessions_survive_a_restart_without_their_secrets(tmp_path, clock) -> None:
    """Another console of the home knows the session; the file holds hashes, for its owner only."""
    opened = Sessions(tmp_path, clock).open("labeller")
    path = tmp_path / "console" / "sessions.json"
    assert opened.secret not in path.read_text("utf-8")
    assert opened.csrf not in path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Sessions(tmp_path, clock).find(opened.secret)
    assert again is not None
    assert (again.role, again.csrf) == ("labeller", opened.csrf)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {"role": "root"}}', "null"])
def test_a_damaged_file_holds_no_session(tmp_path, clock, content) -> None:
    """Whatever the file contains, the console starts; unknown roles are not adopted."""
    path = tmp_path / "console" / "sessions.json"
    path.parent.mkdir()
    path.write_text(content, "utf-8")
    sessions = Sessions(tmp_path, clock)
    assert sessions.find("a" * 43) is None
    assert sessions.find(sessions.open("viewer").secret) is not None


def test_sessions_are_bounded(tmp_path, clock) -> None:
    """The session that was idle longest gives way to a new one."""
    sessions = Sessions(tmp_path, clock)
    first = sessions.open("viewer").secret
    second = sessions.open("viewer").secret
    for _ in range(access.SESSIONS_MAX - 1):
        clock.now_s += 1
        assert sessions.find(first) is not None
        sessions.open("viewer")
    assert sessions.find(first) is not None
    assert sessions.find(second) is None


def test_an_unwritable_home_costs_only_the_memory(tmp_path, clock) -> None:
    """Where sessions cannot be saved, they work until the console ends."""
    (tmp_path / "console").write_text("not a folder", "utf-8")
    sessions = Sessions(tmp_path, clock)
    assert sessions.find(sessions.open("owner").secret) is not None


def test_notes_wait_for_one_page_and_are_bounded(tmp_path, clock) -> None:
    """A page takes the newest notes once."""
    opened = Sessions(tmp_path, clock).open("owner")
    for number in range(access.NOTES_MAX + 3):
        opened.note(str(number))
    assert [one["text"] for one in opened.take_notes()][-1] == str(access.NOTES_MAX + 2)
    assert opened.take_notes() == []
