"""Damaged program texts: read, typed and printed, or refused with an error that is documented.

``RELAY_MUTATIONS=10000 pytest tests/properties/test_mutated_text.py`` tries more than 300.
"""

import os
import random
import re
from pathlib import Path

import pytest

import relay
from relay.support.errors import InternalError, RelayError

FOLDER = Path(__file__).parents[1] / "text"
HEADER = '#[version = "0.0.5"]\n'
FILES = [
    path.read_text().partition("// ---- expect")[0].partition(HEADER)[2]
    for part in ("relay", "infer", "errors", "passes")
    for path in sorted((FOLDER / part).rglob("*.relay"))
]
TEXTS = [program for program in FILES if program]
TOKEN = re.compile(r"\s+|[%@]?[A-Za-z_][A-Za-z0-9_.]*|%\d+|\d+|.", re.DOTALL)
WORDS = (
    "fn let if else match def type ref ref_read meta extern free_var while true None %0 %x @main "
    "( ) [ ] { } < > , ; : = -> => _ ? / * - + . .0 .9 1f 1e999f 0 -1 99999999999999999999 1i64 "
    '"a" "\\ /* */ // # $ ~ \0 \u00e9 \U0001f600 int32 float16 Tensor[(2),float32] Tensor Any add '
    "nn.conv2d split concatenate axis=1 axis=7 axis=None axis=[1] newshape=[0,-1] A Cons"
).split(" ")  # fmt: skip

NUMBERS = [
    "0",
    "1",
    "2",
    "7",
    "-1",
    "-3",
    "2147483648",
    "99999999999999999999",
    "?",
    "None",
    "0.5f",
]

COUNT = int(os.environ.get("RELAY_MUTATIONS", "300"))
CHUNKS = 10


Tokens = list[str]


def rename(rng: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A name or number becomes another of its kind: often still a program."""
    for _ in range(20):
        place = rng.randrange(len(tokens))
        fitting = [t for t in rng.choice((tokens, other)) if kind_of(t) == kind_of(tokens[place])]
        if fitting and kind_of(tokens[place]):
            tokens[place] = rng.choice(fitting)
            return


def resize(rng: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A number becomes one that may not fit."""
    numbers = [k for k, token in enumerate(tokens) if token.isdigit()]
    if numbers:
        tokens[rng.choice(numbers)] = rng.choice(NUMBERS)


def damage(rng: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A few tokens are gone, doubled, swapped, replaced or taken from another text."""
    place, source = rng.randrange(len(tokens)), rng.randrange(len(other))
    span = rng.randint(1, 6)
    match rng.randrange(6):
        case 0:
            del tokens[place : place + span]
        case 1:
            tokens[place:place] = tokens[place : place + span]
        case 2:
            elsewhere = rng.randrange(len(tokens))
            tokens[place], tokens[elsewhere] = tokens[elsewhere], tokens[place]
        case 3:
            tokens[place : place + rng.randrange(2)] = [rng.choice(WORDS)]
        case 4:
            tokens[place:place] = other[source : source + span]
        case _:
            token = tokens[place]
            cut = rng.randrange(len(token))
            tokens[place] = token[:cut] + chr(rng.randrange(1, 256)) + token[cut + 1 :]


def kind_of(token: str) -> str:
    """What `token` may be replaced by: "" is a blank or a sign, which nothing replaces."""
    first = token[0]
    if first in "%@" and len(token) > 1:
        return first
    if token.isdigit():
        return "number"
    if first.isalpha():
        return "upper" if first.isupper() else "dtype" if token[-1].isdigit() else "lower"
    return ""


def mutated(rng: random.Random) -> str:
    """A text with one to three changes."""
    tokens, other = (TOKEN.findall(rng.choice(TEXTS)) for _ in range(2))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice((rename, rename, rename, resize, resize, damage))(rng, tokens, other)
        tokens = tokens or [" "]
    return (HEADER if rng.random() < 0.95 else "") + "".join(tokens)


def check(text: str) -> None:
    try:
        module = relay.parse(text)
    except InternalError:
        raise
    except RelayError:
        return
    relay.assert_structural_equal(relay.parse(module.astext()), module)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mutated_text(chunk: int) -> None:
    for number in range(chunk, COUNT, CHUNKS):
        text = mutated(random.Random(number))
        try:
            check(text)
        except Exception as error:
            raise AssertionError(f"mutation {number} gives {error!r}:\n{text}") from error
