"""The wheel's build hook: the C part of `hdc` where it can be built, otherwise a pure wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts import build_native


class NativeHook(BuildHookInterface[Any]):
    """Adds the module to the wheel, and names the processor in the wheel's tag."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scratch = TemporaryDirectory(prefix="auricle-")

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the module before the wheel; an editable installation gets it in place."""
        root = Path(self.root)
        folder = root / "hdc" if version == "editable" else Path(self._scratch.name)
        try:
            made = build_native.build(folder, root=root)
        except build_native.CannotBuildError as error:
            self.app.display_info(f"without the C part of hdc, which numpy replaces: {error}")
            return
        if version != "editable":
            build_data["force_include"][str(made.path)] = f"hdc/{build_native.NAME}"
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-linux_{made.machine}"

    def finalize(self, *_: object) -> None:
        """Remove what was built, once the wheel holds it."""
        self._scratch.cleanup()
