"""Strategies of Avalanche (Lomonaco et al. 2021, arXiv 2104.00405) on this harness, where it is
installed.

Avalanche runs in a Python of its own, which AURICLE_AVALANCHE_PYTHON names where this one does not
have it: its dependencies need not fit ours.  It sees the rows that our own trained strategies see,
and the same steps, batches and passes.
"""

import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from ...extras import install_command
from .base import FeatureScaling, MaskedStrategy
from .kinds import StrategyKind
from .memory import CAPACITY
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets
from .trained import BATCH, DECAY, EPOCHS, MOMENTUM, RATE_SCALE

Arrays = Mapping[str, NDArray[Any]]

PYTHON_VARIABLE: Final = "AURICLE_AVALANCHE_PYTHON"
"""Names the Python that has Avalanche."""
PREFIX: Final = "avalanche: "
"""Begins the names of its strategies."""
RATES: Final = {"naive": 0.03, "replay": 0.03, "ewc": 0.01, "si": 0.01, "slda": 0.0}
"""As those of our own strategies of the same name; SLDA takes no steps."""
PASSES: Final = {"naive": 1, "replay": 4, "ewc": 4, "si": 4, "slda": 1}
"""Passes in units of EPOCHS, as those of our own."""
STRENGTH: Final = 1.0
"""Weight of the penalty of EWC and SI.  Chosen by hand; effect not measured."""
SHRINKAGE: Final = 0.1
"""Of SLDA: as that of `slda`."""
ENDS_S: Final = 10.0
"""Seconds that its process has to end."""


class AvalancheStrategy(MaskedStrategy):
    """A strategy of Avalanche in another process, on a linear layer.

    Labels that ended are no longer answered; Avalanche itself does not forget them.  Raises
    ChildProcessError where its process fails.  cpu_s_elsewhere: CPU seconds that it spent.
    """

    def __init__(self, shape: StreamShape, seed: int, *, strategy: str) -> None:
        super().__init__(shape, seed)
        self._strategy = strategy
        self._scaling: FeatureScaling | None = None
        self._process: _Process | None = None
        self.cpu_s_elsewhere = 0.0

    @property
    def bytes_max(self) -> int | None:
        """See `Strategy`: what Avalanche keeps is not bounded here."""
        return None

    @property
    def nbytes(self) -> int:
        """See `Strategy`: as its process reports."""
        return super().nbytes + (self._process.nbytes if self._process else 0)

    def _learn(self, part: LabelledPart) -> None:
        if self._scaling is None:
            self._scaling = FeatureScaling.fit(part.features, self._shape, "all", "standard")
        rows = self._scaling(part.features)
        if self._process is None:
            self._process = _Process(self._settings(rows.shape[1]))
        # The step follows the rows of each task, as that of `naive`, whose rows have a one more.
        energy = float(np.square(rows).sum(axis=1).mean()) + 1
        arrays: Arrays = {"rows": rows, "targets": part.targets}
        self._process.order("learn", arrays, step=RATES[self._strategy] * RATE_SCALE / energy)
        self.cpu_s_elsewhere = self._process.cpu_s

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        assert self._process is not None  # a task was learned
        assert self._scaling is not None
        found = self._process.order("answer", {"rows": self._scaling(features)})
        self.cpu_s_elsewhere = self._process.cpu_s
        return np.asarray(found["scores"], np.float32)

    def _settings(self, columns: int) -> dict[str, Any]:
        """Return what the process needs to know before the first task."""
        return {
            "strategy": self._strategy,
            "seed": self._seed,
            "columns": columns,
            "labels": self._shape.labels,
            "momentum": MOMENTUM,
            "decay": DECAY,
            "epochs": PASSES[self._strategy] * EPOCHS,
            "batch": BATCH,
            "capacity": CAPACITY,
            "strength": STRENGTH,
            "shrinkage": SHRINKAGE,
        }


class _Process:
    """The process that runs Avalanche, and its folder of arrays; both end with the object."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        python = avalanche_python()
        if python is None:
            raise ChildProcessError(missing_avalanche())
        self._folder = tempfile.TemporaryDirectory(prefix="auricle-avalanche-")
        self._log = (Path(self._folder.name) / "log").open("w+", encoding="utf-8", errors="replace")
        script = Path(__file__).with_name("avalanche_child.py")
        try:
            # -I: neither this folder nor the environment decides what is imported.
            self._process = subprocess.Popen(  # noqa: S603 - this project's own program
                [python, "-I", str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
            )
        except OSError as error:
            self._log.close()
            self._folder.cleanup()
            raise ChildProcessError(
                f"starting {python}: {error.strerror}; correct {PYTHON_VARIABLE}"
            ) from error
        weakref.finalize(self, _end, self._process, self._log, self._folder)
        self.cpu_s, self.nbytes = 0.0, 0
        self._say(settings)
        self.cpu_s = 0.0  # Imports are not learning.

    def order(self, what: str, arrays: Arrays, **settings: float) -> dict[str, NDArray[Any]]:
        """Have an order carried out; return the arrays of its answer, none for `learn`."""
        given, into = (Path(self._folder.name) / f"{name}.npz" for name in ("given", "into"))
        np.savez(given, allow_pickle=False, **arrays)
        self._say({"do": what, "file": str(given), "into": str(into), **settings})
        if what == "learn":
            return {}
        with np.load(into, allow_pickle=False) as held:
            return dict(held)

    def _say(self, line: Mapping[str, Any]) -> None:
        """Send a line and wait for its answer; raises ChildProcessError without one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            self._log.seek(0)
            lines = [one for one in self._log.read().splitlines() if one.strip()]
            reason = lines[-1] if lines else "no message"
            raise ChildProcessError(f"Avalanche ended: {reason}") from error
        self.cpu_s += answer["cpu_s"]
        self.nbytes = answer["nbytes"]


def _end(
    process: subprocess.Popen[str], log: TextIO, folder: tempfile.TemporaryDirectory[str]
) -> None:
    """End a process by closing its input, by force where it does not follow."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.close()
        process.wait(ENDS_S)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    process.stdout.close()
    log.close()
    folder.cleanup()


def avalanche_python() -> str | None:
    """Return the Python that has Avalanche: the named one, else this one, None without either."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return named
    return sys.executable if find_spec("avalanche") is not None else None


def missing_avalanche() -> str:
    """Return why Avalanche does not run, and what to do."""
    return (
        f"it needs Avalanche: {install_command('avalanche')}, or name a Python that has it in"
        f" {PYTHON_VARIABLE}"
    )


AVALANCHE: Final[Mapping[str, StrategyKind]] = {
    f"{PREFIX}{name}": partial(AvalancheStrategy, strategy=name)
    for name in ("naive", "replay", "ewc", "si", "slda")
}
"""The strategies of Avalanche by name.  They run where a scenario names them."""
