"""What a person gave is wrong: one line that says what, and what to do."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A mistake in what was given: an argument, a file, a recipe key.

    Its message is one line that names the thing, what was found, what was expected and what to
    do. The command line prints it and ends with exit status 2.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def reason(error: BaseException) -> str:
    """Return what an error says on one line, at most 200 characters of it."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text[:200] or type(error).__name__


def printable(text: str) -> str:
    """Return a text with what cannot be printed escaped, such as names that are not UTF-8."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause naming the known names closest to a mistyped one, or all of them when few."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(word) for word in close) + "?"
    if len(known) <= 12:
        return "known: " + ", ".join(known)
    return ""
