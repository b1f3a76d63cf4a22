"""The virtual machine gives what the interpreter gives, on every part of the language."""

import itertools
from typing import Any

import numpy as np
import pytest

import relay
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.support.errors import InputError, RelayError

HEADER = '#[version = "0.0.5"]\n'
X = np.arange(6, dtype=np.float32).reshape(2, 3)
T = "Tensor[(2, 3), float32]"


def module(text: str) -> relay.IRModule:
    return relay.parse(HEADER + text)


def with_prelude(text: str) -> relay.IRModule:
    return relay.parse(HEADER + text, init_module=relay.Prelude(relay.IRModule()).mod)


def plain(value: Any) -> Any:
    """A result as nested Python values, to compare."""
    match value:
        case relay.NDArray():
            return value.numpy().tolist()
        case tuple():
            return tuple(map(plain, value))
        case RefValue():
            return ("ref", plain(value.value))
        case ConstructorValue():
            return (value.constructor.name_hint, *map(plain, value.fields))
    raise AssertionError(f"a result that nobody expects: {value!r}")


def agree(mod: relay.IRModule, *args: Any) -> Any:
    """The value of @main, the same on the interpreter and the machine."""
    expected = relay.create_executor("debug", mod=mod).evaluate()(*args)
    found = relay.create_executor("vm", mod=mod).evaluate()(*args)
    assert_same(plain(found), plain(expected))
    return plain(found)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert isinstance(found, type(expected))
        for mine, theirs in zip(found, expected, strict=True):
            assert_same(mine, theirs)
    elif isinstance(expected, str):
        assert found == expected
    else:
        assert found == pytest.approx(expected, rel=1e-5)


PROGRAMS = {
    "closure that captures": f"""def @main(%x: {T}) {{
        let %f = fn(%y: {T}) {{ multiply(%y, %x) }};
        %f(%f(%x)) }}""",
    "closure that escapes": f"""def @adder(%x: {T}) {{ fn(%y: {T}) {{ subtract(%y, %x) }} }}
        def @main(%x: {T}) {{ let %f = @adder(%x); let %g = @adder(%f(%x)); %g(%x) }}""",
    "function of functions": f"""def @twice(%f: fn({T}) -> {T}) {{ fn(%y: {T}) {{ %f(%f(%y)) }} }}
        def @main(%x: {T}) {{ let %g = @twice(fn(%z: {T}) {{ add(%z, %x) }}); @twice(%g)(%x) }}""",
    "global function as a value": f"""def @double(%x: {T}) {{ add(%x, %x) }}
        def @apply(%f: fn({T}) -> {T}, %x: {T}) -> {T} {{ %f(%x) }}
        def @main(%x: {T}) {{ (@apply(@double, %x), @apply(@double, exp(%x))) }}""",
    "recursive local function that captures": f"""def @main(%x: {T}) -> {T} {{
        let %loop = fn(%i: int32, %a: {T}) -> {T} {{
          if (less(%i, 5)) {{ %loop(add(%i, 1), add(%a, %x)) }} else {{ %a }} }};
        %loop(0, %x) }}""",
    "recursion that is not last": f"""def @main(%x: {T}) -> {T} {{
        let %down = fn(%i: int32) -> {T} {{
          if (equal(%i, 0)) {{ %x }} else {{ add(%down(subtract(%i, 1)), %x) }} }};
        %down(6) }}""",
    "functions that call each other": f"""
        def @even(%i: int32, %x: {T}) -> {T} {{
          if (equal(%i, 0)) {{ %x }} else {{ @odd(subtract(%i, 1), add(%x, 1f)) }} }}
        def @odd(%i: int32, %x: {T}) -> {T} {{
          if (equal(%i, 0)) {{ negative(%x) }} else {{ @even(subtract(%i, 1), %x) }} }}
        def @main(%x: {T}) {{ (@even(7, %x), @odd(6, %x)) }}""",
    "nested ifs": f"""def @main(%x: {T}) {{
        let %s = sum(%x);
        let %y = if (less(%s, 3f)) {{ if (less(%s, 1f)) {{ add(%x, %x) }} else {{ exp(%x) }} }}
                 else {{ if (less(%s, 99f)) {{ tanh(%x) }} else {{ %x }} }};
        multiply(%y, %x) }}""",
    "values shared by branches": f"""def @main(%x: {T}) {{
        %0 = exp(%x); %1 = less(sum(%x), 3f);
        %2 = if (%1) {{ add(%0, %x) }} else {{ multiply(%0, %0) }};
        (%2, %0, if (%1) {{ %2 }} else {{ %0 }}) }}""",
    "if of tuples": f"""def @main(%x: {T}) {{
        let %t = if (less(sum(%x), 3f)) {{ (%x, 1) }} else {{ (exp(%x), 2) }};
        (%t.1, %t.0, %t) }}""",
    "tuples through functions": f"""def @swap(%t: ({T}, ({T}, int32))) {{ ((%t.1).0, %t.0) }}
        def @main(%x: {T}) {{ let %a = @swap((%x, (exp(%x), 3))); concatenate(%a, axis=1) }}""",
    "operator on a tuple argument": f"""def @join(%t: ({T}, {T})) {{ concatenate(%t, axis=0) }}
        def @main(%x: {T}) {{ @join((%x, negative(%x))) }}""",
    "split": f"""def @main(%x: {T}) {{
        let %s = split(%x, indices_or_sections=3, axis=1);
        let %f = fn(%y: Tensor[(2, 1), float32]) {{ exp(%y) }};
        (%s, %s.0, %f(%s.1), add(%s.2, %s.0)) }}""",
    "duplicated results": f"""def @main(%x: {T}) {{
        let %y = exp(%x); (%y, %y, %x, 1f, ((%y, %x), %y)) }}""",
    "results that are only passed on": f"""def @main(%x: {T}) {{ let %t = (%x, 2f, %x); %t }}""",
    "a tuple constant": """def @main() { ((1, 2f), ()) }""",
    "no arguments": """def @main() { add(2f, 3f) }""",
    "a constant used often": f"""def @main(%x: {T}) {{
        let %f = fn(%c: float32) {{ add(%x, %c) }}; (%f(7f), %f(7f), 7f) }}""",
    "a let of a variable": f"""def @main(%x: {T}) {{ let %y = %x; let %z = %y; add(%z, %y) }}""",
    "effects in order": """def @main(%x: float32) {
        let %r = ref(%x);
        let %a = ref_read(%r);
        let %b = add(%a, 1f);
        ref_write(%r, multiply(%b, 2f));
        let %c = ref_read(%r);
        let %d = add(%c, %a);
        ref_write(%r, %d);
        (%a, %b, %c, ref_read(%r)) }""",
    "effects in functions": """def @main(%x: float32) {
        let %r = ref(%x);
        let %bump = fn() { let %v = ref_read(%r); ref_write(%r, add(%v, 1f)); %v };
        let %a = %bump(); let %b = %bump();
        if (less(%a, %b)) { ref_write(%r, 10f) } else { ref_write(%r, 20f) };
        let %c = %bump();
        (%a, %b, %c, ref_read(%r)) }""",
    "a knot through a reference": """def @main() {
        let %r = ref(fn(%i: int32) -> int32 { %i });
        let %f = fn(%i: int32) -> int32 {
          if (less(%i, 10)) { let %g = ref_read(%r); %g(add(%i, 3)) } else { %i } };
        ref_write(%r, %f);
        %f(0) }""",
    "polymorphic functions": f"""def @pair[A, B](%a: A, %b: B) {{ (%b, %a) }}
        def @main(%x: {T}) {{ @pair(@pair(%x, 1), exp(%x)) }}""",
    "match on a tuple": f"""type Both {{ Left({T}), Right(int32), Two(Both, Both), }}
        def @f(%p: (Both, Both)) -> {T} {{
          match (%p) {{
            (Two(Left(%a), Right(_)), Left(%b)) => {{ add(%a, %b) }},
            (Two(_, Left(%a)), _) => {{ %a }},
            (Left(%a), Left(%b)) => {{ multiply(%a, %b) }},
            (_, Left(%a)) => {{ negative(%a) }},
            _ => {{ zeros(shape=[2, 3], dtype="float32") }}, }} }}
        def @main(%x: {T}) {{
          let %l = Left(%x); let %r = Right(1);
          (@f((Two(%l, %r), %l)), @f((Two(%r, %l), %r)), @f((%l, %l)), @f((%r, %l)),
           @f((%r, %r)), @f((Two(%r, %r), %l))) }}""",
    "match that is not last": """type Maybe { Some(float32), None, }
        def @main(%x: float32) {
          let %f = fn(%m: Maybe) {
            let %y = exp(%x);
            let %v = match (%m) { Some(%a) => { add(%a, %y) }, None => { %y }, };
            multiply(%v, %y) };
          (%f(Some(%x)), %f(None)) }""",
    "tail calls in a match": """type Nat { S(Nat), Z, }
        def @count(%n: Nat, %i: int32) -> int32 {
          match (%n) { S(%m) => { @count(%m, add(%i, 1)) }, Z => { %i }, } }
        def @main() { @count(S(S(S(Z))), 0) }""",
    "constructors as functions": """type Box { Box(float32, int32), Empty, }
        def @apply(%f: fn(float32, int32) -> Box, %x: float32) -> Box { %f(%x, 2) }
        def @main(%x: float32) { (@apply(Box, %x), Empty) }""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    mod = module(PROGRAMS[name])
    given = {T: X, "float32": np.float32(0.5)}
    types = [str(p.checked_type) for p in mod["main"].params]
    agree(mod, *[given[t] for t in types])
    if types == [T]:
        agree(mod, X / 10)


def test_prelude_lists() -> None:
    mod = with_prelude("""def @main(%x: float32) {
        let %l = Cons(%x, Cons(2f, Cons(3f, Nil)));
        let %m = @map(fn(%a: float32) { multiply(%a, %a) }, %l);
        (%m, @rev(%l), @foldl(fn(%s: float32, %a: float32) -> float32 { add(%s, %a) }, 0f, %m),
         @length(%l), @zip(%l, %m), @concat(%l, %l), @nth(%l, 1), @filter(
           fn(%a: float32) { less(%a, 3f) }, %l)) }""")
    agree(mod, np.float32(1.5))


def test_deep_and_long() -> None:
    mod = module("""
        def @down(%i: int32) -> int32 {
          if (equal(%i, 0)) { 0 } else { add(@down(subtract(%i, 1)), 2) } }
        def @tail(%i: int32, %a: int32) -> int32 {
          if (equal(%i, 0)) { %a } else { @tail(subtract(%i, 1), add(%a, 3)) } }
        def @main(%d: int32, %t: int32) { (@down(%d), @tail(%t, 0)) }""")
    run = relay.create_executor("vm", mod=mod).evaluate()
    assert plain(run(10_000, 100_000)) == (20_000, 300_000)


def test_long_lists() -> None:
    mod = with_prelude("""def @main(%n: int32) {
        let %grow = fn(%i: int32, %l: List[int32]) -> List[int32] {
          if (equal(%i, 0)) { %l } else { %grow(subtract(%i, 1), Cons(%i, %l)) } };
        @map(fn(%a: int32) { add(%a, 1) }, %grow(%n, Nil)) }""")
    result = relay.create_executor("vm", mod=mod).evaluate()(10_000)
    values = []
    while result.fields:
        head, result = result.fields
        values.append(head.item())
    assert values == list(range(2, 10_002))


def test_long_chains_of_lets() -> None:
    mod = module("type Nat { S(Nat), Z, }\ndef @main() { Z }")
    successor, zero = mod.get_constructor("Nat", "S"), mod.get_constructor("Nat", "Z")
    variables = [relay.Var(f"n{k}") for k in range(100_000)]
    body: relay.Expr = variables[-1]
    values = [relay.Call(zero, []), *[relay.Call(successor, [v]) for v in variables[:-1]]]
    for variable, value in zip(reversed(variables), reversed(values), strict=True):
        body = relay.Let(variable, value, body)
    result = relay.create_executor("vm", mod=mod.with_function("main", relay.Function([], body)))
    value = result.evaluate()()
    depth = 0
    while value.fields:
        (value,), depth = value.fields, depth + 1
    assert depth == 99_999


def test_functions_as_results() -> None:
    mod = module(f"""def @main(%x: {T}) {{
        (fn(%y: {T}) {{ add(%y, %x) }}, fn(%f: fn({T}) -> {T}) -> {T} {{ %f(%x) }}) }}""")
    add, apply = relay.create_executor("vm", mod=mod).evaluate()(X)
    np.testing.assert_array_equal(add(X).numpy(), X + X)
    np.testing.assert_array_equal(apply(add).numpy(), X + X)
    with pytest.raises(InputError, match="compiled code for arguments"):
        add(X[0])
    with pytest.raises(InputError, match="takes 2 arguments, found 3"):
        add(X, X)
    with pytest.raises(InputError, match="another program"):
        relay.create_executor("vm", mod=mod).evaluate()(X)[1](add)
    with pytest.raises(InputError, match="expected a function"):
        apply(X)


def test_data_goes_in_and_out() -> None:
    mod = with_prelude("def @main(%l: List[float32]) { @map(fn(%a: float32) { exp(%a) }, %l) }")
    make = relay.create_executor("debug", mod=with_prelude("def @main() { Cons(1f, Nil) }"))
    given = make.evaluate()()
    assert agree(mod, given)[0] == "Cons"
    found = relay.create_executor("vm", mod=mod).evaluate()
    assert plain(found(found(given)))[0] == "Cons"
    other = module("type Other { Cons(float32), }\ndef @main() { Cons(1f) }")
    stranger = relay.create_executor("debug", mod=other).evaluate()()
    with pytest.raises(InputError, match="no constructor Other"):
        found(stranger)


def test_references_as_arguments_are_written() -> None:
    mod = module("""def @main(%r: ref(float32)) {
        ref_write(%r, add(ref_read(%r), 1f)); (%r, %r) }""")
    cell = RefValue(relay.NDArray(np.float32(1)))
    first, second = relay.create_executor("vm", mod=mod).evaluate()(cell)
    assert first is second is cell
    assert plain(cell) == ("ref", 2.0)


def test_a_match_without_a_clause() -> None:
    mod = module("""type Maybe { Some(float32), None, }
        def @main(%x: float32) { match? (Some(%x)) { None => { 1f }, } }""")
    with pytest.raises(RelayError, match="no clause"):
        relay.create_executor("vm", mod=mod).evaluate()(1.0)


def test_expressions_and_bindings() -> None:
    mod = module(f"def @f(%x: {T}) {{ exp(%x) }}\ndef @main(%x: {T}) {{ @f(@f(%x)) }}")
    executor = relay.create_executor("vm", mod=mod)
    f = mod.get_global_var("f")
    np.testing.assert_allclose(executor.evaluate(f)(X).numpy(), np.exp(X), rtol=1e-6)
    x = relay.var("x", shape=(2, 3))
    value = executor.evaluate(relay.Call(f, [relay.add(x, x)]), {x: X})
    np.testing.assert_allclose(value.numpy(), np.exp(2 * X), rtol=1e-6)
    g = executor.evaluate(relay.Function([x], relay.negative(x)))
    np.testing.assert_array_equal(g(X).numpy(), -X)


def test_combinations_of_branches() -> None:
    mod = module("""def @main(%a: bool, %b: bool, %x: float32) {
        let %u = if (%a) { let %t = add(%x, 1f); if (%b) { (%t, %x) } else { (%x, %t) } }
                 else { (multiply(%x, 3f), exp(%x)) };
        let %v = add(%u.0, %x);
        let %w = if (%b) { multiply(%v, %u.1) } else { %v };
        (%w, %v, %u) }""")
    for a, b in itertools.product((False, True), repeat=2):
        agree(mod, a, b, np.float32(2))
