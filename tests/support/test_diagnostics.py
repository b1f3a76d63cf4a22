"""How messages look."""

import pytest

from relay.support.diagnostics import Diagnostic, did_you_mean, listing
from relay.support.errors import ParseError
from relay.support.lexer import END, Lexer, Positions
from relay.support.source import Source, Span

SOURCE = Source("model.relay", "first line\n\tsecond line\nthird\nfourth\nfifth\nsixth\nseventh")


def test_a_diagnostic_shows_place_contrast_reason_and_advice() -> None:
    diagnostic = Diagnostic(
        "the argument does not fit",
        Span(SOURCE, 2, 9, 2, 13),
        label="here",
        expected="int32",
        found="float32",
        because="@f takes an int32",
        hints=("convert it",),
    )
    assert diagnostic.render().split("\n") == [
        "the argument does not fit",
        "  |",
        "2 | \tsecond line",
        "  | \t       ^^^^ here",
        "  = expected: int32",
        "  = found: float32",
        "  = because: @f takes an int32",
        "  = try: convert it",
    ]


def test_a_diagnostic_without_a_place_has_no_excerpt() -> None:
    assert Diagnostic("no", hints=("yes",)).render() == "no\n= try: yes"


def test_a_range_over_several_lines_is_marked_on_its_first() -> None:
    text = Diagnostic("long", Span(SOURCE, 3, 2, 5, 2)).render()
    assert text.endswith("3 | third\n  |  ^^^^")


def test_a_listing_leaves_out_what_lies_between() -> None:
    found = [Diagnostic(f"error {n}", Span(SOURCE, n, 1, n, 3)) for n in (1, 7)]
    assert listing(SOURCE, [*found, Diagnostic("somewhere")], context=1).split("\n") == [
        "1 | first line",
        "  | ^^ error 1",
        "2 | \tsecond line",
        ".",
        "6 | sixth",
        "7 | seventh",
        "  | ^^ error 7",
        "somewhere",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nn.rleu", ("did you mean `nn.relu`?",)),
        ("dense", ("did you mean `nn.dense`?",)),
        ("zzz", ()),
    ],
)
def test_near_names(name: str, expected: tuple[str, ...]) -> None:
    assert did_you_mean(name, ["nn.relu", "nn.dense", "add"]) == expected


def test_tokens_know_their_place() -> None:
    source = Source("s", "a /* b /* c */ d */ // e\n  f")
    positions = Positions(source)
    tokens = Lexer((("word", r"[a-z]+"),)).tokens(source, positions)
    assert [t.text for t in tokens] == ["a", "f", ""]
    assert tokens[-1].kind == END
    assert str(positions.span(tokens[1].start, tokens[1].end)) == "s:2:3"
    assert positions.span(0, len(source.text)).end_line == 2


def test_the_lexer_points_at_what_it_does_not_know() -> None:
    source = Source("s", "a\n $")
    with pytest.raises(ParseError) as caught:
        Lexer((("word", r"[a-z]+"),)).tokens(source, Positions(source))
    assert str(caught.value).startswith("s:2:2: the character '$' starts nothing")
