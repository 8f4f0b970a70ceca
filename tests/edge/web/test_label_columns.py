"""Clusters of a domain without labels, named on the screen Label: a real browser, a live daemon."""

from __future__ import annotations

import json
import os

from edge.commands import send_to_daemon
from edge.commands.requests import CandidatesCommand
from tests.browsers import browsing, needs_browser, until
from tests.edge.web.test_now import SECOND_NS, samples, timed_home

pytestmark = needs_browser


def test_a_cluster_is_named_by_one_label(tmp_path) -> None:
    """The page offers the clusters of a domain that a stream has opened; a name becomes one fact of
    the first observation, and the cluster is offered no more."""
    with browsing(timed_home(tmp_path / "home"), role="labeller") as seen:
        assert seen.daemon is not None
        pairs = zip(samples(80, 90, 2), samples(80, 150, 3), strict=True)
        mixed = [row for pair in pairs for row in pair]
        for number, row in enumerate([*samples(32, 0, 1), *mixed]):
            values = [int(value) for value in row]
            at_ns = (1_001 + number) * SECOND_NS
            seen.daemon.say(json.dumps({"values": values, "captured_at_ns": at_ns}))

        def columns() -> list[dict[str, object]]:
            answer = send_to_daemon(seen.folder, CandidatesCommand(id="t"))
            assert answer["done"], answer
            return list(answer["body"]["columns"])

        until(lambda: sum(int(str(one["count"])) for one in columns()) > 60)
        seen.goto("label")
        section = seen.page.get_by_role("region", name="Clusters to name")
        section.wait_for()
        assert "most like" in section.inner_text()
        folder = os.environ.get("AURICLE_SHOTS")
        if folder:
            seen.page.screenshot(path=f"{folder}/clusters.png")
        first = columns()[0]
        section.get_by_label("Name of cluster 1").fill("bearing")
        section.get_by_role("button", name="Name").first.click()
        seen.page.get_by_text("labelled bearing").first.wait_for()
        assert first["samples"] not in [one["samples"] for one in columns()]
