"""Regular expressions of RE2's syntax, matched in time linear in the text, whatever the pattern is.

Patterns come with models, and nobody vouches for those: Python's ``re`` tries one way after the
other, which a pattern such as ``(a+)+b`` makes take longer than anybody waits. Here all ways are
followed at once: a pattern becomes a program of characters and branches (Thompson, "Regular
expression search algorithm", 1968), and each set of places in it that a text leads to is worked
out once and remembered.

Read is what RE2 reads (https://github.com/google/re2/wiki/Syntax), except for scripts such as
``\\p{Greek}`` and single bytes, ``\\C``. What groups match is not asked for. As in RE2, there are
no references to groups, nothing looks ahead or behind, ``\\d``, ``\\s``, ``\\w`` and ``\\b`` are
about ASCII, and ``$`` is the end of the text unless the flag ``m`` is set.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias

#: What a pattern may need at most: places in its program, times something is repeated, groups in
#: one another. RE2 has limits of the same kind.
MAX_PLACES: Final = 20_000
MAX_TIMES: Final = 1000
MAX_DEPTH: Final = 150
#: Places in the sets that are remembered for one pattern; more are worked out anew.
_REMEMBERED: Final = 1 << 20

_Test: TypeAlias = Callable[[str], bool]

_ESCAPES: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_ASSERTIONS: Final = {"A": "text start", "z": "text end", "b": "boundary", "B": "no boundary"}
_CATEGORIES: Final = frozenset(
    "Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps "
    "S Sc Sk Sm So Z Zl Zp Zs".split()
)
_WORD: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_DIGITS: Final = frozenset("0123456789")
_UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_PRINTED: Final = frozenset(map(chr, range(33, 127)))
_PERL: Final = {"d": _DIGITS, "s": frozenset("\t\n\f\r "), "w": _WORD}
_POSIX: Final = {
    "alnum": _DIGITS | _UPPER | _LOWER,
    "alpha": _UPPER | _LOWER,
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset("\t "),
    "cntrl": frozenset(map(chr, [*range(32), 127])),
    "digit": _DIGITS,
    "graph": _PRINTED,
    "lower": _LOWER,
    "print": _PRINTED | {" "},
    "punct": _PRINTED - _DIGITS - _UPPER - _LOWER,
    "space": frozenset("\t\n\v\f\r "),
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": _DIGITS | frozenset("ABCDEFabcdef"),
}


class PatternError(ValueError):
    """A pattern that is none."""


@dataclass(frozen=True)
class _Chars:
    """One character that `test` admits."""

    test: _Test


@dataclass(frozen=True)
class _Assertion:
    """A place between two characters of some `kind`."""

    kind: str


@dataclass(frozen=True)
class _Sequence:
    parts: "tuple[_Node, ...]"


@dataclass(frozen=True)
class _Choice:
    ways: "tuple[_Node, ...]"


@dataclass(frozen=True)
class _Repeat:
    """`part` at least `low` times, and at most `high` times unless that is None."""

    part: "_Node"
    low: int
    high: int | None


_Node: TypeAlias = _Chars | _Assertion | _Sequence | _Choice | _Repeat


# ---------------------------------------------------------------------- reading


class _Parser:
    """Reads a pattern; `flags` are those that hold where it stands."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.depth = 0
        self.flags: frozenset[str] = frozenset()

    def fail(self, why: str) -> NoReturn:
        raise PatternError(f"{self.text!r} is no regular expression: {why} (at {self.at})")

    def whole(self) -> _Node:
        node = self._choice()
        if self.at < len(self.text):
            self.fail("a parenthesis is closed that was not opened")
        return node

    def _take(self, text: str) -> bool:
        found = self.text.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _next(self, what: str) -> str:
        if self.at == len(self.text):
            self.fail(f"it ends where {what} is expected")
        self.at += 1
        return self.text[self.at - 1]

    def _until(self, end: str, what: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            self.fail(f"{what} has no end")
        found = self.text[self.at : stop]
        self.at = stop + len(end)
        return found

    def _choice(self) -> _Node:
        ways = [self._sequence()]
        while self._take("|"):
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if self._take("\\Q"):
                end = self.text.find("\\E", self.at)
                stop = len(self.text) if end < 0 else end
                parts.extend(self._literal(c) for c in self.text[self.at : stop])
                self.at = stop + 2 * (end >= 0)
            else:
                atom = self._atom()
                if atom is not None:
                    parts.append(atom)
            self._repeated(parts)
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _repeated(self, parts: list[_Node]) -> None:
        """A repetition of the last of `parts`, if one comes."""
        times = self._times()
        if times is None:
            return
        if not parts:
            self.fail("there is nothing to repeat")
        self._take("?")  # fewest first: for whether all matches, it is the same
        parts[-1] = _Repeat(parts[-1], *times)
        if self._times() is not None:
            self.fail("a repetition is repeated; put parentheses around it")

    def _times(self) -> tuple[int, int | None] | None:
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return times
        if not self.text.startswith("{", self.at):
            return None
        low, comma, high = self.text[self.at + 1 :].partition("}")[0].partition(",")
        length = len(low) + len(comma) + len(high)
        closed = self.text.startswith("}", self.at + 1 + length)
        if not (closed and _is_number(low) and (not high or _is_number(high))):
            return None  # a brace like any other character
        most = int(high) if high else None if comma else int(low)
        if int(low) > MAX_TIMES or (most is not None and not int(low) <= most <= MAX_TIMES):
            self.fail(f"a repetition goes from fewer to more times, at most {MAX_TIMES}")
        self.at += 2 + length
        return int(low), most

    def _atom(self) -> _Node | None:
        """What comes next; None for flags, which are no part of what is matched."""
        char = self._next("a character")
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case ".":
                newline_too = "s" in self.flags
                return _Chars(lambda c: newline_too or c != "\n")
            case "^":
                return _Assertion("line start" if "m" in self.flags else "text start")
            case "$":
                return _Assertion("line end" if "m" in self.flags else "text end")
            case "*" | "+" | "?":
                self.fail("there is nothing to repeat")
        return self._literal(char)

    def _literal(self, char: str) -> _Chars:
        if "i" not in self.flags:
            return _Chars(char.__eq__)
        return _Chars(_folding(char.__eq__))

    def _group(self) -> _Node | None:
        outer = self.flags
        if self._take("?"):
            if self._take("P<") or self._take("<"):
                if not self._until(">", "the name of a group").isidentifier():
                    self.fail("a group has a name that is none; nothing looks behind")
            elif not self._flags():
                return None
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} groups are inside one another")
        node = self._choice()
        if not self._take(")"):
            self.fail("a parenthesis is not closed")
        self.depth -= 1
        self.flags = outer
        return node

    def _flags(self) -> bool:
        """Read flags; whether a group follows for which alone they hold."""
        flags, on = set(self.flags), True
        while True:
            char = self._next("a flag")
            if char in "imsU":
                (flags.add if on else flags.discard)(char)
            elif char == "-" and on:
                on = False
            elif char in ":)":
                self.flags = frozenset(flags)
                return char == ":"
            else:
                self.fail(f"there is no flag {char!r}, and nothing looks ahead")

    def _escape(self) -> _Node:
        char = self._next("what is escaped")
        if char in _ASSERTIONS:
            return _Assertion(_ASSERTIONS[char])
        test = self._class_escape(char)
        return _Chars(test) if test is not None else self._literal(self._escaped(char))

    def _class_escape(self, char: str) -> _Test | None:
        """``\\d`` and the like, behind the backslash; None for what stands for one character."""
        if char.lower() in _PERL:
            return _one_of(_PERL[char.lower()], char.isupper())
        if char not in "pP":
            return None
        negated = char == "P"
        name = self._until("}", "a category") if self._take("{") else self._next("a category")
        if name.startswith("^"):
            name, negated = name[1:], not negated
        if name not in _CATEGORIES:
            self.fail(f"there is no category {name!r}; scripts are not known")
        if name == "Any":
            return lambda _: not negated
        return lambda c: unicodedata.category(c).startswith(name) != negated

    def _escaped(self, char: str) -> str:
        """The character that an escape stands for."""
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char == "x":
            braced = self._take("{")
            digits = self._until("}", "a number") if braced else self._next("a digit")
            digits += "" if braced else self._next("a digit")
            return self._numbered(digits, 16)
        if char in "01234567":
            digits = char
            while len(digits) < 3 and self.at < len(self.text) and self.text[self.at] in "01234567":
                digits += self._next("a digit")
            if char != "0" and len(digits) == 1:
                self.fail("there are no references to groups")
            return self._numbered(digits, 8)
        if not char.isascii() or char.isalnum():
            self.fail(f"there is no escape \\{char}")
        return char

    def _numbered(self, digits: str, base: int) -> str:
        try:
            number = int(digits, base) if digits.isascii() and digits.isalnum() else -1
        except ValueError:
            number = -1
        if not 0 <= number <= sys.maxunicode:
            self.fail(f"{digits!r} is no character")
        return chr(number)

    def _class(self) -> _Node:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        tests: list[_Test] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            first = False
            if self._take("[:"):
                tests.append(self._posix(self._until(":]", "a class")))
                continue
            low = self._in_class(tests)
            if low is None:
                continue
            high: str | None = low
            if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self._in_class(tests)
            if high is None or high < low:
                self.fail("a range of characters goes up, from one to another")
            ranges.append((low, high))
        self.at += 1

        def test(char: str) -> bool:
            return any(a <= char <= b for a, b in ranges) or any(t(char) for t in tests)

        found = _folding(test) if "i" in self.flags else test
        return _Chars((lambda c: not found(c)) if negated else found)

    def _in_class(self, tests: list[_Test]) -> str | None:
        """One character of a class; None where it was several, which are added to `tests`."""
        char = self._next("the end of a class")
        if char != "\\":
            return char
        char = self._next("what is escaped")
        found = self._class_escape(char)
        if found is None:
            return self._escaped(char)
        tests.append(found)
        return None

    def _posix(self, name: str) -> _Test:
        known = name.removeprefix("^")
        if known not in _POSIX:
            self.fail(f"there is no class [:{name}:]")
        return _one_of(_POSIX[known], name != known)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _one_of(chars: frozenset[str], negated: bool) -> _Test:
    return lambda c: (c in chars) != negated


def _folding(test: _Test) -> _Test:
    """`test` of a character in any case."""
    return lambda c: any(test(v) for v in _cases(c))


@lru_cache(1024)
def _cases(char: str) -> frozenset[str]:
    forms = {char, char.lower(), char.upper(), char.upper().lower(), char.lower().upper()}
    return frozenset(f for f in forms if len(f) == 1)


# ---------------------------------------------------------------------- matching


@dataclass
class Pattern:
    """A regular expression that is ready to match. Raises `PatternError` for what is none."""

    pattern: str
    _tests: dict[int, _Test] = field(default_factory=dict, repr=False)
    _assertions: dict[int, str] = field(default_factory=dict, repr=False)
    _branches: dict[int, tuple[int, ...]] = field(default_factory=dict, repr=False)
    _closed: dict[tuple[frozenset[int], str], frozenset[int]] = field(
        default_factory=dict, repr=False
    )
    _moved: dict[tuple[frozenset[int], str], frozenset[int]] = field(
        default_factory=dict, repr=False
    )

    def __post_init__(self) -> None:
        self._count = 0
        self._emit(_Parser(self.pattern).whole())
        self._end = self._count
        self._limit = max(16, _REMEMBERED // (self._count + 1))

    def fullmatch(self, text: str) -> bool:
        """Whether all of `text` matches. Takes time linear in its length."""
        places = frozenset((0,))
        for at, char in enumerate(text):
            places = self._step(self._closure(places, text, at), char)
            if not places:
                return False
        return self._end in self._closure(places, text, len(text))

    def _step(self, places: frozenset[int], char: str) -> frozenset[int]:
        """Where `char` leads from `places`."""
        key = places, char
        found = self._moved.get(key)
        if found is None:
            tests = self._tests
            found = frozenset(p + 1 for p in places if p in tests and tests[p](char))
            if len(self._moved) >= self._limit:
                self._moved.clear()
            self._moved[key] = found
        return found

    def _closure(self, places: frozenset[int], text: str, at: int) -> frozenset[int]:
        """`places`, and where one gets from them without a character at position `at`."""
        around = text[max(0, at - 1) : at + 1] if self._assertions else ""
        key = places, f"{at == 0:d}{at == len(text):d}{around}" if self._assertions else ""
        found = self._closed.get(key)
        if found is None:
            found = frozenset(self._reached(places, text, at))
            if len(self._closed) >= self._limit:
                self._closed.clear()
            self._closed[key] = found
        return found

    def _reached(self, places: frozenset[int], text: str, at: int) -> Iterator[int]:
        seen: set[int] = set()
        stack = list(places)
        while stack:
            place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            if place in self._branches:
                stack.extend(self._branches[place])
            elif place in self._assertions:
                if _holds(self._assertions[place], text, at):
                    stack.append(place + 1)
            else:
                yield place

    # What matches a node starts where it is emitted and goes on behind it. The depth of a node is
    # bounded by that of the groups, so that this may call itself.

    def _emit(self, node: _Node) -> None:
        match node:
            case _Chars(test):
                self._tests[self._place()] = test
            case _Assertion(kind):
                self._assertions[self._place()] = kind
            case _Sequence(parts):
                for part in parts:
                    self._emit(part)
            case _Choice(ways):
                self._emit_choice(ways)
            case _Repeat(part, low, high):
                for _ in range(low):
                    self._emit(part)
                if high is None:
                    branch = self._place()
                    self._emit(part)
                    self._branches[self._place()] = (branch,)
                    self._branches[branch] = (branch + 1, self._count)
                else:
                    skips = []
                    for _ in range(high - low):
                        skips.append(self._place())
                        self._emit(part)
                    for skip in skips:
                        self._branches[skip] = (skip + 1, self._count)

    def _emit_choice(self, ways: tuple[_Node, ...]) -> None:
        branch = self._place()
        begins, ends = [], []
        for way in ways:
            begins.append(self._count)
            self._emit(way)
            ends.append(self._place())
        self._branches[branch] = tuple(begins)
        for end in ends:
            self._branches[end] = (self._count,)

    def _place(self) -> int:
        self._count += 1
        if self._count > MAX_PLACES:
            raise PatternError(f"the pattern {self.pattern[:60]!r} takes too much memory")
        return self._count - 1


def _holds(kind: str, text: str, at: int) -> bool:
    """Whether an assertion holds at position `at` of `text`."""
    match kind:
        case "text start":
            return at == 0
        case "text end":
            return at == len(text)
        case "line start":
            return at == 0 or text[at - 1] == "\n"
        case "line end":
            return at == len(text) or text[at] == "\n"
        case _:
            before = at > 0 and text[at - 1] in _WORD
            after = at < len(text) and text[at] in _WORD
            return (before != after) == (kind == "boundary")
