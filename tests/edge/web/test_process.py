"""The console as a process: alone, with another one, and as a child of the daemon."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.console.pages import PageSession
from benchmarks.daemon.fixture import rss_mib
from edge.web import process
from edge.web.process import read_web_settings, shown_address
from edge.web.processes import NICENESS
from tests.brokers import free_port
from tests.browsers import ConsoleProcess, until
from tests.daemons import Process, daemon_home
from tests.homes import command, run

RSS_MIB_MAX = 45.0


def answers(port: int) -> bool:
    """Whether a console answers on a port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/open", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def lower(niceness: int) -> int:
    """The niceness of a console that was started with one."""
    return min(niceness + NICENESS, 19)


def test_it_yields_the_processor_and_its_daemon_does_not(tmp_path) -> None:
    """A console from a terminal lowers its own priority, not that of a daemon which it starts."""
    home = daemon_home(tmp_path / "home", '[streams.table]\nsource = "http"\n')
    own = os.getpriority(os.PRIO_PROCESS, 0)
    console = ConsoleProcess(home)
    try:
        assert os.getpriority(os.PRIO_PROCESS, console.process.pid) == lower(own)
        assert PageSession(console).ask("POST", "start-daemon", {})[0] == http.client.SEE_OTHER
        children = Path(f"/proc/{console.process.pid}/task")
        pids = [
            int(one) for path in children.glob("*/children") for one in path.read_text().split()
        ]
        assert [os.getpriority(os.PRIO_PROCESS, one) for one in pids] == [own]
    finally:
        assert console.stop() == 0
    assert not Path(f"/proc/{pids[0]}").exists()


def test_it_is_small_and_loads_no_numerical_package(tmp_path) -> None:
    """The process keeps to its memory, and maps neither numpy nor the encoder's runtime."""
    console = ConsoleProcess(tmp_path)
    try:
        assert answers(int(console.address.rpartition(":")[2].strip("/")))
        maps = Path(f"/proc/{console.process.pid}/maps").read_text("utf-8")
        assert "numpy" not in maps
        assert "onnxruntime" not in maps
        assert rss_mib(console.process.pid) <= RSS_MIB_MAX
    finally:
        assert console.stop() == 0


def test_importing_it_loads_only_what_it_needs() -> None:
    """The console's modules do without numpy, click and rich."""
    code = (
        "import sys, edge.web.process\n"
        "heavy = {'numpy', 'click', 'rich', 'PIL', 'onnxruntime', 'paho', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_second_console_says_where_the_first_is(tmp_path) -> None:
    """One console serves a home; the second ends with the address of the first."""
    console = ConsoleProcess(tmp_path)
    try:
        words = command("web", "--home", tmp_path, "--port", 0)
        second = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == process.SERVED
        assert f"a console already serves {tmp_path}: {console.address}" in second.stderr
    finally:
        console.stop()


def test_an_occupied_port_is_an_error_with_a_hint(tmp_path) -> None:
    """A port in use ends the start with two lines."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = command("web", "--home", tmp_path, "--port", taken.getsockname()[1])
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "--port" in done.stderr


def test_more_links_need_a_console(tmp_path) -> None:
    """`auricle web link` prints a link in a role while a console runs, and says so if none does."""
    missing = run("web", "link", "--home", tmp_path)
    assert missing.exit_code == 1
    console = ConsoleProcess(tmp_path)
    try:
        made = run("web", "link", "--role", "labeller", "--home", tmp_path)
        assert made.exit_code == 0
        assert f"open {console.address}open?token=" in made.output
        assert "as labeller" in made.output
    finally:
        console.stop()


def test_broken_settings_do_not_keep_it_from_starting(tmp_path) -> None:
    """Only [web] is read: a mistake anywhere leaves the console's defaults, with the reason."""
    path = tmp_path / "auricle.toml"
    assert read_web_settings(tmp_path)[1] == ""
    for text in ("[web", "[web]\nport = 'x'", "[web]\nporrt = 1"):
        path.write_text(text, "utf-8")
        settings, problem = read_web_settings(tmp_path)
        assert settings.port == 9465
        assert "reading [web]" in problem
    path.write_text("[streams.a]\nsource = 'nonsense'\n[web]\nport = 5\n", "utf-8")
    assert (read_web_settings(tmp_path)[0].port, read_web_settings(tmp_path)[1]) == (5, "")


def test_the_shown_address_is_one_that_a_browser_opens() -> None:
    """A console on all addresses is shown on loopback; IPv6 has brackets."""
    assert shown_address("0.0.0.0", 1) == "http://127.0.0.1:1/"  # noqa: S104 - compared
    assert shown_address("::1", 2) == "http://[::1]:2/"


def test_the_daemon_starts_restarts_and_ends_it(tmp_path) -> None:
    """With [web] enabled the console comes with the daemon, yields the processor to it, comes back
    after kill -9, goes with an orderly stop, and does not outlive a killed daemon."""
    port = free_port()
    home = daemon_home(tmp_path / "home", f"[web]\nenabled = true\nport = {port}\n")
    daemon = Process(home)
    until(lambda: answers(port))
    priorities = [
        os.getpriority(os.PRIO_PROCESS, one) for one in (daemon.process.pid, console_pid(home))
    ]
    assert priorities[1] == lower(priorities[0])
    os.kill(console_pid(home), signal.SIGKILL)
    until(lambda: not answers(port))
    until(lambda: answers(port))
    daemon.stop()
    assert not answers(port)
    again = Process(home)
    until(lambda: answers(port))
    again.kill()
    until(lambda: not answers(port))


def test_a_reload_moves_the_console(tmp_path) -> None:
    """Another port, and `enabled = false`, take effect at a reload."""
    first, second = free_port(), free_port()
    home = daemon_home(tmp_path / "home", f"[web]\nenabled = true\nport = {first}\n")
    daemon = Process(home)
    until(lambda: answers(first))
    text = (home / "auricle.toml").read_text("utf-8")
    (home / "auricle.toml").write_text(text.replace(str(first), str(second)), "utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: answers(second))
    assert not answers(first)
    (home / "auricle.toml").write_text(text.replace("enabled = true", "enabled = false"), "utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: not answers(second))
    daemon.stop()


def test_a_console_that_cannot_start_is_a_problem_of_the_daemon(tmp_path) -> None:
    """The daemon serves, reports why there is no console, and tries again later."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        home = daemon_home(tmp_path / "home", f"[web]\nenabled = true\nport = {port}\n")
        daemon = Process(home)
        until(lambda: "it has ended with status 1" in daemon.log.read_text("utf-8"))
    until(lambda: answers(port))
    daemon.stop()


def console_pid(home: Path) -> int:
    """The process of the newest console that a daemon has started."""
    lines = (home / "log").read_text("utf-8").splitlines()
    return int([json.loads(one)["pid"] for one in lines if "console_started" in one][-1])


def test_a_stop_right_after_the_start_is_in_order(tmp_path) -> None:
    """Who stops the console as soon as it has printed its link gets an orderly end."""
    console = ConsoleProcess(daemon_home(tmp_path / "home"))
    assert console.stop() == 0
    assert "console_stopped" in console.log.read_text("utf-8")
