"""The one error a person reads."""


class HeadlightError(ValueError):
    """Bad input or a situation the user can mend.

    The message says what was expected, what was got and what to do next; the command line
    and the app show it as it is, without a traceback. Anything else that escapes is a bug.
    """


class NotEnoughMemory(HeadlightError):
    """There is too little memory for it now; with something else let go of there might be enough."""


class Cancelled(Exception):
    """Raised between two chunks of work when the watcher asks to stop."""
