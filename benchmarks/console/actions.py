"""Actions of the console as forms of a browser without scripts: how many of them succeed.

Not driven: `knowledge-separate`, `knowledge-grow`, `knowledge-roll-back`, `now-confirm` and
`label-confirm`, which need minutes or states of their own, and `start-daemon`.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path

from .daemon import wait_until
from .pages import PageSession

Form = dict[str, str | list[str]]
Step = tuple[str, Form, str]
"""Route, form, and a text that the page shows after a success."""

LABEL, OTHER = "benchmark", "console"
"""Labels that the home does not know."""


class ActionRun:
    """One session that performs actions.  failed: routes whose action did not succeed."""

    def __init__(self, session: PageSession) -> None:
        self._session, self._page = session, ""
        self.done: set[str] = set()
        self.failed: list[str] = []

    def perform(self, step: Step) -> None:
        """Send a form, and look at the page that follows."""
        path, form, wanted = step
        status, headers, body = self._session.ask("POST", path, form)
        if status == http.client.SEE_OTHER:
            status, _, body = self._session.ask("GET", headers["Location"].removeprefix("./"))
        self._page = body.decode()
        if status == http.client.OK and wanted in self._page:
            self.done.add(path)
        else:
            self.failed.append(f"{path}: status {status}, no {wanted!r}")

    def hidden(self, name: str) -> str:
        """Return a hidden field of the newest page, empty without one."""
        found = re.search(f'name="{name}" value="([^"]*)"', self._page)
        return found[1] if found else ""

    def show(self, path: str) -> str:
        """Open a page."""
        self._page = self._session.ask("GET", path)[2].decode()
        return self._page


def drive(session: PageSession, home: Path, ids: list[str]) -> ActionRun:
    """Perform every action that this file names.  ids: of at least six recent observations without
    a label, of one stream."""
    run = ActionRun(session)
    for steps in (_labels, _knowledge, _forgets, _health):
        for step in steps(run, home, ids):
            run.perform(step)
    run.perform(("leave", {}, "One-time code"))
    return run


def _labels(run: ActionRun, _home: Path, ids: list[str]) -> Iterator[Step]:
    given: Form = {"id": ids[:1], "label": LABEL, "sure": "1"}
    yield "label-apply", given, "1 labelled"
    yield "label-undo", {"undo_id": run.hidden("undo_id")}, "Undone"
    yield "label-apply", given | {"id": ids[:5]}, "5 labelled"
    yield "why-correct", {"id": ids[0], "label": OTHER, "learned": LABEL}, f"labelled {OTHER}"
    yield "undo", {"undo_id": run.hidden("undo_id"), "back": "knowledge"}, LABEL
    yield "first-run-enrol", {"stream": "camera", "id": ids[5:6], "label": LABEL}, LABEL


def _knowledge(_run: ActionRun, _home: Path, ids: list[str]) -> Iterator[Step]:
    yield "knowledge-keep", {"observation": ids[0], "label": LABEL}, f"Kept as {LABEL}"
    again: Form = {"observation": ids[0], "label": LABEL}
    yield "knowledge-look-again", again, f"{LABEL} is checked again"
    yield "knowledge-relabel", {"observation": ids[0], "label": OTHER}, f"is now {OTHER}"
    names: Form = {"kind": "label", "old": OTHER, "new": LABEL}
    yield "knowledge-preview", names, "1 example"
    yield "knowledge-rename", names, f"changed from {OTHER} to {LABEL}"
    yield "knowledge-fit", {}, "The geometry was fitted"


def _forgets(run: ActionRun, _home: Path, ids: list[str]) -> Iterator[Step]:
    given: Form = {"ids": ids[1]}
    yield "forget-preview", given, "would be forgotten"
    request_id = run.hidden("request_id")
    yield "forget-confirm", given | {"count": "1", "request_id": request_id}, "<title>Receipt"
    wait_until(lambda: "Digest before" in run.show(f"forget-receipt?id={request_id}"))
    yield "forget-verify", {"id": request_id}, "no forgotten fact is in the file"
    yield "forget-audit", {"id": request_id}, "<title>Audit"
    yield "forget-repeat", {"id": request_id}, "<title>Receipt"
    wait_until(lambda: "Digest before" in run.show(f"forget-receipt?id={request_id}"))


def _health(run: ActionRun, home: Path, _ids: list[str]) -> Iterator[Step]:
    settings = home / "auricle.toml"
    run.show("health")
    given: Form = {"text": settings.read_text("utf-8") + "# saved\n", "mark": run.hidden("mark")}
    yield "health-check", given, "# saved"
    yield "health-save", given, "Saved."
    yield "health-restore", {}, "settings-text"
    yield "health-reload", {}, "toast-good"
    yield "health-pause", {"paused": "yes"}, "Decisions are paused."
    yield "health-pause", {"paused": "no"}, "Decisions have resumed."
    yield "now-adaptation", {"policy": "off"}, "toast-good"
    yield "now-adaptation", {"policy": "auto"}, "toast-good"
    yield "health-doctor", {}, "findings"
    form: Form = {"source": "tables-series", "path": str(home.parent), "stream": "tables"}
    yield "first-run-add", form, "tables"
