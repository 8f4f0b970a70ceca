"""Trace one datum of each kind through the code, and count the functions and files it passes.

    python scripts/count_walk.py            # the table
    python scripts/count_walk.py --files    # and the files of each walk, in order

The home holds 400 facts: vectors of two labels, enrolled at once.  With warm caches, five data are
traced: an observation from an unknown domain, its label, the forgetting of one fact, a sample of a
series, and a frame from a microcontroller with one reading.  Calls of Python functions of the five
packages count, without lambdas and comprehensions; functions and files count once; a switch is a
call into another file than that of the previous call.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType

import numpy as np

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

# Importable only with the path above.
import encoder  # noqa: E402
import firmware_bridge  # noqa: E402
from edge import ForgetRequest, Label, Observation, Selector  # noqa: E402
from edge.core import Enrol, Event, Fact  # noqa: E402
from edge.home import Home, create_home  # noqa: E402

PACKAGES = ("edge", "encoder", "hdc", "nas", "firmware_bridge")
FACTS = 400
"""Facts in the home, as in the first measurement of the walks."""
WIDTH = 24
"""Numbers in a vector: a vibration sensor's band energies.  The walk does not depend on it."""
SPREAD = 9
"""Largest distance of a value from the centre of its label, of 255: two separate clusters."""
SECOND_NS = 1_000_000_000
"""Nanoseconds in a second."""


@dataclass(frozen=True)
class Called:
    """A function, by its position."""

    path: str
    name: str
    line: int


@dataclass(frozen=True)
class Walk:
    """The functions called, in order."""

    calls: tuple[Called, ...]

    @property
    def files(self) -> list[str]:
        """The file of each call, relative to the source root."""
        return [Path(call.path).relative_to(SOURCE).as_posix() for call in self.calls]

    @property
    def cells(self) -> list[int]:
        """Calls, distinct functions, distinct files, and switches from file to file."""
        files = self.files
        switches = sum(before != after for before, after in pairwise(files))
        return [len(files), len(set(self.calls)), len(set(files)), switches]


def main(words: list[str] | None = None) -> int:
    """Print the table.  Returns the exit status."""
    parser = argparse.ArgumentParser(description="Trace one datum of each kind through the code.")
    parser.add_argument("--files", action="store_true", help="print the files of each walk, too")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        walks = {**home_walks(Path(folder, "home")), "firmware frame": frame_walk()}
    print("| datum | calls | functions | files | file switches |")
    print("| --- | --- | --- | --- | --- |")
    for name, walk in walks.items():
        print(f"| {name} | {' | '.join(map(str, walk.cells))} |")
    for name, walk in walks.items() if given.files else ():
        print(f"\n{name}")
        print("\n".join(f"  {path}" for path in dict.fromkeys(walk.files)))
    return 0


def traced(task: Callable[[], object]) -> Walk:
    """Trace the calls of a task."""
    roots = tuple(f"{SOURCE / package}/" for package in PACKAGES)
    calls: list[Called] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        own = code.co_filename.startswith(roots) and not code.co_name.startswith("<")
        if event == "call" and own:
            calls.append(Called(code.co_filename, code.co_qualname, code.co_firstlineno))

    sys.setprofile(note)
    try:
        task()
    finally:
        sys.setprofile(None)
    return Walk(tuple(calls))


def home_walks(folder: Path) -> dict[str, Walk]:
    """Trace the events of a home.  The second event of each kind is traced: the first fills
    caches."""
    scale, zero = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.int32)
    card = encoder.vector_card(WIDTH, "walk", encoder.Quantiser(scale, zero))
    create_home(folder, card, "")
    unknown = np.full(WIDTH, 255, np.uint8)
    with Home(folder) as home:
        home.feed(Enrol(tuple(facts())))

        def observation(number: int) -> Observation:
            return Observation(
                stream="camera",
                sequence=number,
                captured_at_ns=number * SECOND_NS,
                payload=unknown - number,
            )

        def label(number: int) -> Label:
            return Label(observation(number).key, "a")

        def forget(number: int) -> ForgetRequest:
            return ForgetRequest(
                request_id=f"forget {number}", selector=Selector(ids=frozenset({f"fact {number}"}))
            )

        def sample(number: int) -> Observation:
            row = [float(number), 2.0, 3.0]
            return Observation(
                stream="load",
                sequence=number,
                captured_at_ns=number * SECOND_NS,
                payload=row,
                kind="series",
            )

        made: dict[str, Callable[[int], Event]] = {
            "observation": observation,
            "label": label,
            "forget one fact of 400": forget,
            "series sample": sample,
        }
        walks = {}
        for name, make in made.items():
            home.feed(make(1))
            walks[name] = traced(partial(home.feed, make(2)))
    return walks


def facts() -> Iterator[Fact]:
    """Yield the facts of the home: half of each label, around a centre."""
    random = np.random.default_rng(0)
    centres = random.integers(SPREAD, 256 - SPREAD, (2, WIDTH))
    for number in range(FACTS):
        half = number * 2 // FACTS
        row = centres[half] + random.integers(-SPREAD, SPREAD + 1, WIDTH)
        features = row.astype(np.uint8).tobytes()
        yield Fact(
            id=f"fact {number}",
            stream="camera",
            domain="hall",
            label="ab"[half],
            captured_at_ns=number,
            features=features,
        )


def frame_walk() -> Walk:
    """Trace a link on the second frame that carries a reading."""
    device, host = firmware_bridge.Link(1), firmware_bridge.Link(2)
    now_ns = 0
    while not (device.connected and host.connected and device.idle and host.idle):
        now_ns += SECOND_NS
        host.receive(device.next_bytes(now_ns), now_ns)
        device.receive(host.next_bytes(now_ns), now_ns)
    frames = []
    for number in range(2):
        assert device.send(firmware_bridge.Reading(1, "uint8", number, number, bytes(WIDTH)))
        frames.append(device.next_bytes(now_ns))
    host.receive(frames[0], now_ns)
    return traced(lambda: host.receive(frames[1], now_ns))


if __name__ == "__main__":
    raise SystemExit(main())
