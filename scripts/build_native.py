"""Build what is in C, in place: `python scripts/build_native.py`: the hot path of `hdc`, and the
scaling of pictures of `encoder`.

The wheel's build hook (build_hook.py) and the tests call `build`.  It needs gcc or clang and the
headers of Python; CC names another compiler, also one for another processor.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
NAME = "_native.abi3.so"
OLDEST = (3, 11)
"""The limited API of `Py_buffer` begins with this Python; module.c names it too."""

SECONDS_MAX = 300
"""A compiler that takes longer hangs: the files take seconds."""

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fPIC")
# `sqrt` becomes an instruction, and sums of whole numbers may be taken in any order where the
# source says so; nothing else about floating point changes: no product and sum become one
# instruction, which would round once.
FAST = ("-O3", "-fno-math-errno", "-fopenmp-simd", "-ffp-contract=off")
# Stripped, and without the mathematical library where every root is an instruction.
LINKED = ("-Wl,--as-needed", "-lm", "-s")
LEVELS = {
    "x86_64": {
        "avx512": (
            *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vpopcntdq"),
            *("-mpopcnt", "-mprefer-vector-width=512"),
        ),
        "avx2": ("-mavx2", "-mpopcnt"),
        "sse42": ("-msse4.2", "-mpopcnt"),
    },
    "aarch64": {"dotprod": ("-march=armv8.2-a+dotprod",), "neon": ()},
}


@dataclass(frozen=True)
class NativeModule:
    """The C part of a package.

    parts: files that are the same for every instruction set.  level: the file that is compiled for
    each of `levels`, by processor.  defined: options for it.  includes: folders of headers.
    """

    package: str
    parts: tuple[str, ...]
    level: str
    levels: Mapping[str, Mapping[str, tuple[str, ...]]]
    includes: tuple[str, ...]
    defined: tuple[str, ...] = ()


DECISIONS = NativeModule(
    package="hdc",
    parts=("module", "decisions", "streams", "votes"),
    level="level",
    levels=LEVELS,
    includes=("hdc/c", "firmware_bridge/c"),
    defined=("-DAURICLE_SHARED=static", "-DAURICLE_DOUBLES"),
)
PICTURES = NativeModule(
    package="encoder",
    parts=("module",),
    level="resize",
    # Four lanes hold a pixel, so that wider ones help only where whole rows are summed.
    levels={"x86_64": {name: LEVELS["x86_64"][name] for name in ("avx2", "sse42")}},
    includes=("encoder/c",),
)
MODULES = (DECISIONS, PICTURES)


class CannotBuildError(Exception):
    """Says why the C could not be built here."""


@dataclass(frozen=True)
class Built:
    """A module, and the processor that it is for."""

    path: Path
    machine: str


def build(
    folder: Path, flags: Sequence[str] = (), root: Path = ROOT, module: NativeModule = DECISIONS
) -> Built:
    """Compile a module into a folder.  Raises CannotBuildError with the reason.

    flags: further options of compiler and linker, as a sanitizer's.
    """
    compiler = find_compiler()
    machine = _machine(compiler)
    includes = [f"-I{root / one}" for one in module.includes]
    command = [*compiler, *STRICT, *FAST, *includes, *flags]
    levels = {"portable": (), **module.levels.get(machine, {})}
    sources = root / module.package / "c"
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        made = Path(scratch)
        jobs = [
            [
                *(*command, *module.defined, *named, f"-DAURICLE_LEVEL={level}"),
                *("-c", str(sources / f"{module.level}.c"), "-o", str(made / f"{level}.o")),
            ]
            for level, named in levels.items()
        ]
        headers = [f"-I{path}" for path in python_headers(machine, made)]
        defined = ["-DAURICLE_AVX512"] if "avx512" in levels else []
        jobs += [
            [
                *(*command, *headers, *defined),
                *("-c", str(sources / f"{part}.c"), "-o", str(made / f"{part}.o")),
            ]
            for part in module.parts
        ]
        list(pool.map(_run, jobs))
        target = made / NAME
        objects = [str(path) for path in sorted(made.glob("*.o"))]
        _run([*compiler, "-shared", *flags, *objects, *LINKED, "-o", str(target)])
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed into place: a running process keeps the file that it has mapped.
        shutil.copyfile(target, folder / f"{NAME}.new")
        (folder / f"{NAME}.new").replace(folder / NAME)
    return Built(folder / NAME, machine)


def find_compiler() -> list[str]:
    """Return the command of the C compiler.  Raises CannotBuildError."""
    if sys.version_info < OLDEST or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise CannotBuildError("this Python has no stable ABI that the module could use")
    if not sys.platform.startswith("linux"):
        raise CannotBuildError(f"it is built on Linux alone, and this is {sys.platform}")
    named = os.environ.get("CC")
    found = shlex.split(named) if named else [one for one in ("gcc", "clang") if shutil.which(one)]
    if not found or shutil.which(found[0]) is None:
        raise CannotBuildError("no C compiler was found: install gcc or clang")
    return found if named else found[:1]


def python_headers(machine: str, scratch: Path) -> list[Path]:
    """Return the folders of Python's headers for a processor.  Raises CannotBuildError.

    x86-64 and aarch64 have types of equal sizes, so the headers of this machine serve the other;
    Debian keeps one of them in a folder for each processor.
    """
    folder = Path(sysconfig.get_path("include"))
    if not (folder / "Python.h").exists():
        raise CannotBuildError(f"{folder} has no Python.h: install python3-dev")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = folder.parent / str(sysconfig.get_config_var("MULTIARCH")) / version / "pyconfig.h"
    if machine == platform.machine() or not own.exists():
        return [folder]
    other = scratch / f"{machine}-linux-gnu" / version
    other.mkdir(parents=True)
    (other / "pyconfig.h").write_text(f'#include "{own}"\n', "utf-8")
    return [folder, scratch]


def _machine(compiler: Sequence[str]) -> str:
    """Return the processor that a compiler builds for: x86_64, aarch64, or another."""
    return _run([*compiler, "-dumpmachine"]).split("-")[0]


def _run(command: Sequence[str]) -> str:
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuildError(f"running {command[0]} failed: {error}") from error
    if ran.returncode:
        raise CannotBuildError(f"{shlex.join(command)} failed:\n{ran.stderr}")
    return ran.stdout


def main() -> int:
    """Build into the source tree, where an editable installation finds it."""
    try:
        for module in MODULES:
            made = build(ROOT / module.package, module=module)
            print(f"built {made.path} for {made.machine}")
    except CannotBuildError as error:
        print(f"not built, numpy and Pillow will serve: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
