"""[bundles] of auricle.toml: whose bundles are taken, and what a trial must show."""

from typing import Annotated

import msgspec

from .commands import KeyText, key_bytes

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BundleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[bundles]: keys: publishers' public keys by name; without any no bundle is taken.

    trial_s: what is not confirmed by then is taken back.  observations_min: decisions, or labels,
    before health is judged by them.  unknown_share_max: of decisions that were new or abstained.
    agreement_min: share of labels that say what had been answered.
    """

    keys: dict[str, KeyText] = {}
    trial_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] = 86_400.0
    observations_min: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 32
    unknown_share_max: Share = 0.5
    agreement_min: Share = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for a key that is none."""
        for name, text in self.keys.items():
            key_bytes(text, f"bundles.keys.{name}")
