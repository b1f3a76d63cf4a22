"""Derivatives of programs with closures, recursion, data types and references."""

import numpy as np
import pytest

import relay
from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Call, Function, If, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import GlobalTypeVar, TensorType
from relay.support.errors import UnsupportedError
from relay.testing.gradient import check_grad
from relay.transform.gradient import gradient

HEADER = '#[version = "0.0.5"]\n'


def run(function: Function, module: IRModule, *arrays: np.ndarray):
    main = module.with_function("main", function)
    return relay.create_executor("debug", main).evaluate()(*arrays)


def slopes(text: str, *values: object) -> list[np.ndarray]:
    """The gradients of ``@main`` of a program."""
    module = relay.parse(HEADER + text)
    arrays = [np.asarray(v) for v in values]
    _, found = run(gradient(module.get_global_var("main"), module), module, *arrays)
    return [g.numpy() for g in found]


POWER = """
def @main(%n: int32, %x: float64) -> float64 {
  if (equal(%n, 0)) { 1f64 } else { multiply(%x, @main(subtract(%n, 1), %x)) }
}
"""


def test_recursion() -> None:
    by_n, by_x = slopes(POWER, np.int32(5), 1.5)
    assert by_n == 0
    np.testing.assert_allclose(by_x, 5 * 1.5**4)


def test_depth_of_recursion_is_no_limit() -> None:
    _, by_x = slopes(POWER, np.int32(3000), 1.0)
    assert by_x == 3000


def test_recursive_closure() -> None:
    text = """
    def @main(%x: float64) -> float64 {
      let %loop = fn (%n: int32, %y: float64) -> float64 {
        if (equal(%n, 0)) { %y } else { %loop(subtract(%n, 1), multiply(sin(%y), %x)) }
      };
      %loop(3, %x)
    }
    """
    function = relay.parse(HEADER + text)["main"]
    check_grad(function, [np.asarray(0.7)], eps=1e-5)


def test_functions_as_arguments_and_results() -> None:
    text = """
    def @twice(%f: fn (float64) -> float64) -> fn (float64) -> float64 {
      fn (%x: float64) -> float64 { %f(%f(%x)) }
    }
    def @cube(%x: float64) -> float64 { multiply(%x, multiply(%x, %x)) }
    def @main(%x: float64, %y: float64) -> float64 {
      let %scaled = fn (%z: float64) -> float64 { multiply(%z, %y) };
      let %a = @twice(@cube);
      let %b = @twice(%scaled);
      add(%a(%x), %b(%x))
    }
    """
    x, y = 1.1, 0.8
    by_x, by_y = slopes(text, x, y)
    np.testing.assert_allclose(by_x, 9 * x**8 + y * y)
    np.testing.assert_allclose(by_y, 2 * x * y)


def test_references() -> None:
    text = """
    def @main(%x: float64) -> float64 {
      let %r = ref(%x);
      let %u = ref_write(%r, multiply(ref_read(%r), %x));
      let %v = ref_write(%r, multiply(ref_read(%r), %x));
      ref_read(%r)
    }
    """
    (by_x,) = slopes(text, 1.3)
    np.testing.assert_allclose(by_x, 3 * 1.3**2)


LIST = """
type List[A] { Cons(A, List[A]), Nil }
def @map[A, B](%f: fn (A) -> B, %xs: List[A]) -> List[B] {
  match (%xs) {
    Cons(%x, %rest) => { Cons(%f(%x), @map(%f, %rest)) },
    Nil => { Nil },
  }
}
def @sum(%xs: List[float64]) -> float64 {
  match (%xs) {
    Cons(%x, %rest) => { add(%x, @sum(%rest)) },
    Nil => { 0f64 },
  }
}
"""


def test_lists() -> None:
    text = """
    def @main(%x: float64, %y: float64) -> float64 {
      @sum(@map(fn (%z: float64) -> float64 { multiply(%z, sin(%x)) }, Cons(%x, Cons(%y, Nil))))
    }
    """
    x, y = 0.4, 1.2
    by_x, by_y = slopes(LIST + text, x, y)
    np.testing.assert_allclose(by_x, np.sin(x) + (x + y) * np.cos(x))
    np.testing.assert_allclose(by_y, np.sin(x))


@pytest.mark.parametrize("flag", [True, False])
def test_if(flag: bool) -> None:
    x, f = Var("x", TensorType((3,), "float64")), Var("f", TensorType((), "bool"))
    common = relay.exp(x)
    function = Function([x, f], If(f, relay.sin(common), relay.log(common)) * common)
    check_grad(function, [np.array([0.1, 0.5, -0.3]), np.array(flag)], eps=1e-5)


def test_second_derivatives() -> None:
    x, y = Var("x", TensorType((3,), "float64")), Var("y", TensorType((3,), "float64"))
    first = gradient(Function([x], relay.sin(x) * relay.exp(x)))
    slope = Function([y], TupleGetItem(TupleGetItem(Call(first, [y]), 1), 0))
    value = np.array([0.1, 0.5, -0.3])
    _, (second,) = run(gradient(slope), IRModule(), value)
    np.testing.assert_allclose(second.numpy(), 2 * np.cos(value) * np.exp(value))


def test_refused() -> None:
    box, scalar = GlobalTypeVar("Box"), TensorType((), "float64")
    constructor = Constructor("Box", [scalar], box)
    module = IRModule()
    module[box] = TypeData(box, [], [constructor])
    x = Var("x", scalar)
    with pytest.raises(UnsupportedError, match="the fields of Box have fixed types"):
        gradient(Function([x], constructor(x)), module)
