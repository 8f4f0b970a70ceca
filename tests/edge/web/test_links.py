from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from edge.web import links
from edge.web.links import allows, drop_expired_links, make_link, redeem_link


def waiting(folder: Path) -> list[Path]:
    """The files of links that wait."""
    return list((folder / "console" / "links").iterdir())


@pytest.mark.parametrize("role", links.ROLES)
def test_a_link_opens_its_role_once(tmp_path, role) -> None:
    """A token gives its role, and nothing the second time."""
    token = make_link(tmp_path, role)
    assert redeem_link(tmp_path, token, time.time()) == role
    assert redeem_link(tmp_path, token, time.time()) is None


def test_the_file_does_not_hold_the_token(tmp_path) -> None:
    """A copy of the home opens nothing: only the token's hash is kept, readable by its owner."""
    token = make_link(tmp_path, "owner")
    (path,) = waiting(tmp_path)
    assert token not in path.name + path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_link_expires(tmp_path) -> None:
    """An hour later the token opens nothing."""
    token = make_link(tmp_path, "viewer")
    assert redeem_link(tmp_path, token, time.time() + links.LINK_S + 1) is None


def test_one_of_many_at_once_wins(tmp_path) -> None:
    """Of twenty that redeem a token at the same time, one gets the role."""
    token = make_link(tmp_path, "owner")
    ready, won = threading.Barrier(20), []

    def redeem() -> None:
        ready.wait()
        won.append(redeem_link(tmp_path, token, time.time()))

    threads = [threading.Thread(target=redeem) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(won, key=str) == [None] * 19 + ["owner"]


@pytest.mark.parametrize(
    "token", ["", "x", "../../../../etc/passwd", "a" * 43 + "\n", "a" * 42 + "/", "ä" * 43]
)
def test_what_is_no_token_opens_nothing(tmp_path, token) -> None:
    """Only 43 characters of base64 for URLs are looked up."""
    make_link(tmp_path, "owner")
    assert redeem_link(tmp_path, token, time.time()) is None
    assert len(waiting(tmp_path)) == 1


def test_a_damaged_link_opens_nothing(tmp_path) -> None:
    """A file with another role or without an end is refused, and used up."""
    for content in ("{}", "[]", json.dumps({"role": "root", "until_s": 9e12}), "\0"):
        token = make_link(tmp_path, "owner")
        (path,) = waiting(tmp_path)
        path.write_text(content, "utf-8")
        assert redeem_link(tmp_path, token, time.time()) is None
        path.unlink(missing_ok=True)


def test_links_are_bounded(tmp_path) -> None:
    """The oldest of too many links gives way, and expired ones are deleted."""
    made = [make_link(tmp_path, "viewer") for _ in range(links.LINKS_MAX + 5)]
    assert len(waiting(tmp_path)) == links.LINKS_MAX
    assert redeem_link(tmp_path, made[-1], time.time()) == "viewer"
    past = time.time() - links.LINK_S - 10
    for path in waiting(tmp_path):
        os.utime(path, (past, past))
    drop_expired_links(tmp_path)
    assert waiting(tmp_path) == []


def test_roles_include_those_before_them() -> None:
    """An owner may label and look, a labeller may look, a viewer may do no more."""
    found = [(has, wants) for has in links.ROLES for wants in links.ROLES if allows(has, wants)]
    assert found == [
        ("viewer", "viewer"),
        ("labeller", "viewer"),
        ("labeller", "labeller"),
        ("owner", "viewer"),
        ("owner", "labeller"),
        ("owner", "owner"),
    ]
