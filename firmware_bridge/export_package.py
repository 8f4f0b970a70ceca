"""Puts the files of an export into a package for Zephyr, Arduino or PlatformIO.

`packaging/` holds what a package adds: its description, a README and a program that tests the
golden vectors.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Literal, get_args

PackageKind = Literal["files", "zephyr", "arduino", "platformio"]
"""`files`: the files as they are, in one folder."""

PACKAGE_KINDS: Final[tuple[PackageKind, ...]] = get_args(PackageKind)

GOLDEN: Final = frozenset(
    {
        "auricle_golden.c",
        "auricle_golden_test.c",
        "auricle_forecaster_golden.c",
        "auricle_forecaster_test.c",
    }
)
"""Files of golden vectors, which a product leaves out."""

CHECK: Final = "auricle_check.c"
"""The program of a plain export; a package has one of its own."""

LINK: Final = (
    "app",
    "frames",
    "link",
    "messages",
    "receiving",
    "sending",
    "sha512",
    "ed25519",
    "slots",
    "update",
)
"""Sources in c/ of the link, the reference application and signed updates."""

VERSION: Final = b"@VERSION@"


def make_package(
    exported: Mapping[str, bytes], kind: PackageKind, version: str
) -> dict[str, bytes]:
    """Return the files of a package by path.  exported: files by name, as `write_c` returns them.

    Packages of knowledge and of a forecaster may share a folder.
    """
    if kind == "files":
        return dict(exported)
    found = {_place(name, kind): data for name, data in exported.items() if name != CHECK}
    folder = files(__package__) / "packaging"
    for path, data in _tree(folder / kind):
        found[path] = data.replace(VERSION, version.encode())
    main, umbrella = ((folder / name).read_bytes() for name in ("main.c", "Auricle.h"))
    if kind == "zephyr":
        found["samples/golden/src/main.c"] = main
        found |= dict(_link())
    elif kind == "arduino":
        found["src/Auricle.h"] = umbrella
    else:
        found |= {"include/Auricle.h": umbrella, "examples/golden/main.c": main}
    return found


def _place(name: str, kind: PackageKind) -> str:
    """Return the path of an exported file.  Arduino compiles `src` alone and finds headers there;
    Zephyr has an option for golden vectors."""
    if name.endswith(".h") and kind != "arduino":
        return f"include/{name}"
    if not name.endswith((".c", ".h")):
        return f"extras/{name}"
    return f"golden/{name}" if kind == "zephyr" and name in GOLDEN else f"src/{name}"


def _link() -> Iterator[tuple[str, bytes]]:
    code = files(__package__) / "c"
    for path in code.iterdir():
        stem = path.name.removeprefix("auricle_").removesuffix(".c")
        if path.name.endswith(".c") and stem in LINK:
            yield f"link/{path.name}", path.read_bytes()
        elif path.name.endswith(".h"):
            yield f"include/{path.name}", path.read_bytes()
    for path in (code / "signatures").iterdir():
        yield f"link/signatures/{path.name}", path.read_bytes()


def _tree(folder: Traversable, below: str = "") -> Iterator[tuple[str, bytes]]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _tree(path, f"{below}{path.name}/")
        else:
            yield below + path.name, path.read_bytes()
