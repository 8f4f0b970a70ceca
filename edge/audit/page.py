"""The report of an audit as one page of HTML without scripts, and as JSON."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..core import ConfigError
from ..extras import install_command
from .findings import EVIDENCE_TEXTS, AuditReport, Evidence, Figure, Finding, Outcome, counted

OUTCOMES: Final[Mapping[Outcome, tuple[str, str]]] = {
    "holds": ("holds", "good"),
    "fails": ("fails", "bad"),
    "open": ("open", "warn"),
}
"""The words and the tone of an outcome."""

SECTIONS: Final[tuple[tuple[Evidence, str], ...]] = (
    ("proven", "Proven"),
    ("tested", "Tested"),
    ("not covered", "Not covered"),
)
"""The parts of the page, strongest evidence first."""

NUMBERS_EXACT: Final = 1e-9
"""Below this a figure is shown as 0: it is rounding."""


def as_data(report: AuditReport) -> dict[str, Any]:
    """Return a report as plain data for JSON, with the verdict and without empty fields."""
    data: dict[str, Any] = msgspec.to_builtins(report)
    return {"verdict": report.verdict, **data}


def render_page(report: AuditReport) -> str:
    """Return the page; all text is escaped.  Raises ConfigError without jinja2."""
    try:
        from ..pages import environment
    except ImportError as error:
        raise ConfigError(
            "writing the page of an audit: jinja2 is not installed",
            f"install it: {install_command('web')}; or use --json",
        ) from error
    page = environment("edge.audit").get_template("audit.html")
    return page.render(
        report=report,
        sections=[
            (title, EVIDENCE_TEXTS[evidence], [_shown(one) for one in found])
            for evidence, title in SECTIONS
            if (found := [one for one in report.findings if one.evidence == evidence])
        ],
        failed=[_shown(one) for one in report.failed],
        muse=[(one, OUTCOMES[one.outcome][1]) for one in report.muse],
        lead=_lead(report),
    )


def show_figure(figure: Figure) -> str:
    """Return a figure with its unit and its interval."""
    text = _number(figure.value, figure.unit)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} ({_number(figure.low, '')} to {_number(figure.high, '')})"


def _number(value: float, unit: str) -> str:
    if abs(value) < NUMBERS_EXACT:
        text = "0"
    elif isinstance(value, int):
        text = f"{value:,}".replace(",", "\u202f")
    else:
        text = f"{value:.1f}" if unit == "%" else f"{value:.3g}"
    return f"{text}\u202f{unit}" if unit else text


def _shown(finding: Finding) -> dict[str, Any]:
    words, tone = OUTCOMES[finding.outcome]
    return {
        "title": finding.title,
        "words": words,
        "tone": tone,
        "text": finding.text,
        "todo": finding.todo,
        "source": finding.source,
        "figures": [(one.name, show_figure(one)) for one in finding.figures],
    }


def _lead(report: AuditReport) -> str:
    what = (
        f"Rehearsal on a copy: {counted(report.forgotten, 'fact')} forgotten,"
        f" {report.retained:,} remain."
        if report.mode == "rehearsal"
        else f"Receipt {report.request_id}: {counted(report.forgotten, 'fact')} forgotten,"
        f" {report.retained:,} are known today."
    )
    items = (
        ""
        if report.items
        else " The forgotten items were not supplied, so answers about them were not attacked."
    )
    return what + items
