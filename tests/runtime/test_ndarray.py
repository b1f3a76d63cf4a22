"""Arrays and their exchange with NumPy and DLPack."""

import copy

import numpy as np
import pytest

from relay.runtime.device import Device, cpu
from relay.runtime.memory import aligned_empty, is_aligned, owned
from relay.runtime.ndarray import NDArray, array, empty, from_dlpack
from relay.support.errors import InputError, RelayError


def test_more_memory_than_there_is():
    for elements in (2**46, 2**62):
        with pytest.raises(RelayError, match=f"{4 * elements} bytes of memory are not to be had"):
            aligned_empty((elements,), "float32")


def test_array_copies_and_aligns():
    source = np.arange(6, dtype=np.int32).reshape(2, 3)
    a = array(source)
    source[0, 0] = 99
    assert a.shape == (2, 3)
    assert a.dtype == "int32"
    assert a.device == cpu(0) == Device("cpu", 0)
    assert is_aligned(a.numpy())
    np.testing.assert_array_equal(a.numpy(), [[0, 1, 2], [3, 4, 5]])
    assert array([1.5, 2]).dtype == "float32"
    assert array(np.ones(2)).dtype == "float64"
    assert array(2).item() == 2


def test_numpy_shares_and_asnumpy_copies():
    a = array([1, 2, 3])
    shared, copied = a.numpy(), a.asnumpy()
    shared[0] = 7
    assert a.numpy()[0] == 7
    assert copied[0] == 1
    assert np.asarray(a) is shared
    assert np.asarray(a, dtype=np.float32).dtype == np.float32
    assert (a[1:].numpy() == [2, 3]).all()
    assert len(a) == 3


def test_copies():
    a, b = array([1.0, 2.0]), empty((2,))
    a.copyto(b)
    np.testing.assert_array_equal(b.numpy(), a.numpy())
    assert a.copyto(cpu()).numpy() is not a.numpy()
    b.copyfrom([3, 4])
    assert b.numpy()[1] == 4
    with pytest.raises(InputError, match="cannot hold"):
        b.copyfrom([1, 2, 3])


def test_bfloat16():
    a = array([1.0, 3.14159, float("nan")], "bfloat16")
    assert a.dtype == "bfloat16"
    assert a.numpy().dtype == np.uint16
    np.testing.assert_allclose(array(a, "float32").numpy(), [1, 3.140625, np.nan])
    assert a[0].item() == 1.0
    with pytest.raises(BufferError):
        np.from_dlpack(a)
    with pytest.raises(InputError, match="does not store"):
        NDArray(np.zeros(2, np.float32), "bfloat16")


def test_dlpack_with_numpy():
    a = array([1.0, 2.0])
    view = np.from_dlpack(a)
    a.numpy()[0] = 5
    assert view[0] == 5
    back = from_dlpack(view)
    assert back.numpy().ctypes.data == view.ctypes.data
    assert from_dlpack(a) is a


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    t = torch.arange(4, dtype=torch.float32)
    a = from_dlpack(t)
    t[0] = 9
    assert a.numpy()[0] == 9
    u = torch.from_dlpack(array([1, 2, 3]))
    assert u.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="DLPack"):
        from_dlpack(torch.zeros(2, dtype=torch.bfloat16))


def test_views_that_keep_more_alive_than_they_show_are_copied():
    array = aligned_empty((64, 64), "float32")
    for whole in (array, array.T, array.reshape(16, 256), array.reshape(32, 2, 64).swapaxes(0, 2)):
        assert owned(whole) is whole
    for part in (array[:8], array[:, 3]):
        kept = owned(part)
        assert kept.base is None
        np.testing.assert_array_equal(kept, part)


def counted(values):
    """A deferred array of `values`, and a list that has an entry for every time it was made."""
    made = []

    def make():
        made.append(True)
        return values.copy()

    return NDArray.deferred(values.shape, str(values.dtype), make), made


def test_deferred_elements_are_made_when_asked_for_and_forgotten():
    values = np.arange(6, dtype="int32").reshape(2, 3)
    a, made = counted(values)
    assert (a.shape, a.ndim, a.size, a.nbytes, a.dtype) == ((2, 3), 2, 6, 24, "int32")
    assert a.is_deferred
    assert not made
    first = a.numpy()
    assert a.numpy() is first
    assert first.tolist() == values.tolist()
    del first
    assert a[0, 1].item() == 1
    assert len(made) == 2


def test_what_would_be_lost_cannot_be_written():
    a, _ = counted(np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        a.numpy()[0] = 1
    assert a.copyfrom(np.ones(3)).numpy().tolist() == [1, 1, 1]
    assert not a.is_deferred


def test_a_deferred_array_that_is_shared_stays():
    a, made = counted(np.arange(3.0))
    shared = np.from_dlpack(a)
    a.numpy()[0] = 5
    assert shared[0] == 5
    assert len(made) == 1
    b, _ = counted(np.arange(3.0))
    assert b.keep() is b
    b.numpy()[0] = 5
    assert b.numpy()[0] == 5


def test_a_copy_of_a_deferred_array_has_its_elements():
    a, _ = counted(np.arange(3.0))
    again = copy.deepcopy(a)
    assert again.numpy().tolist() == [0, 1, 2]
    assert (again.dtype, again.device, again.is_deferred) == (a.dtype, a.device, False)


def test_a_deferred_array_of_another_type_than_said():
    with pytest.raises(InputError, match=r"shape \(2,\) and float32 was made with shape \(3,\)"):
        NDArray.deferred((2,), "float32", lambda: np.zeros(3, "float32")).numpy()
