"""The ablation of the eight tricks on few-shot class-incremental streams: each off, each alone."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from edge.sim.strategies import StreamTask, TaskStream

from .courses import run_course
from .streams import digits, join, missing_pacs, pacs_classes, take

TRICKS: Final = "tricks"
SHOTS: Final = 5
"""Rows of each label of a later task: the usual five."""
FIRST_ROWS: Final = 200
"""Rows of each label of the first task at most: the rarest class of PACS has about as many."""
FIRST: Final = 0.6
"""Share of the labels in the first task, with all their rows: the usual split of CIFAR-100."""
NAMES: Final = (
    "contrast",
    "assigned",
    "pseudo",
    "tuned",
    "subnet",
    "wide",
    "pretrained",
    "signal",
)


def run_tricks(data: Path | None, seeds: Sequence[int]) -> Mapping[tuple[str, str], float]:
    """Return the final accuracy by (line, world): all tricks, none, all but one, one alone."""
    from edge.sim.strategies import Tricks

    every = Tricks()
    none = Tricks(**dict.fromkeys(NAMES, False))
    lines = {"all tricks": every, "no trick": none}
    lines |= {f"all but {name}": replace(every, **{name: False}) for name in NAMES}
    lines |= {f"{name} alone": replace(none, **{name: True}) for name in NAMES}
    assert {one.name for one in fields(Tricks)} == set(NAMES)
    found: dict[tuple[str, str], float] = {}
    for world, streams in few_shot_streams(data).items():
        for line, tricks in lines.items():
            finals = [
                run_course(
                    "tricks",
                    [few_shot(streams[seed % len(streams)], seed)],
                    seed,
                    {"tricks": tricks},
                )[0].final
                for seed in seeds
            ]
            found[line, world] = fmean(finals)
        finals = [
            run_course("ncm", [few_shot(streams[seed % len(streams)], seed)], seed)[0].final
            for seed in seeds
        ]
        found["ncm", world] = fmean(finals)
    return found


def few_shot_streams(data: Path | None) -> dict[str, tuple[TaskStream, ...]]:
    """Return the streams that the data allow, whole."""
    found = {"digits": digits()}
    if data is not None and not missing_pacs(data):
        found["pacs"] = pacs_classes(data)
    return found


def few_shot(stream: TaskStream, seed: int) -> TaskStream:
    """Return a stream whose first task has most labels with up to 200 rows each, and each later
    task one label with five rows."""
    train = [task.train for task in stream.tasks]
    held = [task.test for task in stream.tasks]
    rows, tests = join(train), join(held)
    order = list(dict.fromkeys(np.concatenate([one.targets for one in train]).tolist()))
    count = round(FIRST * len(order))
    random = np.random.default_rng(seed)
    tasks = []
    for labels in (order[:count], *([one] for one in order[count:])):
        own = np.flatnonzero(np.isin(rows.targets, labels))
        most = FIRST_ROWS if len(labels) > 1 else SHOTS
        chosen = np.concatenate(
            [random.permutation(own[rows.targets[own] == one])[:most] for one in labels]
        )
        test = np.flatnonzero(np.isin(tests.targets, labels))
        name = " ".join(stream.labels[one] for one in labels)
        tasks.append(StreamTask(name, take(rows, np.sort(chosen)), take(tests, test)))
    return replace(stream, world=f"{stream.world}, few shots", tasks=tuple(tasks))
