"""Hostile members: how many the comparison with the others finds, and whom it reports wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from msgspec.structs import replace

from edge.core import Contribution, MemberVotes, find_outliers
from edge.fleet import read_contribution
from edge.sim.fleet import FleetWorld, MemberTools, make_member, make_world

Attack = Literal["swapped labels", "random bits", "shifted features", "half of the facts"]

MEMBERS: Final = 160
"""Members of a site."""
SHARES: Final = (0.01, 0.1, 0.2, 0.3, 0.4)
"""Shares of hostile members."""
ATTACKS: Final[tuple[Attack, ...]] = (
    "swapped labels",
    "random bits",
    "shifted features",
    "half of the facts",
)
"""What hostile members send; with the last one only half of a concept's facts are wrong."""
SEEDS: Final = (3, 4, 5)
"""Seeds of the worlds; the threshold of the comparison was chosen on the worlds 1 and 2."""


@dataclass(frozen=True)
class HostileOutcome:
    """What a check found.  influence: the largest share of a concept's facts that one hostile
    member holds."""

    attack: str
    share: float
    found: float
    reported_wrongly: float
    influence: float


def measure_attacks(*, quick: bool = False) -> Iterator[HostileOutcome]:
    """Yield the outcome of each attack and share; quick: one seed and three shares."""
    seeds, shares = (SEEDS[:1], SHARES[:3]) if quick else (SEEDS, SHARES)
    tools = MemberTools.open()
    worlds = [(make_world(seed), seed) for seed in seeds]
    honest = [[*honest_members(world, seed, tools)] for world, seed in worlds]
    for attack in ATTACKS:
        for share in shares:
            rows = [
                check_attack(members, attack, share, seed)
                for members, seed in zip(honest, seeds, strict=True)
            ]
            means = np.mean(rows, axis=0).tolist()
            yield HostileOutcome(attack, share, *means)


def honest_members(world: FleetWorld, seed: int, tools: MemberTools) -> Iterator[Contribution]:
    """Yield the first contributions of honest members of one site."""
    number = made = 0
    while made < MEMBERS:
        history = make_member(number, 0, seed, world, tools)
        number += 1
        if history.kind in {"steady", "learns", "forgets", "leaves"}:
            made += 1
            yield read_contribution(history.messages[0], {})


def check_attack(
    members: list[Contribution], attack: Attack, share: float, seed: int
) -> tuple[float, float, float]:
    """Return the shares of the hostile that were found and of the honest that were reported, and
    the largest influence of a hostile one."""
    random = np.random.default_rng([seed, 5])
    count = max(1, round(share * len(members)))
    hostile = set(random.permutation(len(members))[:count].tolist())
    sent = [
        spoil(one, attack, random) if place in hostile else one for place, one in enumerate(members)
    ]
    votes = MemberVotes()
    for one in sent:
        votes.change(one.arrays, 1)
    found = find_outliers({one.device: votes.distances(one.arrays) for one in sent})
    reported = {one.device for one in found}
    bad = {members[place].device for place in hostile}
    influence = max((one.share for one in found if one.device in bad), default=0.0)
    honest = len(members) - len(bad)
    return len(reported & bad) / len(bad), len(reported - bad) / honest, influence


def spoil(one: Contribution, attack: Attack, random: np.random.Generator) -> Contribution:
    """Return what a hostile member sends in place of its contribution: arrays that facts could
    sum up to."""
    arrays = dict(one.arrays)
    names = ("ones", "sums", "features")
    if attack == "swapped labels":
        arrays |= {name: arrays[name][::-1].copy() for name in names}
        arrays["counts"] = arrays["counts"][::-1].copy()
    elif attack == "half of the facts":
        mixed = {name: arrays[name].astype(np.int64) for name in names}
        counts = arrays["counts"].astype(np.int64)
        for name, rows in mixed.items():
            shape = (-1,) + (1,) * (rows.ndim - 1)
            each = counts.reshape(shape)
            arrays[name] = (rows + rows[::-1] * each // each[::-1]) // 2
    elif attack == "random bits":
        counts = arrays["counts"].astype(np.int64)[:, None]
        arrays["ones"] = random.integers(0, counts + 1, arrays["ones"].shape)
    else:
        counts = arrays["counts"].astype(np.int64)[:, None]
        arrays["features"] = 255 * counts - arrays["features"].astype(np.int64)
    return replace(one, arrays=arrays)
