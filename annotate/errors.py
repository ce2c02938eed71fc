"""What services raise when they refuse; one handler turns it into JSON or a page message."""


class ApplicationError(Exception):
    """A refusal with a sentence for the person who asked.

    ``field`` names the offending input where there is one; ``status`` is the HTTP status that the
    API answers with.
    """

    status = 400

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class ConflictError(ApplicationError):
    """The state has moved on since the caller last looked."""

    status = 409


class BudgetExhausted(ApplicationError):
    """The next label would cost more than what is left of the budget."""

    status = 409


class NotReady(ApplicationError):
    """Something that this step builds on is missing."""

    status = 409


class NoWork(ApplicationError):
    """This person gets no work here for now; the message says why and what to do."""

    status = 409
