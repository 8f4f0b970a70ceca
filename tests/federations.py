"""Devices for tests of training over devices: a quadratic bowl each, and small homes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

import nas
from edge.core.events import Enrol, ForgetRequest
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.federation import TrainingOrder, TrainingSubject
from edge.federation.strategies.strategy import FederatedSettings
from edge.home.home import Home
from tests.homes import new_home
from tests.worlds import clouds, fact

DOMAIN = "hall"
SUBJECT = TrainingSubject(domain=DOMAIN, blueprint=nas.Blueprint(kind="lowrank", taps=(0,), rank=2))
ORDER = TrainingOrder(
    subject=SUBJECT, strategy="fedavg", rounds=3, settings=FederatedSettings(steps=4, batch=8)
)


class BowlTask:
    """Loss |w - centre|^2 / 2, with noise in the gradient; its sums are those of one concept."""

    def __init__(self, centre: float, examples: int = 10) -> None:
        self.centre, self._examples = centre, examples

    @property
    def examples(self) -> int:
        """Number of facts."""
        return self._examples

    def gradient(self, arrays: Any, batch: int, random: np.random.Generator) -> Any:
        """Loss and noisy gradient."""
        del batch
        apart = arrays["w"] - np.float32(self.centre)
        noise = random.normal(0, 0.01, apart.shape).astype(np.float32)
        return float(0.5 * (apart**2).sum()), {"w": apart + noise}

    def sums(self) -> dict[str, np.ndarray]:
        """Of a few facts of two concepts in three columns."""
        rows = np.random.default_rng(int(self.centre * 10)).integers(0, 255, (6, 3), np.int64)
        gram = rows.T @ rows
        return {
            "counts": np.array([3, 3]),
            "features": np.array([rows[:3].sum(axis=0), rows[3:].sum(axis=0)]),
            "gram": gram[np.tril_indices(3)],
        }


START = {"w": np.zeros(4, np.float32)}
TASKS = {"north": BowlTask(1.0), "south": BowlTask(2.0, 30), "west": BowlTask(3.0)}


def forget(home: Home, fact_id: str) -> Receipt:
    """Forget a fact in a home."""
    request = ForgetRequest(request_id=fact_id, selector=Selector(ids=frozenset({fact_id})))
    return next(one for one in home.feed(request) if isinstance(one, Receipt))


def teach_homes(folder: Path, names: tuple[str, ...] = ("north", "south", "west")) -> list[Path]:
    """Homes that have learned two labels of a hall, each a little different."""
    paths = []
    for number, name in enumerate(names):
        path = new_home(folder / name)
        settings = path / "auricle.toml"
        settings.write_text(settings.read_text("utf-8") + f'\n[device]\nname = "{name}"\n', "utf-8")
        rows = np.clip(np.array(clouds((1, 2), 12), int) + number, 0, 255).astype(np.uint8)
        facts = (
            replace(fact(f"{name}-{n}", "ab"[n // 12], DOMAIN, n), features=row.tobytes())
            for n, row in enumerate(rows)
        )
        with Home(path) as home:
            home.feed(Enrol(tuple(facts)))
        paths.append(path)
    return paths
