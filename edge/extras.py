"""Optional dependencies: the command that adds one of the distribution's extras to this
installation.

The command depends on where the installation came from, which pip records (PEP 610): a folder or a
wheel is named again, and only a distribution from a package index goes by its name.
"""

import json
import shlex
import sys
from typing import Any, Final
from urllib.parse import unquote, urlsplit

DISTRIBUTION: Final = "auricle"

WEB_PACKAGES: Final = ("jinja2", "microdot")
"""Import names of the extra `web`."""


def install_command(extra: str) -> str:
    """Return the shell command that installs an extra of pyproject.toml for this interpreter.

    Cost: one small file is read.
    """
    return pip_install(_requirement(extra))


def pip_install(requirement: str) -> str:
    """Return the shell command that installs a requirement for this interpreter."""
    interpreter = shlex.quote(sys.executable or "python3")
    return f"{interpreter} -m pip install {shlex.quote(requirement)}"


def missing_torch() -> str:
    """Return why nothing is grown or trained without torch, and the command that changes it."""
    command = install_command("grow")
    return f"torch is not installed; the heads alone answer. To grow adaptors: {command}"


def _requirement(extra: str) -> str:
    """Return the requirement of this distribution with an extra, as pip takes it (PEP 508)."""
    origin = _origin()
    url, parts = str(origin.get("url", "")), urlsplit(str(origin.get("url", "")))
    if parts.scheme == "file":
        return f"{unquote(parts.path)}[{extra}]"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"{DISTRIBUTION}[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    return f"{DISTRIBUTION}[{extra}] @ {url}" if url else f"{DISTRIBUTION}[{extra}]"


def _origin() -> dict[str, Any]:
    """Return the contents of direct_url.json, empty for a distribution from a package index."""
    # Imported here: a daemon that misses nothing does not need it.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
