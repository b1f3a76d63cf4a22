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


PAIR = """
type Pair { P(Tensor[(3), float32], Tensor[(3), float32]), Both(Pair, Pair) }
def @dot(%p: Pair) -> Tensor[(3), float32] {
  match (%p) {
    P(%a, %b) => { multiply(%a, sin(%b)) },
    Both(P(%a1, _), %q) => { add(%a1, @dot(%q)) },
    Both(%p1, %q1) => { multiply(@dot(%p1), @dot(%q1)) },
  }
}
def @main(%x: Tensor[(3), float32], %y: Tensor[(3), float32]) -> Tensor[(3), float32] {
  let %make = P;
  let %first = %make(%x, multiply(%x, %y));
  @dot(Both(Both(P(%y, %x), %first), %first))
}
"""


def test_data_types_with_fields_of_tensors() -> None:
    module = relay.parse(HEADER + PAIR)
    x, y = np.array([0.5, -0.2, 1.0], "float32"), np.array([1.5, 0.3, -0.4], "float32")
    function = gradient(module.get_global_var("main"), module)
    result, (by_x, by_y) = run(function, module, x, y)
    # (y + x sin(xy)) (x sin(xy))
    s, c = np.sin(x * y), np.cos(x * y)
    t, u = y + x * s, x * s
    np.testing.assert_allclose(result.numpy(), t * u, rtol=1e-5)
    np.testing.assert_allclose(by_x.numpy(), (s + x * y * c) * (t + u), rtol=1e-5)
    np.testing.assert_allclose(by_y.numpy(), (1 + x * x * c) * u + t * x * x * c, rtol=1e-5)
    assert "Pair_grad" in {t.name_hint for t in module.get_global_type_vars()}


def test_data_types_of_pairs_are_made_once() -> None:
    module = relay.parse(HEADER + PAIR)
    for _ in range(2):
        gradient(module.get_global_var("main"), module)
    assert [t.name_hint for t in module.get_global_type_vars()] == ["Pair", "Pair_grad"]


def test_a_type_of_the_users_own_is_not_taken_for_one_of_pairs() -> None:
    module = relay.parse(HEADER + "type Pair_grad { P_grad(float32) }" + PAIR)
    function = gradient(module.get_global_var("main"), module)
    x = np.ones(3, "float32")
    run(function, module, x, x)
    names = {t.name_hint for t in module.get_global_type_vars()}
    assert names == {"Pair_grad", "Pair", "Pair_grad_1"}


def test_data_types_inside_of_others_and_closures_in_fields() -> None:
    text = """
    type List[A] { Cons(A, List[A]), Nil }
    type Layer { Dense(float64, float64), Map(fn (float64) -> float64) }
    type Net { Net(List[Layer]) }
    def @apply(%l: List[Layer], %x: float64) -> float64 {
      match (%l) {
        Cons(Dense(%w, %b), %rest) => { @apply(%rest, add(multiply(%w, %x), %b)) },
        Cons(Map(%f), %others) => { @apply(%others, %f(%x)) },
        Nil => { %x },
      }
    }
    def @main(%x: float64, %w: float64) -> float64 {
      let %square = fn (%z: float64) -> float64 { multiply(%z, multiply(%z, %w)) };
      let %net = Net(Cons(Dense(%w, %x), Cons(Map(%square), Nil)));
      match (%net) { Net(%layers) => { @apply(%layers, %x) } }
    }
    """
    x, w = 0.7, 1.3
    by_x, by_w = slopes(text, x, w)
    inner = w * x + x  # and the result is w inner^2
    np.testing.assert_allclose(by_x, 2 * w * inner * (w + 1))
    np.testing.assert_allclose(by_w, inner**2 + 2 * w * inner * x)


def test_second_derivatives_through_data_types() -> None:
    text = """
    type Box { Box(float64) }
    def @main(%x: float64) -> float64 {
      match (Box(multiply(%x, %x))) { Box(%y) => { multiply(%y, %x) } }
    }
    """
    module = relay.parse(HEADER + text)
    first = gradient(module.get_global_var("main"), module)
    y = Var("y", TensorType((), "float64"))
    slope = Function([y], TupleGetItem(TupleGetItem(Call(first, [y]), 1), 0))
    _, (second,) = run(gradient(slope, module), module, np.asarray(1.5))
    np.testing.assert_allclose(second.numpy(), 6 * 1.5)


def test_refused() -> None:
    box, scalar = GlobalTypeVar("Box"), TensorType((), "float64")
    constructor = Constructor("Box", [scalar], box)
    module = IRModule()
    module[box] = TypeData(box, [], [constructor])
    x = Var("x", scalar)
    with pytest.raises(UnsupportedError, match=r"tensors and tuples of them, found .* Box"):
        gradient(Function([x], constructor(x)), module)
