"""Samples that nothing before them explains, and features by likeness to them.

The sparse kernel regression of Engel, Mannor and Meir (2004, IEEE Transactions on Signal Processing
52(8)), in the basis of the Cholesky factor of the samples kept: a feature tells what its sample
adds to those kept before it.  Features do not change when others join, start at zero, and have
the same prior, so that any regression may grow with them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict

_NEW: Final = 0.02
_DEARER: Final = 8
_NOWHERE: Final = 1e300
_KEPT = ("atoms", "counts")


class SampleDictionary:
    """Up to `room` samples of each channel; features float64 [C, room], of length 1 at most.

    atoms: float64 [C, room, width], the samples kept.  inverse: of the Cholesky factor of their
    likenesses exp(-|a - b|^2 / 2), [C, room, room].  counts: how many there are.  A sample is kept
    if more than 2 % of it is new; for the last tenth of the room, ever more must be.
    Cost: O(C room (room + width)) a step.
    """

    def __init__(self, channels: int, room: int, width: int) -> None:
        self.atoms = np.zeros((channels, room, width))
        self.norms = np.full((channels, room), _NOWHERE)
        self.inverse = np.zeros((channels, room, room))
        self.counts = np.zeros(channels, np.int64)
        self._room = room

    def look(self, seen: Floats) -> Floats:
        """Return the features of samples, float64 [C, width]."""
        alike = np.matvec(self.atoms, seen)
        alike -= self.norms
        alike -= 0.5 * np.vecdot(seen, seen)[:, None]
        found: Floats = np.matvec(self.inverse, np.exp(alike, out=alike))
        return found

    def learn(self, seen: Floats, features: Floats, able: NDArray[np.bool_]) -> None:
        """Keep the samples of the channels that are able and show something new; their features
        are completed in place."""
        new = 1.0 - np.vecdot(features, features)
        share = self.counts / self._room
        grown = np.flatnonzero(able & (share < 1.0) & (new > np.maximum(_NEW, share**_DEARER)))
        for channel in grown:
            self._keep(channel, seen[channel], features[channel], np.sqrt(new[channel]))

    def _keep(self, channel: np.int64, seen: Floats, features: Floats, size: np.float64) -> None:
        place, inverse = int(self.counts[channel]), self.inverse[channel]
        inverse[place] = (features @ inverse) / -size
        inverse[place, place] = 1.0 / size
        self.atoms[channel, place] = seen
        self.norms[channel, place] = 0.5 * (seen @ seen)
        features[place] = size
        self.counts[channel] += 1

    def state(self) -> State:
        """Return the samples kept: the factor follows from them."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state: keep its samples again, one after the other."""
        state_dict(self, _KEPT, state)
        counts = np.minimum(self.counts, self._room)
        self.counts[:], self.norms[:], self.inverse[:] = 0, _NOWHERE, 0.0
        for place in range(int(counts.max(initial=0))):
            seen = self.atoms[:, place].copy()
            features = self.look(seen)
            sizes = np.sqrt(np.maximum(1.0 - np.vecdot(features, features), _NEW / 2))
            for channel in np.flatnonzero(counts > place):
                self._keep(channel, seen[channel], features[channel], sizes[channel])
