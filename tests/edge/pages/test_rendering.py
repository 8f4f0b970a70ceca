from __future__ import annotations

import re
from importlib.resources import files

import jinja2
import pytest

from edge.pages import environment, sentence

NASTY = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def macros():
    """The shared macros, as a template imports them."""
    return environment("edge.pages").get_template("pages/macros.html").module


def test_every_value_is_escaped(macros) -> None:
    """Names, values, remarks, captions and cells of a table become text, never markup."""
    made = [
        macros.number(NASTY, NASTY, NASTY, NASTY),
        macros.table(NASTY, [(NASTY, {"text": NASTY, "note": NASTY, "sentence": NASTY})], [NASTY]),
        macros.figure(NASTY, caller=lambda: ""),
    ]
    assert all("<script" not in one and "&lt;script&gt;" in one for one in made)


def test_a_missing_value_is_an_error() -> None:
    """A template that uses a name that was not given raises instead of leaving a gap."""
    template = environment("edge.pages").from_string("{{ facts }}")
    with pytest.raises(jinja2.UndefinedError, match="facts"):
        template.render()


def test_a_table_scrolls_by_keyboard_and_names_its_rows(macros) -> None:
    """A wide table is a named region that takes the focus; the first cell of a row is its head."""
    made = str(macros.table("Figures", [("Facts", 3), ("Note", "none")], ("", "Count"), words=(1,)))
    assert 'role="region" aria-label="Figures" tabindex="0"' in made
    assert made.count('<th scope="row">') == 2
    assert '<td class="number">' not in made


def test_text_can_be_read_in_light_and_in_dark() -> None:
    """Every colour of text has a contrast of at least 4.5 to 1 on its grounds (WCAG 2.2, success
    criterion 1.4.3)."""
    text = files("edge.pages").joinpath("templates", "tokens.css").read_text("utf-8")
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    for colours in ({one[0]: one[1] for one in found}, {one[0]: one[2] for one in found}):
        for ink in ("ink", "faint", "accent", "alarm-ink", "new-ink", "good-ink", "warn-ink"):
            for ground in ("paper", "card", "sunken"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for tone in ("alarm", "new", "good", "warn"):
            assert contrast(colours[f"{tone}-ink"], colours[f"{tone}-soft"]) >= 4.5, tone
        assert contrast(colours["accent"], colours["accent-soft"]) >= 4.5
        assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
        assert contrast(colours["line-strong"], colours["card"]) >= 3, "borders of fields (1.4.11)"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours after WCAG 2.2."""
    dim, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of a colour after WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("there is no such page", "There is no such page."),
        ("auricle.toml cannot be read", "auricle.toml cannot be read."),
        ("'x' is no label. Did you mean y?", "'x' is no label. Did you mean y?"),
        ("labelling: it is gone ", "Labelling: it is gone."),
        ("", ""),
    ],
)
def test_messages_become_sentences(text: str, expected: str) -> None:
    """A capital and a full stop, but no capital for a name."""
    assert sentence(text) == expected
