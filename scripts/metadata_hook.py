"""Refuse an installation from source on a 32-bit Python, before anything else is downloaded.

hatchling loads this hook when it reads the metadata of the project, which pip does first of all.
Without it pip compiles what has no wheel for 32 bits, beginning with numpy, and fails minutes later
with a message about a compiler.
"""

from __future__ import annotations

import sys
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

MESSAGE = """
Auricle needs a 64-bit Python, and {executable} is a 32-bit one.
  hint: install a 64-bit operating system, such as the 64-bit Raspberry Pi OS; a 64-bit kernel
        below a 32-bit system is not enough.  docs/howto/devices.md lists the devices.
"""


class WordSizeHook(MetadataHookInterface):
    """Ends the process on a 32-bit Python."""

    def __init__(self, root: str, config: dict[str, Any]) -> None:
        """Check here: `update` is called only for projects with dynamic fields."""
        super().__init__(root, config)
        if sys.maxsize < 1 << 32:
            # No traceback, so that pip shows these lines and nothing else.
            sys.exit(MESSAGE.format(executable=sys.executable))

    def update(self, metadata: dict[str, Any]) -> None:
        """Change nothing."""
