"""A camera, a daemon, a broker and a subscriber, all real, on this machine.

    python examples/camera/run.py

It makes a home, teaches it handwritten digits, starts mosquitto on a free port and the daemon
beside it, lets a "camera" write pictures into the watched folder, and prints what a subscriber
hears: first digits it knows, then those of another scanner, for which it raises an alarm and asks
for labels.
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
TAUGHT, KNOWN, NEW = 30, 60, 60
EVERY_S = 0.05
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
    """Run the whole; returns the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--folder", type=Path, help="keep everything here; else it is removed")
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
    """Make a home that knows MNIST digits, and let it serve a camera and a broker."""
    for number, (image, digit) in enumerate(
        pictures(DigitSampler(load_mnist(), 1).draw_evenly(TAUGHT))
    ):
        path = folder / "taught" / digit / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    home, inbox = folder / "home", folder / "inbox"
    inbox.mkdir()
    subprocess.run(auricle("init", home), check=True)
    learn = auricle("learn", folder / "taught", "--home", home, "--domain", "mnist")
    subprocess.run(learn, check=True, stdout=subprocess.DEVNULL)
    with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS.format(device=DEVICE, port=port, inbox=inbox.absolute()))


def pictures(digits: Digits) -> Iterator[tuple[Image.Image, str]]:
    """Digits as grey pictures, with what they show."""
    for pixels, digit in zip(digits.images, digits.labels, strict=True):
        yield Image.fromarray(pixels), str(digit)


def play(inbox: Path, digits: Digits) -> None:
    """Write pictures into the watched folder, as a camera does: complete files appear at once."""
    for number, (image, _) in enumerate(pictures(digits)):
        name = f"{digits.source}-{number:03}.png"
        image.save(inbox / f"{name}.part", format="png")
        (inbox / f"{name}.part").rename(inbox / name)
        time.sleep(EVERY_S)


def wait_until_empty(inbox: Path, daemon: subprocess.Popen[bytes]) -> int:
    """Wait until the daemon has taken every picture, and a moment more for what it says."""
    end = time.monotonic() + 60
    while any(inbox.iterdir()):
        if daemon.poll() is not None or time.monotonic() > end:
            print("the daemon does not take the pictures", file=sys.stderr)
            return 1
        time.sleep(0.1)
    time.sleep(1)
    return 0


def auricle(*words: object) -> list[str]:
    """The command line of this environment."""
    code = "from edge.cli.entry import main; main()"
    return [sys.executable, "-c", code, *map(str, words)]


def broker_command(mosquitto: str, folder: Path, port: int) -> list[str]:
    """A broker on loopback for this example alone; examples/deploy shows one for a gateway."""
    path = folder / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
    return [mosquitto, "-c", str(path)]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs meanwhile, and ends cleanly afterwards."""
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
    """Wait until somebody listens on a port of the loopback."""
    for _ in range(200):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise SystemExit(f"the broker did not start on port {port}")


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    raise SystemExit(main())
