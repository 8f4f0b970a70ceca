"""Runs one strategy of Avalanche for the harness: a program for the Python that has Avalanche.

It imports nothing of Auricle.  Standard input brings an order a line, as JSON; arrays lie in npz
files, read without pickle; standard output answers each order with a line of JSON.
"""

import json
import os
import sys
import time
import warnings
from typing import Any, TextIO

import numpy as np
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training import EWC, Naive, Replay, StreamingLDA, SynapticIntelligence
from avalanche.training.plugins import EvaluationPlugin
from torch.utils.data import TensorDataset

FLOAT = 4
"""Bytes of a number in float32."""


def begin(settings: dict[str, Any]) -> Any:
    """Return a strategy of Avalanche on a linear layer, with the settings of the harness."""
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(1)
    shared = {
        "criterion": torch.nn.CrossEntropyLoss(),
        "train_mb_size": settings["batch"],
        "evaluator": EvaluationPlugin(loggers=[]),
    }
    if settings["strategy"] == "slda":
        return StreamingLDA(
            slda_model=torch.nn.Identity(),
            input_size=settings["columns"],
            num_classes=settings["labels"],
            shrinkage_param=settings["shrinkage"],
            **shared,
        )
    model = torch.nn.Linear(settings["columns"], settings["labels"])
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=1.0,  # Each order sets its own.
        momentum=settings["momentum"],
        weight_decay=settings["decay"],
    )
    kind, own = {
        "naive": (Naive, {}),
        "replay": (Replay, {"mem_size": settings["capacity"]}),
        "ewc": (EWC, {"ewc_lambda": settings["strength"]}),
        "si": (SynapticIntelligence, {"si_lambda": settings["strength"]}),
    }[settings["strategy"]]
    return kind(model=model, optimizer=optimiser, train_epochs=settings["epochs"], **shared, **own)


def learn(strategy: Any, rows: np.ndarray, targets: np.ndarray, step: float) -> None:
    """Train on a task with a step of descent; momentum of the task before is dropped, as by our own
    strategies."""
    if strategy.optimizer is not None:
        strategy.optimizer.state.clear()
    for group in getattr(strategy.optimizer, "param_groups", ()):
        group["lr"] = step
    data: Any = TensorDataset(torch.from_numpy(rows), torch.from_numpy(targets))
    data.targets = targets.tolist()
    task = benchmark_from_datasets(train=[as_classification_dataset(data)]).train_stream[0]
    strategy.train(task)


def answer(strategy: Any, rows: np.ndarray) -> np.ndarray:
    """Return the scores of rows."""
    with torch.no_grad():
        found = torch.from_numpy(rows)
        predict = getattr(strategy, "predict", strategy.model)
        scores: np.ndarray = predict(found).numpy().astype(np.float32)
    return scores


def kept(strategy: Any, settings: dict[str, Any], tasks: int) -> int:
    """Return the bytes that a strategy keeps: of Avalanche's own state, by its documentation."""
    weights: int = FLOAT * sum(one.numel() for one in strategy.model.parameters())
    columns, labels = settings["columns"], settings["labels"]
    found: int = {
        "naive": weights,
        "replay": weights + settings["capacity"] * (FLOAT * columns + 2 * FLOAT),
        "ewc": weights * (1 + 2 * tasks),
        "si": 4 * weights,
        "slda": FLOAT * (2 * columns * columns + labels * columns + labels),
    }[settings["strategy"]]
    return found


def reply(answers: TextIO, **figures: float) -> None:
    """Answer an order."""
    answers.write(json.dumps(figures) + "\n")
    answers.flush()


def main() -> None:
    """Carry out orders until standard input ends."""
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What Avalanche prints is no answer.
    settings, tasks = json.loads(sys.stdin.readline()), 0
    strategy = begin(settings)
    reply(answers, cpu_s=time.process_time(), nbytes=0)
    for line in sys.stdin:
        order, begun = json.loads(line), time.process_time()
        with np.load(order["file"], allow_pickle=False) as held:
            arrays = dict(held)
        if order["do"] == "learn":
            learn(strategy, arrays["rows"], arrays["targets"], order["step"])
            tasks += 1
        else:
            np.savez(order["into"], scores=answer(strategy, arrays["rows"]))
        spent_s = time.process_time() - begun
        reply(answers, cpu_s=spent_s, nbytes=kept(strategy, settings, tasks))


if __name__ == "__main__":
    main()
