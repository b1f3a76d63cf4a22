"""Packing in NumPy, against its definition."""

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
