"""Draw the upper part of a report as a PNG file, for the README.

Usage: python scripts/draw_report.py auricle-demo/report.html docs/images/demo.png

The picture ends with the first chart.  Needs Chromium and playwright.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.console.browser import chromium

WIDTH, HEIGHT, MARGIN = 1_120, 900, 12
"""Of the window, and the border around the cards, in pixels."""


def main(report: Path, out: Path) -> None:
    """Draw the page from its top to the end of the first chart's card."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.absolute().as_uri())
        chart = page.locator("svg").first.evaluate(
            "one => { const card = one.closest('section, figure, .card') ?? one;"
            " return card.getBoundingClientRect().bottom + scrollY; }"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": chart + MARGIN}
        page.screenshot(path=out, full_page=True, clip=clip)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
