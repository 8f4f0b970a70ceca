"""A job that only solves an adaptor in closed form, in a thread of low priority.

It takes a fraction of a second and needs no torch: a process would take longer to start.
"""

import threading

from ..core import GrowthJob, GrowthResult, derive_arrays, result_without_record, train_again
from .priority import lower_priority


class SolverThread:
    """Solves one job, and keeps its result."""

    def __init__(self, job: GrowthJob) -> None:
        self.job = job
        self._result: GrowthResult | None = None
        self._thread = threading.Thread(target=self._solve, name="solve adaptor", daemon=True)
        self._thread.start()

    def poll(self) -> GrowthResult | None:
        """Return the result once it is available."""
        return None if self._thread.is_alive() else self._result

    def _solve(self) -> None:
        lower_priority()
        try:
            self._result = train_again(self.job, derive_arrays)
        except Exception as error:  # noqa: BLE001 - every error becomes the reason
            reason = f"{type(error).__name__}: {error}".split("\n")[0]
            self._result = result_without_record(self.job, f"deriving it failed: {reason}")
