"""Sequences and optional values, against ONNX Runtime and against the standard's evaluator."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

import relay.backend.onnx as backend
from onnx_models import floats, model_of
from relay.backend.containers import inward, outward
from relay.executor import create_executor
from relay.frontend.onnx import from_onnx
from relay.ir.expr import Call
from relay.ir.visit import post_order
from relay.op.lists import ListOperator
from relay.support.errors import ImportModelError, InputError, RelayError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def tensor(shape: Any = None, dtype: int = FLOAT) -> TypeProto:
    return helper.make_tensor_type_proto(dtype, shape)


def sequence(element: TypeProto) -> TypeProto:
    return helper.make_sequence_type_proto(element)


def optional(content: TypeProto) -> TypeProto:
    return helper.make_optional_type_proto(content)


def info(name: str, type_: TypeProto) -> ValueInfoProto:
    return helper.make_value_info(name, type_)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(
    nodes: Sequence[NodeProto], inputs: Mapping[str, TypeProto], outputs: Mapping[str, TypeProto]
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [info(n, t) for n, t in inputs.items()],
        [info(n, t) for n, t in outputs.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    elif expected is None:
        assert found is None
    else:
        expected = np.asarray(expected)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def interpreted(made: ModelProto, feeds: Mapping[str, Any]) -> list[Any]:
    module, _ = from_onnx(made)
    values = [inward(feeds[i.name], i.type, i.name) for i in made.graph.input]
    result = create_executor("debug", module).evaluate()(*values)
    results = result if len(made.graph.output) > 1 else (result,)
    return [outward(v, o.type) for v, o in zip(results, made.graph.output, strict=True)]


def runtime(made: ModelProto, feeds: Mapping[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(feeds)))


def check(made: ModelProto, expected: Sequence[Any] | None = None, **feeds: Any) -> None:
    """Interpreter and virtual machine agree with ONNX Runtime, or with what is `expected`."""
    expected = runtime(made, feeds) if expected is None else expected
    for found in (list(backend.prepare(made).run(feeds)), interpreted(made, feeds)):
        assert_same(found, list(expected))


def uses_lists(made: ModelProto) -> bool:
    """Whether something is left to be done with lists at run time."""
    module, _ = from_onnx(made)
    nodes = post_order(module["main"])
    return any(isinstance(e, Call) and isinstance(e.attrs, ListOperator) for e in nodes)


A, B = np.arange(6, dtype="float32").reshape(3, 2), np.ones((1, 2), "float32")
PAIR = [
    node("SequenceConstruct", "a b", "s"),
]
INPUTS = {"a": tensor([3, 2]), "b": tensor([1, 2])}


# ---------------------------------------------------------------- known while importing


def test_what_is_known_is_decided_at_once() -> None:
    made = model(
        [
            *PAIR,
            node("Constant", "", "p", value_int=-1),
            node("SequenceInsert", "s a p", "t"),
            node("SequenceErase", "t p", "u"),
            node("SequenceLength", "t", "n"),
            node("SequenceAt", "u p", "x"),
            node("ConcatFromSequence", "t", "y", axis=0),
        ],
        INPUTS,
        {"n": tensor([], INT64), "x": tensor([3, 2]), "y": tensor([7, 2])},
    )
    assert not uses_lists(made)
    check(made, a=A, b=B)


@pytest.mark.parametrize(("op", "position"), [("SequenceAt", 2), ("SequenceErase", -3)])
def test_known_positions_outside(op: str, position: int) -> None:
    made = model(
        [*PAIR, node("Constant", "", "p", value_int=position), node(op, "s p", "x")],
        INPUTS,
        {"x": tensor() if op == "SequenceAt" else sequence(tensor())},
    )
    with pytest.raises(ImportModelError, match=f"no position {position} in a sequence of 2"):
        from_onnx(made)


def test_elements_of_different_sizes() -> None:
    made = model(PAIR, INPUTS, {"s": sequence(tensor())})
    module, _ = from_onnx(made)
    assert str(module["main"].ret_type) == "List[Tensor[(?, 2), float32]]"
    check(made, a=A, b=B)


# ---------------------------------------------------------------- at run time

LIST = {"s": sequence(tensor(["n", 2]))}
POSITION = {"p": tensor([], INT64)}


@pytest.mark.parametrize("position", [0, 1, -1, -2])
def test_positions(position: int) -> None:
    made = model(
        [
            node("SequenceAt", "s p", "x"),
            node("SequenceErase", "s p", "e"),
            node("SequenceInsert", "s x p", "i"),
            node("SequenceInsert", "s x", "j"),
            node("SequenceErase", "s", "f"),
            node("SequenceLength", "i", "n"),
        ],
        {**LIST, **POSITION},
        {
            "x": tensor(["n", 2]),
            **{k: sequence(tensor(["n", 2])) for k in "eijf"},
            "n": tensor([], INT64),
        },
    )
    check(made, s=[A, B], p=np.array(position))


@pytest.mark.parametrize("op", ["SequenceAt", "SequenceErase", "SequenceInsert"])
@pytest.mark.parametrize("position", [3, -3])
def test_positions_outside(op: str, position: int) -> None:
    insert = op == "SequenceInsert"
    made = model(
        [node(op, "s a p" if insert else "s p", "x")],
        {**LIST, "a": tensor([3, 2]), **POSITION},
        {"x": tensor() if op == "SequenceAt" else sequence(tensor())},
    )
    feeds = {"s": [A, B], "a": A, "p": np.array(position)}
    for run in (lambda: backend.prepare(made).run(feeds), lambda: interpreted(made, feeds)):
        with pytest.raises(InputError, match=f"there is no position {position} in a list of 2"):
            run()


@pytest.mark.parametrize("new_axis", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenation(new_axis: int, axis: int) -> None:
    made = model(
        [node("ConcatFromSequence", "s", "y", axis=axis, new_axis=new_axis)],
        {"s": sequence(tensor(["n", 2]))},
        {"y": tensor()},
    )
    check(made, s=[A, A + 1, A * 2])


def test_concatenation_of_unfit_tensors() -> None:
    made = model([node("ConcatFromSequence", "s", "y", axis=1)], LIST, {"y": tensor()})
    with pytest.raises(InputError, match=r"element 1 has the shape \(1, 2\), which does not go"):
        backend.prepare(made).run({"s": [A, B]})


SIZES = [None, np.array(2), np.array([1, 2]), np.array([3])]


def splitting(rows: int | str, sizes: Any, **attributes: Any) -> ModelProto:
    inputs = {"a": tensor([rows, 2])}
    if sizes is not None:
        inputs["z"] = tensor(list(sizes.shape), INT64)
    cut = node("SplitToSequence", " ".join(inputs), "s", **attributes)
    return model([cut], inputs, {"s": sequence(tensor())})


@pytest.mark.parametrize("rows", [3, "n"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_split(rows: int | str, sizes: Any) -> None:
    feeds = {"a": A} if sizes is None else {"a": A, "z": sizes}
    made = splitting(rows, sizes)
    check(made, **feeds)
    expected = [list(A)] if sizes is None else runtime(made, feeds)
    check(splitting(rows, sizes, keepdims=0), expected, **feeds)


def test_split_of_many_parts_is_left_to_the_host() -> None:
    made = model(
        [
            node("SplitToSequence", "a", "s", axis=1, keepdims=0),
            node("ConcatFromSequence", "s", "y", axis=1, new_axis=1),
        ],
        {"a": tensor([2, 1000])},
        {"y": tensor([2, 1000])},
    )
    assert uses_lists(made)
    a = np.arange(2000, dtype="float32").reshape(2, 1000)
    check(made, [a], a=a)


@pytest.mark.parametrize("sizes", [[1, 1], [4, -1], [0]])
def test_split_sizes_that_do_not_add_up(sizes: list[int]) -> None:
    made = model(
        [node("SplitToSequence", "a z", "s")],
        {"a": tensor([3, 2]), "z": tensor(["k"], INT64)},
        {"s": sequence(tensor())},
    )
    with pytest.raises(InputError, match="3 elements cannot be cut into"):
        backend.prepare(made).run({"a": A, "z": np.array(sizes)})


# ---------------------------------------------------------------- with branches and loops


def gathering(start: Sequence[NodeProto]) -> ModelProto:
    """A loop that puts ``x + i`` into a sequence that `start` makes as ``s0``."""
    body = helper.make_graph(
        [
            node("Identity", "c", "c_out"),
            node("Cast", "i", "f", to=FLOAT),
            node("Add", "x f", "y"),
            node("SequenceInsert", "s_in y", "s_out"),
        ],
        "body",
        [
            info("i", tensor([], INT64)),
            info("c", tensor([], BOOL)),
            info("s_in", sequence(tensor())),
        ],
        [info("c_out", tensor([], BOOL)), info("s_out", sequence(tensor()))],
    )
    return model(
        [
            *start,
            node("Constant", "", "t", value=helper.make_tensor("t", BOOL, [], [True])),
            node("Loop", "m t s0", "s", body=body),
        ],
        {"m": tensor([], INT64), "x": tensor([2])},
        {"s": sequence(tensor())},
    )


@pytest.mark.parametrize("trips", [0, 1, 4])
def test_a_loop_fills_an_empty_sequence(trips: int) -> None:
    made = gathering([node("SequenceEmpty", "", "s0", dtype=FLOAT)])
    module, _ = from_onnx(made)
    assert str(module["main"].ret_type) == "List[Tensor[(2), float32]]"
    check(made, m=np.array(trips), x=np.ones(2, "float32"))


@pytest.mark.parametrize("trips", [0, 3])
def test_a_loop_goes_on_with_a_sequence(trips: int) -> None:
    start = [node("Concat", "x x", "xx", axis=0), node("SequenceConstruct", "xx", "s0")]
    check(gathering(start), m=np.array(trips), x=np.ones(2, "float32"))


@pytest.mark.parametrize("condition", [True, False])
def test_branches_of_sequences(condition: bool) -> None:
    made = model(
        [
            node(
                "If",
                "c",
                "s",
                then_branch=helper.make_graph(
                    [node("SequenceEmpty", "", "u", dtype=FLOAT)],
                    "then",
                    [],
                    [info("u", sequence(tensor()))],
                ),
                else_branch=helper.make_graph(
                    [node("SequenceConstruct", "a b", "v")],
                    "else",
                    [],
                    [info("v", sequence(tensor()))],
                ),
            ),
            node("SequenceLength", "s", "n"),
        ],
        {"c": tensor([], BOOL), **INPUTS},
        {"s": sequence(tensor()), "n": tensor([], INT64)},
    )
    check(made, c=np.array(condition), a=A, b=B)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_sequence_map(count: int) -> None:
    body = helper.make_graph(
        [node("Mul", "e x", "p"), node("Shape", "e", "q")],
        "body",
        [info("e", tensor(["n", 2])), info("x", tensor(["n", 2]))],
        [info("p", tensor()), info("q", tensor([2], INT64))],
    )
    made = model(
        [node("SequenceMap", "s b", "t u", body=body)],
        {**LIST, "b": tensor([1, 2])},
        {"t": sequence(tensor()), "u": sequence(tensor(None, INT64))},
    )
    values = [A[:k] for k in range(1, count + 1)]
    expected = [[v * B * 2 for v in values], [np.array(v.shape) for v in values]]
    check(made, expected, s=values, b=B * 2)


# ---------------------------------------------------------------- optional values


@pytest.mark.parametrize("value", [None, A])
def test_optional_inputs(value: Any) -> None:
    made = model(
        [
            node("OptionalHasElement", "o", "h"),
            node(
                "If",
                "h",
                "y",
                then_branch=helper.make_graph(
                    [node("OptionalGetElement", "o", "v"), node("Add", "v v", "y1")],
                    "then",
                    [],
                    [info("y1", tensor())],
                ),
                else_branch=helper.make_graph(
                    [node("Neg", "b", "y2")], "else", [], [info("y2", tensor())]
                ),
            ),
        ],
        {"o": optional(tensor([3, 2])), "b": tensor([1, 2])},
        {"h": tensor([], BOOL), "y": tensor()},
    )
    expected = [np.array(value is not None), -B if value is None else value + value]
    check(made, expected, o=value, b=B)


def test_an_absent_value_has_no_element() -> None:
    made = model(
        [node("OptionalGetElement", "o", "v")],
        {"o": optional(tensor([3, 2]))},
        {"v": tensor([3, 2])},
    )
    check(made, [A], o=A)
    for run in (backend.prepare(made).run, lambda feeds: interpreted(made, feeds)):
        with pytest.raises(RelayError, match="no clause"):
            run({"o": None})
    known = model(
        [
            node("Optional", "", "o", type=tensor([3, 2])),
            node("OptionalGetElement", "o", "v"),
        ],
        {},
        {"v": tensor([3, 2])},
    )
    with pytest.raises(ImportModelError, match="there is no value in its input"):
        from_onnx(known)


def test_presence_that_is_known() -> None:
    made = helper.make_model(
        helper.make_graph(
            [
                node("Optional", "", "none", type=sequence(tensor())),
                node("Optional", "a", "some"),
                node("OptionalHasElement", "none", "p"),
                node("OptionalHasElement", "some", "q"),
                node("OptionalHasElement", "", "r"),
                node("OptionalHasElement", "a", "s"),
                node("OptionalGetElement", "some", "t"),
            ],
            "graph",
            [info("a", tensor([3, 2]))],
            [info(n, tensor([], BOOL)) for n in "pqrs"] + [info("t", tensor([3, 2]))],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    expected = [*(np.array(b) for b in (False, True, False, True)), A]
    check(made, expected, a=A)


def test_an_optional_sequence() -> None:
    made = model(
        [node("Optional", "s", "o"), node("OptionalGetElement", "o", "t")],
        LIST,
        {"o": optional(sequence(tensor())), "t": sequence(tensor())},
    )
    check(made, [[A, B], [A, B]], s=[A, B])


def test_a_sequence_of_sequences() -> None:
    made = model(
        [node("SequenceConstruct", "s s", "t"), node("SequenceAt", "t p", "u")],
        {**LIST, **POSITION},
        {"t": sequence(sequence(tensor())), "u": sequence(tensor())},
    )
    check(made, [[[A, B], [A, B]], [A, B]], s=[A, B], p=np.array(1))


# ---------------------------------------------------------------- inputs


def test_ranks_come_from_the_arguments() -> None:
    made = model(
        [node("SequenceInsert", "s a", "t")],
        {"s": sequence(tensor()), "a": tensor([3, 2])},
        {"t": sequence(tensor())},
    )
    with pytest.raises(ImportModelError, match=r"give their shape: from_onnx\(model, shape="):
        from_onnx(made)
    prepared = backend.prepare(made)
    for values in ([], [B], [A, B]):
        (found,) = prepared.run({"s": values, "a": A})
        assert_same(found, ReferenceEvaluator(made).run(None, {"s": values, "a": A})[0])


@pytest.mark.parametrize("given", [3.0, None, {"a": 1}])
def test_inputs_of_other_kinds(given: Any) -> None:
    made = model([node("SequenceLength", "s", "n")], LIST, {"n": tensor([], INT64)})
    with pytest.raises(InputError, match="s: expected a list"):
        backend.prepare(made).run({"s": given})


def test_elements_of_other_types() -> None:
    made = model([node("SequenceAt", "s p", "x")], {**LIST, **POSITION}, {"x": tensor()})
    with pytest.raises(
        InputError, match=r"expects Tensor\[\(n, 2\), float32\], found Tensor\[\(3, 2\), f"
    ):
        backend.prepare(made).run({"s": [A.astype("float64")], "p": np.array(0)})


def test_tensors_of_different_ranks() -> None:
    """Such a sequence has boxes for elements; what comes out of the model is what was put in."""
    number, vector, matrix = np.float32(3), floats(2), floats(2, 3)
    nodes = [
        helper.make_node("SequenceConstruct", ["a", "b"], ["s"]),
        helper.make_node("SequenceInsert", ["s", "c", "p"], ["t"]),
    ]
    inputs = {"a": np.asarray(number), "b": vector, "c": matrix, "p": np.array(1)}
    model = model_of(nodes, inputs, ["t"])
    model.graph.output[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT
    (found,) = backend.prepare(model).run(list(inputs.values()))
    assert [v.shape for v in found] == [(), (2, 3), (2,)]
    for a, b in zip(found, (number, matrix, vector), strict=True):
        np.testing.assert_array_equal(a, b)
