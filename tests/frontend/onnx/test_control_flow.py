"""Branches, loops and scans, against ONNX Runtime, on the interpreter and the virtual machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

import relay
from relay.frontend.onnx import from_onnx
from relay.ir.equal import assert_structural_equal
from relay.ir.expr import Function, If, Let
from relay.ir.visit import post_order
from relay.support.errors import ImportModelError, UnsupportedError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name: str, dtype: int = FLOAT, shape: Sequence[int | str] | None = None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node; inputs and outputs are names with blanks between, ``_`` one that is left out."""
    names = [[n.strip("_") for n in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op, *names, **attributes)


def const(name: str, value: Any, dtype: str = "int64") -> NodeProto:
    tensor = numpy_helper.from_array(np.array(value, dtype), name)
    return helper.make_node("Constant", [], [name], value=tensor)


def graph(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    name: str = "graph",
) -> GraphProto:
    return helper.make_graph(nodes, name, inputs, outputs)


def model(made: GraphProto, opset: int = 17) -> ModelProto:
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def results(made: ModelProto, feeds: Mapping[str, Any]) -> list[list[Any]]:
    """The outputs on the interpreter and on the virtual machine."""
    module, _ = from_onnx(made)
    found = []
    for kind in ("debug", "vm"):
        result = relay.create_executor(kind, module).evaluate()(**feeds)
        single = len(made.graph.output) == 1
        found.append([result] if single else list(result))
    return found


def check(made: ModelProto, expected: Sequence[Any] | None = None, **feeds: Any) -> None:
    """Both executors agree with ONNX Runtime, or with what is `expected`."""
    if expected is None:
        session = onnxruntime.InferenceSession(
            made.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        expected = session.run(None, feeds)
    for found in results(made, feeds):
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.shape == theirs.shape
            assert ours.dtype == str(theirs.dtype)
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6)


X = np.arange(6, dtype="float32").reshape(3, 2)

# ---------------------------------------------------------------- branches


def branching(then: Sequence[NodeProto], other: Sequence[NodeProto], shape: Any) -> ModelProto:
    """``y``, made by either branch, where ``c`` holds or not; both see ``x`` and ``w = x + x``."""
    return model(
        graph(
            [
                node("Add", "x x", "w"),
                node(
                    "If",
                    "c",
                    "y",
                    then_branch=graph(then, [], [info("y1", FLOAT, None)]),
                    else_branch=graph(other, [], [info("y2", FLOAT, None)]),
                ),
            ],
            [info("c", BOOL, []), info("x", FLOAT, shape)],
            [info("y", FLOAT, None)],
        )
    )


@pytest.mark.parametrize("condition", [True, False])
@pytest.mark.parametrize("shape", [(3, 2), ("n", 2)])
def test_branches_see_values_around_them(condition: bool, shape: Any) -> None:
    made = branching([node("Add", "w x", "y1")], [node("Mul", "w w", "y2")], shape)
    check(made, c=np.array(condition), x=X)


@pytest.mark.parametrize("condition", [True, False])
def test_branches_may_differ_in_sizes(condition: bool) -> None:
    made = branching([node("Concat", "w x", "y1", axis=0)], [node("Relu", "w", "y2")], (3, 2))
    module, _ = from_onnx(made)
    assert str(module["main"].ret_type) == "Tensor[(?, 2), float32]"
    check(made, c=np.array(condition), x=X)


def test_branches_of_other_ranks_are_refused_by_name() -> None:
    made = branching(
        [const("a", [0]), node("Unsqueeze", "x a", "y1")], [node("Relu", "x", "y2")], (3, 2)
    )
    with pytest.raises(UnsupportedError, match=r"output 0 \('y'\) is Tensor\[\(1, 3, 2\).* one"):
        from_onnx(made)


@pytest.mark.parametrize("condition", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_what_follows_from_branches_of_other_ranks_belongs_to_both(
    condition: bool, other: bool
) -> None:
    def unless(name: str, source: str, result: str) -> NodeProto:
        then = [const("a", [0]), node("Unsqueeze", f"{source} a", f"{result}1")]
        return node(
            "If",
            name,
            result,
            then_branch=graph(then, [], [info(f"{result}1")]),
            else_branch=graph([node("Neg", source, f"{result}2")], [], [info(f"{result}2")]),
        )

    made = model(
        graph(
            [
                unless("c", "x", "p"),
                unless("d", "p", "q"),
                node("Exp", "x", "e"),
                node("Mul", "q e", "r"),
                const("shape", [-1]),
                node("Reshape", "r shape", "y"),
                node("Add", "e e", "z"),
            ],
            [info("c", BOOL, []), info("d", BOOL, []), info("x", FLOAT, [3, 2])],
            [info("y", FLOAT, [6]), info("z", FLOAT, [3, 2])],
        )
    )
    module, _ = from_onnx(made)
    assert str(module["main"].ret_type) == "(Tensor[(6), float32], Tensor[(3, 2), float32])"
    assert str(module["main"]).count("exp(") == 1
    c, d = np.array(condition), np.array(other)
    y = (X if condition else -X) * (1 if other else -1) * np.exp(X)
    check(made, [y.reshape(6), 2 * np.exp(X)], c=c, d=d, x=X)


@pytest.mark.parametrize("conditions", [(a, b) for a in (True, False) for b in (True, False)])
def test_divided_branches_in_branches(conditions: tuple[bool, bool]) -> None:
    inner = node(
        "If",
        "d",
        "p",
        then_branch=graph([const("a", [0]), node("Unsqueeze", "x a", "p1")], [], [info("p1")]),
        else_branch=graph([node("Neg", "x", "p2")], [], [info("p2")]),
    )
    outer = node(
        "If",
        "c",
        "q",
        then_branch=graph([inner], [], [info("p")]),
        else_branch=graph([node("Exp", "x", "q2")], [], [info("q2")]),
    )
    made = model(
        graph(
            [outer, const("shape", [-1]), node("Reshape", "q shape", "y")],
            [info("c", BOOL, []), info("d", BOOL, []), info("x", FLOAT, [3, 2])],
            [info("y", FLOAT, [6])],
        )
    )
    c, d = conditions
    y = np.exp(X) if not c else X if d else -X
    check(made, [y.reshape(6)], c=np.array(c), d=np.array(d), x=X)


def test_a_known_condition_chooses_at_once() -> None:
    made = model(
        graph(
            [
                node("Shape", "x", "s"),
                const("two", 2),
                const("zero", 0),
                node("Gather", "s zero", "n"),
                node("Less", "two n", "c"),
                node(
                    "If",
                    "c",
                    "y z",
                    then_branch=graph(
                        [node("Relu", "x", "a"), node("Abs", "x", "b")], [], [info("a"), info("b")]
                    ),
                    else_branch=graph(
                        [node("Unsqueeze", "x two", "a2"), node("Abs", "x", "b2")],
                        [],
                        [info("a2"), info("b2")],
                    ),
                ),
            ],
            [info("x", FLOAT, [3, 2])],
            [info("y"), info("z")],
        )
    )
    module, _ = from_onnx(made)
    assert not any(isinstance(e, If) for e in post_order(module["main"]))
    check(made, x=X)


@pytest.mark.parametrize("condition", [[True], [False]])
def test_several_outputs_and_branches_in_branches(condition: list[bool]) -> None:
    inner = node(
        "If",
        "d",
        "p",
        then_branch=graph([node("Add", "w x", "p1")], [], [info("p1")]),
        else_branch=graph([node("Sub", "x w", "p2")], [], [info("p2")]),
    )
    made = model(
        graph(
            [
                node("Mul", "x x", "w"),
                node(
                    "If",
                    "c",
                    "y z",
                    then_branch=graph(
                        [node("Not", "c", "d"), inner, node("Identity", "w", "w1")],
                        [],
                        [info("p"), info("w1")],
                    ),
                    else_branch=graph(
                        [node("Neg", "w", "n"), node("Exp", "x", "e")], [], [info("n"), info("e")]
                    ),
                ),
                node("Add", "y z", "t"),
            ],
            [info("c", BOOL, [1]), info("x", FLOAT, [3, 2])],
            [info("y", FLOAT, [3, 2]), info("t", FLOAT, [3, 2])],
        )
    )
    check(made, c=np.array(condition), x=X)


# ---------------------------------------------------------------- loops


def looping(
    trip: str,
    condition: str,
    body: Sequence[NodeProto],
    shape: Any = (2,),
    gathered: Any = (2,),
) -> ModelProto:
    """A loop that carries ``v``, from ``x`` on, and gathers ``s``.

    The body makes ``c_out``, ``v_out`` and ``s_out`` from ``i``, ``c_in`` and ``v_in``, and sees
    ``w``, which is made of ``x`` outside.
    """
    inside = graph(
        body,
        [info("i", INT64, []), info("c_in", BOOL, []), info("v_in", FLOAT, None)],
        [info("c_out", BOOL, []), info("v_out", FLOAT, None), info("s_out", FLOAT, gathered)],
    )
    return model(
        graph(
            [
                node("Exp", "x", "w"),
                node("Loop", f"{trip} {condition} x", "v s", body=inside),
            ],
            [info("m", INT64, []), info("c", BOOL, []), info("x", FLOAT, shape)],
            [info("v", FLOAT, None), info("s", FLOAT, None)],
        )
    )


HALF = [
    const("half", 0.5, "float32"),
    node("Mul", "v_in half", "h"),
    node("Add", "h w", "v_out"),
    node("Cast", "i", "f", to=FLOAT),
    node("Mul", "f v_out", "s_out"),
]
ON = [*HALF, node("Identity", "c_in", "c_out")]
UNTIL = [
    *HALF,
    node("ReduceMax", "v_out", "top", keepdims=0),
    const("limit", 4.0, "float32"),
    node("Less", "top limit", "c_out"),
]


@pytest.mark.parametrize("trip", [0, 1, 5])
@pytest.mark.parametrize("condition", [True, False])
def test_trip_count_and_condition(trip: int, condition: bool) -> None:
    x = np.array([0.5, 1.0], "float32")
    check(looping("m", "c", UNTIL), m=np.array(trip), c=np.array(condition), x=x)


@pytest.mark.parametrize("trip", [0, 1, 5])
def test_trip_count_alone(trip: int) -> None:
    x = np.array([0.5, 1.0], "float32")
    check(looping("m", "_", ON), m=np.array(trip), c=np.array(True), x=x)


def test_without_a_condition_at_first_the_one_of_the_body_does_not_matter() -> None:
    x = np.array([0.0, 0.0], "float32")
    values = [x]
    for _ in range(5):
        values.append(values[-1] * 0.5 + 1)
    scanned = np.stack([k * v for k, v in enumerate(values[1:])])
    made = looping("m", "_", UNTIL)
    check(made, [values[-1], scanned.astype("float32")], m=np.array(5), c=np.array(True), x=x)


@pytest.mark.parametrize("condition", [True, False])
def test_condition_alone(condition: bool) -> None:
    x = np.array([0.5, 1.0], "float32")
    check(looping("_", "c", UNTIL), m=np.array(0), c=np.array(condition), x=x)


def test_neither_is_an_error() -> None:
    with pytest.raises(ImportModelError, match="never ends"):
        from_onnx(looping("_", "_", ON))


def test_a_negative_trip_count_is_none() -> None:
    x = np.array([0.5, 1.0], "float32")
    nothing = np.zeros((0, 2), "float32")
    check(looping("m", "_", ON), [x, nothing], m=np.array(-3), c=np.array(True), x=x)


@pytest.mark.parametrize("declared", [(2, 3), ("n", 3), None])
def test_what_is_not_gathered_has_the_declared_sizes(declared: Any) -> None:
    body = graph(
        [node("Identity", "on", "goes"), node("Neg", "s", "t"), node("Exp", "s", "e")],
        [info("i", INT64, []), info("on", BOOL, []), info("s", FLOAT, ("n", 3))],
        [info("goes", BOOL, []), info("t", FLOAT, ("n", 3)), info("e", FLOAT, declared)],
        "body",
    )
    made = model(
        graph(
            [node("Loop", "m _ x", "last every", body=body)],
            [info("m", INT64, []), info("x", FLOAT, ("n", 3))],
            [info("every", FLOAT, None)],
        )
    )
    x = np.ones((2, 3), "float32")
    size = 2 if declared == (2, 3) else 0
    check(made, [np.zeros((0, size, 3), "float32")], m=np.array(0), x=x)
    check(made, m=np.array(2), x=x)


def test_what_is_around_is_computed_once() -> None:
    module, _ = from_onnx(looping("m", "c", ON))
    (function,) = (
        e.value
        for e in post_order(module["main"])
        if isinstance(e, Let) and isinstance(e.value, Function)
    )
    assert "exp" not in str(function)
    assert "exp" in str(module["main"])


@pytest.mark.parametrize("trip", [0, 3])
def test_carried_sizes_may_grow(trip: int) -> None:
    body = [
        node("Concat", "v_in w", "v_out", axis=0),
        node("ReduceSum", "v_out", "s_out", keepdims=0),
        node("Identity", "c_in", "c_out"),
    ]
    made = looping("m", "c", body, gathered=())
    module, _ = from_onnx(made)
    assert str(module["main"].ret_type) == "(Tensor[(?), float32], Tensor[(?), float32])"
    check(made, m=np.array(trip), c=np.array(True), x=np.array([0.5, 1.0], "float32"))


def test_another_rank_is_refused_by_name() -> None:
    body = [
        const("axes", [0]),
        node("Unsqueeze", "v_in axes", "v_out"),
        node("Identity", "v_in", "s_out"),
        node("Identity", "c_in", "c_out"),
    ]
    with pytest.raises(UnsupportedError, match=r"its value 'v_in' is .* only sizes may change"):
        from_onnx(looping("m", "c", body, gathered=None))


def test_unknown_sizes() -> None:
    made = looping("m", "c", UNTIL, ("n",), ("n",))
    for size in (2, 4):
        x = np.linspace(0, 1, size, dtype="float32")
        check(made, m=np.array(4), c=np.array(True), x=x)


def test_iterations_do_not_compile() -> None:
    made = looping("m", "c", ON, ("n",), ("n",))
    module, parameters = from_onnx(made)
    executable = relay.vm.compile(module, params=parameters)
    machine = relay.vm.VirtualMachine(executable)
    x = np.ones(3, "float32")
    machine.invoke("main", np.array(2), np.array(True), x)
    compiled = len(executable.compilations)
    machine.invoke("main", np.array(40), np.array(True), x)
    assert len(executable.compilations) == compiled


def known_trip(count: int, body: Sequence[NodeProto]) -> ModelProto:
    made = looping("k", "t", body)
    made.graph.node.insert(0, const("k", count))
    made.graph.node.insert(0, const("t", True, "bool"))
    return made


@pytest.mark.parametrize("count", [0, 1, 3, 50])
@pytest.mark.parametrize("body", [ON, UNTIL], ids=["on", "until"])
def test_known_trip_counts(count: int, body: Sequence[NodeProto]) -> None:
    x = np.array([0.5, 1.0], "float32")
    check(known_trip(count, body), m=np.array(0), c=np.array(True), x=x)


def test_short_loops_are_written_out() -> None:
    module, _ = from_onnx(known_trip(3, ON))
    assert not any(isinstance(e, Function) for e in post_order(module["main"].body))
    assert str(module["main"].ret_type) == "(Tensor[(2), float32], Tensor[(3, 2), float32])"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_loops_in_loops_and_branches(rows: int) -> None:
    inner = graph(
        [
            node("Add", "a_in w", "a1"),
            node("Add", "a1 outer_i", "a_out"),
            node("Identity", "go", "go_out"),
            node("Mul", "a_out a_out", "q"),
        ],
        [info("j", INT64, []), info("go", BOOL, []), info("a_in", FLOAT, None)],
        [info("go_out", BOOL, []), info("a_out", FLOAT, None), info("q", FLOAT, None)],
    )
    body = [
        node("Cast", "i", "outer_i", to=FLOAT),
        const("one", 1),
        node("Greater", "i one", "late"),
        node(
            "If",
            "late",
            "v_out s_out",
            then_branch=graph(
                [
                    node("Loop", "i c_in v_in", "b qs", body=inner),
                    node("ReduceSum", "qs", "qq", keepdims=0),
                ],
                [],
                [info("b"), info("qq")],
            ),
            else_branch=graph(
                [node("Add", "v_in w", "b2"), node("ReduceSum", "b2", "q2", keepdims=0)],
                [],
                [info("b2"), info("q2")],
            ),
        ),
        node("Identity", "c_in", "c_out"),
    ]
    x = np.array([0.5, 1.0], "float32")
    made = looping("m", "c", body, gathered=())
    check(made, m=np.array(rows + 1), c=np.array(True), x=x)


# ---------------------------------------------------------------- scans


def scanning(
    nodes: Sequence[NodeProto],
    names: str,
    shapes: Mapping[str, Any],
    opset: int = 17,
    **attributes: Any,
) -> ModelProto:
    """A scan of state ``h`` and inputs ``x`` and ``y``, for ``h_out`` and ``p`` and ``q``."""
    body = graph(
        nodes,
        [info(n + "_in", FLOAT, None) for n in "hxy"],
        [info(n, FLOAT, None) for n in ("h_out", "p_out", "q_out")],
    )
    return model(
        graph(
            [node("Scan", names, "last p q", body=body, num_scan_inputs=2, **attributes)],
            [info(n, FLOAT if n != "n" else INT64, shape) for n, shape in shapes.items()],
            [info(n, FLOAT, None) for n in ("last", "p", "q")],
        ),
        opset,
    )


STEP = [
    node("Mul", "h_in x_in", "t"),
    node("Add", "t y_in", "h_out"),
    node("Sub", "h_out x_in", "p_out"),
    node("ReduceSum", "h_out", "q_out", keepdims=0),
]


def random(*shape: int) -> Any:
    return np.random.default_rng(3).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"scan_input_directions": [1, 0], "scan_output_directions": [0, 1]},
        {"scan_input_directions": [1, 1], "scan_output_directions": [1, 1]},
    ],
)
@pytest.mark.parametrize("length", [1, 4, 30])
@pytest.mark.parametrize("known", [True, False])
def test_scan(attributes: Mapping[str, Any], length: int, known: bool) -> None:
    shape = (length if known else "n", 3)
    made = scanning(STEP, "h x y", {"h": (3,), "x": shape, "y": shape}, **attributes)
    check(made, h=random(3), x=random(length, 3), y=random(length, 3) + 1)


def test_scan_axes() -> None:
    made = scanning(
        STEP,
        "h x y",
        {"h": (3,), "x": (3, 20), "y": (20, 3)},
        scan_input_axes=[1, -2],
        scan_output_axes=[-1, 0],
    )
    check(made, h=random(3), x=random(3, 20), y=random(20, 3))


def test_scan_of_nothing() -> None:
    made = scanning(STEP, "h x y", {"h": (3,), "x": ("n", 3), "y": ("n", 3)})
    h = random(3)
    nothing = [h, np.zeros((0, 3), "float32"), np.zeros((0,), "float32")]
    check(made, nothing, h=h, x=random(0, 3), y=random(0, 3))


def test_long_scans_have_known_sizes() -> None:
    module, _ = from_onnx(scanning(STEP, "h x y", {"h": (3,), "x": (30, 3), "y": (30, 3)}))
    expected = "(Tensor[(3), float32], Tensor[(30, 3), float32], Tensor[(30), float32])"
    assert str(module["main"].ret_type) == expected


@pytest.mark.parametrize("directions", [None, [1, 0]])
@pytest.mark.parametrize("sizes", [(2, 4), ("b", "n")])
def test_batched_scan(directions: Any, sizes: Any) -> None:
    attributes = {} if directions is None else {"directions": directions}
    shapes = {"h": (sizes[0], 3), "x": (*sizes, 3), "y": (*sizes, 3)}
    step = [*STEP[:3], node("ReduceSum", "h_out", "q_out", keepdims=0)]
    made = scanning(step, "_ h x y", shapes, 8, **attributes)
    check(made, h=random(2, 3), x=random(2, 4, 3), y=random(2, 4, 3) + 1)


def test_batched_scan_of_different_lengths() -> None:
    shapes = {"n": (2,), "h": (2, 3), "x": (2, 4, 3), "y": (2, 4, 3)}
    made = scanning(STEP, "n h x y", shapes, 8)
    check(made, n=np.array([2, 4]), h=random(2, 3), x=random(2, 4, 3), y=random(2, 4, 3))


@pytest.mark.parametrize("kept", [["p"], ["q"], ["last"]])
def test_outputs_that_nobody_reads_are_not_gathered(kept: list[str]) -> None:
    made = scanning(STEP, "h x y", {"h": (3,), "x": (30, 3), "y": (30, 3)})
    for output in [o for o in made.graph.output if o.name not in kept]:
        made.graph.output.remove(output)
    module, _ = from_onnx(made)
    assert str(module["main"]).count("Cons(") == (kept != ["last"])
    check(made, h=random(3), x=random(30, 3), y=random(30, 3))


def broken(change: Any) -> ModelProto:
    """A model with a loop, after `change` of its body."""
    made = looping("m", "c", ON)
    change(made.graph.node[-1], made.graph.node[-1].attribute[0].g)
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda loop, _: loop.attribute.pop(), "lacks the attribute 'body'"),
        (lambda _, body: body.output.pop(), "which do not go with its own"),
        (lambda loop, _: loop.output.append("more"), "which do not go with its own"),
        (lambda loop, _: loop.input.__setitem__(0, "x"), "expected one element of int64"),
        (lambda _, body: body.node.pop(0), "nothing makes the value 'half'"),
    ],
)
def test_damaged_loops(change: Any, message: str) -> None:
    with pytest.raises(ImportModelError, match=message):
        from_onnx(broken(change))


def test_programs_with_loops_can_be_saved_printed_and_read(tmp_path: Path) -> None:
    module, parameters = from_onnx(looping("m", "c", UNTIL))
    again = relay.parse(module.astext())
    again.attrs.update(module.attrs)
    assert_structural_equal(again, module)
    executable = relay.vm.compile(module, params=parameters)
    executable.save(tmp_path / "loop.rlyvm")
    loaded = relay.vm.load(tmp_path / "loop.rlyvm")
    arguments = np.array(4), np.array(True), np.ones(2, "float32")
    results = [relay.vm.VirtualMachine(e).invoke("main", *arguments) for e in (executable, loaded)]
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
