"""The checks of `auricle doctor`: whether this machine can run a daemon for years."""

import errno
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

import encoder
import hdc

from ..config import SETTINGS, read_settings
from ..core import EdgeError
from ..extras import install_command, pip_install
from ..outbox import PLAUSIBLE_NS
from .check import OTHERS, CheckFinding, check_secrets, try_broker
from .settings import OUTBOX, resolve_paths

OWN_PACKAGES: Final = ("edge", "encoder", "firmware_bridge", "hdc", "nas")
DEPENDENCIES: Final = ("numpy", "onnxruntime", "paho-mqtt", "msgspec", "prometheus-client")
DISK_BYTES_MIN: Final = 256 << 20
"""Free disk: an erasure rewrites a knowledge file of up to half of it.  Chosen by hand; effect not
measured."""

MEMORY_BYTES_MIN: Final = 256 << 20
"""Free memory for an encoder and 10,000 facts.  Chosen by hand; effect not measured."""

FSYNCS: Final = 10
"""Writes that are timed.  Chosen by hand; effect not measured."""

FSYNC_MS_MAX: Final = 100.0
"""Slowest median fsync without a warning, in milliseconds: from about there a person waits for an
acknowledgement (Nielsen 1993)."""

BLOCK: Final = bytes(4096)
PROCESSOR_NAMES: Final = ("model name", "Model", "Hardware")
"""Lines of /proc/cpuinfo that name a processor or a board: x86, then Raspberry Pi, then others."""

INSTRUCTIONS: Final = (
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "sse4_2",
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
)
"""Names in /proc/cpuinfo of the instructions that decide how fast integers are multiplied."""

FEATURES_FOLDER: Final = Path("/sys/devices/system/cpu")
"""Where onnxruntime reads which instructions an ARM processor has."""

PROCESSOR_FILE: Final = Path("/proc/cpuinfo")
MEMORY_FILE: Final = Path("/proc/meminfo")

MIB: Final = 1 << 20
"""Bytes in a mebibyte."""


def examine_machine(folder: Path, *, bench: bool = False) -> Iterator[CheckFinding]:
    """Yield results; raises nothing.  Writes a small temporary file in the folder.

    bench: the machine is examined to time it, so that a folder without settings is no error.
    """
    yield _python()
    yield _processor()
    yield from _features()
    yield CheckFinding("hdc", "ok", f"decisions are computed in {hdc.native_path()}")
    how = "C" if encoder.is_native() else "Pillow and numpy (the C part is not built)"
    yield CheckFinding("encoder", "ok", f"pictures are scaled and features quantised by {how}")
    yield _own_packages()
    yield from _dependencies()
    yield _clock()
    yield _memory()
    yield _systemd()
    if bench and not (folder / SETTINGS).is_file():
        return
    if not folder.is_dir():
        yield CheckFinding(
            "folder", "error", f"{folder} is no folder", "make a home: `auricle init`"
        )
        return
    yield _disk(folder)
    yield _fsync(folder)
    yield from _permissions(folder)
    yield from _broker(folder)


def _python() -> CheckFinding:
    libc = " ".join(platform.libc_ver()).strip() or "an unknown C library"
    found = f"{platform.python_version()} on {platform.machine()}, {platform.system()}, {libc}"
    if sys.maxsize > 1 << 32:
        return CheckFinding("python", "ok", found)
    hint = "install a 64-bit system: docs/howto/devices.md"
    return CheckFinding("python", "error", f"{found}: a 32-bit Python", hint)


def _processor() -> CheckFinding:
    """Report what the docs ask people to send with their figures: names, cores, instructions."""
    try:
        text = PROCESSOR_FILE.read_text("utf-8", "replace")
    except OSError:
        return CheckFinding("processor", "ok", f"{os.cpu_count()} cores; no /proc/cpuinfo")
    lines = [line.partition(":") for line in text.splitlines()]
    values = {name.strip(): value.strip() for name, _, value in lines}
    named = next((values[name] for name in PROCESSOR_NAMES if values.get(name)), "unnamed")
    known = {*values.get("flags", "").split(), *values.get("Features", "").split()}
    able = " ".join(name for name in INSTRUCTIONS if name in known) or "none of those looked for"
    board = _board()
    found = f"{board}, {named}" if board and board != named else named
    return CheckFinding("processor", "ok", f"{found}; {os.cpu_count()} cores; {able}")


def _board() -> str:
    """Return the name of the board, as boards with a device tree report it."""
    try:
        return Path("/proc/device-tree/model").read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""


def _features() -> Iterator[CheckFinding]:
    """Warn in a container without /sys."""
    if platform.system() == "Linux" and not FEATURES_FOLDER.is_dir():
        detail = f"{FEATURES_FOLDER} is missing: onnxruntime may choose slower instructions"
        yield CheckFinding("sysfs", "warning", detail, "mount /sys into the container, read-only")


def _own_packages() -> CheckFinding:
    """Check that the five packages come from one installation."""
    places = {}
    for package in OWN_PACKAGES:
        spec = find_spec(package)
        places[package] = str(Path(spec.origin).parents[1]) if spec and spec.origin else "nowhere"
    if len(set(places.values())) == 1:
        return CheckFinding("packages", "ok", f"all five lie in {places['edge']}")
    found = ", ".join(f"{package} in {place}" for package, place in places.items())
    return CheckFinding(
        "packages", "error", found, "install auricle into an environment of its own"
    )


def _dependencies() -> Iterator[CheckFinding]:
    for name in DEPENDENCIES:
        try:
            yield CheckFinding(name, "ok", version(name))
        except PackageNotFoundError:
            yield CheckFinding(name, "error", "it is not installed", pip_install(name))
    if find_spec("torch") is None:
        detail = "not installed: adaptors cannot grow here, the rest works"
        yield CheckFinding("torch", "warning", detail, install_command("grow"))
    else:
        yield CheckFinding("torch", "ok", "adaptors can grow here")


def _clock() -> CheckFinding:
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if time.time_ns() >= PLAUSIBLE_NS:
        return CheckFinding("clock", "ok", now)
    return CheckFinding("clock", "warning", f"{now}: it is not set", "set up time synchronisation")


def _memory() -> CheckFinding:
    try:
        text = MEMORY_FILE.read_text("ascii")
        free = int(text.split("MemAvailable:")[1].split()[0]) << 10
    except (OSError, IndexError, ValueError):
        return CheckFinding("memory", "ok", "this system does not report it")
    found = f"{free // MIB} MiB available"
    if free >= MEMORY_BYTES_MIN:
        return CheckFinding("memory", "ok", found)
    return CheckFinding(
        "memory", "warning", found, f"{MEMORY_BYTES_MIN // MIB} MiB are a good start"
    )


def _systemd() -> CheckFinding:
    if Path("/run/systemd/system").is_dir():
        return CheckFinding("systemd", "ok", "it runs; examples/deploy has a unit")
    detail = "it does not run here, so a daemon that hangs is not restarted"
    return CheckFinding("systemd", "warning", detail, "use the container's restart policy")


def _disk(folder: Path) -> CheckFinding:
    free = shutil.disk_usage(folder).free
    found = f"{free // MIB} MiB free at {folder}"
    if free >= DISK_BYTES_MIN:
        return CheckFinding("disk", "ok", found)
    return CheckFinding(
        "disk", "warning", found, "forgetting rewrites the knowledge file: free some space"
    )


def _fsync(folder: Path) -> CheckFinding:
    """Time fsync: an acknowledgement waits for it."""
    path = folder / f".doctor-{os.getpid()}"
    taken = []
    try:
        with path.open("xb", buffering=0) as file:
            for _ in range(FSYNCS):
                begun = time.perf_counter()
                file.write(BLOCK)
                os.fsync(file.fileno())
                taken.append(1e3 * (time.perf_counter() - begun))
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        hint = "free some space" if full else "correct the permissions, or the mount"
        hint = f"the daemon must write here: {hint}"
        return CheckFinding("fsync", "error", f"{folder}: {error.strerror}", hint)
    finally:
        path.unlink(missing_ok=True)
    found = f"{median(taken):.1f} ms, at most {max(taken):.1f} ms, of {FSYNCS}"
    if median(taken) <= FSYNC_MS_MAX:
        return CheckFinding("fsync", "ok", found)
    return CheckFinding(
        "fsync", "warning", found, "labels and commands wait for this: use a faster disk"
    )


def _permissions(folder: Path) -> Iterator[CheckFinding]:
    mode = folder.stat().st_mode
    if mode & 0o022:
        hint = f"chmod go-w {folder}"
        yield CheckFinding("permissions", "warning", f"other users may write in {folder}", hint)
    path = folder / OUTBOX
    if path.exists() and path.stat().st_mode & OTHERS:
        yield CheckFinding(
            "permissions", "warning", f"other users may read {path}", f"chmod 600 {path}"
        )


def _broker(folder: Path) -> Iterator[CheckFinding]:
    try:
        settings = read_settings(folder)
    except EdgeError as error:
        yield CheckFinding("settings", "error", error.message, error.hint)
        return
    if settings.mqtt is not None:
        mqtt = resolve_paths(settings.mqtt, folder)
        yield from check_secrets(mqtt)
        yield try_broker(mqtt)
