"""Every operator against all that its declaration says: a record is a row, a check a column."""

from collections.abc import Sequence

import numpy as np
import pytest

import relay.frontend.onnx  # noqa: F401  (declares `onnx.node`)
from op import (
    compiled,
    gradients,
    records,
    records_edges,
    records_found,
    records_gradient,
    records_host,
    records_late,
    records_lists,
    records_marks,
    records_ml,
    records_more,
    records_nn,
    records_packed,
    records_qnn,
    records_random,
    records_text,
    records_vision,
)
from op.record import Array, Record, Value
from relay import dtypes
from relay.executor import create_executor
from relay.ir.equal import assert_structural_equal
from relay.ir.expr import Expr, Function, Op, Tuple, TupleGetItem, const
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.parser import parse
from relay.ir.types import SizeVar, TensorType, TupleType, flatten_tensor_types
from relay.op import list_names
from relay.target import Target
from relay.testing import evaluate_operator

RECORDS: list[Record] = [
    *records.RECORDS,
    *records_nn.RECORDS,
    *records_gradient.RECORDS,
    *records_host.RECORDS,
    *records_edges.RECORDS,
    *records_found.RECORDS,
    *records_late.RECORDS,
    *records_marks.RECORDS,
    *records_ml.RECORDS,
    *records_more.RECORDS,
    *records_qnn.RECORDS,
    *records_text.RECORDS,
    *records_packed.RECORDS,
    *records_random.RECORDS,
    *records_vision.RECORDS,
]

NARROW = compiled.narrow_targets()

#: Operators without a record, and why.
EXEMPT: dict[str, str] = {
    **records.EXEMPT,
    **records_nn.EXEMPT,
    **records_late.EXEMPT,
    **records_lists.EXEMPT,
    **records_more.EXEMPT,
    **records_random.EXEMPT,
}


def unless_skipped(record: Record, check: str) -> None:
    if check in record.skip:
        pytest.skip(record.skip[check])


def declaration_of(record: Record) -> Operator:
    declaration = record.call()[0].attrs
    assert isinstance(declaration, Operator)
    return declaration


def as_tuple(value: Value) -> tuple[Array, ...]:
    return value if isinstance(value, tuple) else (np.asarray(value),)


def flat(arguments: Sequence[Value]) -> list[Array]:
    return [array for argument in arguments for array in as_tuple(argument)]


def expected_of(record: Record) -> tuple[Array, ...]:
    return as_tuple(declaration_of(record).reference(*record.arrays()))


def assert_close(record: Record, found: Sequence[Array], expected: Sequence[Array]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if a.dtype == object:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=record.tolerance, atol=record.tolerance)


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_infer(record: Record) -> None:
    unless_skipped(record, "infer")
    call, _ = record.call()
    declared = flatten_tensor_types(call.checked_type)
    actual = expected_of(record)
    found = [(a.shape, dtypes.from_numpy(a.dtype)) for a in actual]
    assert [(t.shape, t.dtype) for t in declared] == found


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_infer_any(record: Record) -> None:
    """With every size of the inputs unknown, what is inferred still admits what happens."""
    unless_skipped(record, "infer_any")
    call, _ = record.call()
    assert isinstance(call.attrs, Operator)
    actual = expected_of(record)
    types = [records.with_unknown_sizes(a.checked_type) for a in call.args]
    declared = flatten_tensor_types(call.attrs.call_type(types))
    assert len(declared) == len(actual)
    for type_, array in zip(declared, actual, strict=True):
        assert type_.dtype == dtypes.from_numpy(array.dtype)
        assert len(type_.shape) == array.ndim
        for dim, size in zip(type_.shape, array.shape, strict=True):
            assert not isinstance(dim, int) or dim == size


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_infer_names(record: Record) -> None:
    """Sizes that have names: where a result has such a name, it has that size."""
    unless_skipped(record, "infer_any")
    call, _ = record.call()
    assert isinstance(call.attrs, Operator)
    types = [records.with_named_sizes(a.checked_type) for a in call.args]
    declared = flatten_tensor_types(call.attrs.call_type(types))
    for type_, array in zip(declared, expected_of(record), strict=True):
        for dim, size in zip(type_.shape, array.shape, strict=True):
            assert not isinstance(dim, SizeVar) or dim.name == f"n{size}"


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_compute(record: Record) -> None:
    unless_skipped(record, "compute")
    if works_on_text(record):
        pytest.skip("text has no tensor expression")
    declaration = declaration_of(record)
    if "compute" in declaration.missing:
        pytest.skip(declaration.missing["compute"])
    found = evaluate_operator(declaration, record.arrays())
    assert_close(record, found, expected_of(record))


SYMBOLIC = [
    *records.RECORDS,
    *records_more.RECORDS,
    *records_random.RECORDS,
    *records_vision.RECORDS,
]


@pytest.mark.parametrize("record", SYMBOLIC, ids=str)
def test_compute_symbolic(record: Record) -> None:
    """The tensor expression of a program whose sizes are known only at run time."""
    unless_skipped(record, "infer_any")
    declaration = declaration_of(record)
    if "compute" in declaration.missing:
        pytest.skip(declaration.missing["compute"])
    found = evaluate_operator(declaration, record.arrays(), symbolic=True)
    assert_close(record, found, expected_of(record))


@pytest.mark.parametrize("record", [r for r in RECORDS if declaration_of(r).expands], ids=str)
def test_expansion_keeps_the_type(record: Record) -> None:
    call, _ = record.call()
    assert isinstance(call.attrs, Operator)
    assert call.attrs.expand(*call.args).checked_type == call.checked_type


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_text(record: Record) -> None:
    unless_skipped(record, "text")
    call, variables = record.call()
    module = IRModule.from_expr(Function(variables, call))
    parsed = parse(module.astext())
    assert_structural_equal(parsed["main"], module["main"])


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_interpreter(record: Record) -> None:
    unless_skipped(record, "interpreter")
    call, variables = record.call()
    run = create_executor("debug", IRModule.from_expr(Function(variables, call))).evaluate()
    result = run(*flat(record.arrays()))
    results = result if isinstance(result, tuple) else (result,)
    assert_close(record, [r.numpy() for r in results], expected_of(record))


def works_on_text(record: Record) -> bool:
    return any(array.dtype == object for array in (*flat(record.arrays()), *expected_of(record)))


def check_compiled(record: Record, target: Target | None = None, level: int = 3) -> None:
    unless_skipped(record, "compiled")
    if works_on_text(record):
        pytest.skip("the host works on text: see tests/executor/vm/test_host.py")
    declaration = declaration_of(record)
    if "compute" in declaration.missing and not declaration.expands:
        pytest.skip(declaration.missing["compute"])
    call, variables = record.call()
    found = compiled.run_compiled(call, variables, flat(record.arrays()), target, level)
    assert_close(record, found, expected_of(record))


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_compiled(record: Record) -> None:
    check_compiled(record)


@pytest.mark.parametrize("record", {r.op: r for r in reversed(RECORDS)}.values(), ids=str)
def test_compiled_without_passes(record: Record) -> None:
    check_compiled(record, level=0)


@pytest.mark.parametrize("target", NARROW.values(), ids=NARROW)
@pytest.mark.parametrize("record", {r.op: r for r in RECORDS}.values(), ids=str)
def test_compiled_for_older_machines(record: Record, target: Target) -> None:
    check_compiled(record, target)


SMOOTH = [
    *records.RECORDS,
    *records_found.RECORDS,
    *records_late.RECORDS,
    *records_nn.RECORDS,
    *records_gradient.RECORDS,
    *records_more.RECORDS,
    *records_qnn.RECORDS,
    *records_packed.RECORDS,
    *records_random.RECORDS,
    *records_vision.RECORDS,
]


@pytest.mark.parametrize("record", SMOOTH, ids=str)
def test_gradient(record: Record) -> None:
    """The gradient against central finite differences, in float64 at smooth points."""
    unless_skipped(record, "gradient")
    if "gradient" in declaration_of(record).missing:
        pytest.skip(declaration_of(record).missing["gradient"])
    smooth = gradients.as_float64(record)
    if smooth is None:
        pytest.skip("nothing to differentiate by")
    call, variables = smooth.call()
    arrays = flat(smooth.arrays())
    declaration = declaration_of(smooth)
    outputs = flatten_tensor_types(call.checked_type)
    if all(t.dtype != "float64" for t in outputs):
        pytest.skip("the result is not floating point: no gradient reaches it")
    weights = gradients.weights_of(outputs)

    def number(*moved: Array) -> float:
        values = gradients.variables_with(variables, moved)
        results = as_tuple(gradients.evaluate(call, values))
        return sum(
            float(np.sum(r * w))
            for r, w, t in zip(results, weights, outputs, strict=True)
            if t.dtype == "float64"
        )

    by = [a.dtype == np.float64 for a in arrays]
    expected = gradients.differences(number, arrays, by)
    parts = [const(np.asarray(w, t.dtype)) for w, t in zip(weights, outputs, strict=True)]
    grad = Tuple(parts) if isinstance(call.checked_type, TupleType) else parts[0]
    found = declaration.gradient(grad, call, *call.args)
    assert len(found) == len(call.args)
    leaves: list[Expr | None] = []
    for argument, part in zip(call.args, found, strict=True):
        if isinstance(argument, Tuple):
            fields = range(len(argument.fields))
            leaves += [None if part is None else TupleGetItem(part, k) for k in fields]
        else:
            leaves.append(part)
    values = gradients.variables_with(variables, arrays)
    for variable, leaf, slope, wanted in zip(variables, leaves, expected, by, strict=True):
        if not wanted:
            continue
        if leaf is not None:
            assert leaf.checked_type == variable.checked_type
        array = np.zeros_like(slope) if leaf is None else gradients.evaluate(leaf, values)
        np.testing.assert_allclose(array, slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in list_names() if not n.startswith("test.")])
def test_every_operator_has_a_gradient_or_a_reason(name: str) -> None:
    declaration = Op.get(name).declaration
    assert isinstance(declaration, type)
    assert issubclass(declaration, Operator)
    declared = declaration.gradient is not Operator.gradient
    assert declared or declaration.piecewise_constant or "gradient" in declaration.missing


def test_every_operator_has_a_record() -> None:
    recorded = {r.op for r in RECORDS}
    registered = {n for n in list_names() if not n.startswith("test.")}
    assert sorted(registered - recorded - EXEMPT.keys()) == []
    assert sorted(recorded & EXEMPT.keys()) == []
    assert sorted((recorded | EXEMPT.keys()) - registered) == []


@pytest.mark.parametrize("name", list_names())
def test_every_operator_is_documented(name: str) -> None:
    assert Op.get(name).declaration.__doc__


def test_types_of_records_are_tensors() -> None:
    for record in RECORDS:
        _, variables = record.call()
        assert all(isinstance(v.checked_type, TensorType) for v in variables)
