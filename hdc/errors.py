"""What can go wrong in this room. Every error says what to do in its `hint`."""


class HdcError(Exception):
    """Root of every error of this room; `message` says what was found, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class DimensionError(HdcError):
    """An array has another shape or dtype than the geometry works with."""


class ConceptError(HdcError):
    """A concept is asked for, or asked to give up more, than the memory holds."""


class FormatError(HdcError):
    """Packed arrays do not describe what they are unpacked as."""
