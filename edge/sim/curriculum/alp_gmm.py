"""ALP-GMM: worlds are drawn where rewards change."""

from typing import Final

import numpy as np

from .box import Point
from .progress import LearningProgress

COMPONENTS: Final = tuple(range(2, 11))
"""Numbers of Gaussians that are tried, as in the authors' program."""
FIT_EVERY: Final = 25
"""Episodes between two fits, and before the first: a tenth of the authors', since a search here has
a few hundred episodes and theirs tens of thousands."""
FITTED_MAX: Final = 100
"""Latest episodes that a mixture is fitted to: it must forget progress that is over."""
RANDOM_SHARE: Final = 0.2
"""Share of worlds drawn anywhere (Portelas et al. 2019, as in the authors' program)."""


class AlpGmmTeacher:
    """Draws worlds in proportion to absolute learning progress (Portelas et al. 2019, "Teacher
    algorithms for curriculum learning of deep RL in continuously parameterized environments",
    CoRL; read: the abstract and `ALPGMM` of the authors' program).

    Progress is the absolute difference of a world's reward from that of the nearest earlier world.
    Every few episodes Gaussian mixtures of several sizes are fitted to (parameters, progress) and
    the one of lowest AIC is kept.  A Gaussian is then chosen in proportion to its mean progress,
    and a world is drawn from it; one world in five is drawn anywhere.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        self._dimensions, self._seed = dimensions, seed
        self._random = np.random.default_rng([seed, 11])
        self._progress = LearningProgress()
        self._rows: list[Point] = []
        self._mixture: tuple[Point, Point] | None = None

    def propose(self) -> Point:
        """Return the next world, [dimensions], each from 0 to 1."""
        if self._mixture is None or self._random.random() < RANDOM_SHARE:
            return self._random.random(self._dimensions)
        means, covariances = self._mixture
        progress = np.maximum(means[:, -1], 0.0)
        total = progress.sum()
        weights = progress / total if total else None
        chosen = int(self._random.choice(len(means), p=weights))
        drawn = self._random.multivariate_normal(means[chosen], covariances[chosen])[:-1]
        return np.asarray(np.clip(drawn, 0.0, 1.0))

    def learn(self, point: Point, reward: float) -> None:
        """Take in the reward of a world, from 0 to 1."""
        self._rows.append(np.append(point, self._progress.add(point, reward)))
        if len(self._rows) % FIT_EVERY == 0:
            self._fit()

    def _fit(self) -> None:
        from sklearn.mixture import GaussianMixture

        rows = np.array(self._rows[-FITTED_MAX:])
        fitted = [
            GaussianMixture(number, random_state=self._seed).fit(rows)
            for number in COMPONENTS
            if number <= len(rows) // 2
        ]
        best = min(fitted, key=lambda one: float(one.aic(rows)))
        self._mixture = best.means_, best.covariances_
