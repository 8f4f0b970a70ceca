"""Runs on Ray: on the cluster that this process is connected to, or on a local Ray of its own."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

RETRIES: Final = 3
"""How often a run is started again after its node or process died: Ray's default."""


def run_on_ray(
    work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """Yield (place, result) in order of completion, each task on one core of any node.

    A task whose node dies runs again on another one.  An error in a task is raised here.  Without a
    connection one is made: to the cluster of RAY_ADDRESS if set, otherwise to a local Ray; it ends
    with the last task, or where the caller stops.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False)
    waiting: list[Any] = []
    try:
        # Ray sets OMP_NUM_THREADS to the cores of a task: one.
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_placed)
        waiting = [remote.remote(work, place, task) for place, task in enumerate(tasks)]
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            yield _result(ray, done[0])
    finally:
        for one in waiting:
            ray.cancel(one, force=True)
        if ours:
            ray.shutdown()


def _result(ray: Any, reference: Any) -> tuple[int, Any]:
    """Return a task's result; raise its error as it was raised, without Ray's own around it."""
    try:
        place, result = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    return place, result


def _placed(work: Callable[..., Any], place: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    return place, work(*task)
