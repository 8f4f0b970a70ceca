from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config import WebSettings
from edge.web import app, guards
from edge.web.links import allows, make_link
from tests.consoles import Console, console

ROLES = ("viewer", "labeller", "owner")


@pytest.fixture
def served(tmp_path):
    """A console of an empty folder."""
    with console(tmp_path) as made:
        yield made


def test_without_a_session_no_route_answers(served: Console) -> None:
    """Each route shows the login to who has no session, and does nothing."""
    for route in served.application.routes.values():
        answer = served.ask(route.method, f"/{route.path}", "" if route.method == "POST" else None)
        assert answer.status == 401, route
        assert "One-time code" in answer.text
    assert list(served.folder.iterdir()) == []


@pytest.mark.parametrize("role", ROLES)
def test_each_route_needs_its_role(served: Console, role) -> None:
    """Routes above a session's role are refused by name of the role, before anything happens."""
    session = served.log_in(role)
    above = [one for one in served.application.routes.values() if not allows(role, one.role)]
    assert bool(above) == (role != "owner")
    for route in above:
        body = "" if route.method == "POST" else None
        answer = served.ask(route.method, f"/{route.path}", body, session)
        assert (answer.status, f"needs the role {route.role}" in answer.text) == (403, True), route


def test_each_action_needs_the_token_of_its_session(served: Console) -> None:
    """A POST without the CSRF token, or with that of another session, is refused on each route."""
    mine, other = served.log_in(), served.log_in()
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": other["X-CSRF-Token"]},
    )
    for route in served.application.routes.values():
        for token in wrong if route.method == "POST" else ():
            headers = {"Cookie": mine["Cookie"], **token}
            answer = served.ask("POST", f"/{route.path}", "a=b", headers)
            assert answer.status == 403, route
            assert "does not come from a page of this session" in answer.text


def test_a_form_may_carry_the_token(served: Console) -> None:
    """The token in a form's field is as good as in the header: pages work without scripts."""
    session = served.log_in()
    body = f"csrf={session['X-CSRF-Token']}"
    answer = served.ask("POST", "/leave", body, {"Cookie": session["Cookie"]})
    assert (answer.status, answer.headers["Location"]) == (303, "open")
    assert served.ask("GET", "/", headers=session).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_actions_of_other_sites_are_refused(served: Console, headers) -> None:
    """A POST that a browser marks as of another site is refused, even with a valid token."""
    session = served.log_in()
    answer = served.ask("POST", "/leave", "", session | headers)
    assert answer.status == 403
    assert "another site" in answer.text
    assert served.ask("GET", "/first-run", headers=session).status == 200


def test_only_known_names_reach_the_console(tmp_path) -> None:
    """Addresses, localhost and [web] names are answered; a rebound name is not (DNS rebinding)."""
    with console(tmp_path, WebSettings(names=("pi.local",))) as served:
        for host in ("localhost", "127.0.0.1", "[::1]", "192.168.1.7", "pi.local", "PI.local"):
            for suffix in ("", f":{served.port}"):
                answer = served.ask("GET", "/open", headers={"Host": host + suffix})
                assert answer.status == 200, host
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a:b"):
            for path in ("/open", "/", "/static/auricle.css"):
                answer = served.ask("GET", path, headers={"Host": host})
                assert answer.status == 403, host


def test_ingress_is_the_supervisor_alone(tmp_path) -> None:
    """X-Ingress-Path of any other address is refused, whatever it asks for."""
    with console(tmp_path, WebSettings(ingress="owner")) as served:
        headers = {"X-Ingress-Path": "/api/hassio_ingress/x"}
        answer = served.ask("GET", "/first-run", headers=headers)
        assert answer.status == 403
        assert answer.cookie == ""


def test_the_supervisor_opens_a_session_in_the_chosen_role(tmp_path, monkeypatch) -> None:
    """Through ingress a session begins by itself, with the prefix as the path of its cookie; such a
    session is worth nothing without ingress."""
    monkeypatch.setattr(guards, "SUPERVISOR", "127.0.0.1")
    with console(tmp_path, WebSettings(ingress="labeller")) as served:
        headers = {"X-Ingress-Path": "/api/hassio_ingress/x", "Host": "homeassistant.local:8123"}
        answer = served.ask("GET", "/open", headers=headers)
        assert "Path=/api/hassio_ingress/x/;" in answer.headers["Set-Cookie"]
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
        cookie = {"Cookie": answer.cookie}
        assert served.ask("GET", "/first-run", headers=headers | cookie).status == 403
        assert served.ask("GET", "/first-run", headers=cookie).status == 401
        odd = headers | {"X-Ingress-Path": "/x; Domain=evil.example"}
        assert "Path=/;" in served.ask("GET", "/open", headers=odd).headers["Set-Cookie"]


def test_ingress_without_a_role_opens_nothing(tmp_path, monkeypatch) -> None:
    """While [web] ingress is empty, the supervisor is asked for a link like everybody."""
    monkeypatch.setattr(guards, "SUPERVISOR", "127.0.0.1")
    with console(tmp_path) as served:
        answer = served.ask("GET", "/", headers={"X-Ingress-Path": "/x"})
        assert (answer.status, answer.cookie) == (401, "")


def test_a_link_is_shown_before_it_is_used(served: Console) -> None:
    """Loading a link uses nothing up, so that programs that preview links do not; sending it does,
    once."""
    token = make_link(served.folder, "owner")
    for _ in range(3):
        shown = served.ask("GET", f"/open?token={token}")
        assert (shown.status, shown.cookie) == (200, "")
        assert token in shown.text
    opened = served.open(token)
    assert opened.status == 303
    attributes = opened.headers["Set-Cookie"]
    assert "HttpOnly" in attributes
    assert "SameSite=Strict" in attributes
    again = served.open(token)
    assert (again.status, again.cookie) == (403, "")
    assert "has been used" in again.text


def test_a_secret_from_outside_is_never_adopted(served: Console) -> None:
    """Whatever cookie a browser brings, a session gets a new secret, and the one before ends
    (session fixation)."""
    planted = f"{served.application.cookie}={'a' * 43}"
    token = make_link(served.folder, "viewer")
    opened = served.open(token, {"Cookie": planted})
    assert opened.cookie not in {"", planted}
    assert served.ask("GET", "/", headers={"Cookie": planted}).status == 401
    token = make_link(served.folder, "owner")
    higher = served.open(token, {"Cookie": opened.cookie})
    assert higher.cookie != opened.cookie
    assert served.ask("GET", "/", headers={"Cookie": opened.cookie}).status == 401


def test_guessing_a_token_is_slow(served: Console) -> None:
    """After a few wrong tokens a minute no attempt counts, not even a right one."""
    for _ in range(guards.GUESSES_PER_MINUTE):
        assert served.open("a" * 43).status == 403
    assert served.open(make_link(served.folder, "owner")).status == 429


def test_links_that_open_a_session_are_no_guesses(served: Console) -> None:
    """Many people of one address open their links within a minute; wrong tokens still count."""
    for _ in range(2 * guards.GUESSES_PER_MINUTE):
        assert served.open(make_link(served.folder, "viewer")).status == 303
    for _ in range(guards.GUESSES_PER_MINUTE):
        assert served.open("a" * 43).status == 403
    assert served.open("a" * 43).status == 429


def test_too_many_actions_are_refused(tmp_path, monkeypatch) -> None:
    """A session has a number of actions a minute; another session is not affected."""
    monkeypatch.setattr(app, "ACTIONS_PER_MINUTE", 5)
    with console(tmp_path) as served:
        session = served.log_in()
        answers = [served.ask("POST", "/first-run-enrol", "", session) for _ in range(7)]
        assert [one.status for one in answers[:5]] == [409] * 5
        assert answers[-1].status == 429
        assert "Too many requests: 5 a minute" in answers[-1].text
        assert served.ask("POST", "/first-run-enrol", "", served.log_in()).status == 409


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/vendor/../../app.py",
        "/static/vendor/htmx.LICENSE",
        "/static/",
        "//etc/passwd",
        "/../../etc/passwd",
    ],
)
def test_no_path_leaves_the_static_files(served: Console, path) -> None:
    """Files are found by name in a table; any other path is not found, with a session too."""
    answer = served.ask("GET", path, headers=served.log_in())
    assert answer.status == 404
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_static_files_are_cached_by_their_content(served: Console) -> None:
    """An address with the file's hash may be kept for ever; without it the browser asks again, and
    an unchanged file is not sent."""
    page = served.ask("GET", "/open").text
    address = re.search(r"static/auricle\.css\?v=\w+", page)
    assert address is not None
    answer = served.ask("GET", f"/{address.group()}")
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    plain = served.ask("GET", "/static/auricle.css")
    assert plain.headers["Cache-Control"] == "no-cache"
    again = served.ask(
        "GET", "/static/auricle.css", headers={"If-None-Match": plain.headers["ETag"]}
    )
    assert (again.status, again.body) == (304, b"")


def test_every_response_has_the_headers_that_protect_it(served: Console) -> None:
    """Pages, refusals, files and errors forbid frames, other origins, inline code and caches."""
    session = served.log_in()
    answers = [
        served.ask("GET", "/open"),
        served.ask("GET", "/first-run", headers=session),
        served.ask("GET", "/"),
        served.ask("GET", "/nowhere", headers=session),
        served.ask("GET", "/static/nothing.js"),
        served.ask("GET", "/", headers={"Host": "evil.example"}),
        served.ask("DELETE", "/", headers=session),
    ]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}


def test_pages_hold_no_inline_code(served: Console) -> None:
    """No template has an inline script, handler or style, an absolute address, or htmx code."""
    folder = Path(guards.__file__).parent / "templates"
    for path in folder.glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"\son\w+=|\sstyle=|<style|hx-on|javascript:|js:", text), path
        assert not re.search(r"<script(?![^>]*\ssrc=)(?! type=.application/json.)", text), path
        assert not re.search(r"(?:src|href|action|hx-get|hx-post)=\"(?:/|https?:)", text), path


def test_a_place_to_go_back_to_is_a_name(served: Console) -> None:
    """What an action is given as the page to return to cannot lead to another site or break a
    header."""
    session = served.log_in()
    for back in ("//evil.example", "https://evil.example", "a%0d%0aSet-Cookie:%20x=y", "a/b", "ä"):
        answer = served.ask("POST", "/undo", f"undo_id=x&back={back}", session)
        assert "evil" not in answer.headers.get("Location", "")
        assert answer.cookie == ""


def test_hostile_names_become_text(served: Console) -> None:
    """Names in forms come back as text, never as markup."""
    session = served.log_in()
    body = "source=folder&path=%3Cscript%3Ealert(1)%3C/script%3E&stream=%22%3E%3Cimg%20src=x%3E"
    answer = served.ask("POST", "/first-run-add", body, session)
    assert answer.status == 422
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
