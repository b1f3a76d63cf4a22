"""`LazyGradientInit`: types and values stay, zeros and ones are made when needed."""

import numpy as np
import pytest

import relay
from pass_helpers import tensor
from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.ir.well_formed import check_well_formed
from relay.support.errors import RelayError
from relay.transform import LazyGradientInit, PassContext, VerifyInstrument
from relay.transform.gradient import gradient

HEADER = '#[version = "0.0.5"]\n'
X = np.array([0.5, -0.2, 1.0], "float32")


def lazy(module: IRModule) -> IRModule:
    with PassContext(instruments=[VerifyInstrument()]):
        result = LazyGradientInit()(relay.infer_types(module))
    check_well_formed(result)
    return relay.infer_types(result)


def flat(value: object) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [array for field in value for array in flat(field)]
    return [value.numpy()]


def run(module: IRModule, *arrays: np.ndarray) -> list[np.ndarray]:
    return flat(relay.create_executor("debug", module).evaluate()(*arrays))


def check(module: IRModule, *arrays: np.ndarray) -> IRModule:
    """The module after the pass, which computes the same."""
    before = relay.infer_types(module)
    after = lazy(before)
    assert after["main"].checked_type == before["main"].checked_type
    for old, new in zip(run(before, *arrays), run(after, *arrays), strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_allclose(new, old, rtol=1e-5)
    return after


def main(*params: relay.Var, body: Expr) -> IRModule:
    return IRModule.from_expr(Function(params, body))


OPERATORS = {
    "zeros + x": lambda x: relay.zeros((3,), "float32") + x,
    "x + ones": lambda x: x + relay.ones((3,), "float32"),
    "ones + ones": lambda x: relay.ones_like(x) + relay.ones_like(x),
    "x * ones": lambda x: x * relay.ones_like(x),
    "x * zeros": lambda x: x * relay.zeros_like(x),
    "zeros * ones": lambda x: relay.zeros_like(x) * relay.ones_like(x),
    "broadcast": lambda x: relay.zeros((2, 3), "float32") + x * relay.ones((1,), "float32"),
    "others": lambda x: relay.exp(relay.zeros_like(x)) - relay.ones_like(x),
    "tuples": lambda x: relay.concatenate((x, relay.zeros_like(x)), axis=0),
    "projections": lambda x: relay.TupleGetItem(relay.Tuple([relay.ones_like(x), x]), 0) * x,
    "results": lambda x: relay.Tuple([relay.zeros_like(x), x, relay.Tuple([relay.ones_like(x)])]),
    "ifs": lambda x: relay.If(relay.sum(x) > relay.const(0.0), relay.zeros_like(x), x) + x,
    "integers": lambda x: relay.cast(x, "int32") * relay.ones((3,), "int32"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    x = tensor("x", 3)
    after = check(main(x, body=OPERATORS[name](x)), X)
    assert "GradCell" in {t.name_hint for t in after.get_global_type_vars()}


def test_sizes_that_are_not_known_do_not_take_zeros_for_neutral() -> None:
    x = relay.Var("x", relay.TensorType((relay.Any(),), "float32"))
    y = relay.Var("y", relay.TensorType((relay.Any(),), "float32"))
    check(main(x, y, body=relay.zeros_like(x) + y), X, X[:1])


def test_zeros_that_nobody_looks_at_are_not_made() -> None:
    x = tensor("x", 3)
    infinite = np.array([np.inf, np.nan, 1.0], "float32")
    after = lazy(main(x, body=x * relay.zeros_like(x)))
    np.testing.assert_array_equal(run(after, infinite)[0], np.zeros(3))


PROGRAMS = {
    "closures": """
        def @main(%x: Tensor[(3), float32]) {
          let %z = zeros_like(%x);
          let %f = fn (%g: fn (Tensor[(3), float32]) -> Tensor[(3), float32]) { add(%g(%z), %z) };
          (%f(fn (%a: Tensor[(3), float32]) { exp(%a) }), %f(fn (%b: Tensor[(3), float32]) { %b }))
        }""",
    "recursion": """
        def @loop(
          %n: int32, %s: Tensor[(3), float32], %x: Tensor[(3), float32]
        ) -> Tensor[(3), float32] {
          if (equal(%n, 0)) { %s } else { @loop(subtract(%n, 1), add(%s, %x), %x) }
        }
        def @main(%x: Tensor[(3), float32]) { @loop(4, zeros(shape=[3], dtype="float32"), %x) }""",
    "recursive closures": """
        def @main(%x: Tensor[(3), float32]) {
          let %loop = fn (%n: int32, %s: Tensor[(3), float32]) -> Tensor[(3), float32] {
            if (equal(%n, 0)) { %s } else { %loop(subtract(%n, 1), add(%s, %x)) }
          };
          %loop(4, zeros(shape=[3], dtype="float32"))
        }""",
    "references": """
        def @main(%x: Tensor[(3), float32]) {
          let %r = ref((zeros_like(%x), %x));
          let %u = ref_write(%r, (ref_read(%r).1, ones_like(%x)));
          ref_read(%r)
        }""",
    "data types": """
        type List[A] { Cons(A, List[A]), Nil }
        type Pair { P(Tensor[(3), float32], fn (Tensor[(3), float32]) -> Tensor[(3), float32]) }
        def @sum(%l: List[Pair]) -> Tensor[(3), float32] {
          match (%l) {
            Cons(P(%a, %f), %rest) => { add(%f(%a), @sum(%rest)) },
            Nil => { zeros(shape=[3], dtype="float32") },
          }
        }
        def @square(%x: Tensor[(3), float32]) { multiply(%x, %x) }
        def @main(%x: Tensor[(3), float32]) {
          let %one = P(%x, @square);
          @sum(Cons(%one, Cons(P(ones_like(%x), fn (%y: Tensor[(3), float32]) { sin(%y) }), Nil)))
        }""",
    "polymorphic values": """
        def @id[A](%x: A) -> A { %x }
        def @main(%x: Tensor[(3), float32]) {
          let %f = @id;
          add(@id((%x, 1)).0, @id(zeros_like(%x)))
        }""",
    "kernels": """
        def @main(%x: Tensor[(3), float32]) {
          let %k = fn (%p: Tensor[(3), float32], Primitive=1) { add(exp(%p), zeros_like(%p)) };
          %k(add(zeros_like(%x), %x))
        }""",
    "functions as parameters": """
        def @apply(%f: fn (Tensor[(3), float32]) -> (Tensor[(3), float32], int32)) {
          %f(zeros(shape=[3], dtype="float32"))
        }
        def @main(%x: Tensor[(3), float32]) {
          @apply(fn (%y: Tensor[(3), float32]) { (add(%x, %y), 3) })
        }""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    after = check(relay.parse(HEADER + PROGRAMS[name]), X)
    check(after, X)  # once more


def test_gradients() -> None:
    x, y = tensor("x", 3, dtype="float64"), tensor("y", 3, dtype="float64")
    module = IRModule()
    found = gradient(Function([x, y], relay.exp(x) * relay.sin(x * y) + x), module)
    check(module.with_function("main", found), X.astype("float64"), X.astype("float64"))


def test_gradients_of_recursion() -> None:
    module = relay.parse(HEADER + PROGRAMS["recursion"])
    found = gradient(module.get_global_var("main"), module)
    after = check(module.with_function("main", found), X)
    assert "loop_grad_lazy" in {g.name_hint for g in after}


def test_what_makes_no_zeros_is_left_alone() -> None:
    x = tensor("x", 3)
    module = relay.infer_types(main(x, body=relay.exp(x) + x))
    assert LazyGradientInit()(module) is module


def test_functions_of_references_keep_their_types() -> None:
    module = relay.parse(
        HEADER
        + """
        def @set(%r: ref(Tensor[(3), float32])) { ref_write(%r, zeros(shape=[3], dtype="float32")) }
        def @main(%x: Tensor[(3), float32]) {
          let %r = ref(%x);
          let %u = @set(%r);
          ref_read(%r)
        }"""
    )
    after = check(module, X)
    assert after["set"].checked_type == module["set"].checked_type


def test_other_types_of_the_name_are_an_error() -> None:
    x = tensor("x", 3)
    module = relay.parse(HEADER + "type GradCell[T] { Other(T) }\ndef @f(%x: int32) { %x }")
    module["main"] = Function([x], relay.zeros_like(x) + x)
    with pytest.raises(RelayError, match=r"a type GradCell that is not that of gradient\.rly"):
        LazyGradientInit()(module)


def test_a_long_chain_is_linear() -> None:
    x = tensor("x", 2)
    body: Expr = relay.zeros_like(x)
    for _ in range(3000):
        body = body + x
    after = LazyGradientInit()(main(x, body=body))
    assert len(post_order(after["main"])) < 60_000
    assert any(isinstance(node, Call) for node in post_order(after["main"]))
