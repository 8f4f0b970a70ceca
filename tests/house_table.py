"""Who may import whom: the table of the architecture document, as data.

The first pattern of a table that matches a file's path decides (`fnmatch`; `*` crosses folders).
"""

from __future__ import annotations

from typing import Final

ROOMS: Final = ("edge", "encoder", "firmware_bridge", "hdc", "nas")

# Packages from elsewhere, by the name they are imported under.
THIRD_PARTY: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("encoder/session.py", frozenset({"numpy", "onnxruntime"})),
    ("encoder/preparation.py", frozenset({"numpy", "PIL"})),
    ("encoder/*", frozenset({"numpy"})),
    ("hdc/*", frozenset({"numpy"})),
    ("nas/proxies.py", frozenset({"numpy", "torch"})),
    ("nas/*", frozenset({"numpy"})),
    ("firmware_bridge/transports.py", frozenset({"cobs", "serial"})),
    ("firmware_bridge/evaluator.py", frozenset({"numpy"})),
    ("firmware_bridge/export*.py", frozenset({"numpy"})),
    ("firmware_bridge/liquid.py", frozenset({"numpy"})),
    ("firmware_bridge/*", frozenset({"cobs"})),
    ("edge/core/*", frozenset({"numpy"})),
    ("edge/growth/*", frozenset({"numpy", "safetensors", "torch"})),
    ("edge/shell/sources/camera.py", frozenset({"cv2"})),
    ("edge/shell/sources/sound.py", frozenset({"msgspec", "numpy", "sounddevice"})),
    ("edge/shell/cli*", frozenset({"click", "msgspec", "numpy", "rich"})),
    ("edge/shell/*view*", frozenset({"numpy", "rich"})),
    ("edge/shell/telemetry/sparkplug*", frozenset({"google", "msgspec"})),
    (
        "edge/shell/*",
        frozenset(
            {
                "cbor2",
                "cryptography",
                "msgspec",
                "numpy",
                "paho",
                "prometheus_client",
                "safetensors",
            }
        ),
    ),
    (
        "edge/sim/*",
        frozenset({"PIL", "joblib", "matplotlib", "msgspec", "numpy", "ray", "sklearn", "torchhd"}),
    ),
    ("edge/estimator.py", frozenset({"numpy", "sklearn"})),
    ("edge/*", frozenset({"numpy"})),
)

# Rooms and parts of rooms that a file may use.  `edge.core` is a part of the room `edge`.  What is
# inside the file's own part need not be listed; everything inside the other four rooms is one part.
NEIGHBOURS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("edge/core/*", frozenset({"encoder", "hdc", "nas"})),
    ("edge/growth/*", frozenset({"nas", "edge.core"})),
    (
        "edge/shell/worker.py",
        frozenset({"encoder", "hdc", "nas", "firmware_bridge", "edge.core", "edge.growth"}),
    ),
    (
        "edge/shell/cli*",
        frozenset({"encoder", "hdc", "nas", "firmware_bridge", "edge.core", "edge.sim"}),
    ),
    ("edge/shell/*view*", frozenset({"encoder", "edge.core", "edge.sim"})),
    (
        "edge/shell/daemon/daemon.py",
        frozenset({"encoder", "hdc", "nas", "firmware_bridge", "edge.core", "edge.__version__"}),
    ),
    ("edge/shell/*", frozenset({"encoder", "hdc", "nas", "firmware_bridge", "edge.core"})),
    (
        "edge/sim/*",
        frozenset(
            {
                "encoder",
                "encoder.testing",
                "hdc",
                "nas",
                "firmware_bridge",
                "edge.core",
                "edge.growth",
                "edge.shell.store",
                "edge.shell.weights",
            }
        ),
    ),
    ("edge/estimator.py", frozenset({"encoder", "hdc", "nas", "edge.core"})),
    (
        "benchmarks/*",
        frozenset(
            {
                *ROOMS,
                "encoder.testing",
                "edge.core",
                "edge.estimator",
                "edge.growth",
                "edge.shell",
                "edge.sim",
            }
        ),
    ),
    ("edge/__init__.py", frozenset({"edge.core", "edge.shell", "edge.sim", "encoder"})),
    ("encoder/*", frozenset()),
    ("hdc/*", frozenset()),
    ("nas/*", frozenset()),
    ("firmware_bridge/*", frozenset()),
)

# Files whose results may depend on their arguments alone.
PURE: Final = ("edge/core/*", "hdc/*", "nas/*")

_EVENTS = "time enters as numbers in events"
_SHELL = "it belongs in edge/shell"
_EFFECTS = "what must happen leaves as an effect"
_SEED = "randomness enters as a seed: numpy.random.default_rng(seed)"

# Modules of the standard library that a pure file may not import, with what to do instead.
IMPURE: Final[dict[str, str]] = (
    dict.fromkeys(("time", "datetime", "sched"), _EVENTS)
    | dict.fromkeys(("random", "secrets", "uuid"), _SEED)
    | dict.fromkeys(
        ("asyncio", "concurrent", "multiprocessing", "queue", "signal", "subprocess", "threading"),
        _EFFECTS,
    )
    | dict.fromkeys(("logging", "warnings"), "a decision or an error says it")
    | dict.fromkeys(("fileinput", "glob", "io", "mmap", "os", "pathlib", "shutil", "sys"), _SHELL)
    | dict.fromkeys(("http", "select", "selectors", "socket", "ssl", "urllib"), _SHELL)
    | dict.fromkeys(("sqlite3", "tempfile", "tomllib", "zipfile"), _SHELL)
)

# Modules that nothing here may import, with what to use.
UNSAFE: Final[dict[str, str]] = dict.fromkeys(
    ("pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"), "safetensors or msgspec"
)
