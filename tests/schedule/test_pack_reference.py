"""Packing in NumPy, against its definition."""

import itertools

import numpy as np
import pytest

from relay.schedule.steps import Pack


@pytest.mark.parametrize("shape", [(7, 3), (8, 3), (2, 9, 4), (1, 6), (3, 2, 2, 5)])
@pytest.mark.parametrize("factor", [1, 2, 4, 16])
@pytest.mark.parametrize("transposed", [False, True])
def test_packed(shape, factor, transposed, rng):
    array = rng.random(shape)
    array = array.T if transposed else array
    for axis in range(array.ndim):
        pack = Pack("a", axis, factor)
        out = np.full(pack.packed_shape(array.shape), np.nan)
        assert pack.reference(array, out) is out
        np.testing.assert_array_equal(pack.reference(array), out)
        for place in np.ndindex(out.shape):
            block, *rest, lane = place
            index = (*rest[:axis], block * factor + lane, *rest[axis:])
            assert out[place] == (array[index] if index[axis] < array.shape[axis] else 0.0)


@pytest.mark.parametrize("shape", [(7, 3), (8, 4), (2, 9, 4), (5, 1), (3, 2, 2, 5)])
@pytest.mark.parametrize("factor", [1, 4, 16])
@pytest.mark.parametrize("transposed", [False, True])
def test_packed_in_pairs(shape, factor, transposed, rng):
    array = rng.random(shape)
    array = array.T if transposed else array
    for axis, paired in itertools.permutations(range(array.ndim), 2):
        pack = Pack("a", axis, factor, paired)
        out = np.full(pack.packed_shape(array.shape), np.nan)
        assert pack.reference(array, out) is out
        np.testing.assert_array_equal(pack.reference(array), out)
        for place in np.ndindex(out.shape):
            block, *rest, lane, side = place
            index = [*rest[:axis], block * factor + lane, *rest[axis:]]
            index[paired] = 2 * index[paired] + side
            inside = all(i < size for i, size in zip(index, array.shape, strict=True))
            assert out[place] == (array[tuple(index)] if inside else 0.0)
