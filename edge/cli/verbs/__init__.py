"""One file for each group of verbs."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from . import (
        audit,
        bridge,
        bundle,
        change,
        command,
        encoder,
        fleet,
        fleet_train,
        forecast,
        grow,
        run,
        simulate,
        train,
        transfer,
        undo,
        watch,
        web,
    )
else:
    __getattr__ = lazy_names(__name__, {})

__all__ = [
    "audit",
    "bridge",
    "bundle",
    "change",
    "command",
    "encoder",
    "fleet",
    "fleet_train",
    "forecast",
    "grow",
    "run",
    "simulate",
    "train",
    "transfer",
    "undo",
    "watch",
    "web",
]
