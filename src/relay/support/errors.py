"""The exceptions a user may meet.

::

    RelayError
    ├── TypeInferenceError     a program is ill typed
    ├── ParseError             text is not a program
    ├── ImportModelError       a model file cannot be imported
    ├── UnsupportedError       something valid that this version does not do
    ├── ScheduleError          a schedule step is illegal where it was asked for
    ├── ArtifactError          a compiled artefact cannot be read or used here
    ├── InputError             a wrong input name, shape, dtype or value at run time
    └── InternalError          a broken invariant of the compiler itself: please report it
"""

from relay.support.source import Span


class RelayError(Exception):
    """Base of every error that relay raises for a user; `str` of it is the whole message.

    `span`, when known, is the place in the source text that the message is about.
    """

    def __init__(self, message: str, span: Span | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span

    def __str__(self) -> str:
        if self.span is None:
            return self.message
        return f"{self.span}: {self.message}"


class TypeInferenceError(RelayError):
    """A program is ill typed."""


class ParseError(RelayError):
    """Text is not a program in the language it claims to be in."""


class ImportModelError(RelayError):
    """A model file cannot be imported."""


class UnsupportedError(RelayError):
    """Something valid that this version does not do."""


class ScheduleError(RelayError):
    """A schedule step is illegal where it was asked for."""


class ArtifactError(RelayError):
    """A compiled artefact cannot be read, or cannot be used on this machine."""


class InputError(RelayError):
    """A wrong input name, shape, dtype or value at run time."""


class InternalError(RelayError):
    """A broken invariant of the compiler itself."""
