"""Builds the C detector for this machine and for emulated Cortex-M boards, and measures it."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge
from firmware_bridge import Extract, pack_extract

from .native import LINK_FILES, SANITIZERS, STRICT, UPDATE_FILES

SOURCES: Final = Path(firmware_bridge.__file__).parent / "c"
PROGRAMS: Final = Path(__file__).parent / "firmware"
DETECTOR: Final = ("detector", "kernel", "projection", "extract")
SECONDS_MAX: Final = 900
"""Seconds a program may run: a guard against an emulator that hangs."""
WIDE: Final = 1280
"""Features of the shipped image encoder, EfficientNet-Lite0."""
WIDE_WORK_WORDS: Final = 1040
"""32-bit words of working memory that the detector needs for WIDE features."""
STAGES: Final = ("project", "detect", "answer")

Decisions = NDArray[np.uint32]
"""A row a sample: the hypervector's words, then score, concept, domain, label, answer, known."""


@dataclass(frozen=True, slots=True)
class Board:
    """A processor, its compiler flags, and the machine that QEMU emulates."""

    name: str
    machine: str
    flags: tuple[str, ...]


M3: Final = Board("m3", "mps2-an385", ("-mcpu=cortex-m3",))
M4: Final = Board("m4", "mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"))
BOARDS: Final = (M3, M4)
"""QEMU emulates these; M4 has hardware float, M3 has none."""
CROSS: Final = "arm-none-eabi-gcc"
EMULATOR: Final = "qemu-system-arm"


def missing_tools() -> tuple[str, ...]:
    """Return the tools for building and emulating a board that are not installed."""
    return tuple(name for name in (CROSS, EMULATOR) if shutil.which(name) is None)


def build_host(folder: Path, compiler: str = "gcc", flags: Sequence[str] = SANITIZERS) -> Path:
    """Compile the vectors program for this machine, with sanitizers."""
    sources = [*_detector(), *_vectors("host")]
    out = folder / "vectors_host"
    _run([compiler, *STRICT[:3], "-g", "-O1", *flags, *_includes(), *sources, "-o", out])
    return out


def build_vectors(board: Board, folder: Path) -> Path:
    """Compile the vectors program for a board."""
    sources = [*_detector(), *_vectors("board")]
    return _cross(board, sources, folder / f"vectors_{board.name}", "-O2")


def build_speed(board: Board, folder: Path) -> Path:
    """Compile the program that counts instructions, for our C and for a straightforward version."""
    names = ("speed_main.c", "plain_detector.c", "port_board.c")
    sources = [*_detector(), SOURCES / "auricle_random.c", *(PROGRAMS / name for name in names)]
    return _cross(board, sources, folder / f"speed_{board.name}", "-O2")


def build_app(board: Board, export: Path, folder: Path, key: bytes = b"") -> Path:
    """Compile the reference application with the knowledge of an export.  key: of the fleet, 32
    bytes; with it the application takes signed models over the link."""
    names = dict.fromkeys((*LINK_FILES, *DETECTOR, "app", *(UPDATE_FILES if key else ())))
    sources = [SOURCES / f"auricle_{name}.c" for name in names]
    sources += [export / "auricle_knowledge.c", export / "auricle_golden.c"]
    sources += [SOURCES / "mps2" / "board.c"]
    flags = [f"-DAURICLE_FLEET_KEY={{{','.join(map(str, key))}}}"] if key else []
    return _cross(board, sources, folder / f"app_{board.name}", "-Os", f"-I{export}", *flags)


def build_forecaster(board: Board, export: Path, folder: Path) -> Path:
    """Compile the test program of an exported forecaster for a board."""
    flags = ("-O2", "-DAURICLE_CHECK_MAIN", f"-I{export}")
    return _cross(board, sorted(export.glob("*.c")), folder / f"forecaster_{board.name}", *flags)


def count_forecaster(board: Board, export: Path, folder: Path) -> tuple[float, int]:
    """Return the instructions per step of an exported forecaster on an emulated board, and how many
    of its golden steps differ."""
    programs = [PROGRAMS / "forecaster_main.c", PROGRAMS / "port_board.c"]
    sources = [*sorted(export.glob("*.c")), *programs]
    program = _cross(board, sources, folder / f"steps_{board.name}", "-O2", f"-I{export}")
    _run([*_emulated(board, program), "-icount", "shift=0"], folder)
    total, steps, unlike = np.fromfile(folder / "forecaster.bin", dtype="<u4").tolist()
    return total / steps, unlike


def exit_status(board: Board, program: Path) -> int:
    """Return the exit status of a program without input on an emulated board."""
    command = _emulated(board, program)
    return subprocess.run(command, check=False, timeout=SECONDS_MAX).returncode


def measure_footprint(board: Board, folder: Path) -> dict[str, int]:
    """Return the bytes of flash and RAM of link and detector, with start-up code and the parts of
    the compiler's libraries that they need, without knowledge and hypervector.  wide: with 1,280
    features; random: the detector with the code for random features, without working memory."""
    link = [SOURCES / f"auricle_{name}.c" for name in LINK_FILES]
    apart = ("knowledge=0x100000", "knowledge_bytes=0x200f0000", "hypervector=0x200f1000")
    sizes: dict[str, int] = {}
    random, flags = [SOURCES / "auricle_random.c"], [f"-Wl,--defsym={symbol}" for symbol in apart]
    for name, sources, program, more in (
        ("both", link, "main", ()),
        ("wide", link, "main", (f"-DFEATURES={WIDE}", f"-DWORK_WORDS={WIDE_WORK_WORDS}")),
        ("detector", [], "detector", ()),
        ("random", random, "detector", ("-DOPEN=auricle_open_random",)),
    ):
        given = [*_detector(), *sources, PROGRAMS / f"footprint_{program}.c"]
        made = _cross(board, given, folder / name, "-Os", *flags, *more)
        output = _run(["arm-none-eabi-size", made]).stdout.decode().split("\n")[1].split()
        text, data, bss = (int(number) for number in output[:3])
        sizes |= {f"{name}_flash": text + data, f"{name}_ram": data + bss}
    return sizes


def decide_natively(program: Path, extract: Extract, rows: NDArray[np.uint8]) -> Decisions:
    """Return the decisions of the program for this machine."""
    with _with_inputs(extract, rows) as folder:
        _run([program], folder)
        return _decided(folder, extract)


def decide_on(board: Board, program: Path, extract: Extract, rows: NDArray[np.uint8]) -> Decisions:
    """Return the decisions of the program on an emulated board."""
    with _with_inputs(extract, rows) as folder:
        _run(_emulated(board, program), folder)
        return _decided(folder, extract)


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions per decision by stage, of our C and of a straightforward version; disagreeing:
    decisions on which the two disagree."""

    ours: dict[str, float]
    plain: dict[str, float]
    disagreeing: int


def count_instructions(
    board: Board, program: Path, extract: Extract, rows: NDArray[np.uint8]
) -> Counted:
    """Count on an emulated board, where an instruction takes a nanosecond (-icount shift=0)."""
    with _with_inputs(extract, rows) as folder:
        _run([*_emulated(board, program), "-icount", "shift=0"], folder)
        raw = np.fromfile(folder / "speed.bin", dtype="<u4")
    each = raw[:12].view("<u8") / int(raw[12])
    ours, plain = (dict(zip(STAGES, part.tolist(), strict=True)) for part in (each[:3], each[3:]))
    return Counted(ours, plain, int(raw[13]))


def _emulated(board: Board, program: Path) -> list[str | Path]:
    quiet = ["-display", "none", "-monitor", "none", "-serial", "none"]
    files = ["-semihosting-config", "enable=on,target=native"]
    return [EMULATOR, "-M", board.machine, *quiet, *files, "-kernel", program]


def _detector() -> list[Path]:
    return [SOURCES / f"auricle_{name}.c" for name in DETECTOR]


def _vectors(port: str) -> list[Path]:
    """Return the program for vectors, which also accepts extracts with random features."""
    return [SOURCES / "auricle_random.c", PROGRAMS / "vectors_main.c", PROGRAMS / f"port_{port}.c"]


def _includes() -> list[str]:
    return [f"-I{SOURCES}", f"-I{PROGRAMS}"]


def _cross(board: Board, sources: Sequence[Path], out: Path, *flags: str) -> Path:
    mps2 = SOURCES / "mps2"
    shared = ["-mthumb", "-std=c99", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections"]
    linked = ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections"]
    script: list[str | Path] = ["-T", mps2 / "mps2.ld", mps2 / "startup.c"]
    options = [*board.flags, *shared, *linked, *flags, *_includes()]
    _run([CROSS, *options, *script, *sources, "-o", out])
    return out


def _run(
    command: Sequence[str | Path], folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=SECONDS_MAX)


@contextmanager
def _with_inputs(extract: Extract, rows: NDArray[np.uint8]) -> Iterator[Path]:
    """Write the programs' input files to a folder."""
    with TemporaryDirectory(prefix="bridge-") as name:
        folder = Path(name)
        (folder / "extract.bin").write_bytes(pack_extract(extract))
        (folder / "features.bin").write_bytes(np.ascontiguousarray(rows).tobytes())
        yield folder


def _decided(folder: Path, extract: Extract) -> Decisions:
    raw = np.fromfile(folder / "decided.bin", dtype="<u4")
    return raw.reshape(-1, extract.bits // 32 + 6)


def mismatched_bits(found: Decisions, expected: Decisions) -> int:
    """Count the bits in which two runs differ; all bits of a missing run."""
    if found.shape != expected.shape:
        return int(expected.size) * 32
    return int(np.bitwise_count(found ^ expected).sum())


def build_signatures(
    folder: Path,
    board: Board | None = None,
    external: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> Path:
    """Compile the program that verifies signatures, for a board or for this machine, ours with
    sanitizers.  external: sources of another Ed25519 in place of ours; flags: that they need."""
    sources = [SOURCES / f"auricle_{name}.c" for name in ("sha512", "ed25519")]
    sources += [PROGRAMS / "signatures_main.c", *external]
    flags = ["-DAURICLE_ED25519_EXTERNAL", *flags] if external else [*SANITIZERS, *flags]
    if board is not None:
        port = PROGRAMS / "port_board.c"
        wanted = [flag for flag in flags if flag not in SANITIZERS]
        return _cross(board, [*sources, port], folder / "signatures", "-O2", *wanted)
    out = folder / "signatures"
    given: list[str | Path] = [*sources, PROGRAMS / "port_host.c"]
    given += [*_includes(), "-o", out, *flags]
    _run(["gcc", "-std=c99", "-Wall", "-Wextra", "-g", "-O1", *given])
    return out


def verify_on(
    program: Path, signatures: Sequence[tuple[bytes, bytes, bytes]], board: Board | None = None
) -> list[bool]:
    """Return for each signature, key and message whether the program accepts it."""
    records = [
        signature + key + len(message).to_bytes(4, "little") + message
        for signature, key, message in signatures
    ]
    with TemporaryDirectory(prefix="bridge-") as name:
        folder = Path(name)
        (folder / "signatures.bin").write_bytes(b"".join(records))
        _run([program] if board is None else _emulated(board, program), folder)
        return [bool(byte) for byte in (folder / "verified.bin").read_bytes()]
