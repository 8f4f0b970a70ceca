"""emlearn's random forests, extremely randomised trees and networks within a flash budget.

Settings are chosen on a tenth of the training samples; the model is then fitted to all of them.
Flash is that of a Cortex-M3 program with the generated C.  Accuracy is scikit-learn's own, so that
emlearn's conversion costs nothing.
"""

import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .board import CROSS, M3, SOURCES

FLOAT_BYTES: Final = 4
"""emlearn stores weights as 32-bit floats."""
NODE_BYTES: Final = 4.6
"""First guess of emlearn's bytes per tree node; `_fitted` measures and shrinks until it fits."""
TREES: Final = (20,)
"""Chosen by hand; effect not measured."""
PENALTIES: Final = (0.3, 1.0, 3.0)
"""L2 penalties half a decade apart; the best on held-out training rows is used."""
CODE_BYTES: Final = 5_500
"""First guess of a network's code size; `_fitted` measures and shrinks until it fits."""
SHRINK: Final = 0.9
"""A model that is too large becomes at least a tenth smaller: it fits after few tries."""
TRIES: Final = 12
"""Twelve steps of a tenth reach 28 % of the first guess; what does not fit then is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class PeerTask:
    """A split: features uint8 [n, width], labels int64 [n]."""

    rows: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Peer:
    """The result of a peer within a budget."""

    name: str
    flash_bytes: int
    accuracy: float


def best_peers(task: PeerTask, budget_bytes: int) -> list[Peer]:
    """Return the best forest and the best network within the budget."""
    found = []
    for name, settings in (("forest", _forests), ("network", _networks)):
        tried = [_fitted(task, make, budget_bytes) for make in settings(task, budget_bytes)]
        fitting = [one for one in tried if one is not None]
        if fitting:
            _, model, flash = max(fitting, key=lambda one: one[0])
            found.append(Peer(name, flash, _accuracy(model, task, task.train, ~task.train)))
    return found


Make = Callable[[float], Any]


def _forests(_task: PeerTask, budget_bytes: int) -> Iterator[Make]:
    """Yield forests of both kinds that fill the budget."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    for kind in (RandomForestClassifier, ExtraTreesClassifier):
        for trees in TREES:

            def make(share: float, kind: Any = kind, trees: int = trees) -> Any:
                leaves = share * budget_bytes / NODE_BYTES / trees / 2
                return kind(trees, max_leaf_nodes=max(2, int(leaves)), random_state=0)

            yield make


def _networks(task: PeerTask, budget_bytes: int) -> Iterator[Make]:
    """Yield networks with one hidden layer that fill the budget."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    width = task.rows.shape[1]
    for penalty in PENALTIES:

        def make(share: float, penalty: float = penalty) -> Any:
            room = share * (budget_bytes - CODE_BYTES) / FLOAT_BYTES
            hidden = max(1, int(room / (width + 1 + len(np.unique(task.labels)))))
            network = MLPClassifier(
                (hidden,), alpha=penalty, max_iter=40, early_stopping=True, random_state=0
            )
            return make_pipeline(StandardScaler(), network)

        yield make


def _fitted(task: PeerTask, make: Make, budget_bytes: int) -> tuple[float, Any, int] | None:
    """Return validation accuracy, the unfitted model and its flash, shrunk until it fits."""
    picked = np.flatnonzero(task.train)
    held = np.zeros(len(task.train), dtype=np.bool_)
    held[picked[::10]] = True
    share = 1.0
    for _ in range(TRIES):
        model = make(share)
        accuracy = _accuracy(model, task, task.train & ~held, held)
        flash = measure_flash(model, task.rows.shape[1])
        if flash <= budget_bytes:
            return accuracy, make(share), flash
        share *= min(SHRINK, budget_bytes / flash)
    return None


def _accuracy(
    model: Any, task: PeerTask, train: NDArray[np.bool_], test: NDArray[np.bool_]
) -> float:
    from sklearn.exceptions import ConvergenceWarning

    # Twice the level: emlearn's thresholds are integers, and lie between levels.
    rows = task.rows.astype(np.int16) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows[train], task.labels[train])
    return float(model.score(rows[test], task.labels[test]))


def measure_flash(model: Any, width: int) -> int:
    """Return the flash bytes of a program that predicts with the model in emlearn's C."""
    import emlearn

    inner = model[-1] if hasattr(model, "steps") else model
    network = hasattr(inner, "coefs_")
    number = "float" if network else "int16_t"
    options = {} if network else {"dtype": "int16_t", "leaf_bits": 0}
    converted = emlearn.convert(inner, method="inline", **options)
    with TemporaryDirectory(prefix="emlearn-") as name:
        folder = Path(name)
        converted.save(name="peer", file=str(folder / "peer.h"))
        (folder / "main.c").write_text(
            f'#include <stdint.h>\n#include "peer.h"\nstatic {number} x[{width}]; volatile int s;\n'
            f"int main(void) {{ s = peer_predict(x, {width}); return s; }}\n"
        )
        mps2 = SOURCES / "mps2"
        flags = ["-mthumb", "-Os", "-std=c99", "-w", "-ffunction-sections", "-fdata-sections"]
        linked = ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections"]
        command = [CROSS, *M3.flags, *flags, *linked, f"-I{emlearn.includedir}", f"-I{folder}"]
        command += ["-T", str(mps2 / "mps2.ld"), str(mps2 / "startup.c"), str(folder / "main.c")]
        subprocess.run([*command, "-lm", "-o", str(folder / "peer")], check=True)
        sized = ["arm-none-eabi-size", str(folder / "peer")]
        output = subprocess.run(sized, check=True, capture_output=True, text=True).stdout
    text, data = output.split("\n")[1].split()[:2]
    return int(text) + int(data)
