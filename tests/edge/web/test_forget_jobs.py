from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from edge.web.client import DaemonClient
from edge.web.forget_jobs import JOBS_MAX, ForgetJob, ForgetJobs


class Socket:
    """The control socket of a daemon that dies, refuses or answers, in this order of `answers`:
    None hangs up without an answer."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers, self.heard = list(answers), list[dict[str, Any]]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.heard.append(json.loads(await reader.readline()))
        answer = self.answers.pop(0)
        if answer is not None:
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


def job(number: int = 1) -> ForgetJob:
    """A request."""
    return ForgetJob(request_id=f"r{number}", home="", select={"label": "a"}, examples=3)


async def finished(jobs: ForgetJobs, request_id: str) -> ForgetJob:
    """Wait for the answer to a request."""
    one = jobs.get(request_id)
    assert one is not None
    assert one.task is not None
    await one.task
    return one


def run(folder: Path, socket: Socket, steps) -> None:
    """Run steps with a client of the socket."""

    async def main() -> None:
        server = await asyncio.start_unix_server(socket.serve, folder / "auricle.sock")
        async with server:
            await steps(DaemonClient(folder), ForgetJobs())

    asyncio.run(main())


def test_a_request_without_an_answer_is_open_and_sent_again_with_its_id(tmp_path: Path) -> None:
    """If the daemon dies the outcome is unknown; the second time the same id is sent."""
    socket = Socket(None, {"done": True, "body": {}})

    async def steps(client: DaemonClient, jobs: ForgetJobs) -> None:
        jobs.start(client, job())
        assert [one.request_id for one in jobs.running()] == ["r1"]
        assert (await finished(jobs, "r1")).state == "unknown"
        jobs.start(client, job())
        one = await finished(jobs, "r1")
        assert (one.state, one.reason) == ("done", "")
        assert jobs.running() == ()

    run(tmp_path, socket, steps)
    assert [(one["verb"], one["id"], one["select"]) for one in socket.heard] == [
        ("forget", "r1", {"label": "a"})
    ] * 2


def test_a_request_is_done_only_with_its_receipt(tmp_path: Path) -> None:
    """An answer that its facts are excluded leaves a request pending, until its receipt is seen."""
    socket = Socket({"done": True, "body": {"pending": True, "state": "deriving"}})

    async def steps(client: DaemonClient, jobs: ForgetJobs) -> None:
        jobs.start(client, job())
        assert (await finished(jobs, "r1")).state == "pending"
        assert jobs.running() == ()
        jobs.completed("r1")
        assert (await finished(jobs, "r1")).state == "done"

    run(tmp_path, socket, steps)


def test_a_refusal_is_told_with_its_hint(tmp_path: Path) -> None:
    """What the daemon refuses is not open: nothing was forgotten."""
    socket = Socket({"done": False, "reason": "the disk is full", "hint": "free some space"})

    async def steps(client: DaemonClient, jobs: ForgetJobs) -> None:
        jobs.start(client, job())
        one = await finished(jobs, "r1")
        assert (one.state, one.reason, one.hint) == (
            "refused",
            "the disk is full",
            "free some space",
        )

    run(tmp_path, socket, steps)


def test_requests_are_remembered_up_to_a_bound(tmp_path: Path) -> None:
    """The oldest finished ones are dropped."""
    count = JOBS_MAX + 3
    socket = Socket(*[{"done": True}] * count)

    async def steps(client: DaemonClient, jobs: ForgetJobs) -> None:
        for number in range(count):
            jobs.start(client, job(number))
            await finished(jobs, f"r{number}")
        kept = [number for number in range(count) if jobs.get(f"r{number}")]
        assert len(kept) <= JOBS_MAX
        assert kept[-1] == count - 1

    run(tmp_path, socket, steps)
