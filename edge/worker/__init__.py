"""The worker process: searches and trains one job at a time, apart from serving."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .priority import lower_priority
    from .worker import COMMAND, STUDY, Worker, WorkerTask
else:
    __getattr__ = lazy_names(
        __name__,
        {"priority": ("lower_priority",), "worker": ("COMMAND", "STUDY", "Worker", "WorkerTask")},
    )

__all__ = ["COMMAND", "STUDY", "Worker", "WorkerTask", "lower_priority"]
