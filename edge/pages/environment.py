"""The Jinja environment of all pages: everything is escaped, an unknown name is an error."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import formats

HERE = Path(__file__).parent


def make_environment(folder: Path) -> Environment:
    """Return an environment for the templates of a folder and the shared ones (`macros.html`).

    Values are escaped unless a macro made them.  Filters: those of formats.py.
    """
    made = Environment(
        loader=FileSystemLoader([folder, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Installed templates do not change while the program runs.
        auto_reload=False,
    )
    made.filters |= {
        "number": formats.number,
        "percent": formats.percent,
        "p_value": formats.p_value,
        "size": formats.size,
        "duration": formats.duration,
        "utc": formats.utc,
        "iso": formats.iso,
        "plural": formats.plural,
    }
    return made


def shared_text(name: str) -> str:
    """Return the text of a shared static file, for pages that contain it: `tokens.css`."""
    return (HERE / "static" / name).read_text("utf-8")
