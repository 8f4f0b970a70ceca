"""Who may import whom, by folder: the table of docs/explanation/architecture.md as data.

A folder may import the entries listed here and its own files.  The longest entry that contains a
file decides: `edge/core/forecasting/x.py` follows `edge/core`.
"""

from __future__ import annotations

from typing import Final

PACKAGES: Final = ("edge", "encoder", "firmware_bridge", "hdc", "nas")

# Third-party packages, by import name.
THIRD_PARTY: Final[dict[str, frozenset[str]]] = {
    "encoder": frozenset({"PIL", "numpy", "onnxruntime"}),
    "hdc": frozenset({"msgspec", "numpy"}),
    "nas": frozenset({"numpy", "torch"}),
    "firmware_bridge": frozenset({"cobs", "numpy", "serial"}),
    "edge": frozenset(),
    "edge/core": frozenset({"msgspec", "numpy"}),
    "edge/estimator.py": frozenset({"numpy", "sklearn"}),
    "edge/growth": frozenset({"msgspec", "numpy", "safetensors", "torch"}),
    "edge/river": frozenset({"numpy", "river"}),
    "edge/storage": frozenset({"msgspec", "numpy", "safetensors"}),
    "edge/config": frozenset({"msgspec"}),
    "edge/signing": frozenset({"cryptography", "msgspec"}),
    "edge/worker": frozenset({"numpy"}),
    "edge/sources": frozenset(
        {
            "asyncua",
            "cbor2",
            "cryptography",
            "cv2",
            "msgspec",
            "numpy",
            "pymodbus",
            "sounddevice",
        }
    ),
    "edge/datasets": frozenset({"numpy"}),
    "edge/export": frozenset({"numpy"}),
    "edge/mqtt": frozenset({"google", "msgspec", "paho"}),
    "edge/outbox": frozenset({"msgspec"}),
    "edge/home": frozenset({"msgspec", "numpy"}),
    "edge/bundles": frozenset({"cryptography", "msgspec", "numpy"}),
    "edge/federation": frozenset({"cryptography", "flwr", "msgspec", "numpy", "ray"}),
    "edge/fleet": frozenset({"cryptography", "msgspec"}),
    "edge/commands": frozenset({"cryptography", "msgspec", "paho"}),
    "edge/analysis": frozenset({"msgspec", "numpy"}),
    "edge/audit": frozenset({"msgspec", "numpy"}),
    "edge/daemon": frozenset({"PIL", "msgspec", "numpy", "prometheus_client"}),
    "edge/sim": frozenset(
        {"PIL", "joblib", "matplotlib", "msgspec", "numpy", "ray", "sklearn", "torchhd"}
    ),
    "edge/sim/strategies": frozenset(
        {"avalanche", "matplotlib", "msgspec", "numpy", "sklearn", "threadpoolctl", "torch"}
    ),
    "edge/sim/unlearning": frozenset({"msgspec", "numpy", "torch"}),
    "edge/backbone": frozenset({"numpy"}),
    "edge/pages": frozenset({"jinja2"}),
    "edge/plots": frozenset({"matplotlib", "numpy"}),
    "edge/web": frozenset({"jinja2", "microdot", "msgspec"}),
    "edge/demo": frozenset({"numpy"}),
    "edge/cli": frozenset({"click", "msgspec", "numpy", "rich"}),
}

_BASE: Final = frozenset({"edge/lazy.py", "edge/extras.py", "edge/core"})

# Folders and single files that a folder may use, from the bottom to the top.
NEIGHBOURS: Final[dict[str, frozenset[str]]] = {
    "encoder": frozenset(),
    "hdc": frozenset(),
    "nas": frozenset(),
    "firmware_bridge": frozenset(),
    "edge/lazy.py": frozenset(),
    "edge/extras.py": frozenset(),
    "edge/version.py": frozenset(),
    "edge/logs.py": frozenset(),
    "edge/core": frozenset({"edge/lazy.py", "encoder", "hdc", "nas"}),
    "edge/estimator.py": frozenset({"edge/core", "encoder", "hdc", "nas"}),
    "edge/growth": frozenset({*_BASE, "nas"}),
    "edge/river": frozenset({*_BASE, "encoder"}),
    "edge/config": _BASE,
    "edge/storage": frozenset({*_BASE, "encoder", "nas"}),
    "edge/signing": frozenset({*_BASE, "edge/config", "edge/storage"}),
    "edge/worker": frozenset({*_BASE, "edge/growth", "edge/storage"}),
    "edge/sources": frozenset(
        {*_BASE, "edge/config", "edge/logs.py", "edge/storage", "encoder", "firmware_bridge"}
    ),
    "edge/datasets": frozenset({*_BASE, "edge/sources", "encoder"}),
    "edge/export": frozenset(
        {*_BASE, "edge/storage", "edge/version.py", "encoder", "firmware_bridge", "hdc"}
    ),
    "edge/mqtt": frozenset({*_BASE, "edge/config", "edge/logs.py"}),
    "edge/outbox": frozenset({*_BASE, "edge/config", "edge/logs.py", "edge/storage"}),
    "edge/home": frozenset(
        {
            *_BASE,
            "edge/config",
            "edge/datasets",
            "edge/logs.py",
            "edge/mqtt",
            "edge/sources",
            "edge/storage",
            "edge/worker",
            "encoder",
            "firmware_bridge",
            "hdc",
        }
    ),
    "edge/bundles": frozenset(
        {*_BASE, "edge/home", "edge/mqtt", "edge/signing", "edge/storage", "hdc", "nas"}
    ),
    "edge/fleet": frozenset(
        {
            *_BASE,
            "edge/config",
            "edge/home",
            "edge/logs.py",
            "edge/mqtt",
            "edge/signing",
            "edge/storage",
            "encoder",
            "hdc",
        }
    ),
    "edge/federation": frozenset(
        {
            *_BASE,
            "edge/bundles",
            "edge/datasets",
            "edge/growth",
            "edge/home",
            "edge/storage",
            "nas",
        }
    ),
    "edge/commands": frozenset(
        {
            *_BASE,
            "edge/bundles",
            "edge/config",
            "edge/fleet",
            "edge/home",
            "edge/logs.py",
            "edge/mqtt",
            "edge/signing",
            "edge/storage",
        }
    ),
    "edge/analysis": frozenset({*_BASE, "edge/config", "edge/home", "edge/storage"}),
    "edge/daemon": frozenset(
        {
            *_BASE,
            "edge/commands",
            "edge/config",
            "edge/fleet",
            "edge/home",
            "edge/logs.py",
            "edge/mqtt",
            "edge/outbox",
            "edge/sources",
            "edge/storage",
            "edge/version.py",
            "encoder",
            "hdc",
        }
    ),
    "edge/backbone": _BASE,
    "edge/pages": frozenset({"edge/lazy.py"}),
    "edge/audit": frozenset(
        {
            *_BASE,
            "edge/config",
            "edge/growth",
            "edge/home",
            "edge/outbox",
            "edge/pages",
            "edge/storage",
            "encoder",
            "hdc",
        }
    ),
    "edge/web": frozenset(
        {
            *_BASE,
            "edge/analysis",
            "edge/config",
            "edge/home",
            "edge/logs.py",
            "edge/pages",
            "edge/storage",
            "edge/version.py",
        }
    ),
    "edge/plots": _BASE,
    "edge/sim": frozenset(
        {
            *_BASE,
            "edge/backbone",
            "edge/datasets",
            "edge/growth",
            "edge/pages",
            "edge/plots",
            "edge/storage",
            "encoder",
            "nas",
        }
    ),
    "edge/sim/fleet": frozenset(
        {
            *_BASE,
            "edge/config",
            "edge/fleet",
            "edge/sim",
            "edge/storage",
            "encoder",
            "hdc",
        }
    ),
    "edge/demo": frozenset({*_BASE, "edge/sim", "edge/storage", "encoder", "hdc"}),
    "edge/cli": frozenset(
        {
            *_BASE,
            "edge/analysis",
            "edge/audit",
            "edge/backbone",
            "edge/bundles",
            "edge/commands",
            "edge/config",
            "edge/daemon",
            "edge/datasets",
            "edge/demo",
            "edge/export",
            "edge/fleet",
            "edge/federation",
            "edge/home",
            "edge/logs.py",
            "edge/mqtt",
            "edge/plots",
            "edge/signing",
            "edge/sim",
            "edge/sim/fleet",
            "edge/sources",
            "edge/storage",
            "edge/web",
            "edge/worker",
            "encoder",
            "firmware_bridge",
        }
    ),
    "edge": frozenset({*_BASE, "edge/sim", "edge/storage", "edge/version.py"}),
    "benchmarks": frozenset({*PACKAGES}),
}

# Files that other packages may import directly: the tiny encoder is for tests and simulation.
PUBLIC_FILES: Final = frozenset({"encoder.testing"})

# Folders whose results depend on their arguments alone.
PURE: Final = ("edge/core", "hdc", "nas")

_EVENTS = "time enters as numbers in events"
_SHELL = "it belongs in a folder that acts, such as edge/storage"
_EFFECTS = "what must happen leaves as an effect"
_SEED = "randomness enters as a seed: numpy.random.default_rng(seed)"

# Modules of the standard library that a pure file may not import, with the alternative.
IMPURE: Final[dict[str, str]] = (
    dict.fromkeys(("time", "datetime", "sched"), _EVENTS)
    | dict.fromkeys(("random", "secrets", "uuid"), _SEED)
    | dict.fromkeys(
        ("asyncio", "concurrent", "multiprocessing", "queue", "signal", "subprocess", "threading"),
        _EFFECTS,
    )
    | dict.fromkeys(("logging", "warnings"), "a decision or an error reports it")
    | dict.fromkeys(("fileinput", "glob", "io", "mmap", "os", "pathlib", "shutil", "sys"), _SHELL)
    | dict.fromkeys(("http", "select", "selectors", "socket", "ssl", "urllib"), _SHELL)
    | dict.fromkeys(("sqlite3", "tempfile", "tomllib", "zipfile"), _SHELL)
)

# Modules that no file may import, with the alternative.
UNSAFE: Final[dict[str, str]] = dict.fromkeys(
    ("pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"), "safetensors or msgspec"
)
