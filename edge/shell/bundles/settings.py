"""[bundles] of auricle.toml: whose bundles are taken, and what a trial must show."""

from typing import Annotated

import msgspec

from ..commands.keys import KeyText, public_key

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BundleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[bundles]: keys: publishers' public keys by name; without any no bundle is taken.
    trial_s: without a confirmation by then it is taken back.  observations_min: decisions or labels
    before health is judged; unknown_share_max: share of them that may be new or abstained;
    agreement_min: share of labels that must agree with what was answered."""

    keys: dict[str, KeyText] = {}
    trial_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] = 86_400.0
    observations_min: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 32
    unknown_share_max: Share = 0.5
    agreement_min: Share = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for a key that is none."""
        for name, text in self.keys.items():
            public_key(text, f"bundles.keys.{name}")
