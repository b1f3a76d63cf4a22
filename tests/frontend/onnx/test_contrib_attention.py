"""Attention of ``com.microsoft`` in all its forms, and rotations."""

from collections.abc import Sequence

import numpy as np
import pytest

import relay
from frontend.onnx.contrib_models import agree, contrib, same
from onnx_models import TensorProto, floats, operators, runtime
from relay.frontend.onnx import from_onnx
from relay.ir.expr import Call
from relay.ir.visit import post_order
from relay.support.errors import ImportModelError, UnsupportedError

BATCH, ROWS, HEADS, SIZE = 2, 5, 3, 4
WIDTH = HEADS * SIZE


def whole(*values: object) -> np.ndarray:
    return np.array(values, np.int32)


def padding(kind: str, keys: int = ROWS, rows: int = ROWS) -> np.ndarray:
    """A mask of a kind; every query has a key left."""
    match kind:
        case "ends":
            return whole(keys, keys - 2)
        case "bounds":
            return whole(keys, keys - 1, 1, 0)
        case "keys":
            return whole([1] * keys, [1] * (keys - 2) + [0, 0])
        case "queries":
            mask = np.random.default_rng(3).integers(0, 2, (BATCH, rows, keys)).astype(np.int32)
            mask[:, :, 0] = 1
            return mask
    raise AssertionError(kind)


# ---------------------------------------------------------------------- with the projection


def projected(width: int = 3 * WIDTH) -> list[np.ndarray | None]:
    return [floats(BATCH, ROWS, 6), floats(6, width, seed=1) * 0.5, floats(width, seed=2)]


@pytest.mark.parametrize("kind", ["", "ends", "bounds", "keys", "queries"])
@pytest.mark.parametrize("causal", [0, 1])
def test_masks(kind: str, causal: int) -> None:
    mask = padding(kind) if kind else None
    options = {"num_heads": HEADS, "unidirectional": causal}
    same("Attention", [*projected(), mask], fixed=[1, 2], **options)
    filled = {**options, "mask_filter_value": -1.5, "scale": 0.3}
    same("Attention", [*projected(), mask], **filled)


@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("kind", ["", "keys", "queries"])
def test_past(past: int, causal: int, kind: str) -> None:
    before = floats(2, BATCH, HEADS, past, SIZE, seed=4)
    mask = padding(kind, ROWS + past) if kind else None
    options = {"num_heads": HEADS, "unidirectional": causal}
    same("Attention", [*projected(), mask, before], (0, 1), **options)


def test_what_attention_may_have_besides() -> None:
    for shape in ((BATCH, HEADS), (1, HEADS), (BATCH, 1), (1, 1)):
        bias = floats(*shape, ROWS, ROWS, seed=4)
        same("Attention", [*projected(), None, None, bias], num_heads=HEADS)
        same("Attention", [*projected(), padding("ends"), None, bias], num_heads=HEADS)
    same("Attention", projected(), (0, 1), num_heads=HEADS)
    data, weight, _ = projected()
    same("Attention", [data, weight, None], num_heads=HEADS)
    sizes = {"qkv_hidden_sizes": [WIDTH, WIDTH, 2 * WIDTH]}
    same("Attention", projected(4 * WIDTH), num_heads=HEADS, **sizes)


def test_attention_becomes_one_operator() -> None:
    inputs = [floats(1, 8, 6), *projected()[1:], whole(6)]
    model, _ = contrib("Attention", inputs, fixed=[1, 2], num_heads=HEADS, unidirectional=1)
    module = relay.transform.UseAttention()(from_onnx(model)[0])
    called = [n.op.name for n in post_order(module["main"].body) if isinstance(n, Call)]
    assert "nn.contrib_attention" in called
    assert "nn.softmax" not in called


def test_options_of_attention_that_are_refused() -> None:
    model, _ = contrib("Attention", projected(), num_heads=HEADS, do_rotary=1)
    with pytest.raises(UnsupportedError, match="do_rotary"):
        from_onnx(model)
    model, _ = contrib("Attention", [*projected(), whole(1, 2, 3)], num_heads=HEADS)
    with pytest.raises(UnsupportedError, match=r"mask of shape \(3,\)"):
        from_onnx(model)
    with pytest.raises(ImportModelError, match="5 heads"):
        from_onnx(contrib("Attention", projected(), num_heads=5)[0])


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("past", [None, 3])
def test_quantized_attention(columns: bool, past: int | None) -> None:
    numbers = np.random.default_rng(1)
    data = numbers.integers(0, 255, (BATCH, ROWS, 6), np.uint8)
    weight = numbers.integers(-50, 50, (6, 3 * WIDTH), np.int8)
    scale = floats(3 * WIDTH, low=0.01, high=0.02) if columns else np.float32(0.015)
    zero = numbers.integers(-9, 9, 3 * WIDTH, np.int8) if columns else np.int8(3)
    before = None if past is None else floats(2, BATCH, HEADS, past, SIZE, seed=4)
    for kind in ("", "ends", "keys"):
        if kind == "ends" and past is not None:
            continue
        mask = padding(kind, ROWS + (past or 0)) if kind else None
        bias, own = floats(3 * WIDTH, seed=2), np.float32(0.02)
        inputs = [data, weight, bias, own, scale, mask, np.uint8(120), zero, before]
        outputs = (0,) if past is None else (0, 1)
        same("QAttention", inputs, outputs, fixed=[1, 4, 7], num_heads=HEADS, unidirectional=1)


def test_packed_attention() -> None:
    data, weight, bias = floats(8, 6), floats(6, 3 * WIDTH, seed=1), floats(3 * WIDTH, seed=2)
    places, ends = whole([0, 1, 2, 8, 9], [3, 4, 5, 6, 7]), whole(0, 3, 8)
    found = []
    for first, last in ((0, 3), (3, 8)):
        part = (data[first:last] @ weight + bias).reshape(last - first, 3, HEADS, SIZE)
        query, key, value = part.transpose(1, 2, 0, 3)
        powers = np.exp(query @ key.swapaxes(1, 2) / np.sqrt(SIZE))
        mixed = (powers / powers.sum(-1, keepdims=True)) @ value
        found.append(mixed.transpose(1, 0, 2).reshape(last - first, WIDTH))
    wanted = [np.concatenate(found).astype(np.float32)]
    inputs = [data, weight, bias, places, ends]
    same("PackedAttention", inputs, expected=wanted, num_heads=HEADS)


# ---------------------------------------------------------------------- without the projection


def separate(keys: int = ROWS, size: int = SIZE) -> list[np.ndarray]:
    return [
        floats(BATCH, ROWS, WIDTH),
        floats(BATCH, keys, WIDTH, seed=1),
        floats(BATCH, keys, HEADS * size, seed=2),
    ]


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("keys", [ROWS, 7])
@pytest.mark.parametrize("kind", ["", "keys", "queries"])
def test_separate_parts(biased: bool, keys: int, kind: str) -> None:
    bias = floats(3 * WIDTH, seed=3) if biased else None
    mask = padding(kind, keys) if kind else None
    same("MultiHeadAttention", [*separate(keys), bias, mask], num_heads=HEADS)
    more = floats(1, HEADS, ROWS, keys, seed=4)
    inputs = [*separate(keys), bias, mask, more]
    same("MultiHeadAttention", inputs, num_heads=HEADS, scale=0.2, mask_filter_value=-2.0)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("causal", [0, 1])
def test_separate_past(biased: bool, causal: int) -> None:
    bias = floats(3 * WIDTH, seed=3) if biased else None
    before = [floats(BATCH, HEADS, 4, SIZE, seed=k) for k in (5, 6)]
    inputs = [*separate(), bias, None, None, *before]
    options = {"num_heads": HEADS, "unidirectional": causal}
    same("MultiHeadAttention", inputs, (0, 1, 2), **options)
    inputs[4] = padding("keys", ROWS + 4)
    same("MultiHeadAttention", inputs, (0, 1, 2), **options)


def test_present_without_past_and_scores() -> None:
    same("MultiHeadAttention", separate(), (0, 1, 2), num_heads=HEADS)
    bias, mask = floats(3 * WIDTH, seed=3), padding("keys")
    for causal in (0, 1):
        options = {"num_heads": HEADS, "unidirectional": causal}
        for inputs in (separate(), [*separate(), bias, mask]):
            model, given = contrib("MultiHeadAttention", inputs, (0, 1, 2, 3), **options)
            model.graph.output[3].type.tensor_type.elem_type = TensorProto.FLOAT
            agree(model, given, runtime(model, given))


def test_values_of_another_size() -> None:
    bias = floats(2 * WIDTH + HEADS * 6, seed=3)
    same("MultiHeadAttention", [*separate(7, 6), bias], num_heads=HEADS)


def test_keys_of_another_sequence() -> None:
    query = floats(BATCH, ROWS, WIDTH)
    key, value = (floats(BATCH, HEADS, 7, SIZE, seed=k) for k in (1, 2))
    same("MultiHeadAttention", [query, key, value], num_heads=HEADS)
    own = floats(WIDTH, seed=3)
    biases = np.concatenate([own, np.zeros(2 * WIDTH, np.float32)])
    same("MultiHeadAttention", [query, key, value, biases], num_heads=HEADS)


def test_parts_side_by_side() -> None:
    """onnxruntime has no kernel for these forms on a CPU: they are compared with separate ones."""
    bias = floats(3 * WIDTH, seed=3)
    query, key, value = separate()
    wanted = runtime(*contrib("MultiHeadAttention", [query, key, value, bias], num_heads=HEADS))
    heads = [part.reshape(BATCH, ROWS, HEADS, SIZE) for part in (query, key, value)]
    both = [query, np.stack(heads[1:], 3), None, bias]
    same("MultiHeadAttention", both, expected=wanted, num_heads=HEADS)
    every = [np.stack(heads, 3), None, None, bias]
    same("MultiHeadAttention", every, expected=wanted, num_heads=HEADS)


# ---------------------------------------------------------------------- rotations


def tables(half: int, count: int = 16) -> list[np.ndarray]:
    angles = np.arange(count)[:, None] / 50.0 ** (np.arange(half) / half)
    return [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding(interleaved: int) -> None:
    places = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    flat, split = floats(BATCH, ROWS, 3 * 8), floats(BATCH, 3, ROWS, 8)
    options = {"interleaved": interleaved}
    for where in (places, np.array([2])):
        same("RotaryEmbedding", [flat, where, *tables(4)], **options)
        same("RotaryEmbedding", [split, where, *tables(4)], fixed=[2, 3], **options)
        part = {**options, "rotary_embedding_dim": 4, "num_heads": 3}
        same("RotaryEmbedding", [flat, where, *tables(2)], **part)
        same("RotaryEmbedding", [split, where, *tables(2)], **part)


# ---------------------------------------------------------------------- groups of heads


def grouped(
    rows: int, room: int, total: Sequence[int], heads: int = 4, shared: int = 2, size: int = 16
) -> list[np.ndarray | None]:
    """Inputs up to the total length; `total` has the number of keys of each part."""
    batch = len(total)
    before = [floats(batch, shared, room, size, seed=k) for k in (5, 6)] if room else [None, None]
    return [
        floats(batch, rows, heads * size),
        *(floats(batch, rows, shared * size, seed=k) for k in (1, 2)),
        *before,
        np.array(total, np.int32) - 1,
        np.array(max(total), np.int32),
    ]


ALL = (0, 1, 2)


@pytest.mark.parametrize("fixed", [(6,), (5, 6)])
@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("rotary", [None, 0, 1])
def test_first_run(fixed: tuple[int, ...], shared: int, rotary: int | None) -> None:
    inputs, options = grouped(5, 0, [5, 5], shared=shared), {"num_heads": 4, "kv_num_heads": shared}
    if rotary is not None:
        inputs += tables(8)
        options |= {"do_rotary": 1, "rotary_interleaved": rotary}
    same("GroupQueryAttention", inputs, ALL, fixed, **options)


@pytest.mark.parametrize("fixed", [(6,), (5, 6)])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("total", [[9], [9, 9], [9, 7]])
@pytest.mark.parametrize("room", [8, 12])
def test_next_token(fixed: tuple[int, ...], rotary: bool, total: list[int], room: int) -> None:
    inputs, options = grouped(1, room, total), {"num_heads": 4, "kv_num_heads": 2}
    if rotary:
        inputs += tables(8)
        options["do_rotary"] = 1
    same("GroupQueryAttention", inputs, ALL, fixed, **options)


def test_next_tokens() -> None:
    for room in (6, 12):
        inputs = [*grouped(3, room, [9]), *tables(8)]
        options = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}
        same("GroupQueryAttention", inputs, ALL, [6], **options)


def test_all_heads_side_by_side() -> None:
    inputs = grouped(5, 0, [5, 5])
    packed = np.concatenate(inputs[:3], -1)
    inputs[:3] = [packed, None, None]
    same("GroupQueryAttention", inputs, ALL, [6], num_heads=4, kv_num_heads=2)
    rotated = [*inputs, *tables(8)]
    same("GroupQueryAttention", rotated, ALL, [6], num_heads=4, kv_num_heads=2, do_rotary=1)


@pytest.mark.parametrize("window", [1, 2, 3, 20])
@pytest.mark.parametrize("run", [(5, 0, [5, 5]), (1, 8, [9, 9]), (1, 8, [9, 7]), (3, 6, [9])])
def test_windows(window: int, run: tuple[int, int, list[int]]) -> None:
    options = {"num_heads": 4, "kv_num_heads": 2, "local_window_size": window}
    same("GroupQueryAttention", grouped(*run), ALL, [6], **options)


@pytest.mark.parametrize("run", [(5, 0, [5, 5]), (1, 8, [9, 9])])
def test_options_of_groups(run: tuple[int, int, list[int]]) -> None:
    options = {"num_heads": 4, "kv_num_heads": 2}
    inputs = grouped(*run)
    same("GroupQueryAttention", inputs, ALL, [6], scale=0.3, **options)
    same("GroupQueryAttention", inputs, ALL, [6], softcap=0.5, **options)
    same("GroupQueryAttention", inputs, ALL, [6], smooth_softmax=1, **options)
    none: list[np.ndarray | None] = [None] * 3
    for shape in ((2, 4), (1, 4), (2, 1), (1, 1)):
        bias = floats(*shape, run[0], max(run[2]), seed=9)
        same("GroupQueryAttention", [*inputs, *none, bias], ALL, [6], softcap=0.7, **options)
    sink = floats(4, seed=8)
    same("GroupQueryAttention", [*inputs, *none, None, sink], ALL, [6], **options)


def test_positions_and_both_directions() -> None:
    options = {"num_heads": 4, "kv_num_heads": 2}
    places = np.array([[2, 3, 4, 5, 6], [2, 3, 4, 5, 6]])
    inputs = [*grouped(5, 0, [5, 5]), *tables(8), places]
    same("GroupQueryAttention", inputs, ALL, [6], do_rotary=1, **options)
    inputs = [*grouped(1, 8, [9, 9]), *tables(8), np.array([[4], [7]])]
    same("GroupQueryAttention", inputs, ALL, [6], do_rotary=1, **options)
    same("GroupQueryAttention", grouped(5, 0, [5, 5]), ALL, [6], causal=0, **options)


def test_what_groups_refuse() -> None:
    options = {"num_heads": 4, "kv_num_heads": 2}
    model, _ = contrib("GroupQueryAttention", grouped(5, 0, [5]), fixed=[6], qk_output=1, **options)
    with pytest.raises(UnsupportedError, match="qk_output"):
        from_onnx(model)
    model, _ = contrib(
        "GroupQueryAttention", grouped(5, 0, [5]), fixed=[6], num_heads=4, kv_num_heads=3
    )
    with pytest.raises(ImportModelError, match="4 heads do not divide into 3"):
        from_onnx(model)


def test_no_key_is_repeated() -> None:
    inputs = grouped(1, 8, [9])
    main = same("GroupQueryAttention", inputs, ALL, [6], num_heads=4, kv_num_heads=2)
    assert not {"repeat", "gather"} & set(operators(main))
