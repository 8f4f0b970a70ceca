"""The encoders that are compared: the shipped ones, and forms made of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import encoder
from encoder import Card

PLAIN: Final = ("features", *(f"stage{number}" for number in range(1, 8)))
"""The taps of the default: what Lite1 and Lite2 have without those of spread."""

MakeForm = Callable[[Path], Card]


def shipped(name: str) -> MakeForm:
    """Return a maker of a shipped encoder's card, which needs no folder."""
    return lambda _folder: encoder.shipped_card(name)


def at(name: str, side: int) -> MakeForm:
    """Return a maker of a shipped encoder at another resolution."""
    return lambda folder: encoder.at_side(encoder.shipped_card(name), side, folder)


def pair(one: str, other: str, side: int) -> MakeForm:
    """Return a maker of two shipped encoders side by side, both at one resolution."""

    def make(folder: Path) -> Card:
        cards = [at(name, side)(folder / name) for name in (one, other)]
        return encoder.side_by_side(cards, folder)

    return make


LITE0, WIDE, LITE1, LITE2 = (
    "efficientnet_lite0",
    encoder.DEFAULT_ENCODER,
    "efficientnet_lite1",
    "efficientnet_lite2",
)

FORMS: Final[Mapping[str, MakeForm]] = {
    "lite0": shipped(LITE0),
    "lite0 spread": shipped(WIDE),
    "lite0 spread at 224": at(WIDE, 224),
    "lite0 at 192": at(LITE0, 192),
    "lite0 to stage5": lambda folder: encoder.with_taps(
        encoder.shipped_card(LITE0), ("stage5", "stage4", "stage3", "stage2", "stage1"), folder
    ),
    "lite0 spread, flip": lambda folder: encoder.flipped(encoder.shipped_card(WIDE), folder),
    "lite0, 2 crops of 256": lambda folder: encoder.cropped(
        encoder.shipped_card(LITE0), 256, 2, folder
    ),
    "lite1": shipped(LITE1),
    "lite1 at 208": at(LITE1, 208),
    "lite1 plain at 208": lambda folder: encoder.at_side(
        encoder.with_taps(encoder.shipped_card(LITE1), PLAIN, folder / "plain"), 208, folder
    ),
    "lite2": shipped(LITE2),
    "lite2 at 192": at(LITE2, 192),
    "lite0 + lite1 at 216": pair(WIDE, LITE1, 216),
    "lite0 + lite2 at 192": pair(WIDE, LITE2, 192),
}
"""By the name in the report; a name without a number is at the resolution that it is shipped for.
`spread` and all forms of Lite1 and Lite2 but `plain` have the taps of spread."""

QUICK: Final = ("lite0", "lite0 spread", "lite1 at 208", "lite0 + lite1 at 216")
"""The reference, the default, the rivals within 1.2 times its time, and the best within twice."""
