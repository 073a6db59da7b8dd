"""Every error the program raises on purpose.

``ConfigError`` and ``MissingExtra`` stop a program at start-up (exit code 2). After start-up only ``Transient``
(try again later) and ``Permanent`` (count it, set the input aside, go on) exist: a program never ends because of
what it was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file that a person wrote, with what to write instead."""

    path: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        what = f"{self.key}: {self.message}" if self.key else self.message
        return f"{where}: {what}" + (f" ({self.hint})" if self.hint else "")


class TengwangError(Exception):
    """The common base, so that a command line can print one clear line instead of a traceback."""


class ConfigError(TengwangError):
    """Configuration or inventory is wrong. Lists every problem at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))

    @classmethod
    def one(cls, path: str, message: str, hint: str = "") -> ConfigError:
        return cls([Problem(path, 0, "", message, hint)])


class MissingExtra(TengwangError):
    """A configured part needs a package that is not installed."""

    def __init__(self, part: str, extra: str) -> None:
        super().__init__(f"{part} needs packages that are not installed: pip install 'tengwang[{extra}]'")


class Transient(TengwangError):
    """It may work later: a peer is away, a disk is full, a server is busy. The caller keeps the data and retries."""


class Permanent(TengwangError):
    """It will never work: malformed or forbidden input. The caller counts it and sets it aside."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """``reason`` is a short stable word for a counter's label; ``detail`` is for a person."""
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)
