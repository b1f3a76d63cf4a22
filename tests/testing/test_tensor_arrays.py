"""Arrays of tensors of the prelude, on the interpreter and on the virtual machine."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import relay
from relay.compat import tvm
from relay.executor.interpreter import ConstructorValue
from relay.ir.types import Dim
from relay.ir.visit import post_order
from relay.prelude import StaticTensorArrayOps, TensorArrayOps, get_tensor_array_shape
from relay.support.errors import RelayError
from relay.tensor_array import MAX_RANK

PRINTED = Path(__file__).parents[1] / "text" / "infer" / "tensor_array.relay"
ANY = relay.Any()
SHAPE = (3, 2, 1, 2, 1, 2)
INDICES = relay.var("indices", shape=(ANY,), dtype="int32")
Plain = None | np.ndarray | list["Plain"]


def plain(value: object) -> Plain:
    """A value as Python data: an array as a list, an element without value as None."""
    if not isinstance(value, ConstructorValue):
        return value.numpy()
    name = value.constructor.name_hint
    if name in ("Cons", "Nil"):
        items = []
        while value.fields:
            head, value = value.fields
            items.append(plain(head))
        return items
    return None if name.startswith("tensor_nil") else plain(value.fields[0])


def same(found: Plain, expected: Plain) -> None:
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


def module_with(main: relay.Expr, params: Sequence[relay.Var], p: relay.Prelude) -> relay.IRModule:
    module = relay.IRModule(p.mod.functions, p.mod.type_definitions)
    module["main"] = relay.Function(params, main)
    return relay.infer_types(module)


def check(
    main: relay.Expr,
    params: Sequence[relay.Var],
    p: relay.Prelude,
    values: Sequence[np.ndarray],
    expected: Plain,
) -> None:
    """Both executors compute `expected` for `main`, a function of `params`."""
    module = module_with(main, params, p)
    for kind in ("debug", "vm"):
        same(plain(relay.create_executor(kind, mod=module).evaluate()(*values)), expected)


class Case:
    """A family, and three tensors of it as variables `x`, `y`, `z` and as `data`."""

    def __init__(self, dtype: str, shape: Sequence[int], static: Sequence[Dim] | None):
        self.p = relay.Prelude(relay.IRModule())
        self.ops: TensorArrayOps | StaticTensorArrayOps
        self.rows: TensorArrayOps | StaticTensorArrayOps
        if static is None:
            self.ops = self.rows = TensorArrayOps(self.p, dtype)
            self.constructor = f"tensor{len(shape)}"
            self.unstack = f"tensor_array_unstack_tensor{len(shape)}"
        else:
            self.ops = StaticTensorArrayOps(self.p, dtype, static)
            self.rows = StaticTensorArrayOps(self.p, dtype, (ANY, *static[1:]))
            self.constructor, self.unstack = "tensor_constructor", "tensor_array_unstack"
        self.ops.register()
        rng = np.random.default_rng(0)
        self.data = [rng.integers(0, 9, shape).astype(dtype) for _ in "xyz"]
        self.x, self.y, self.z = (relay.var(n) for n in "xyz")
        self.dtype, self.rank = dtype, len(shape)

    def __getattr__(self, name: str) -> relay.GlobalVar:
        return self.ops.get_global_var(name)

    def element(self, x: relay.Expr, rows: bool = False) -> relay.Expr:
        return (self.rows if rows else self.ops).get_ctor(self.constructor)(x)

    def array(self, *xs: relay.Expr, rows: bool = False) -> relay.Expr:
        ops = self.rows if rows else self.ops
        write = ops.get_global_var("tensor_array_write")
        found = ops.get_global_var("tensor_array")(relay.const(len(xs)))
        for k, x in enumerate(xs):
            found = write(found, relay.const(k), self.element(x, rows))
        return found


I0, I1, I3 = (relay.const(k) for k in (0, 1, 3))
THREE = np.array([2, 0, 2], "int32")
TWO = np.array([2, 0], "int32")
PARTS = np.array([1, 0, 2], "int32")

Make = Callable[[Case], relay.Expr]
Expect = Callable[[list[np.ndarray]], Plain]

ALL: dict[str, tuple[Make, np.ndarray, Expect]] = {
    "tensor_array": (lambda c: c.tensor_array(I3), TWO, lambda _: [None] * 3),
    "tensor_array_read": (
        lambda c: c.tensor_array_read(c.array(c.x, c.y), I1),
        TWO,
        lambda d: d[1],
    ),
    "tensor_array_write": (
        lambda c: c.tensor_array_write(c.tensor_array(I3), I1, c.element(c.z)),
        TWO,
        lambda d: [None, d[2], None],
    ),
    "tensor_array_scatter": (
        lambda c: c.tensor_array_scatter(c.array(c.x, c.x, c.x), INDICES, c.array(c.y, c.z)),
        TWO,
        lambda d: [d[2], d[0], d[1]],
    ),
    "tensor_expand_dims": (
        lambda c: c.tensor_expand_dims(c.element(c.y)),
        TWO,
        lambda d: d[1][None],
    ),
    "tensor_array_stack": (
        lambda c: c.tensor_array_stack(c.array(c.x, c.y, c.z)),
        TWO,
        lambda d: np.stack([d[0], d[1], d[2]]),
    ),
    "tensor_array_gather": (
        lambda c: c.tensor_array_gather(c.array(c.x, c.y, c.z), INDICES),
        THREE,
        lambda d: np.stack([d[2], d[0], d[2]]),
    ),
}
"""For every function a program, `INDICES` and what is expected."""

ROWS: dict[str, tuple[Make, np.ndarray, Expect]] = {
    "tensor_take": (
        lambda c: c.tensor_take(c.element(c.x), I1, I3),
        TWO,
        lambda d: d[0][1:3],
    ),
    "tensor_take_none": (
        lambda c: c.tensor_take(c.element(c.x), I1, I1),
        TWO,
        lambda d: d[0][1:1],
    ),
    "tensor_concatenate": (
        lambda c: c.tensor_concatenate(c.element(c.x), c.element(c.y)),
        TWO,
        lambda d: np.concatenate([d[0], d[1]]),
    ),
    "tensor_array_unstack": (
        lambda c: c.ops.get_global_var(c.unstack)(c.x),
        TWO,
        lambda d: list(d[0]),
    ),
    "tensor_array_split": (
        lambda c: c.tensor_array_split(
            c.array(c.y, c.y, c.y, c.z, rows=True), c.element(c.x), INDICES
        ),
        PARTS,
        lambda d: [d[0][:1], d[0][1:1], d[0][1:], d[2]],
    ),
    "tensor_array_concat": (
        lambda c: c.tensor_array_concat(c.array(*[c.x, c.y, c.z, c.y, c.x], rows=True)),
        TWO,
        lambda d: np.concatenate([d[0], d[1], d[2], d[1], d[0]]),
    ),
}
"""The same for the functions on rows, which families of scalars do not have."""

STATIC = {
    "tensor_get_data": (
        lambda c: c.tensor_get_data(c.tensor_array_read(c.array(c.x, c.y), I1)),
        TWO,
        lambda d: d[1],
    )
}


def run(case: Case, make: Make, indices: np.ndarray, expect: Expect) -> None:
    main = make(case)
    used = [v for v in (case.x, case.y, case.z, INDICES) if v in relay.analysis.free_vars(main)]
    known = {case.x: 0, case.y: 1, case.z: 2}
    values = [indices if v is INDICES else case.data[known[v]] for v in used]
    check(main, used, case.p, values, expect(case.data))


@pytest.mark.parametrize("rank", range(MAX_RANK))
@pytest.mark.parametrize("name", ALL)
def test_functions_on_tensors_of_any_shape(name: str, rank: int) -> None:
    run(Case("float32", SHAPE[:rank], None), *ALL[name])


@pytest.mark.parametrize("rank", range(1, MAX_RANK + 1))
@pytest.mark.parametrize("name", ROWS)
def test_functions_on_rows_of_tensors_of_any_shape(name: str, rank: int) -> None:
    run(Case("int32", SHAPE[:rank], None), *ROWS[name])


@pytest.mark.parametrize("static", [(), (3,), (3, 2), (ANY, 2)], ids=str)
@pytest.mark.parametrize("name", [*ALL, *STATIC])
def test_functions_on_tensors_of_one_shape(name: str, static: tuple[Dim, ...]) -> None:
    run(Case("float32", SHAPE[: len(static)], static), *{**ALL, **STATIC}[name])


@pytest.mark.parametrize("static", [(3,), (3, 2), (ANY, 2)], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_functions_on_rows_of_tensors_of_one_shape(name: str, static: tuple[Dim, ...]) -> None:
    run(Case("int32", SHAPE[: len(static)], static), *ROWS[name])


def test_an_array_of_tensors_of_different_ranks() -> None:
    case = Case("float32", (), None)
    one, two = (case.ops.get_ctor(f"tensor{n}") for n in (1, 2))
    array = case.tensor_array(I3)
    array = case.tensor_array_write(array, I0, one(case.x))
    array = case.tensor_array_write(array, I1, two(case.y))
    x, y = np.ones(3, "float32"), np.ones((2, 2), "float32")
    check(array, [case.x, case.y], case.p, [x, y], [x, y, None])


@pytest.mark.parametrize("ops", ["dynamic", "static"])
def test_empty_arrays(ops: str) -> None:
    case = Case("float32", (3, 2), None if ops == "dynamic" else (3, 2))
    check(case.tensor_array_stack(case.tensor_array(I0)), [], case.p, [], None)
    check(case.tensor_array_concat(case.array(rows=True)), [], case.p, [], None)


def test_an_element_without_value_cannot_be_joined() -> None:
    case = Case("float32", (2,), None)
    module = module_with(case.tensor_array_stack(case.tensor_array(I3)), [], case.p)
    for kind in ("debug", "vm"):
        with pytest.raises(RelayError, match="clause"):
            relay.create_executor(kind, mod=module).evaluate()()


def test_a_batch_of_one() -> None:
    p = relay.Prelude(relay.IRModule())
    ops = StaticTensorArrayOps(p, "float32", (2, 3), batch_dim=1)
    ops.register()
    assert ops.get_name("tensor_array_stack") == "tensor_array_stack_float32_batch1_2_3"
    assert ops.get_name("tensor_constructor") == "tensor_constructor_float32_2_3"
    stack = p.get_global_var_static("tensor_array_stack", "float32", (2, 3), 1)
    assert stack.name_hint == ops.get_name("tensor_array_stack")
    x = relay.var("x")
    write = ops.get_global_var("tensor_array_write")
    array = write(ops.get_global_var("tensor_array")(I1), I0, ops.get_ctor("tensor_constructor")(x))
    data = np.arange(6, dtype="float32").reshape(2, 3)
    grown = StaticTensorArrayOps(p, "float32", (1, 2, 3), 1)
    main = grown.get_global_var("tensor_get_data")(stack(array))
    assert relay.infer_types(module_with(main, [x], p))["main"].ret_type.shape == (1, 2, 3)
    check(main, [x], p, [data], data[None])


def test_scatter_and_split_for_known_sizes() -> None:
    p = relay.Prelude(relay.IRModule())
    ops = StaticTensorArrayOps(p, "int32", (4, 2))
    ops.register()
    ops.define_tensor_array_scatter((2,), True)
    scatter = p.mod.get_global_var(ops.get_name("tensor_array_scatter", {"indices": (2,)}))
    assert scatter.name_hint == "tensor_array_scatter_int32_4_2_indices_2"
    assert p.mod[scatter].params[1].checked_type == relay.TensorType((2,), "int32")
    split = ops.get_global_var("tensor_array_split")
    before = p.mod[split]
    ops.define_tensor_array_split((6, 2), (2,))
    assert p.mod[split] is before
    ops.define_tensor_array_split((6, 2), (2,), force_update=True)
    assert p.mod[split].params[2].checked_type == relay.TensorType((2,), "int32")
    rows = StaticTensorArrayOps(p, "int32", (ANY, 2))
    x, lengths = relay.var("x"), relay.var("lengths")
    value = p.get_tensor_ctor_static("tensor_constructor", "int32", (6, 2))(x)
    array = rows.get_global_var("tensor_array")(relay.const(2))
    main = ops.get_global_var("tensor_array_split")(array, value, lengths)
    data = np.arange(12, dtype="int32").reshape(6, 2)
    sizes = np.array([4, 2], "int32")
    check(main, [x, lengths], p, [data, sizes], [data[:4], data[4:]])


def test_a_loop_that_fills_an_array() -> None:
    p = relay.Prelude(relay.IRModule())
    write, stack = (
        p.get_global_var_static(f"tensor_array_{n}", "float32", (2,)) for n in ("write", "stack")
    )
    start = p.get_global_var_static("tensor_array", "float32", (2,))(relay.const(20))
    wrap = p.get_tensor_ctor_static("tensor_constructor", "float32", (2,))
    x = relay.var("x", shape=(2,), dtype="float32")
    array = p.l(p.get_type_static("tensor_t", "float32", (2,))())
    i, state = relay.var("i", "int32"), relay.var("state", x.type_annotation)
    filled = relay.var("filled", array)
    loop = relay.loops.while_loop(
        lambda i, *_: relay.less(i, relay.const(20)),
        [i, state, filled],
        lambda i, s, a: [i + I1, s + relay.const(1.0), write(a, i, wrap(s))],
    )
    main = stack(relay.TupleGetItem(loop(I0, x, start), 2))
    data = np.zeros(2, "float32")
    expected = np.repeat(np.arange(20, dtype="float32")[:, None], 2, 1)
    check(main, [x], p, [data], expected)


def test_names_and_parts() -> None:
    p = relay.Prelude()
    assert p.get_name("tensor_t", "int8") == "tensor_int8_t"
    assert p.get_name("tensor_array", "int8") == "tensor_array_int8"
    assert p.get_name_static("tensor_t", "int8", (2, ANY)) == "static_tensor_int8_2_any_t"
    assert p.get_name_static("tensor_nil", "int8", ()) == "tensor_nil_int8_scalar"
    tensor = p.get_type("tensor_t", "int8")
    constructors = p.mod.get_type("tensor_int8_t")[1:]
    assert [c.name_hint for c in constructors] == [
        "tensor_nil_int8",
        *(f"tensor{n}_int8" for n in range(7)),
    ]
    assert p.get_tensor_ctor("tensor2", "int8") is constructors[3]
    assert p.get_ctor("tensor_int8_t", "tensor2", "int8") is constructors[3]
    assert p.get_var("tensor_t", "int8") == tensor
    assert p.get_var("tensor_nil", "int8") is constructors[0]
    read = p.get_var("tensor_array_read", "int8")
    assert read is p.mod.get_global_var("tensor_array_read_int8")
    ops = TensorArrayOps(p, "int8")
    assert (ops.tensor_type_var, ops.get_var("tensor_array_read")) == (tensor, read)
    static = StaticTensorArrayOps(p, "int8", (2, ANY))
    assert static.get_var("tensor_t") == p.get_var_static("tensor_t", "int8", (2, ANY))
    nil = p.get_ctor_static("tensor_t", "tensor_nil", "int8", (2, ANY))
    assert nil is p.get_var_static("tensor_nil", "int8", (2, ANY)) is static.get_var("tensor_nil")
    take = p.get_var_static("tensor_take", "int8", (2, ANY))
    assert take is static.get_global_var("tensor_take")


@pytest.mark.parametrize(
    "ops",
    [
        lambda p: TensorArrayOps(p, "float32"),
        lambda p: StaticTensorArrayOps(p, "float32", (2, 3)),
        lambda p: StaticTensorArrayOps(p, "float32", ()),
    ],
)
def test_every_method_that_defines(ops: Callable[[relay.Prelude], TensorArrayOps]) -> None:
    whole, part = relay.Prelude(), relay.Prelude()
    ops(whole).register()
    family = ops(part)
    for name in dir(family):
        if name.startswith("define_"):
            getattr(family, name)()
    assert relay.structural_equal(whole.mod, part.mod)
    assert relay.infer_types(whole.mod) is whole.mod
    assert relay.structural_equal(relay.parse(whole.mod.astext()), whole.mod)
    before = dict(whole.mod.functions)
    ops(whole).register()
    assert whole.mod.functions == before


def test_families_of_one_module_share_their_types() -> None:
    p = relay.Prelude()
    for shape in ((2, 3), (4, 3), (ANY, 3)):
        StaticTensorArrayOps(p, "float32", shape).register()
    names = [t.name_hint for t in p.mod.get_global_type_vars()]
    assert names.count("static_tensor_float32_any_3_t") == 1
    for function in p.mod.functions.values():
        for node in post_order(function):
            if isinstance(node, relay.Constructor):
                assert node.type_data is p.mod[node.belong_to]


def test_a_printed_module() -> None:
    p = relay.Prelude(relay.IRModule())
    ops, rows, joined = (
        StaticTensorArrayOps(p, "float32", shape) for shape in ((2,), (3, 2), (ANY, 2))
    )
    read, write, stack = (
        ops.get_global_var(f"tensor_array_{name}") for name in ("read", "write", "stack")
    )
    x = relay.var("x", shape=(3, 2), dtype="float32")
    array = rows.get_global_var("tensor_array_unstack")(x)
    array = write(array, I1, read(array, relay.const(2)))
    p.mod["main"] = relay.Function([x], joined.get_global_var("tensor_get_data")(stack(array)))
    module = relay.transform.RemoveUnusedFunctions()(relay.infer_types(p.mod))
    expected = PRINTED.read_text(encoding="utf-8").partition("// ---- expect\n")[2]
    assert module.astext() == expected
    data = np.arange(6, dtype="float32").reshape(3, 2)
    same(plain(relay.create_executor("debug", mod=module).evaluate()(data)), data[[0, 2, 2]])


def test_the_shape_of_an_array() -> None:
    p = relay.Prelude()
    n = relay.var("n", "int32")
    for shape in ((), (2, ANY), (4,)):
        array = p.get_global_var_static("tensor_array", "float32", shape)(n)
        assert get_tensor_array_shape(array, "float32", p) == shape
    dynamic = p.get_global_var("tensor_array", "float32")(n)
    assert get_tensor_array_shape(dynamic, "float32", p) is None
    with pytest.raises(RelayError, match="expected an array of tensors of int32"):
        get_tensor_array_shape(dynamic, "int32", p)
    with pytest.raises(RelayError, match="expected an array of tensors"):
        get_tensor_array_shape(n, "int32", p)


def test_errors() -> None:
    p = relay.Prelude()
    with pytest.raises(RelayError, match="did you mean `tensor_array_read`"):
        p.get_global_var("tensor_array_reed", "float32")
    with pytest.raises(RelayError, match=r"shape \(scalar\) have no function tensor_take"):
        p.get_global_var_static("tensor_take", "float32", ())
    with pytest.raises(RelayError, match="unknown data type 'float33'"):
        p.get_global_var("tensor_array", "float33")
    with pytest.raises(RelayError, match=r"relay\.Any\(\), found \(-1, 2\)"):
        StaticTensorArrayOps(p, "float32", (-1, 2))
    with pytest.raises(RelayError, match="tensor9"):
        p.get_tensor_ctor("tensor9", "float32")


def test_a_program_of_tvm() -> None:
    module = tvm.IRModule()
    p = tvm.relay.prelude.Prelude(module)
    ops = tvm.relay.prelude.StaticTensorArrayOps(p, "float32", [tvm.relay.Any(), 3])
    ops.register()
    array = p.get_global_var_static("tensor_array", "float32", [tvm.relay.Any(), 3])
    write = p.get_global_var_static("tensor_array_write", "float32", [tvm.relay.Any(), 3])
    concat = p.get_global_var_static("tensor_array_concat", "float32", [tvm.relay.Any(), 3])
    tensor = p.get_tensor_ctor_static("tensor_constructor", "float32", [tvm.relay.Any(), 3])
    one, two = tvm.relay.var("one"), tvm.relay.var("two")
    filled = write(array(tvm.relay.const(2)), tvm.relay.const(0), tensor(one))
    filled = write(filled, tvm.relay.const(1), tensor(two))
    module["main"] = tvm.relay.Function([one, two], concat(filled))
    data = np.ones((2, 3), "float32"), np.zeros((1, 3), "float32")
    for kind in ("debug", "vm"):
        device = tvm.cpu(0)
        executor = tvm.relay.create_executor(kind, mod=module, device=device, target="llvm")
        same(plain(executor.evaluate()(*data)), np.concatenate(data))
