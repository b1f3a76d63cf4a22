"""Initial values of parameters, chosen by the suffix of the parameter's name."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from relay import codes, dtypes
from relay.infer import infer_types
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.ir.op import Array
from relay.ir.types import TensorType
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError

DATA: Final = "data"
"""The name of inputs: parameters of this name get no value."""


class Initializer:
    """Fills arrays in place: ``initializer("conv0_weight", array)``.

    Biases, betas and means become 0, gammas and variances 1; what a weight becomes is up to the
    derived class, which defines `_init_weight`. Raises `ValueError` for a name with another suffix
    (`_init_default`).
    """

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def reseed(self, seed: int) -> None:
        """Start the random numbers anew."""
        self.generator = np.random.default_rng(seed)

    def __call__(self, desc: str, arr: Array) -> None:
        """Fill `arr` with initial values for the parameter called `desc`."""
        rules: dict[str, Callable[[str, Array], None]] = {
            "weight": self._init_weight,
            "bias": self._init_bias,
            "gamma": self._init_gamma,
            "beta": self._init_beta,
            "mean": self._init_mean,
            "var": self._init_var,
        }
        for suffix, fill in rules.items():
            if desc.endswith(suffix):
                fill(desc, arr)
                return
        self._init_default(desc, arr)

    def _init_weight(self, name: str, arr: Array) -> None:
        raise TypeError(f"{type(self).__name__} does not say how to fill the weight {name}")

    def _init_bias(self, name: str, arr: Array) -> None:
        arr[...] = 0

    def _init_gamma(self, name: str, arr: Array) -> None:
        arr[...] = 1

    def _init_beta(self, name: str, arr: Array) -> None:
        arr[...] = 0

    def _init_mean(self, name: str, arr: Array) -> None:
        arr[...] = 0

    def _init_var(self, name: str, arr: Array) -> None:
        arr[...] = 1

    def _init_default(self, name: str, arr: Array) -> None:
        raise ValueError(
            f"no rule says how to fill the parameter {name}: expected a name that ends in weight, "
            "bias, gamma, beta, mean or var; override _init_default for others"
        )


class Xavier(Initializer):
    """Uniform weights whose variance keeps that of the signal (Glorot and Bengio, 2010).

    Weights lie within ``sqrt(magnitude / fan)``, where the fan is that into a unit, out of it, or
    the mean of both, by `factor_type` (``in``, ``out``, ``avg``); it is the size of the window for
    weights with ``depthwise`` in the name. `rnd_type` is ``uniform`` or ``gaussian`` (that bound is
    then the standard deviation). Raises `ValueError` for other options, and for a weight that is a
    vector.
    """

    def __init__(
        self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3
    ) -> None:
        super().__init__()
        if rnd_type not in ("uniform", "gaussian"):
            raise ValueError(f"rnd_type is uniform or gaussian, found {rnd_type!r}")
        if factor_type not in ("avg", "in", "out"):
            raise ValueError(f"factor_type is avg, in or out, found {factor_type!r}")
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: str, arr: Array) -> None:
        if arr.ndim < 2:
            raise ValueError(f"Xavier needs a weight of two axes or more, but {name} is a vector")
        window = math.prod(arr.shape[2:])
        fan_in, fan_out = arr.shape[1] * window, arr.shape[0] * window
        fan = {"avg": (fan_in + fan_out) / 2, "in": fan_in, "out": fan_out}[self.factor_type]
        scale = math.sqrt(self.magnitude / (window if "depthwise" in name else fan))
        if self.rnd_type == "uniform":
            arr[...] = self.generator.uniform(-scale, scale, size=arr.shape)
        else:
            arr[...] = self.generator.normal(0, scale, size=arr.shape)


class Constant(Initializer):
    """The elements of a weight are all equal and sum up to 1."""

    def _init_weight(self, name: str, arr: Array) -> None:
        arr[...] = 1 / max(arr.size, 1)


def _stored(values: Array, dtype: str) -> NDArray:
    """Finite `values` as an array of `dtype`, rounded to nearest."""
    if not dtypes.is_native(dtype):
        return NDArray(codes.encode(values, dtype), dtype)
    return NDArray(values.astype(dtypes.to_numpy(dtype)), dtype)


def create_workload(
    net: Function, initializer: Initializer | None = None, seed: int = 0
) -> tuple[IRModule, dict[str, NDArray]]:
    """A typed module with `net` as ``@main``, and values for its parameters by name.

    Every parameter not called ``data`` gets a value, by default of `Xavier`; the same `seed` gives
    the same values. A parameter of unknown shape gets none. Raises `TypeInferenceError` when `net`
    is ill typed, and what the initializer raises.
    """
    module = infer_types(IRModule.from_expr(net))
    initializer = Xavier() if initializer is None else initializer
    initializer.reseed(seed)
    parameters: dict[str, NDArray] = {}
    for variable in module["main"].params:
        found = variable.checked_type
        if variable.name_hint == DATA:
            continue
        if not isinstance(found, TensorType):
            raise RelayError(
                f"expected a tensor for the parameter %{variable.name_hint}, found {found}"
            )
        if found.is_static:
            values = np.zeros(found.concrete_shape, "float64")
            initializer(variable.name_hint, values)
            parameters[variable.name_hint] = _stored(values, found.dtype)
    return module, parameters
