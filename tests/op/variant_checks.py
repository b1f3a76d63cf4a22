"""What is checked of a derived call: typed, interpreted, evaluated, compiled, within memory."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from op.record import Array
from op.variants import Variant, flat, shape_of
from relay import codes, dtypes, te
from relay.codegen.llvm.host import host_target
from relay.executor.build import build, lower_module
from relay.executor.interpreter import apply_operator
from relay.ir.equal import structural_equal
from relay.ir.expr import Expr, Function, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.parser import parse
from relay.ir.types import TensorType, TupleType, flatten_tensor_types
from relay.loop.interp import run as run_loops
from relay.lower.program import Value
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError, TypeInferenceError, UnsupportedError
from relay.testing.te_eval import evaluate_te

#: How far results may be from the reference, by the least precise type that takes part.
TOLERANCES: Mapping[str, float] = {
    "bfloat16": 4e-2, "float16": 1e-2, "float32": 2e-4, "float64": 1e-7,
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What is wrong with a variant, and where that showed."""

    variant: Variant
    stage: str
    message: str

    def __str__(self) -> str:
        return f"{self.variant}: {self.stage}: {self.message}"


@dataclass
class Expected:
    """What a variant gives by its reference; None where the reference refuses the indices."""

    variant: Variant
    arguments: list[NDArray]
    results: tuple[NDArray, ...] | None
    types: list[TensorType]


def leaves_of(values: Sequence[NDArray | tuple[NDArray, ...]]) -> list[NDArray]:
    """All arrays, fields of tuples among them."""
    return [f for v in values for f in (v if isinstance(v, tuple) else (v,))]


def expect(variant: Variant) -> Expected | Problem:
    """The reference's results, of the types that inference promises."""
    call, _ = variant.call()
    arrays = variant.arrays()
    try:
        types = flatten_tensor_types(call.checked_type)
    except RelayError as error:
        return Problem(variant, "infer", str(error))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing
            found = apply_operator(variant.declaration, arrays)
    except RelayError as error:
        # What NumPy refuses is an oversight of the reference, but of wrong indices it may say so.
        meant = error.__cause__ is None or isinstance(error.__cause__, RelayError)
        if variant.kind == "index" or (meant and variant.kind in ("special", "shape")):
            return Expected(variant, leaves_of(arrays), None, types)
        return Problem(variant, "reference", f"{type(error).__name__}: {error}")
    except Exception as error:
        return Problem(variant, "reference", f"{type(error).__name__}: {error}")
    results = found if isinstance(found, tuple) else (found,)
    assert all(isinstance(r, NDArray) for r in results)
    given = [(r.shape, r.dtype) for r in results]
    promised = [(t.shape, t.dtype) for t in types]
    for (shape, dtype), (size, declared) in zip(given, promised, strict=True):
        fits = len(shape) == len(size) and all(
            not isinstance(d, int) or d == n for d, n in zip(size, shape, strict=True)
        )
        if not fits or dtype != declared:
            return Problem(variant, "infer", f"promised {promised}, found {given}")
    return Expected(variant, leaves_of(arrays), results, types)


def tolerance_of(expected: Expected) -> float:
    """Relative, and absolute as a part of the largest number in the result."""
    held = [a.dtype for a in expected.arguments] + [t.dtype for t in expected.types]
    least = max((TOLERANCES[d] for d in held if d in TOLERANCES), default=0.0)
    loose = expected.variant.record.tolerance if "float64" not in held else 0.0
    return max(least, min(loose, 1e-2)) if least else 0.0


def difference(found: Sequence[Array], expected: Expected) -> str:
    """How values (not as stored) differ from the reference's; empty where they agree."""
    assert expected.results is not None
    if expected.variant.different is not None:
        return ""
    tolerance = tolerance_of(expected)
    for a, wanted in zip(found, expected.results, strict=True):
        b = codes.decode(wanted.numpy(), wanted.dtype)
        if a.shape != b.shape:
            return f"shape {a.shape}, expected {b.shape}"
        # A step of a small float is an eighth to the half of its value.
        rough = 0.26 if wanted.dtype in dtypes.SMALL_FLOATS else tolerance
        if not dtypes.is_float(wanted.dtype):
            rough = 0.0
        left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if rough == 0.0:
            same = np.array_equal(a, b)
        else:
            finite = np.abs(right[np.isfinite(right)])
            scale = max(1.0, float(finite.max())) if finite.size else 1.0
            same = np.allclose(left, right, rtol=rough, atol=rough * scale, equal_nan=True)
        if not same:
            wrong = ~np.isclose(left, right, rtol=rough, atol=rough, equal_nan=True)
            if not wrong.any():
                wrong = left != right
            places = np.argwhere(wrong)[:3].tolist()
            pairs = [(left[tuple(p)].item(), right[tuple(p)].item()) for p in places]
            return f"at {places} of {left.shape} found/expected {pairs}"
    return ""


def evaluated(expected: Expected) -> tuple[Array, ...]:
    """The results by the tensor expressions."""
    arguments = iter(expected.arguments)
    bound: dict[te.Tensor, Array] = {}

    def placeholder() -> te.Tensor:
        array = next(arguments)
        tensor = te.placeholder(array.shape, array.dtype, f"x{len(bound)}")
        bound[tensor] = codes.decode(array.numpy(), array.dtype)
        return tensor

    placeholders = [
        tuple(placeholder() for _ in i) if isinstance(i, tuple) else placeholder()
        for i in expected.variant.record.inputs
    ]
    results = expected.variant.declaration.compute(*placeholders)
    found = evaluate_te(results if isinstance(results, tuple) else (results,), bound)
    # Results are as precise as what is stored.
    return tuple(
        codes.decode(codes.encode(a, t.dtype), t.dtype) if not dtypes.is_native(t.dtype) else a
        for a, t in zip(found, expected.types, strict=True)
    )


def check_evaluated(expected: Expected) -> Problem | None:
    """The tensor expressions against the reference."""
    declaration = expected.variant.declaration
    if "compute" in declaration.missing or type(declaration).compute is Operator.compute:
        return None
    try:
        found = evaluated(expected)
    except Exception as error:
        return Problem(expected.variant, "compute", f"{type(error).__name__}: {error}")
    if expected.results is None:
        return None
    wrong = difference(found, expected)
    return Problem(expected.variant, "compute", wrong) if wrong else None


def compiles(variant: Variant) -> bool:
    """Whether machine code is made of the operator."""
    declaration = variant.declaration
    if declaration.host or any(
        not t.is_static for t in flatten_tensor_types(variant.call()[0].checked_type)
    ):
        return False
    return declaration.expands or "compute" not in declaration.missing


def module_of(batch: Sequence[Variant]) -> tuple[IRModule, list[int]]:
    """One function of all the calls, and how many results each has."""
    variables: list[Var] = []
    results: list[Expr] = []
    counts: list[int] = []
    for variant in batch:
        call, own = variant.call(len(variables))
        variables += own
        type_ = call.checked_type
        if isinstance(type_, TupleType):
            results += [TupleGetItem(call, k) for k in range(len(type_.fields))]
            counts.append(len(type_.fields))
        else:
            results.append(call)
            counts.append(1)
    return IRModule.from_expr(Function(variables, Tuple(results))), counts


def check_text(batch: Sequence[Variant]) -> Iterator[Problem]:
    """Printed and parsed, calls are what they were."""
    module, _ = module_of(batch)
    try:
        if structural_equal(parse(module.astext())["main"], module["main"]):
            return
        message = "it parses as something else"
    except RelayError as error:
        message = str(error)
    if len(batch) == 1:
        yield Problem(batch[0], "text", message)
    else:
        for variant in batch:
            yield from check_text([variant])


def check_compiled(batch: Sequence[Expected]) -> Iterator[Problem]:
    """Machine code against the reference: all of `batch` compiled together."""
    module, counts = module_of([e.variant for e in batch])
    try:
        run = build(module).create()
        found = iter(run(*(a for e in batch for a in e.arguments)))
    except Exception as error:
        if len(batch) == 1:
            yield Problem(batch[0].variant, "compiled", f"{type(error).__name__}: {error}")
        else:
            for one in batch:
                yield from check_compiled([one])
        return
    for expected, count in zip(batch, counts, strict=True):
        arrays = [next(found) for _ in range(count)]
        if expected.results is None:
            continue
        wrong = difference([codes.decode(a.numpy(), a.dtype) for a in arrays], expected)
        if wrong:
            yield Problem(expected.variant, "compiled", wrong)


def check_memory(expected: Expected) -> Problem | None:
    """The loops that are compiled, run by the interpreter that checks every access."""
    module, _ = module_of([expected.variant])
    try:
        lowered = lower_module(module, host_target())
        held: dict[Value, Array] = {
            v.storage: a.numpy()
            for v, a in zip(lowered.program.inputs, expected.arguments, strict=True)
        }

        def array(value: Value) -> Array:
            if value.storage.constant is not None:
                return value.storage.constant.data.numpy().reshape(value.type.concrete_shape)
            return held[value.storage].reshape(value.type.concrete_shape)

        kernels = {k.name: k for k in lowered.kernels}
        for step, called in zip(lowered.program.steps, lowered.steps, strict=True):
            loops = kernels[called.kernel].scheduled
            extra = len(loops.params) - loops.outputs - len(step.inputs)
            if extra or kernels[called.kernel].packs:
                return None
            given = zip(loops.params, step.inputs, strict=False)
            made = run_loops(loops, *(array(v).reshape(b.shape) for b, v in given))
            held.update(zip((v.storage for v in step.outputs), made, strict=True))
    except Exception as error:
        return Problem(expected.variant, "memory", f"{type(error).__name__}: {error}")
    return None


def check_gradient(variant: Variant) -> Problem | None:
    """The gradients have the types of the arguments."""
    declaration = variant.declaration
    if declaration.piecewise_constant or "gradient" in declaration.missing:
        return None
    if any(s.dtype in dtypes.SMALL for s in flat(variant.record.inputs)):
        return None
    call, _ = variant.call()
    outputs = flatten_tensor_types(call.checked_type)
    if not any(dtypes.is_float(t.dtype) and t.dtype not in dtypes.SMALL for t in outputs):
        return None
    if not all(t.is_static for t in outputs):
        return None
    parts = [Var(f"g{k}", t) for k, t in enumerate(outputs)]
    grad: Expr = Tuple(parts) if isinstance(call.checked_type, TupleType) else parts[0]
    try:
        for part, argument in zip(
            declaration.gradient(grad, call, *call.args), call.args, strict=True
        ):
            if part is not None and part.checked_type != argument.checked_type:
                why = f"{part.checked_type} for an argument {argument.checked_type}"
                return Problem(variant, "gradient", why)
    except UnsupportedError:
        return None  # it says so
    except TypeInferenceError as error:
        # A gradient is of operators that refuse what has no elements.
        empty = any(0 in shape_of(s) for s in flat(variant.record.inputs))
        return None if empty else Problem(variant, "gradient", str(error))
    except Exception as error:
        return Problem(variant, "gradient", f"{type(error).__name__}: {error}")
    return None


def problems(variants: Sequence[Variant], size: int = 16) -> Iterator[Problem]:
    """All that is wrong with `variants`, compiled `size` at a time."""
    compiled: list[Expected] = []
    for variant in variants:
        expected = expect(variant)
        if isinstance(expected, Problem):
            yield expected
            continue
        checks: list[Callable[[], Problem | None]] = [
            lambda e=expected: check_evaluated(e),
            lambda v=variant: check_gradient(v),
        ]
        if compiles(variant):
            compiled.append(expected)
            if variant.kind == "index":
                checks.append(lambda e=expected: check_memory(e))
        for check in checks:
            problem = check()
            if problem is not None:
                yield problem
    for start in range(0, len(variants), size):
        yield from check_text(variants[start : start + size])
    for start in range(0, len(compiled), size):
        yield from check_compiled(compiled[start : start + size])
