"""Gradients against finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.executor import create_executor
from relay.infer import infer_types
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.transform.gradient import gradient

Array = npt.NDArray[Any]


def check_grad(
    func: Function,
    inputs: Sequence[Array] | None = None,
    test_inputs: Sequence[Array] | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    scale: float | None = None,
    mean: float = 0.0,
    mode: str = "higher_order",
    mod: IRModule | None = None,
) -> None:
    """Compare the gradients of `func` with central finite differences of step `eps`.

    `inputs` are one array a parameter, by default normally distributed with deviation `scale`
    (10 steps by default, as in Relay) around `mean`; `test_inputs` are those of `inputs` by which
    the gradients are compared, by default all that are floating point. The differences are taken
    in the data types of the program: they want ``float64``. Raises `AssertionError` where a
    gradient is not within `atol` and `rtol`, and `RelayError` where an input is missing.
    """
    module = IRModule() if mod is None else mod
    typed = infer_types(module.with_function("relay_check_grad", func))["relay_check_grad"]
    arrays = (
        _inputs(typed, 10 * eps if scale is None else scale, mean) if inputs is None else inputs
    )
    if len(arrays) != len(typed.params):
        raise RelayError(f"expected {len(typed.params)} inputs, found {len(arrays)}")
    forward = _runner(typed, module)
    backward = _runner(gradient(typed, module, mode), module)
    _, gradients = backward(*arrays)
    tested = arrays if test_inputs is None else test_inputs
    for k, (array, found) in enumerate(zip(arrays, gradients, strict=True)):
        chosen = any(array is t for t in tested)
        if chosen and dtypes.is_float(dtypes.from_numpy(np.asarray(array).dtype)):
            expected = _differences(forward, arrays, k, eps)
            name = typed.params[k].name_hint
            message = f"the gradient with respect to %{name}"
            np.testing.assert_allclose(found, expected, rtol, atol, err_msg=message)


def _inputs(function: Function, scale: float, mean: float) -> list[Array]:
    random = np.random.default_rng(0)
    arrays: list[Array] = []
    for parameter in function.params:
        type_ = parameter.checked_type
        if not isinstance(type_, TensorType) or not type_.is_static:
            raise RelayError(f"give inputs: %{parameter.name_hint} is {type_}")
        drawn = random.normal(mean, scale, type_.concrete_shape)
        arrays.append(np.asarray(drawn, dtypes.to_numpy(type_.dtype)))
    return arrays


def _runner(function: Function, module: IRModule) -> Callable[..., Any]:
    """`function` on arrays, through the interpreter."""
    main = module.with_function("main", function)
    run = create_executor("debug", main).evaluate()
    return lambda *arrays: _arrays(run(*arrays))


def _arrays(value: Any) -> Any:
    if isinstance(value, NDArray):
        return value.numpy()
    return tuple(_arrays(v) for v in value)


def _total(value: Any) -> float:
    """The sum of all floating-point elements in a value."""
    if isinstance(value, tuple):
        return sum(map(_total, value))
    return float(np.sum(value)) if np.issubdtype(value.dtype, np.floating) else 0.0


def _differences(
    forward: Callable[..., Any], arrays: Sequence[Array], chosen: int, eps: float
) -> Array:
    """Central differences of the sum of the result by the elements of one input."""
    array = np.asarray(arrays[chosen])
    slopes = np.zeros(array.shape)
    for place in np.ndindex(*array.shape):
        sides: list[float] = []
        for step in (eps, -eps):
            moved = np.array(array)
            moved[place] += step
            given = [moved if k == chosen else a for k, a in enumerate(arrays)]
            sides.append(_total(forward(*given)))
        slopes[place] = (sides[0] - sides[1]) / (2 * eps)
    return slopes
