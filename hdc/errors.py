"""The errors of `hdc`.  The `hint` of each says how to correct it."""


class HdcError(Exception):
    """Base class: `message` states the operation, the expected and the found value."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class DimensionError(HdcError):
    """An array does not have the shape or dtype that the geometry expects."""


class ConceptError(HdcError):
    """A concept or a sample is not in the memory."""


class FormatError(HdcError):
    """Packed arrays are damaged or of another kind."""
