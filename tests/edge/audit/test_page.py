"""The page and the JSON of an audit."""

from __future__ import annotations

import json
import re

import pytest

from edge.audit.findings import AuditReport, Figure, Finding, not_covered
from edge.audit.muse import answer_muse
from edge.audit.page import as_data, render_page, show_figure

NASTY = "<script>alert('x')</script>"


def report_of(*findings: Finding) -> AuditReport:
    """A report with some findings."""
    return AuditReport(
        mode="rehearsal",
        request_id="",
        items=True,
        forgotten=12,
        retained=1_200,
        at_ns=1_700_000_000_000_000_000,
        seconds=31.2,
        findings=findings,
        muse=answer_muse(findings),
    )


def one(
    key: str, outcome: str = "holds", evidence: str = "proven", text: str = "As it is."
) -> Finding:
    """A finding with a figure."""
    return Finding(
        key=key,
        title=f"Title of {key}",
        evidence=evidence,  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        text=text,
        figures=(Figure(name="difference", value=0.0, low=-0.01, high=0.02),),
    )


def test_the_page_keeps_strengths_of_evidence_apart() -> None:
    """Findings stand under Proven, Tested or Not covered, each part with what it means."""
    page = render_page(
        report_of(
            one("sums"),
            one("lira", evidence="tested"),
            not_covered("outside", "Copies outside", "Unknown.", "Delete them."),
        )
    )
    parts = re.split(r"<h2>", page)
    assert [part.partition("<")[0] for part in parts[1:]] == ["Proven", "Tested", "Not covered"]
    assert "Title of sums" in parts[1]
    assert "Title of lira" in parts[2]
    assert "Delete them." in parts[3]
    assert "bit for bit" in parts[1]


def test_the_page_escapes_and_needs_nothing_from_elsewhere() -> None:
    """Texts become text, and the page has no scripts and no addresses."""
    page = render_page(report_of(one("sums", text=NASTY)))
    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<link|src=|href=|url\(", page)


def test_a_failing_finding_is_in_the_verdict_and_fails_its_criterion() -> None:
    """The first line names what was found, and MUSE's criterion is not met."""
    report = report_of(one("lira", "fails", "tested"), one("utility"))
    assert "title of lira" in report.verdict
    found = {criterion.name: criterion.outcome for criterion in report.muse}
    assert found["No privacy leakage"] == "fails"
    assert found["Utility preservation"] == "holds"
    assert found["Scalability"] == "open"
    assert report.verdict in render_page(report).replace("&#39;", "'")


def test_the_json_holds_the_verdict_and_every_figure() -> None:
    """The report survives JSON with its verdict, findings and intervals."""
    data = json.loads(json.dumps(as_data(report_of(one("lira", evidence="tested")))))
    assert data["verdict"].startswith("Nothing of the forgotten facts")
    assert data["findings"][0]["figures"][0]["high"] == 0.02
    assert len(data["muse"]) == 6


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(name="n", value=12_345), "12\u202f345"),
        (Figure(name="n", value=99.96, unit="%"), "100.0\u202f%"),
        (Figure(name="n", value=1e-12), "0"),
        (Figure(name="n", value=0.1234, low=-0.5, high=0.5), "0.123 (-0.5 to 0.5)"),
        (Figure(name="n", value=0.352, unit="s"), "0.352\u202fs"),
    ],
)
def test_a_figure_is_shown_with_unit_and_interval(figure: Figure, text: str) -> None:
    """Numbers are short, with their unit, and their interval in brackets."""
    assert show_figure(figure) == text
