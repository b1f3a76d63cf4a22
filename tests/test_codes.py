"""Codes of the data types that NumPy does not have, against the package ``ml_dtypes``."""

import ml_dtypes
import numpy as np
import pytest

from relay import codes, dtypes

FLOATS = sorted(dtypes.SMALL_FLOATS)
SIGNED = [name for name in FLOATS if name != codes.E8M0]


def theirs(dtype: str) -> np.dtype:
    """The dtype of ``ml_dtypes``."""
    return np.dtype(getattr(ml_dtypes, dtype))


def boundaries(dtype: str) -> np.ndarray:
    """All values, those half way between them, and their neighbours, with both signs."""
    values = codes.decode(np.arange(1 << dtypes.width(dtype), dtype=np.uint8), dtype)
    finite = np.unique(np.abs(values[np.isfinite(values)])).astype(np.float64)
    step = finite[-1] - finite[-2]
    middles = (finite[1:] + finite[:-1]) / 2
    points = [finite, middles, finite[-1:] + step / 2, finite[-1:] * 1.0625, finite[-1:] * 4]
    found = np.concatenate(points).astype(np.float32)
    up, down = (np.nextafter(found, np.float32(to)) for to in (np.inf, -np.inf))
    all_signs = np.concatenate([found, up, down, -found, -up, -down])
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], np.float32)
    return np.concatenate([all_signs, special])


@pytest.mark.parametrize("dtype", FLOATS)
def test_all_codes_stand_for_the_same_values(dtype: str) -> None:
    stored = np.arange(1 << dtypes.width(dtype), dtype=np.uint8)
    expected = stored.view(theirs(dtype)).astype(np.float32)
    found = codes.decode(stored, dtype)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    canonical = codes.encode(found, dtype)
    number = ~np.isnan(found)
    np.testing.assert_array_equal(canonical[number], stored[number])


@pytest.mark.parametrize("dtype", FLOATS)
def test_float16_and_float32_become_the_same_codes(dtype: str) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    bits = np.random.default_rng(3).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    for values in (halves, bits.view(np.float32), boundaries(dtype)):
        if dtype == codes.E8M0:
            # What float32 holds as denormal numbers, ml_dtypes rounds up, or to the smallest one.
            values = values[~(np.abs(values) < np.finfo(np.float32).tiny) | (values == 0)]
        with np.errstate(all="ignore"):
            expected = values.astype(theirs(dtype)).view(np.uint8)
            np.testing.assert_array_equal(codes.encode(values, dtype), expected)


@pytest.mark.parametrize("dtype", SIGNED)
def test_float64_is_rounded_once(dtype: str) -> None:
    finite = codes.decode(np.arange(1 << dtypes.width(dtype), dtype=np.uint8), dtype)
    ordered = np.unique(finite[np.isfinite(finite)]).astype(np.float64)
    middles = (ordered[1:] + ordered[:-1]) / 2
    for side in (-np.inf, np.inf):
        near = np.nextafter(middles, side)  # which float32 would take for the middle
        wanted = ordered[1:] if side > 0 else ordered[:-1]
        np.testing.assert_array_equal(codes.rounded(near, dtype), wanted)


@pytest.mark.parametrize("dtype", SIGNED)
def test_saturation(dtype: str) -> None:
    largest = codes.largest(dtype)
    assert largest == float(ml_dtypes.finfo(theirs(dtype)).max)
    with np.errstate(over="ignore"):
        large = np.array([largest * 1.5, np.inf, -np.inf, -largest * 2], np.float64)
    np.testing.assert_array_equal(
        codes.rounded(large, dtype, saturate=True), np.copysign(largest, large)
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("up", [0, 0, 1, 2, 130]), ("down", [0, 0, 0, 1, 129]), ("nearest", [0, 0, 0, 2, 130])],
)
def test_powers_of_two(mode: str, expected: list[int]) -> None:
    least = 2.0**-127
    values = np.array([0, least, 1.25 * least, 3 * least, 6])
    found = codes.encode(values, codes.E8M0, saturate=True, round_mode=mode)
    np.testing.assert_array_equal(found, expected)
    beyond = np.array([1.9 * 2.0**127, 2.0**200, np.inf])
    np.testing.assert_array_equal(
        codes.encode(beyond, codes.E8M0, saturate=True, round_mode=mode), [254] * 3
    )
    below = np.array([0, -1, least / 8, np.nan, np.inf])
    missing = codes.encode(below, codes.E8M0, round_mode=mode)
    assert set(missing[[0, 1, 3, 4]]) == {255}
    (large,) = codes.encode(beyond[:1], codes.E8M0, round_mode=mode)
    assert large == (254 if mode == "down" else 255)


def test_no_such_rounding() -> None:
    with pytest.raises(ValueError, match="round_mode must be one of"):
        codes.encode([1.0], codes.E8M0, round_mode="odd")


@pytest.mark.parametrize("dtype", sorted(dtypes.SMALL_INTEGERS))
def test_integers_wrap_around(dtype: str) -> None:
    values = np.arange(-40, 40)
    expected = values.astype(theirs(dtype)).astype(np.int64)
    np.testing.assert_array_equal(codes.encode(values, dtype), expected)
    np.testing.assert_array_equal(codes.encode(values + 0.0, dtype), expected)


def test_other_bits_of_a_byte_do_not_count() -> None:
    bytes_ = np.array([0x1F, 0xF8, 0x07], np.uint8)
    stored, dtype = codes.stored_form(bytes_.view(ml_dtypes.int4))
    assert (dtype, stored.tolist()) == ("int4", [-1, -8, 7])
    shared, _ = codes.stored_form(stored.view(ml_dtypes.int4))
    assert np.shares_memory(shared, stored)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint4", [1, 15, 8]), ("int4", [1, -1, -8]), ("uint2", [1, 0, 3]), ("int2", [1, 0, -1])],
)
def test_unpacking(dtype: str, expected: list[int]) -> None:
    packed = np.array([0xF1, 0x08], np.uint8)
    found = codes.unpacked(packed, dtype, 3)
    np.testing.assert_array_equal(found, expected)
    assert (
        codes.unpacked(np.frombuffer(codes.packed(found, dtype), np.uint8), dtype, 3).tolist()
        == expected
    )
