"""What the property tests share: how many examples, running programs, comparing their values."""

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, settings

import relay
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.infer import infer_types
from relay.ir.module import IRModule
from relay.transform import RemoveUnusedFunctions

Value = str | np.ndarray | tuple["Value", ...]

#: Whether ``HYPOTHESIS_PROFILE=long`` asks for many examples.
LONG = settings.default.max_examples >= 2000


def examples(few: int, many: int) -> settings:
    """So many examples in every run of the tests, and so many in a long one."""
    return settings(
        max_examples=many if LONG else few,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def small(module: IRModule) -> IRModule:
    """The part of a program that runs, typed."""
    return infer_types(RemoveUnusedFunctions()(module))


def plain(value: object) -> Value:
    """A result as something that compares; a reference as what it holds."""
    match value:
        case relay.NDArray():
            return value.numpy()
        case tuple():
            return tuple(map(plain, value))
        case RefValue():
            return ("ref", plain(value.value))
        case ConstructorValue():
            return (value.constructor.name_hint, *map(plain, value.fields))
    raise AssertionError(f"a result that nobody expects: {value!r}")


def run(kind: str, module: IRModule, arguments: Sequence[object]) -> Value:
    """What ``@main`` gives on an executor."""
    return plain(relay.create_executor(kind, mod=module).evaluate()(*arguments))


def assert_close(found: Value, expected: Value, tolerance: float = 1e-4) -> None:
    """The same structure, data types and shapes; numbers up to `tolerance`."""
    if isinstance(expected, tuple):
        assert isinstance(found, tuple), (found, expected)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert_close(mine, theirs, tolerance)
    elif isinstance(expected, str):
        assert found == expected
    else:
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        if expected.dtype.kind == "f":
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(found, expected)
