"""Regular expressions: what matches, what is refused, and that time is linear."""

import random
import re
import time

import pytest

from relay.support.regex import Pattern, PatternError

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
    found, expected = Pattern(pattern), re.compile(like, re.ASCII)
    drawn = random.Random(0)
    texts = ["".join(drawn.choices("abcABC01 _.-@\nfo{},x", k=k % 8)) for k in range(400)]
    for text in [*TEXTS, *texts]:
        assert found.fullmatch(text) == bool(expected.fullmatch(text)), text


def test_letters_beyond_ascii() -> None:
    assert Pattern("(?i)stra\u00dfe").fullmatch("STRA\u1e9eE")
    assert Pattern(r"\p{Lu}\p{Ll}+").fullmatch("\u00dcber")
    assert not Pattern(r"\w+").fullmatch("\u00fcber")
    assert Pattern(r"\x{1F600}.").fullmatch("\U0001f600\u00e9")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "not closed"),
        ("a)", "not opened"),
        ("[a", "the end of a class"),
        ("*", "nothing to repeat"),
        ("a**", "a repetition is repeated"),
        ("a{1001}", "at most 1000"),
        ("a{2,1}", "from fewer to more"),
        (r"(a)\1", "no references"),
        ("(?=a)", "nothing looks ahead"),
        ("(?<=a)b>", "nothing looks behind"),
        (r"\p{Greek}", "scripts are not known"),
        ("[b-a]", "goes up"),
        ("\\", "is escaped"),
        (r"\C", "no escape"),
        (r"\x{110000}", "no character"),
        ("[[:foo:]]", "no class"),
        ("(((a{100}){100}){100})", "too much memory"),
        ("(" * 500 + ")" * 500, "inside one another"),
    ],
)
def test_what_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        Pattern(pattern)


def test_time_is_linear() -> None:
    start = time.perf_counter()
    assert not Pattern("(a+)+b").fullmatch("a" * 50_000)
    assert Pattern("(a?){200}a{200}").fullmatch("a" * 200)
    assert time.perf_counter() - start < 10
