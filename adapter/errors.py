"""Everything that can go wrong, sorted by who can help.

    ChartpostError
    ├── ConfigurationError   the administrator: every problem at once, with file and line
    ├── CannotStore          nobody answered for: no ACK, close the connection, the sender keeps the message
    ├── Transient            a machine: try again later (a refused connection, a busy database)
    ├── Ambiguous            a person: the call may or may not have had its effect (a time-out after sending)
    └── Permanent            the sender of the data, or the administrator: trying again will not help

No message of these carries patient data: they name fields, ids and remedies, never values of a person.
"""

from __future__ import annotations


class ChartpostError(Exception):
    """Base of every error of ours."""


class ConfigurationError(ChartpostError):
    """The configuration cannot work. `problems` holds all of them, each "file:line: what, and what to do"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CannotStore(ChartpostError):
    """The message could not be made durable, so nothing may be acknowledged."""


class Transient(ChartpostError):
    """It did not happen, and it may work later: after `wait` seconds, where the other side said so."""

    def __init__(self, message: str = "", wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Ambiguous(ChartpostError):
    """Nobody knows whether it happened: never repeat it by machine."""


class Permanent(ChartpostError):
    """It did not happen, and repeating it will not help. `code` is the other side's own code, if it gave one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
