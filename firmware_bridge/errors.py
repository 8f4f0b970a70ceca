"""The errors of `firmware_bridge`.  The `hint` of each says how to correct it."""


class BridgeError(Exception):
    """Base class: `message` states the operation, the expected and the found value."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class MessageError(BridgeError):
    """A message has a value that its table does not allow, or a setting is out of range."""


class WireError(BridgeError):
    """A port could not be opened, read or written."""
