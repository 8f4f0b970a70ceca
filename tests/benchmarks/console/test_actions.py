from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from benchmarks.console.actions import drive
from benchmarks.console.daemon import ask, observe, wait_until
from benchmarks.console.pages import PageSession
from edge.config import WebSettings
from edge.web.app import Application
from tests.brokers import free_port
from tests.browsers import ConsoleProcess
from tests.daemons import Process, daemon_home


def test_every_driven_action_succeeds(tmp_path) -> None:
    """Each action of the benchmark has the effect that the page then shows, with a live daemon; at
    most six routes are left out."""
    port = free_port()
    more = f'[http]\nport = {port}\n[streams.camera]\nsource = "http"\n'
    home = daemon_home(tmp_path / "home", more)
    daemon, console = Process(home), ConsoleProcess(home)
    try:
        ids = [f"o{number}" for number in range(6)]
        for number, name in enumerate(ids):
            body = f"[{number}, 0, 0, 255, 255, 0, 0, {number}]".encode()
            observe(port, "camera", body, "application/json", name)
        wait_until(lambda: ask(home, "gallery", state="recent", limit=10)["total"] == len(ids))
        run = drive(PageSession(console), home, ids)
    finally:
        console.stop()
        daemon.process.kill()
    assert run.failed == []
    routes = Application(home, WebSettings(), ThreadPoolExecutor(1)).routes
    posts = {path for method, path in routes if method == "POST"}
    assert run.done <= posts
    assert len(posts - run.done) <= 6
