"""What the table [links] of a scenario file may say: see docs/howto/simulate.md."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Steps = Annotated[int, Meta(ge=1, le=288)]


class LinkSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated backbone, and the forecaster that watches it."""

    topology: Literal["euro28", "nsfnet"] = "nsfnet"
    days: Annotated[int, Meta(ge=1, le=60)] = 10
    quiet_days: Annotated[int, Meta(ge=1, le=59)] = 7
    double_share: Annotated[float, Meta(ge=0, le=1)] = 0.25
    forecaster: str = "pool"
    detector: str = "joint"
    horizons: tuple[Steps, ...] = (1, 6, 12)


class LinkScenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario of link loads: its title and the backbone."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    links: LinkSpec
