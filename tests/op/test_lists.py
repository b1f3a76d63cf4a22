"""Operators on lists: types, meaning, the same in interpreter and virtual machine, and errors."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import relay
from op.records_lists import EXEMPT
from relay.executor import create_executor
from relay.executor.interpreter import ConstructorValue
from relay.ir.equal import assert_structural_equal
from relay.ir.module import IRModule
from relay.op import list_names, lists
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, TypeInferenceError

LIST = """#[version = "0.0.5"]
type List[A] { Cons(A, List[A]), Nil, }
"""
A, B = np.arange(6, dtype="float32").reshape(3, 2), np.ones((1, 2), "float32")


def program(body: str, params: str = "%xs: List[Tensor[(?, 2), float32]]") -> IRModule:
    return relay.parse(f"{LIST}def @main({params}) {{ {body} }}")


def listed(*values: Any) -> ConstructorValue:
    cons, nil = IRModule.library("prelude.rly")[lists.LIST].constructors
    found = ConstructorValue(nil)
    for value in reversed(values):
        found = ConstructorValue(cons, (NDArray(value), found))
    return found


def plain(value: Any) -> Any:
    """Lists as those of Python, of arrays as NumPy has them."""
    if isinstance(value, NDArray):
        return value.typed()
    found = []
    while value.fields:
        found.append(plain(value.fields[0]))
        value = value.fields[1]
    return found


def run(module: IRModule, *arguments: Any) -> Any:
    """The result on both executors, which is the same."""
    first, second = (
        plain(create_executor(kind, module).evaluate()(*arguments)) for kind in ("debug", "vm")
    )
    assert type(first) is type(second)
    for a, b in zip(first, second, strict=True) if isinstance(first, list) else [(first, second)]:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    return first


def test_boxes() -> None:
    module = program("list.box(%xs)")
    for kind in ("debug", "vm"):
        found = create_executor(kind, module).evaluate()(listed(A, B))
        for array in (A, B):
            flat, shape = found.fields[0]
            np.testing.assert_array_equal(flat.numpy().reshape(shape.numpy()), array)
            found = found.fields[1]


def test_all_are_here() -> None:
    assert {n for n in list_names() if n.startswith("list.")} == EXEMPT.keys()


@pytest.mark.parametrize(
    "text",
    [
        "list.length(%xs)",
        "list.at(%xs, -1)",
        "list.insert(%xs, list.at(%xs, 0), 1)",
        "list.erase(%xs, 0)",
        "list.stack(%xs, axis=1, reverse=True, count=2, shape=[3, 2])",
        "list.concatenate(%xs, shape=[0, 2])",
        "list.split(list.at(%xs, 0), 2, axis=1)",
        "list.unstack(list.at(%xs, 0))",
    ],
)
def test_print_and_parse(text: str) -> None:
    module = program(text)
    assert_structural_equal(relay.parse(module.astext()), module)


def test_parts_of_lists() -> None:
    assert run(program("list.length(%xs)"), listed(A, B)) == 2
    assert run(program("list.length(%xs)"), listed()) == 0
    np.testing.assert_array_equal(run(program("list.at(%xs, -1)"), listed(A, B)), B)
    assert [len(v) for v in run(program("list.erase(%xs, 0)"), listed(A, B))] == [1]
    inserted = run(program("list.insert(%xs, list.at(%xs, 0), 2)"), listed(A, B))
    assert [len(v) for v in inserted] == [3, 1, 3]


def test_elements_are_handed_on_as_they_are() -> None:
    module = program("list.at(%xs, 0)", "%xs: List[(List[int32], int32)]")
    cons, nil = IRModule.library("prelude.rly")[lists.LIST].constructors
    one = NDArray(np.array(1, "int32"))
    inner = ConstructorValue(cons, (one, ConstructorValue(nil)))
    values = ConstructorValue(cons, ((inner, one), ConstructorValue(nil)))
    for kind in ("debug", "vm"):
        found = create_executor(kind, module).evaluate()(values)
        assert [int(v) for v in plain(found[0])] == [1]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reverse", [False, True])
def test_stack(axis: int, reverse: bool) -> None:
    module = program(f"list.stack(%xs, axis={axis}, reverse={reverse}, shape=[0, 2])")
    values = [A, A + 1, A * 2]
    expected = np.stack(values[::-1] if reverse else values, axis)
    np.testing.assert_array_equal(run(module, listed(*values)), expected)
    assert run(module, listed()).shape == np.stack([np.zeros((0, 2))], axis).take([], axis).shape


@pytest.mark.parametrize("axis", [0, 1])
def test_concatenate(axis: int) -> None:
    module = program(f"list.concatenate(%xs, axis={axis}, shape=[3, 2])")
    np.testing.assert_array_equal(run(module, listed(A, A + 1)), np.concatenate([A, A + 1], axis))
    assert run(module, listed()).shape == ((0, 2), (3, 0))[axis]


@pytest.mark.parametrize("sizes", [1, 2, 3, 4, [1, 2], [0, 3], [3]])
def test_split(sizes: int | list[int]) -> None:
    shape = "int64" if isinstance(sizes, int) else f"Tensor[({len(sizes)}), int64]"
    params = f"%x: Tensor[(3, 2), float32], %s: {shape}"
    module = program("list.split(%x, %s)", params)
    found = run(module, A, np.array(sizes, "int64"))
    at = range(sizes, 3, sizes) if isinstance(sizes, int) else np.cumsum(sizes[:-1])
    for part, expected in zip(found, np.split(A, at), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_unstack() -> None:
    found = run(program("list.unstack(%x, axis=1)", "%x: Tensor[(3, 2), float32]"), A)
    np.testing.assert_array_equal(np.stack(found, 1), A)


def test_types_without_a_native_form() -> None:
    module = program(
        'list.stack(list.unstack(%x), shape=[2], dtype="bfloat16")', "%x: Tensor[(3, 2), bfloat16]"
    )
    x = A.astype(ml_dtypes.bfloat16)
    found = run(module, NDArray(x))
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("list.at(%xs, 2)", r"list.at: there is no position 2 in a list of 2; expected -2 .. 1"),
        ("list.erase(%xs, -3)", "list.erase: there is no position -3"),
        ("list.insert(%xs, list.at(%xs, 0), 3)", "list.insert: there is no position 3"),
        ("list.stack(%xs, shape=[0, 2])", r"element 1 has the shape \(1, 2\)"),
        ("list.stack(list.erase(%xs, 0), shape=[0, 2], count=2)", "expected 2 elements, found 1"),
        ("list.concatenate(%xs, axis=1, shape=[0, 2])", r"element 1 has the shape \(1, 2\)"),
        ("list.split(list.at(%xs, 0), 0)", "parts cannot have the size 0"),
    ],
)
def test_errors_at_run_time(text: str, message: str) -> None:
    module = program(text)
    for kind in ("debug", "vm"):
        with pytest.raises(InputError, match=message):
            create_executor(kind, module).evaluate()(listed(A, B))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("list.length(1)", "expected a List, found int32"),
        ("list.at(%xs, 1f)", "integer"),
        ("list.insert(%xs, 1f, 0)", "cannot take a float32"),
        ("list.stack(%xs)", "shape and dtype say that elements are"),
        ("list.concatenate(%xs, axis=2, shape=[0, 2])", "axis"),
    ],
)
def test_type_errors(text: str, message: str) -> None:
    with pytest.raises(TypeInferenceError, match=message):
        program(text)


def test_functions_of_users() -> None:
    x = relay.var("x", shape=(3, 2))
    parts = lists.split(x, 1)
    again = lists.concatenate(lists.insert(parts, lists.at(parts, -1), 0), shape=(1, 2))
    library = IRModule.library("prelude.rly").type_definitions
    module = relay.infer_types(IRModule.from_expr(relay.Function([x], again), type_defs=library))
    np.testing.assert_array_equal(run(module, A), np.concatenate([A[2:], A]))
