"""Forget requests on their way to the daemon.  They go on when the page that sent them closes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .client import AskError, DaemonClient, DaemonOfflineError
from .observations import forget_pictures

ERASURE_S: Final = 900.0
"""Seconds until the daemon has erased: minutes on a slow card with 100,000 facts.  Chosen by hand;
effect not measured."""

JOBS_MAX: Final = 16
"""Requests that are remembered; the daemon keeps every receipt.  Chosen by hand; effect not
measured."""


@dataclass(kw_only=True)
class ForgetJob:
    """A request.  examples: how many its preview named.  options: other fields of the command.
    state: running; pending once its facts are excluded and the receipt is to follow; done with the
    receipt; refused; or unknown if no answer came: then the daemon may have carried it out or
    not."""

    request_id: str
    home: str
    select: Mapping[str, Any]
    examples: int
    options: Mapping[str, Any] = field(default_factory=dict)
    state: str = "running"
    reason: str = ""
    hint: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class ForgetJobs:
    """The newest requests, by id.  The daemon carries out each id once, so a request whose answer
    was lost can be sent again."""

    def __init__(self) -> None:
        self._jobs: dict[str, ForgetJob] = {}

    def get(self, request_id: str) -> ForgetJob | None:
        """Return a request, None if it is not remembered."""
        return self._jobs.get(request_id)

    def running(self) -> tuple[ForgetJob, ...]:
        """Return the requests without an answer yet."""
        return tuple(one for one in self._jobs.values() if one.state == "running")

    def completed(self, request_id: str) -> None:
        """Note that the daemon has issued the receipt of a request."""
        job = self._jobs.get(request_id)
        if job is not None and job.state != "running":
            job.state, job.reason, job.hint = "done", "", ""

    def start(self, client: DaemonClient, job: ForgetJob) -> None:
        """Send a request, unless it is on its way."""
        known = self._jobs.get(job.request_id)
        if known is not None and known.state == "running":
            return
        self._jobs[job.request_id] = job
        job.state, job.reason, job.hint = "running", "", ""
        job.task = asyncio.create_task(_send(client, job))
        for key, one in tuple(self._jobs.items()):
            if len(self._jobs) > JOBS_MAX and one.state != "running":
                del self._jobs[key]


async def _send(client: DaemonClient, job: ForgetJob) -> None:
    fields = {"id": job.request_id, "home": job.home, "select": dict(job.select), **job.options}
    try:
        answer = await client.ask("forget", fields, wait_s=ERASURE_S)
    except DaemonOfflineError as error:
        job.state, job.reason, job.hint = "unknown", error.reason, error.hint
    except AskError as error:
        job.state, job.reason, job.hint = "refused", error.reason, error.hint
    else:
        job.state = "pending" if answer.get("pending") else "done"
    finally:
        # The receipt must not be read while this console still shows what it is about.
        forget_pictures()
