"""Whose facts a sum of several devices holds: one number for each device.

Without it nobody could see that two sums hold the same device, and their sum would count its facts
twice.  A number is a digest of the device's name under the fleet's geometry: 8 bytes a device,
equal wherever it is computed, and different in every fleet.  It tells nothing about facts; whoever
knows a name and the geometry can tell whether that device takes part.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .contributions import MEMBERS, Contribution

MEMBER_BYTES: Final = 7
"""Bytes of the digest, so that it is a positive int64.  Two of ten thousand devices have one number
with a probability of 10^-9, and are then refused."""


def member_number(device: str, geometry: str) -> int:
    """Return the number of a device in the fleet of a geometry, by its fingerprint."""
    digest = hashlib.sha256(f"member\n{geometry}\n{device}".encode()).digest()
    return int.from_bytes(digest[:MEMBER_BYTES])


def members_of(one: Contribution) -> NDArray[np.int64]:
    """Return the numbers of the devices in a contribution, int64 [devices], sorted; of one without
    sums none."""
    if not one.samples:
        return np.zeros(0, np.int64)
    carried = one.arrays.get(MEMBERS)
    if carried is None:
        return np.array([member_number(one.device, one.geometry)], np.int64)
    return np.asarray(carried, np.int64)


def pack_members(numbers: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """Return the array that names the devices of a sum.  numbers: theirs, sorted."""
    return {MEMBERS: np.array(numbers, np.int64)}


def counted_twice(given: Contribution, held: Mapping[str, Contribution]) -> str:
    """Return why a contribution may not be added to those of other devices; empty if it may.
    Cost: linear in the devices of all."""
    mine = members_of(given)
    for device, one in sorted(held.items()):
        if device == given.device or one.geometry != given.geometry:
            continue
        shared = len(np.intersect1d(mine, members_of(one), assume_unique=True))
        if shared:
            return twice_reason(shared, device)
    return ""


def twice_reason(shared: int, device: str) -> str:
    """Return the reason of a refusal: how many devices another one's sums hold as well."""
    many = "a device that is" if shared == 1 else f"{shared} devices that are"
    return f"it holds {many} in the sums of {device} as well: their facts would count twice"
