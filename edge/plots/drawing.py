"""Figures in the page's style, as SVG that inherits colours and fonts from the page."""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

ALARM_MARK, CLEARED_MARK = "^", "o"
"""Markers of a raised and of a cleared alarm, in every chart as in the terminal (▲)."""

# Placeholder colours: `render_svg` replaces each with a CSS variable of the page.
INK, FAINT, GRID, KNOWN, NEW, ALARM, GOOD, BAND, HEAT = (
    "#000001",
    "#000002",
    "#000003",
    "#000004",
    "#000005",
    "#000006",
    "#000007",
    "#000008",
    "#000009",
)
VARIABLES: Final = {
    INK: "ink",
    FAINT: "faint",
    GRID: "grid",
    KNOWN: "known",
    NEW: "new",
    ALARM: "alarm",
    GOOD: "good",
    BAND: "band",
    HEAT: "heat",
}
# The light colours of edge/pages/templates/tokens.css, for PNG files.
PRINTED: Final = {
    INK: "#1d2126",
    FAINT: "#646a72",
    GRID: "#dfdcd6",
    KNOWN: "#2166ac",
    NEW: "#d9760b",
    ALARM: "#c3293a",
    GOOD: "#2c8a57",
    BAND: "#eeebe5",
    HEAT: "#4a8fd0",
}
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "auricle",
    "font.size": 9.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.axisbelow": True,
}


@contextmanager
def open_figure(
    size: tuple[float, float], count: int, heights: tuple[int, ...] | None = None
) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Open a figure in the page's style, with `count` axes on top of each other."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure: Any = Figure(figsize=size, layout="constrained")
        rows = figure.subplots(count, 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        yield figure, tuple(rows[:, 0])


def round_cell(place: tuple[float, float], size: tuple[float, float], alpha: float) -> Any:
    """Return a cell of a heat map with rounded corners; higher `alpha` is a deeper colour."""
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        place,
        *size,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=HEAT,
        edgecolor="none",
        alpha=alpha,
    )


def render_svg(figure: Any, name: str) -> str:
    """Return a figure as an inline SVG.  name: prefix that makes its ids unique on the page."""
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--type)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        r'<svg viewBox="\1" role="img" xmlns="http://www.w3.org/2000/svg"'
        r' xmlns:xlink="http://www.w3.org/1999/xlink">',
        text,
        count=1,
    )


def render_png(figure: Any) -> bytes:
    """Return a figure as a PNG on white, in the light colours of the page; 150 dots per inch."""
    target = io.BytesIO()
    # Ticks exist only after layout.
    figure.draw_without_rendering()
    for artist in figure.findobj():
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            _paint(artist, part)
    figure.savefig(target, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return target.getvalue()


def _paint(artist: Any, part: str) -> None:
    """Replace a placeholder colour with its printed colour."""
    from matplotlib.colors import to_hex, to_rgba, to_rgba_array

    if not (hasattr(artist, f"get_{part}") and hasattr(artist, f"set_{part}")):
        return
    found = getattr(artist, f"get_{part}")()
    rows = to_rgba_array(found) if found is not None and len(found) else ()
    if any(to_hex(row) in PRINTED for row in rows):
        painted = [to_rgba(PRINTED.get(to_hex(row), row), row[3]) for row in rows]
        getattr(artist, f"set_{part}")(painted if len(painted) > 1 else painted[0])


def embed_image(width: int, pixels: bytes) -> str:
    """Return grey pixels, one byte each, as a PNG data URI, dark ink on white."""
    from matplotlib.image import imsave

    target = io.BytesIO()
    rows = 255 - np.frombuffer(pixels, np.uint8).reshape(-1, width)
    # matplotlib omits keys with the value None, which its types do not express.
    unsigned: Any = {"Software": None}
    imsave(target, rows, cmap="gray", vmin=0, vmax=255, metadata=unsigned)
    return f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"


def shorten(text: str) -> str:
    """Shorten a long name, and escape matplotlib's markup."""
    return (text if len(text) <= 18 else f"{text[:17]}…").replace("$", r"\$")


def format_duration(microseconds: float) -> str:
    """Format a duration with three digits and a suitable unit."""
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} µs"
