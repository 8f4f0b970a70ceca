"""What can go wrong in this room. Every error says what to do in its `hint`."""


class BridgeError(Exception):
    """Root of every error of this room; `message` says what was found, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class MessageError(BridgeError):
    """A message holds a value that its table cannot carry."""


class WireError(BridgeError):
    """A port could not be opened, read or written."""
