"""Write the add-on repository for Home Assistant: `python scripts/build_addon.py OUT [WHEEL...]`.

OUT becomes the root of a repository, which is what Home Assistant's add-on store wants; it must be
empty or missing.  WHEEL: wheels of this version (`scripts/build_wheels.py` makes them), which the
add-on then installs in place of the package index.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "integrations/homeassistant"
ICON = (128, 128)
"""Pixels of an add-on's icon (https://developers.home-assistant.io/docs/add-ons/presentation)."""
LOGO = (250, 100)
"""Pixels of its logo, the size that the same page recommends."""
TEAL = (0, 105, 92)
"""The colour of the documentation site."""
FINER = 8
"""Pictures are drawn so many times larger, for smooth edges."""


def version() -> str:
    """Return the version of the distribution."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = re.search(r'^version = "([^"]+)"', text, re.MULTILINE)
    assert found, "pyproject.toml has a version"
    return found[1]


def draw(size: tuple[int, int]) -> Image.Image:
    """Return a picture of an ear: an outer arc, an inner arc and a point of sound."""
    side = FINER * size[1]
    mark = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(mark)
    pen.rounded_rectangle((0, 0, side - 1, side - 1), radius=side // 5, fill=TEAL)
    for edge, begin, end in ((0.2, 150, 60), (0.34, 170, 40)):
        box = (edge * side, edge * side, (1 - edge) * side, (1 - edge) * side)
        pen.arc(box, begin, end, fill="white", width=side // 14)
    middle, radius = side / 2, side / 14
    pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill="white")
    picture = Image.new("RGBA", (FINER * size[0], side), (0, 0, 0, 0))
    picture.paste(mark, ((picture.width - side) // 2, 0))
    return picture.resize(size, Image.Resampling.LANCZOS)


def changes() -> str:
    """Return the part of the changelog about the newest version."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    _, _, newest = text.partition("\n## ")
    return f"# Changelog\n\n## {newest.partition(chr(10) + '## ')[0].rstrip()}\n"


def build(out: Path, wheels: list[Path]) -> None:
    """Write the repository.  Raises FileExistsError if the folder is not empty."""
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name an empty or a new folder")
    addon = out / "auricle"
    shutil.copytree(SOURCE / "addon", addon, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE / "repository.yaml", out)
    shutil.copy(ROOT / "LICENSE", out)
    for name in ("config.yaml", "Dockerfile"):
        path = addon / name
        path.write_text(path.read_text("utf-8").replace("@VERSION@", version()), "utf-8")
    (addon / "CHANGELOG.md").write_text(changes(), "utf-8")
    (addon / "wheels").mkdir()
    (addon / "wheels/README").write_text("Wheels that the add-on installs.\n", "utf-8")
    for wheel in wheels:
        shutil.copy(wheel, addon / "wheels")
    draw(ICON).save(addon / "icon.png")
    draw(LOGO).save(addon / "logo.png")


def main() -> int:
    """Build into the folder of the command line; returns the exit status."""
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    try:
        build(Path(sys.argv[1]), [Path(one) for one in sys.argv[2:]])
    except OSError as error:
        print(f"the add-on was not built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
