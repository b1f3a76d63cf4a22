"""Functions of the operators on images and of the less common ones on tensors."""

import numpy as np
import pytest

import relay
from relay.ir.expr import Call, Var, const
from relay.ir.types import Any, TensorType
from relay.support.errors import InputError, RelayError, TypeInferenceError

KINDS = ("debug", "graph")
DYNAMIC = ("debug", "vm")


def variable(name, *shape, dtype="float32"):
    return Var(name, TensorType(shape, dtype))


def run(kind, expr, variables, arrays):
    module = relay.IRModule.from_expr(relay.Function(variables, expr))
    result = relay.create_executor(kind, module).evaluate()(*arrays)
    if isinstance(result, tuple):
        return [r.numpy() for r in result]
    return result.numpy()


def numbers(*shape):
    return np.random.default_rng(3).uniform(-1, 1, shape).astype("float32")


# ---------------------------------------------------------------------- images

IMAGE = variable("x", 1, 2, 4, 5)


def test_a_known_size_resizes_as_it_is():
    for size in ((3, 6), [3, 6], const([3, 6])):
        call = relay.image.resize2d(IMAGE, size)
        assert (call.op.name, call.attrs.size) == ("image.resize2d", (3, 6))


@pytest.mark.parametrize("roi", [None, const([0.0, 0.0, 0.5, 0.5])])
def test_an_unknown_size_makes_the_operator_dynamic(roi):
    size = variable("size", 2, dtype="int32")
    call = relay.image.resize2d(
        IMAGE, size, roi, coordinate_transformation_mode="tf_crop_and_resize"
    )
    assert call.op.name == "dyn.image.resize2d"
    assert call.checked_type == TensorType((1, 2, Any(), Any()))
    data = numbers(1, 2, 4, 5)
    found = run("debug", call, [IMAGE, size], [data, np.array([3, 6], "int32")])
    region = (0, 0, 1, 1) if roi is None else (0, 0, 0.5, 0.5)
    wanted = relay.image.resize2d(
        IMAGE, (3, 6), region, coordinate_transformation_mode="tf_crop_and_resize"
    )
    np.testing.assert_array_equal(found, run("debug", wanted, [IMAGE], [data]))


def test_dynamic_to_static_resizes_to_what_became_known():
    module = relay.IRModule.from_expr(
        Call(
            relay.op.get("dyn.image.resize2d"),
            [IMAGE, const([3, 6]), const([0.0, 0.0, 1.0, 1.0])],
            relay.op.get("dyn.image.resize2d").declaration(),
        )
    )
    assert "dyn." not in relay.transform.DynamicToStatic()(module).astext()


@pytest.mark.parametrize(
    ("call", "mode"),
    [
        (lambda: relay.image.resize(IMAGE, (3, 3)), "half_pixel"),
        (lambda: relay.image.resize(IMAGE, (3, 3), "NCHW", "bicubic", True), "align_corners"),
        (lambda: relay.image.resize(IMAGE, (3, 3), align_corners=False), "asymmetric"),
    ],
)
def test_resize_of_early_versions(call, mode):
    assert call().attrs.coordinate_transformation_mode == mode


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (0, 2)}, "2 positive integers"),
        ({"size": (2, 3, 4)}, "2 positive integers"),
        ({"method": "bilinear"}, "method must be one of"),
        ({"coordinate_transformation_mode": "half"}, "coordinate_transformation_mode must be"),
        ({"rounding_method": "up"}, "rounding_method must be one of"),
        ({"roi": (0, 1)}, "roi must be 4 numbers"),
    ],
)
def test_wrong_attributes_of_resizing(change, words):
    with pytest.raises(RelayError, match=words):
        relay.image.resize2d(**{"data": IMAGE, "size": (2, 2), **change})


def test_there_is_nothing_to_resize_without_pixels():
    with pytest.raises(TypeInferenceError, match="no pixels along H"):
        _ = relay.image.resize2d(variable("x", 1, 2, 0, 5), (2, 2)).checked_type


def test_large_positions_do_not_leave_the_data():
    grid = variable("g", 1, 2, 1, 3)
    places = np.full((1, 2, 1, 3), 1e38, "float32")
    places[..., 1], places[..., 2] = np.nan, -np.inf
    for padding in ("zeros", "border", "reflection"):
        for method in ("nearest", "bilinear", "bicubic"):
            call = relay.image.grid_sample(IMAGE, grid, method, padding_mode=padding)
            assert run("graph", call, [IMAGE, grid], [numbers(1, 2, 4, 5), places]).shape


# ---------------------------------------------------------------------- sizes unknown before


@pytest.mark.parametrize("kind", DYNAMIC)
def test_operators_on_data_of_unknown_size(kind):
    rows = variable("x", Any(), 6)
    data = numbers(3, 6)
    cases = [
        (relay.einsum([rows, rows], "ij,kj->ik"), data @ data.T),
        (relay.sliding_window(rows, 1, (2,), (2,)), data.reshape(3, 3, 2)),
        (relay.adv_index([rows, const([-1, 0])]), data[[-1, 0]]),
        (relay.nn.fifo_buffer(const(np.zeros((1, 6), "float32")), rows, 0), None),
        (relay.dft(rows, rows)[0], np.fft.fft(data * (1 + 1j)).real),
    ]
    for call, wanted in cases:
        found = run(kind, call, [rows], [data])
        if wanted is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    images = variable("x", Any(), 2, Any(), 5)
    pixels = numbers(2, 2, 4, 5)
    call = relay.image.resize2d(images, (8, 3), method="cubic")
    fixed = variable("x", *pixels.shape)
    wanted = run("debug", relay.image.resize2d(fixed, (8, 3), method="cubic"), [fixed], [pixels])
    np.testing.assert_allclose(run(kind, call, [images], [pixels]), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", DYNAMIC)
def test_unique_elements_of_a_vector_of_unknown_size(kind):
    vector = variable("x", Any(), dtype="int32")
    found = run(kind, relay.unique(vector, False, True).astuple(), [vector], [np.int32([4, 5, 4])])
    wanted = ([4, 5, 0], [0, 1, 0], [0, 1, 0], [2], [2, 1, 0])
    for array, values in zip(found, wanted, strict=True):
        assert array.tolist() == values


# ---------------------------------------------------------------------- positions outside


def outside_cases():
    rows = variable("x", 3, 4)
    data = numbers(3, 4)

    def ints(*values):
        return const(np.array(values, "int64"))

    boxes = const(np.array([[0, 0, 1, 1]], "float32"))
    square = (const(np.ones(2, "float32")), ints(0, 1), ints(0, 1, 2))
    yield "adv_index", relay.adv_index([rows, ints(7)]), rows, data
    yield "adv_index-below", relay.adv_index([rows, ints(-4)]), rows, data
    index = variable("k", 2, dtype="int64")
    far = np.int64([0, 99])
    yield "unravel_index", relay.unravel_index(index, ints(3, 4)), index, far
    yield "invert_permutation", relay.op.invert_permutation(index), index, far
    yield "strided_set", relay.strided_set(rows, rows, [0], [2]), rows, data
    yield "strided_set-stop", relay.strided_set(rows, rows, [0], [2], [0]), rows, data
    yield "sparse_to_dense", relay.sparse_to_dense(index, (3,), const(1.0)), index, far
    wide = (square[0], ints(0, 99), square[2])
    yield "sparse_dense", relay.nn.sparse_dense(rows, wide), rows, data
    late = (square[0], square[1], ints(0, 1, 99))
    yield "sparse_dense-rows", relay.nn.sparse_dense(rows, late), rows, data
    twice = (square[0], ints(1, 1), ints(0, 2, 2))
    yield "sparse_dense-twice", relay.nn.sparse_dense(rows, twice), rows, data
    loss = relay.nn.nll_loss(rows, ints(0, 9, 1), const(np.ones(4, "float32")))
    yield "nll_loss", loss, rows, data
    image = variable("x", 1, 1, 2, 2)
    crop = relay.image.crop_and_resize(image, boxes, ints(5), (2, 2), "NCHW")
    yield "crop_and_resize", crop, image, numbers(1, 1, 2, 2)


CASES = {name: rest for name, *rest in outside_cases()}


@pytest.mark.parametrize("name", CASES)
def test_positions_outside(name):
    """The interpreter refuses them, compiled code reads nothing foreign."""
    call, used, data = CASES[name]
    with pytest.raises(InputError):
        run("debug", call, [used], [data])
    run("graph", call, [used], [data])


# ---------------------------------------------------------------------- functions


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_segments(kind):
    rows = variable("x", 4, 2)
    data = numbers(4, 2)
    call = relay.op.segment_sum(rows, [0, 2, 0, 1], 4)
    wanted = [data[0] + data[2], data[3], data[1], [0, 0]]
    np.testing.assert_allclose(run(kind, call, [rows], [data]), wanted, rtol=1e-6)


def test_as_many_segments_as_there_are_numbers():
    rows, which = variable("x", 4), variable("k", 4, dtype="int32")
    for count in (None, variable("n", dtype="int64")):
        call = relay.op.segment_sum(rows, which, count)
        arrays = [np.arange(4, dtype="float32"), np.int32([0, 2, 0, 2])]
        given = [rows, which] if count is None else [rows, which, count]
        found = run("debug", call, given, [*arrays, np.int64(3)][: len(given)])
        assert found.tolist() == [2, 0, 4]


def test_diagonals_by_name():
    matrix, bands = variable("x", 3, 4), variable("d", 2, 3)
    call = relay.matrix_set_diag(matrix, bands, (0, 1), "LEFT_RIGHT")
    attrs = call.attrs
    assert (attrs.k1, attrs.k2) == (0, 1)
    assert (attrs.super_diag_right_align, attrs.sub_diag_right_align) == (False, True)
    with pytest.raises(RelayError, match="LEFT or RIGHT twice"):
        relay.matrix_set_diag(matrix, bands, align="RIGHT")


def test_defaults_of_the_short_time_transform():
    call = relay.op.stft(variable("x", 32), 8)
    attrs = call.attrs
    assert (attrs.n_fft, attrs.hop_length, attrs.win_length) == (8, 2, 8)
    assert call.checked_type == TensorType((5, 13, 2))


def test_a_shape_known_at_run_time_makes_sparse_to_dense_dynamic():
    shape = variable("s", 1, dtype="int64")
    call = relay.sparse_to_dense([1, 3], shape, const([1.0, 2.0]), 0.5)
    assert call.op.name == "dyn.sparse_to_dense"
    assert run("debug", call, [shape], [np.int64([4])]).tolist() == [0.5, 1, 0.5, 2]


def test_parts_of_a_sparse_matrix_as_attributes():
    class Rows:
        data = const(np.float32([2, 3]))
        indices = const(np.int32([1, 0]))
        indptr = const(np.int32([0, 1, 2]))

    dense = variable("x", 2, 2)
    data = np.float32([[1, 2], [3, 4]])
    for kind in KINDS:
        found = run(kind, relay.nn.sparse_dense(dense, Rows), [dense], [data])
        assert found.tolist() == [[4, 3], [8, 9]]
        turned = relay.nn.sparse_transpose(Rows)
        assert run(kind, turned[0], [], []).tolist() == [3, 2]
    with pytest.raises(RelayError, match="values, their columns and where rows begin"):
        relay.nn.sparse_dense(dense, 3)


@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk->ik", [(2, 3)], "for 2 operands, found 1"),
        ("ij->i", [(2, 3, 4)], "does not fit operand 0 of rank 3"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "index j .* of size 3 and, in .* of size 4"),
        ("ij->ii", [(2, 3)], "each of its letters once"),
        ("ij->k", [(2, 3)], "each of its letters once"),
        ("...i->i", [(2, 3)], "must have '...'"),
    ],
)
def test_equations_that_do_not_fit(equation, shapes, words):
    operands = [variable(f"x{k}", *s) for k, s in enumerate(shapes)]
    with pytest.raises(TypeInferenceError, match=words):
        _ = relay.einsum(operands, equation).checked_type


def test_equations_of_odd_characters():
    with pytest.raises(ValueError, match="found '>'"):
        relay.op.get("einsum").declaration("i>j")


def test_bits_need_types_of_one_width():
    with pytest.raises(TypeInferenceError, match="types of one width"):
        _ = relay.reinterpret(variable("x", 2), "int64").checked_type


def test_packed_bits_keep_their_remark():
    call = relay.nn.bitpack(variable("x", 1, 32, dtype="int32"), bits=2, name="mine")
    assert call.attrs.label == "mine"
    assert call.checked_type == TensorType((1, 1, 2), "uint32")
