"""`strings.regex_full_match`: what matches, what is refused, and that time is linear."""

import random
import re
import sys
import time

import numpy as np
import pytest

import relay.op.strings
from relay.ir.expr import Op
from relay.support.errors import UnsupportedError


def matches(expression: str, *texts: str) -> list[bool]:
    """Which of `texts` match as a whole."""
    declaration = Op.get("strings.regex_full_match").declaration(expression=expression)
    found: list[bool] = declaration.reference(np.array(texts, object)).tolist()
    return found


#: Patterns, and what they are for Python where that is something else.
SAME = [
    "",
    "abc",
    "a|b|",
    "(a+)+b",
    r"[a-z]+@[a-z.]+\.com",
    "(?i)HeLLo",
    "a{2,3}b{0}c{1,}",
    "(?:ab|cd)*",
    r"[^\d\s]+",
    "a.c",
    "(?s)a.c",
    "(?m)^a$\\nb",
    r"\bfoo\b.*",
    "[]a]+",
    r"[a\-z]+",
    "[a-]+",
    "(|a)+",
    "(a*)*",
    "(?P<n>a)b?",
    r"[\w.]+",
    "(?i:a)b",
    r"\B.\B",
    "(a?){3}a{3}",
    "{",
    "a{1,x}",
]
OTHERS = {
    r"^\d+$": r"\d+\Z",
    r"\Aab\z": r"ab\Z",
    "[[:alpha:]_]+": "[A-Za-z_]+",
    "[[:^digit:]]": "[^0-9]",
    r"\x41\x{42}\103": "ABC",
    r"\Qa.b*\E+": r"a\.b\*+",
    r"\pL+": "[A-Za-z]+",
    r"\p{Lu}\P{Lu}": "[A-Z][^A-Z]",
    "(?<m>a)(?-i)b": "ab",
    "x{,3}": r"x\{,3}",
}
TEXTS = ["abc", "aab", "ab", "hello", "aabbc", "123", "foo bar", "a\nb", "ABC", "a.b**", "aaaaaa"]


@pytest.mark.parametrize(("pattern", "like"), [*((p, p) for p in SAME), *OTHERS.items()])
def test_what_matches(pattern: str, like: str) -> None:
    expected = re.compile(like, re.ASCII)
    drawn = random.Random(0)
    texts = ["".join(drawn.choices("abcABC01 _.-@\nfo{},x", k=k % 8)) for k in range(400)]
    texts += TEXTS
    assert matches(pattern, *texts) == [bool(expected.fullmatch(text)) for text in texts]


def test_letters_beyond_ascii() -> None:
    assert matches(r"\p{Lu}\p{Ll}+", "\u00dcber") == [True]
    assert matches(r"\p{Greek}+", "\u03b1\u03b2", "ab") == [True, False]
    assert matches(r"\w+", "\u00fcber") == [False]
    assert matches(r"\x{1F600}.", "\U0001f600\u00e9") == [True]


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a)",
        "[a",
        "*",
        "a**",
        "a{1001}",
        "a{2,1}",
        r"(a)\1",
        "(?=a)",
        "(?<=a)b>",
        r"\p{Klingon}",
        "[b-a]",
        "\\",
        r"\x{110000}",
        "[[:foo:]]",
        "(((a{100}){100}){100})",
    ],
)
def test_what_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression: "):
        matches(pattern, "a")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    relay.op.strings._full_match.cache_clear()
    with pytest.raises(UnsupportedError, match=r"google-re2.*pip install relay-ir\[text\]"):
        matches("a", "a")


def test_time_is_linear() -> None:
    start = time.perf_counter()
    assert matches("(a+)+b", "a" * 50_000) == [False]
    assert matches("(a?){200}a{200}", "a" * 200) == [True]
    assert time.perf_counter() - start < 10


def test_many_groups_take_little_memory() -> None:
    assert matches("(" * 200_000 + "a" + ")" * 200_000, "a", "b") == [True, False]
