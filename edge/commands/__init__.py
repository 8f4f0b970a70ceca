"""Remote commands: parsed strictly, verified, executed once, answered."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .command_events import label_event
    from .control_socket import ControlSocket, response_body, send_to_daemon
    from .handler import CommandHandler, RateLimit
    from .parsing import no_home
    from .requests import (
        ActionsCommand,
        BundleConfirmCommand,
        BundleImportCommand,
        BundleRecordCommand,
        BundleRemoveCommand,
        BundleRevertCommand,
        CandidatesCommand,
        ConfirmCommand,
        ExplainCommand,
        ForgetCommand,
        ForgetPreviewCommand,
        LabelCommand,
        RateCommand,
        RawCommand,
        ReceiptsCommand,
        Request,
        Select,
        StatusCommand,
        UndoCommand,
        UnlabelCommand,
    )
    from .sending import make_command, send_command, sign_command
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "command_events": ("label_event",),
            "control_socket": ("ControlSocket", "response_body", "send_to_daemon"),
            "handler": ("CommandHandler", "RateLimit"),
            "parsing": ("no_home",),
            "requests": (
                "ActionsCommand",
                "BundleConfirmCommand",
                "BundleImportCommand",
                "BundleRecordCommand",
                "BundleRemoveCommand",
                "BundleRevertCommand",
                "CandidatesCommand",
                "ConfirmCommand",
                "ExplainCommand",
                "ForgetCommand",
                "ForgetPreviewCommand",
                "LabelCommand",
                "RateCommand",
                "RawCommand",
                "ReceiptsCommand",
                "Request",
                "Select",
                "StatusCommand",
                "UndoCommand",
                "UnlabelCommand",
            ),
            "sending": ("make_command", "send_command", "sign_command"),
        },
    )

__all__ = [
    "ActionsCommand",
    "BundleConfirmCommand",
    "BundleImportCommand",
    "BundleRecordCommand",
    "BundleRemoveCommand",
    "BundleRevertCommand",
    "CandidatesCommand",
    "CommandHandler",
    "ConfirmCommand",
    "ControlSocket",
    "ExplainCommand",
    "ForgetCommand",
    "ForgetPreviewCommand",
    "LabelCommand",
    "RateCommand",
    "RateLimit",
    "RawCommand",
    "ReceiptsCommand",
    "Request",
    "Select",
    "StatusCommand",
    "UndoCommand",
    "UnlabelCommand",
    "label_event",
    "make_command",
    "no_home",
    "response_body",
    "send_command",
    "send_to_daemon",
    "sign_command",
]
