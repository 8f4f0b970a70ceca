"""The wheel's build hook: the C parts where they can be built, otherwise a pure wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts import build_native


class NativeHook(BuildHookInterface[Any]):
    """Adds the modules to the wheel, and names the processor in the wheel's tag."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scratch = TemporaryDirectory(prefix="auricle-")

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the modules before the wheel; an editable installation gets them in place."""
        root, made = Path(self.root), []
        try:
            for module in build_native.MODULES:
                folder = root if version == "editable" else Path(self._scratch.name)
                made.append(build_native.build(folder / module.package, root=root, module=module))
        except build_native.CannotBuildError as error:
            self.app.display_info(f"without C, which numpy and Pillow replace: {error}")
            return
        if version == "editable":
            return
        for module, one in zip(build_native.MODULES, made, strict=True):
            inside = f"{module.package}/{build_native.NAME}"
            build_data["force_include"][str(one.path)] = inside
            build_data["tag"] = f"cp311-abi3-linux_{one.machine}"
        build_data["pure_python"] = False

    def finalize(self, *_: object) -> None:
        """Remove what was built, once the wheel holds it."""
        self._scratch.cleanup()
