"""Regular expressions in time linear in the text, whatever the pattern: a rule meets text that an attacker wrote.

Python's ``re`` backtracks: ``(a+)+$`` takes longer than the world lasts on forty letters, and ``.*.*.*x`` already
seconds on a long one. Here the syntax is parsed by ``re``'s own parser, made into an automaton (Thompson), and run by
sets of states that are worked out once per set and character and then remembered (a lazy DFA): about 50 ns a
character. It answers yes or no, which is all that a rule asks. What needs backtracking by its nature (back-references,
look-around, atomic groups) is refused when the rule is loaded. Rejected: refusing only "dangerous" patterns and
bounding the text, since every such test either refuses harmless rules or lets polynomial ones through.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_STATES = 5_000
MAX_REMEMBERED = 20_000
MAX_PATTERN = 10_000

END = "end"
LAST_NEWLINE = "last newline"
Test = Callable[[str], bool]


class Unsupported(ValueError):
    """A pattern that this engine does not run, and why."""


def search(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    """A function that says whether the pattern occurs in a text, as ``re.search`` would. Raises Unsupported."""
    parsed = _parse(pattern, flags)
    build = _Build()
    try:
        start = build.sequence(parsed, parsed.state.flags, build.match)
    except RecursionError as error:
        raise Unsupported("nests too deep") from error
    return _Automaton(build, start).search


def _parse(pattern: str, flags: int) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise Unsupported(f"the pattern has more than {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unsupported(f"not a regular expression: {error}") from error


def literal(regex: str, flags: int = 0) -> str:
    """A lower-case piece that every text has in lower case in which the pattern is found; empty where none is known."""
    try:
        parsed = _parse(regex, flags)
    except Unsupported:
        return ""
    return max(_runs(parsed, parsed.state.flags), key=len, default="")


def _runs(items: Any, flags: int) -> list[str]:
    """Runs of literals that must be there. Of other case some letters outside ASCII become i, k or s."""
    made, run = [], ""
    for code, argument in items:
        if code is op.LITERAL and argument < 128 and not (flags & re.IGNORECASE and chr(argument) in "iIsS"):
            run += chr(argument).lower()
            continue
        made.append(run)
        run = ""
        if code is op.SUBPATTERN:
            made += _runs(argument[3], (flags | argument[1]) & ~argument[2])
        elif code in (op.MAX_REPEAT, op.MIN_REPEAT) and argument[0] >= 1:
            made += _runs(argument[2], flags)
    return [*made, run]


class _Build:
    """States are numbers: one eats a character (``eats``), goes on freely (``free``) or at a place (``where``)."""

    def __init__(self) -> None:
        self.eats: dict[int, tuple[Test, int]] = {}
        self.free: dict[int, tuple[int, ...]] = {}
        self.where: dict[int, tuple[str, int]] = {}
        self._count = 0
        self.match = self._state()

    def _state(self) -> int:
        self._count += 1
        if self._count > MAX_STATES:
            raise Unsupported(f"counts too high: more than {MAX_STATES} states")
        return self._count

    def sequence(self, items: Any, flags: int, then: int) -> int:
        for code, argument in reversed(list(items)):
            then = self._one(code, argument, flags, then)
        return then

    def _one(self, code: Any, argument: Any, flags: int, then: int) -> int:
        if code in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            state = self._state()
            self.eats[state] = (_character(code, argument, flags), then)
            return state
        if code is op.SUBPATTERN:
            _, add, remove, items = argument
            return self.sequence(items, (flags | add) & ~remove, then)
        if code is op.BRANCH:
            state = self._state()
            self.free[state] = tuple(self.sequence(items, flags, then) for items in argument[1])
            return state
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, items = argument
            return self._repeat(low, high, items, flags, then)
        if code is op.AT:
            state = self._state()
            self.where[state] = (_place(argument, flags), then)
            return state
        raise Unsupported(f"{str(code).lower().replace('_', ' ')} needs backtracking; write it without")

    def _repeat(self, low: int, high: int, items: Any, flags: int, then: int) -> int:
        if high is op.MAXREPEAT:
            loop = self._state()
            self.free[loop] = (self.sequence(items, flags, loop), then)
            then = loop
        else:
            leave = then
            for _ in range(high - low):
                state = self._state()
                self.free[state] = (self.sequence(items, flags, then), leave)
                then = state
        for _ in range(low):
            then = self.sequence(items, flags, then)
        return then


class _Automaton:
    """The states that are possible before a character, with what stood before it, lead to those after it."""

    def __init__(self, build: _Build, start: int) -> None:
        self._build = build
        self._start = frozenset([start])
        self._first = _Node(self._start, "start")
        self._nodes = {(self._start, "start"): self._first}
        self._remembered = 0

    def search(self, text: str) -> bool:
        node = self._first
        last = len(text) - 1
        for at, character in enumerate(text):
            following = node.next.get(character) if character != "\n" else None
            if following is None:
                following = self._step(node, character, LAST_NEWLINE if at == last and character == "\n" else character)
            if following is MATCHED:
                return True
            node = following
        return self._build.match in self._closure(node, END)

    def _step(self, node: _Node, character: str, seen: str) -> _Node:
        closure = self._closure(node, seen)
        if self._build.match in closure:
            following = MATCHED
        else:
            eats = self._build.eats
            states = frozenset(eats[s][1] for s in closure if s in eats and eats[s][0](character)) | self._start
            key = (states, _kind(character))
            if self._remembered >= MAX_REMEMBERED:  # an attacker's text must not grow it for ever
                self._nodes.clear()
                self._first.next.clear()
                self._nodes[(self._start, "start")] = self._first
                node.next.clear()
                self._remembered = 0
            following = self._nodes.get(key) or self._nodes.setdefault(key, _Node(*key))
        node.next[character] = following
        self._remembered += 1
        return following

    def _closure(self, node: _Node, seen: str) -> set[int]:
        """Every state that is reached without eating, given what stands before and after this place."""
        found: set[int] = set()
        waiting = list(node.states)
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found.add(state)
            waiting.extend(self._build.free.get(state, ()))
            if (condition := self._build.where.get(state)) is not None and _holds(condition[0], node.before, seen):
                waiting.append(condition[1])
        return found


class _Node:
    __slots__ = ("before", "next", "states")

    def __init__(self, states: frozenset[int], before: str) -> None:
        self.states = states
        self.before = before
        self.next: dict[str, _Node] = {}


MATCHED = _Node(frozenset(), "matched")


def _kind(character: str) -> str:
    if character == "\n":
        return "newline"
    return "word" if character.isalnum() or character == "_" else "other"


def _holds(place: str, before: str, seen: str) -> bool:
    if place == "beginning":
        return before == "start"
    if place == "beginning of line":
        return before in ("start", "newline")
    if place == "end":
        return seen in (END, LAST_NEWLINE)
    if place == "end of text":
        return seen == END
    if place == "end of line":
        return seen in (END, LAST_NEWLINE, "\n")
    after = seen not in (END, LAST_NEWLINE) and _kind(seen) == "word"
    return ((before == "word") != after) == (place == "boundary")


def _place(code: Any, flags: int) -> str:
    lines = bool(flags & re.MULTILINE)
    return {
        op.AT_BEGINNING: "beginning of line" if lines else "beginning",
        op.AT_BEGINNING_STRING: "beginning",
        op.AT_END: "end of line" if lines else "end",
        op.AT_END_STRING: "end of text",
        op.AT_BOUNDARY: "boundary",
        op.AT_NON_BOUNDARY: "no boundary",
    }[code]


def _character(code: Any, argument: Any, flags: int) -> Test:
    if code is op.ANY:
        return (lambda _: True) if flags & re.DOTALL else (lambda c: c != "\n")
    if flags & re.ASCII:
        raise Unsupported("flag a is not supported")
    if code is op.IN:
        negate = argument[0][0] is op.NEGATE
        tests = [_member(*item) for item in (argument[1:] if negate else argument)]
    else:
        negate, tests = code is op.NOT_LITERAL, [_member(op.LITERAL, argument)]
    if flags & re.IGNORECASE:
        return lambda c: any(t(v) for v in {c, c.lower(), c.upper()} if len(v) == 1 for t in tests) is not negate
    return lambda c: any(t(c) for t in tests) is not negate


def _member(code: Any, argument: Any) -> Test:
    if code is op.LITERAL:
        literal = chr(argument)
        return lambda c: c == literal
    if code is op.RANGE:
        low, high = argument
        return lambda c: low <= ord(c) <= high
    if code is op.CATEGORY and argument in _CATEGORIES:
        return _CATEGORIES[argument]
    raise Unsupported(f"{code} is not supported in a set")


def _word(c: str) -> bool:
    return c.isalnum() or c == "_"


_CATEGORIES: dict[Any, Test] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    op.CATEGORY_WORD: _word,
    op.CATEGORY_NOT_WORD: lambda c: not _word(c),
}
