"""Threefry: random bits as a function of a key and a counter.

Threefry4x64 with 20 rounds (Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1,
2, 3, 2011): four words of 64 bits are encrypted with a key of four words. Every number can be
computed apart, so that results depend neither on threads nor on what computes them.

A *key* of a program is a vector of ten words: four of the cipher's key, two of a path, of the
counter two, of which the last one counts, and two that say which bit of the path is the next one.
A split lets the path of one of two keys go on with 0, the other one with 1; where the path is full,
what is encrypted under the old key becomes a new one (Claessen and Pałka, Splittable Pseudorandom
Number Generators using Cryptographic Hashing, 2013).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from relay import te

WORD = "uint64"
#: Words of a key of a program.
KEY_SIZE = 10
#: Words that are encrypted at once.
BLOCK = 4

_ROUNDS = 20
_ROTATIONS = ((14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32))
_PARITY = 0x1BD11BDAA9FC1A22
FIRST_BIT = 1 << 63

Words = npt.NDArray[np.uint64]


# ---------------------------------------------------------------- in tensor expressions


class Cipher:
    """The cipher under a key, in an ordered stage: blocks of `lanes` counters at once."""

    def __init__(self, w: te.Writer, key: Sequence[te.Expr], lanes: int) -> None:
        self._key = w.private(WORD, (BLOCK + 1,), "cipher_key")
        self._state = [w.private(WORD, (lanes,), f"word{k}") for k in range(BLOCK)]
        self._lanes = lanes
        w.store(self._key, (BLOCK,), _PARITY)
        for k, word in enumerate(key):
            w.store(self._key, (k,), word)
            w.store(self._key, (BLOCK,), te.binary("xor", self._key(BLOCK), self._key(k)))

    def encrypt(self, w: te.Writer, counter: Sequence[te.Expr], place: te.Expr) -> None:
        """Encrypt `counter` with the number of the lane and `place` added to its last word."""
        with self._each(w) as lane:
            for k, word in enumerate(counter):
                shifted = word + te.cast(place + lane, WORD) if k == BLOCK - 1 else word
                w.store(self._state[k], (lane,), shifted + self._key(k))
        for number in range(_ROUNDS):
            self._mix(w, number)
            if number % 4 == 3:
                self._add_key(w, number // 4 + 1)

    def word(self, k: int, lane: te.Operand) -> te.Expr:
        """Word `k` of what became of a lane."""
        return self._state[k](lane)

    def _each(self, w: te.Writer) -> AbstractContextManager[te.Var]:
        return w.loop(self._lanes, "lane", kind="vectorized" if self._lanes > 1 else "serial")

    def _mix(self, w: te.Writer, number: int) -> None:
        with self._each(w) as lane:
            for pair, rotation in enumerate(_ROTATIONS[number % len(_ROTATIONS)]):
                a, b = self._state[2 * pair], self._state[2 * pair + 1]
                w.store(a, (lane,), b(lane), reduce="sum")
                turned = te.binary(
                    "or",
                    te.binary("shl", b(lane), rotation),
                    te.binary("shr", b(lane), 64 - rotation),
                )
                w.store(b, (lane,), te.binary("xor", turned, a(lane)))
        self._state[1], self._state[3] = self._state[3], self._state[1]

    def _add_key(self, w: te.Writer, number: int) -> None:
        with self._each(w) as lane:
            for k in range(BLOCK):
                added = self._key((number + k) % (BLOCK + 1))
                if k == BLOCK - 1:
                    added = added + number
                w.store(self._state[k], (lane,), added, reduce="sum")


def stream(key: te.Tensor, count: te.Dim) -> te.Tensor:
    """`count` random words as a vector: those of the counters from that of `key` on."""
    output = te.placeholder((count,), WORD, "bits")
    return te.ordered((key,), (output,), _write_stream)[0]


#: Blocks that one part of the work makes.
_PART = 64


def _write_stream(w: te.Writer, given: te.Given, made: te.Given) -> None:
    (key,), (result,) = given, made
    (size,) = result.static_shape
    per_part = _PART * te.LANES * BLOCK
    with w.loop(-(-size // per_part), "part", kind="parallel") as part:
        cipher = Cipher(w, [key(k) for k in range(4)], te.LANES)
        with w.loop(min(_PART, -(-size // (te.LANES * BLOCK))), "block") as block:
            first = (part * _PART + block) * te.LANES
            with w.when(first * BLOCK < size):
                cipher.encrypt(w, [key(k) for k in range(4, 8)], first)
                with w.loop(te.LANES, "lane") as lane:
                    for k in range(BLOCK):
                        place = (first + lane) * BLOCK + k
                        with w.when(place < size):
                            w.store(result, (place,), cipher.word(k, lane))


def advanced(key: te.Tensor, count: te.Dim) -> te.Tensor:
    """`key` after `count` words."""
    blocks = te.cast(te.as_expr((count + (BLOCK - 1)) // BLOCK, te.INDEX), WORD)

    def element(k: te.Var) -> te.Expr:
        return te.select(te.equal(k, 7), key(k) + blocks, key(k))

    return te.compute((KEY_SIZE,), element, "next_key")


def split(key: te.Tensor) -> tuple[te.Tensor, ...]:
    """Two keys from one."""
    outputs = [te.placeholder((KEY_SIZE,), WORD, name) for name in ("left", "right")]
    return te.ordered((key,), outputs, _write_split)


def _write_split(w: te.Writer, given: te.Given, made: te.Given) -> None:
    (key,), (left, right) = given, made
    with w.loop(1, "all", kind="parallel"):
        base = w.private(WORD, (KEY_SIZE,), "base")
        with w.loop(KEY_SIZE, "k") as k:
            w.store(base, (k,), key(k))
        full = te.both(te.equal(key(8), 0), te.equal(key(9), 0))
        with w.when(full):
            cipher = Cipher(w, [key(k) for k in range(4)], 1)
            cipher.encrypt(w, [key(k) for k in range(4, 8)], te.const(0))
            for place in range(BLOCK):
                w.store(base, (place,), cipher.word(place, 0))
                w.store(base, (place + 4,), 0)
            w.store(base, (8,), FIRST_BIT)
        with w.loop(8, "k") as k:
            w.store(left, (k,), base(k))
            w.store(right, (k,), base(k))
        for word in (4, 5):
            w.store(right, (word,), te.binary("or", base(word), base(word + 4)))
        high = te.binary("shr", base(8), 1)
        low = te.binary("or", te.binary("shr", base(9), 1), te.binary("shl", base(8), 63))
        for target in (left, right):
            w.store(target, (8,), high)
            w.store(target, (9,), low)


# ---------------------------------------------------------------- the same in NumPy


def encrypted(key: Sequence[int], counters: Words) -> Words:
    """The blocks `counters` (n, 4) encrypted under `key`."""
    keys = [np.uint64(k) for k in key]
    keys.append(np.bitwise_xor.reduce(np.array([*keys, _PARITY], np.uint64)))
    state = counters.astype(np.uint64)
    for number in range(_ROUNDS + 1):
        if number % 4 == 0:
            step = number // 4
            state = state + np.array([keys[(step + k) % 5] for k in range(4)], np.uint64)
            state[:, 3] += np.uint64(step)
        if number == _ROUNDS:
            break
        turns = np.array(_ROTATIONS[number % 8], np.uint64)
        even, odd = state[:, 0::2] + state[:, 1::2], state[:, 1::2]
        odd = even ^ ((odd << turns) | (odd >> (np.uint64(64) - turns)))
        state = np.stack([even[:, 0], odd[:, 1], even[:, 1], odd[:, 0]], axis=1)
    return state


def numpy_stream(key: Words, count: int) -> Words:
    """The first `count` words under a key of a program."""
    blocks = -(-count // BLOCK)
    counters = np.tile(key[4:8], (blocks, 1))
    counters[:, 3] += np.arange(blocks, dtype=np.uint64)
    return encrypted([int(k) for k in key[:4]], counters).reshape(-1)[:count]


def numpy_advanced(key: Words, count: int) -> Words:
    """The key after `count` words."""
    result = key.copy()
    result[7:8] += np.uint64(-(-count // BLOCK))
    return result


def numpy_split(key: Words) -> tuple[Words, Words]:
    """Two keys from one."""
    words = [int(k) for k in key]
    if words[8] == words[9] == 0:
        block = encrypted(words[:4], key[None, 4:8])[0]
        words = [*map(int, block), 0, 0, 0, 0, FIRST_BIT, 0]
    position = (words[8] << 64) | words[9]
    path = (words[4] << 64) | words[5]
    after = position >> 1
    mask = (1 << 64) - 1
    both = []
    for here in (path, path | position):
        both.append([*words[:4], here >> 64, here & mask, *words[6:8], after >> 64, after & mask])
    return np.array(both[0], np.uint64), np.array(both[1], np.uint64)
