"""The error of this package."""


class NasError(ValueError):
    """Invalid arguments of a search.  message: action, expectation and finding; hint: the next
    step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint
