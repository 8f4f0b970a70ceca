"""The room's one error."""


class NasError(ValueError):
    """A search that was asked for wrongly: what was being done, expected, found; `hint`: what to
    do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint
