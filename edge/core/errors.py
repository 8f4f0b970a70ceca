"""The errors that `edge` raises for users; each carries a hint."""


class EdgeError(Exception):
    """Base of all errors of `edge`.  message: action, expectation, finding.  hint: the next
    step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ConfigError(EdgeError):
    """An invalid configuration, scenario or command line."""


class StateError(EdgeError):
    """The knowledge file could not be opened, read or written."""


class StateVersionError(StateError):
    """The knowledge file was written by a newer version of the program; it is unchanged."""


class StateCorruptError(StateError):
    """The knowledge file is damaged, or is no knowledge file."""


class ModelMismatchError(EdgeError):
    """The ledger's features come from a different encoder or quantiser."""


class TransportError(EdgeError):
    """Another program (a daemon, a broker) cannot be reached or does not answer."""
