"""Text of /proc and /etc/os-release to values. Pure; a line that is not as expected counts as absent."""

from __future__ import annotations

import shlex

import msgspec


class Processor(msgspec.Struct, frozen=True):
    """Ticks since boot, all cores: in use and in total."""

    busy: int
    total: int


def load(text: str) -> float | None:
    """One-minute load of /proc/loadavg."""
    return _number(text.split()[:1])


def uptime(text: str) -> int | None:
    """Whole seconds of /proc/uptime."""
    seconds = _number(text.split()[:1])
    return None if seconds is None else int(seconds)


def memory(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes by its own names, e.g. ``MemTotal``."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal() and words[0].isascii():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def processor(text: str) -> Processor | None:
    """The ``cpu`` line of /proc/stat (proc(5)): idle and iowait are not in use; guest time is in user time already."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["cpu"] and len(words) >= 9 and all(w.isdecimal() and w.isascii() for w in words[1:9]):
            ticks = [int(word) for word in words[1:9]]
            total = sum(ticks)
            return Processor(total - ticks[3] - ticks[4], total)
    return None


def os_release(text: str) -> str:
    """A readable name and version (os-release(5)), empty where the file has none."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value)[:1])
            except ValueError:
                continue
    return found.get("PRETTY_NAME") or " ".join(filter(None, (found.get("NAME"), found.get("VERSION_ID"))))


def _number(words: list[str]) -> float | None:
    try:
        number = float(words[0])
    except (IndexError, ValueError):
        return None
    return number if 0 <= number < 1e15 else None
