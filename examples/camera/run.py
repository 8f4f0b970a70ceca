"""Runs a simulated camera with a real daemon, broker and subscriber on this machine.

    python examples/camera/run.py

It creates a home, learns handwritten digits, starts mosquitto on a free port and the daemon, writes
pictures into the watched folder as a camera would, and prints the messages that a subscriber
receives: first digits of the learned domain, then those of another scanner, for which the daemon
raises an alarm and requests labels.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image

from edge.sim import Digits, DigitSampler, load_mnist, load_optdigits

HERE = Path(__file__).parent
SBIN = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
EXAMPLES, KNOWN, NEW = 30, 60, 60
"""Examples of each digit, pictures of the learned domain, pictures of the new domain."""
INTERVAL_S = 0.05
"""Seconds between two pictures."""
DEVICE = "gate"

SETTINGS = """
[device]
name = "{device}"

[mqtt]
host = "127.0.0.1"
port = {port}

[streams.camera]
source = "folder"
path = "{inbox}"
pattern = "*.png"
after = "delete"
settle_s = 0.05
every_s = 0.05
"""


def main() -> int:
    """Run the example; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument(
        "--folder", type=Path, help="keep all files here; default: a temporary folder"
    )
    given = options.parse_args()
    mosquitto = shutil.which("mosquitto", path=SBIN)
    if mosquitto is None:
        print("this example needs mosquitto; on Debian: apt-get install mosquitto", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        make_home(folder, port)
        stack.enter_context(running(broker_command(mosquitto, folder, port)))
        wait_for_port(port)
        listen = [sys.executable, str(HERE / "subscriber.py"), "--port", str(port)]
        stack.enter_context(running([*listen, "--device", DEVICE]))
        daemon = stack.enter_context(running(auricle("run", folder / "home")))
        play(folder / "inbox", DigitSampler(load_mnist(), 2).draw(KNOWN))
        play(folder / "inbox", DigitSampler(load_optdigits(), 3).draw(NEW))
        return wait_until_empty(folder / "inbox", daemon)


def make_home(folder: Path, port: int) -> None:
    """Create a home, learn MNIST digits, and add a camera stream and a broker to its settings."""
    for number, (image, digit) in enumerate(
        pictures(DigitSampler(load_mnist(), 1).draw_evenly(EXAMPLES))
    ):
        path = folder / "examples" / digit / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    home, inbox = folder / "home", folder / "inbox"
    inbox.mkdir()
    subprocess.run(auricle("init", home), check=True)
    learn = auricle("learn", folder / "examples", "--home", home, "--domain", "mnist")
    subprocess.run(learn, check=True, stdout=subprocess.DEVNULL)
    with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS.format(device=DEVICE, port=port, inbox=inbox.absolute()))


def pictures(digits: Digits) -> Iterator[tuple[Image.Image, str]]:
    """Yield digits as grey pictures with their labels."""
    for pixels, digit in zip(digits.images, digits.labels, strict=True):
        yield Image.fromarray(pixels), str(digit)


def play(inbox: Path, digits: Digits) -> None:
    """Write pictures into the watched folder as a camera does: each file appears complete."""
    for number, (image, _) in enumerate(pictures(digits)):
        name = f"{digits.source}-{number:03}.png"
        image.save(inbox / f"{name}.part", format="png")
        (inbox / f"{name}.part").rename(inbox / name)
        time.sleep(INTERVAL_S)


def wait_until_empty(inbox: Path, daemon: subprocess.Popen[bytes]) -> int:
    """Wait until the daemon has read every picture, and a second more for its messages."""
    end = time.monotonic() + 60
    while any(inbox.iterdir()):
        if daemon.poll() is not None or time.monotonic() > end:
            print("the daemon does not read the pictures", file=sys.stderr)
            return 1
        time.sleep(0.1)
    time.sleep(1)
    return 0


def auricle(*words: object) -> list[str]:
    """Return a command of this environment's auricle."""
    code = "from edge.cli.entry import main; main()"
    return [sys.executable, "-c", code, *map(str, words)]


def broker_command(mosquitto: str, folder: Path, port: int) -> list[str]:
    """Configure a broker on loopback for this example; examples/deploy has one for a gateway."""
    path = folder / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
    return [mosquitto, "-c", str(path)]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background, and stop it at the end."""
    quiet = subprocess.DEVNULL if "mosquitto" in command[0] else None
    process = subprocess.Popen(command, stderr=quiet)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    """Wait until a server listens on a loopback port."""
    for _ in range(200):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise SystemExit(f"the broker did not start on port {port}")


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    raise SystemExit(main())
