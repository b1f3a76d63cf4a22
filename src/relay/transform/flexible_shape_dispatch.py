"""`FlexibleShapeDispatch`: a program of many batch sizes from copies for a few."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Tuple, TupleGetItem, Var, const
from relay.ir.module import IRModule
from relay.ir.types import Any, Dim, TensorType, TupleType, Type
from relay.ir.visit import substitute
from relay.support.errors import RelayError
from relay.transform.base import Pass, PassContext
from relay.transform.calls import make
from relay.transform.inline_calls import renamed


@dataclass(frozen=True)
class FlexibleShapeDispatch(Pass):
    """Make ``@main`` choose, at run time, a copy of itself for the size at hand.

    `buckets` are the sizes of dimension `axis` for which there are copies; the last resort,
    ``@main_dynamic``, takes any size. With `auto_pad` a size between two buckets is padded with
    `pad_value` to the larger one and, where it `affects_output`, the results are cut back along
    `axis`; this is right where the positions along `axis` do not depend on each other.
    `input_indices` numbers the parameters that have the dimension (None: those whose dimension is
    not known); the first of them tells the size, and all must agree.

    Raises `RelayError` where there are no buckets or no such parameters. With ``buckets=[8]``::

        def @main(%x: Tensor[(?, 3), float32]) { exp(%x) }
        ->
        def @main(%x: Tensor[(?, 3), float32]) {
          if (equal(take(shape_of(%x), 0), 8)) { @main_8(%x) } else { @main_dynamic(%x) }
        }
        def @main_8(%x: Tensor[(8, 3), float32]) { exp(%x) }
        def @main_dynamic(%x: Tensor[(?, 3), float32]) { exp(%x) }
    """

    buckets: Sequence[int] = ()
    axis: int = 0
    auto_pad: bool = False
    pad_value: float = 0
    input_indices: Sequence[int] | None = None
    affects_output: bool = True

    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        if not self.buckets or min(self.buckets) < 1:
            raise RelayError("FlexibleShapeDispatch: expected one or more positive buckets")
        main = module["main"]
        chosen = self._inputs(main)
        added: dict[GlobalVar, Function] = {}

        def copy(suffix: str, size: Dim) -> GlobalVar:
            func = _with_size(main, chosen, self.axis, size)
            name = _unused(f"main_{suffix}", module)
            variable = GlobalVar(name, func.checked_type)
            added[variable] = func
            return variable

        copies = {size: copy(str(size), size) for size in sorted(set(self.buckets))}
        rest = copy("dynamic", Any())
        params = _with_size(main, chosen, self.axis, Any()).params
        dispatch = Function(params, self._choice(params, chosen, copies, rest), attrs=main.attrs)
        others = {v: f for v, f in module.functions.items() if v.name_hint != "main"}
        entry = GlobalVar("main", dispatch.checked_type)
        return module.with_functions({entry: dispatch, **added, **others})

    def _inputs(self, main: Function) -> list[int]:
        """The positions of the parameters that have the dimension."""
        found: list[int] = []
        for k, parameter in enumerate(main.params):
            type_ = parameter.checked_type
            has_axis = isinstance(type_, TensorType) and -1 < self.axis < len(type_.shape)
            if self.input_indices is None:
                if has_axis and isinstance(type_.shape[self.axis], Any):  # type: ignore[attr-defined]
                    found.append(k)
            elif k in self.input_indices:
                if not has_axis:
                    raise RelayError(
                        f"FlexibleShapeDispatch: %{parameter.name_hint} has no axis {self.axis}, "
                        f"its type is {type_}"
                    )
                found.append(k)
        if not found:
            raise RelayError(
                f"FlexibleShapeDispatch: no parameter of @main has an unknown axis {self.axis}; "
                "name those to be dispatched by input_indices"
            )
        return found

    def _choice(
        self,
        params: Sequence[Var],
        chosen: Sequence[int],
        copies: dict[int, GlobalVar],
        rest: GlobalVar,
    ) -> Expr:
        """The call of the copy that fits, tried from the smallest on."""
        shape = make("shape_of", params[chosen[0]], dtype="int32")
        size = make("take", shape, const(self.axis, "int32"), axis=0)
        result: Expr = Call(rest, params)
        for bucket, variable in sorted(copies.items(), reverse=True):
            limit = const(bucket, "int32")
            if self.auto_pad:
                fits = make("less_equal", size, limit)
                call = self._padded(params, chosen, variable, bucket, size)
            else:
                fits = make("equal", size, limit)
                call = Call(variable, params)
            result = If(fits, call, result)
        return result

    def _padded(
        self,
        params: Sequence[Var],
        chosen: Sequence[int],
        variable: GlobalVar,
        bucket: int,
        size: Expr,
    ) -> Expr:
        """A call with the chosen parameters padded to `bucket`, its results cut back to `size`."""
        missing = make("subtract", const(bucket, "int32"), size)
        arguments: list[Expr] = list(params)
        for k in chosen:
            type_ = params[k].checked_type
            assert isinstance(type_, TensorType)
            after = np.zeros((len(type_.shape), 2), "int32")
            after[self.axis, 1] = 1
            width = make("multiply", const(after), missing)
            value = const(self.pad_value, type_.dtype)
            arguments[k] = make("dyn.nn.pad", params[k], width, value)
        call = Call(variable, arguments)
        if not self.affects_output:
            return call
        return self._cut(call, make("reshape", size, newshape=(1,)))

    def _cut(self, value: Expr, size: Expr) -> Expr:
        """The tensors in `value` cut to `size` along the axis."""
        found: Type = value.checked_type
        if isinstance(found, TupleType):
            fields = [TupleGetItem(value, k) for k in range(len(found.fields))]
            return Tuple([self._cut(field, size) for field in fields])
        if not isinstance(found, TensorType) or len(found.shape) <= self.axis:
            return value
        begin, step = (const([k], "int32") for k in (0, 1))
        return make("dyn.strided_slice", value, begin, size, step, axes=(self.axis,))


def _unused(name: str, module: IRModule) -> str:
    """`name`, with underscores after it until no function has it."""
    taken = {variable.name_hint for variable in module.functions}
    while name in taken:
        name += "_"
    return name


def _with_size(func: Function, chosen: Sequence[int], axis: int, size: Dim) -> Function:
    """A copy of `func` in which the `chosen` parameters have `size` at `axis`."""
    func = renamed(func)
    resized: dict[Var, Expr] = {}
    for k in chosen:
        type_ = func.params[k].checked_type
        assert isinstance(type_, TensorType)
        shape = (*type_.shape[:axis], size, *type_.shape[axis + 1 :])
        name = func.params[k].name_hint
        resized[func.params[k]] = Var(name, TensorType(shape, type_.dtype), func.params[k].span)
    result = substitute(func, resized)
    assert isinstance(result, Function)
    return Function(result.params, result.body, None, func.type_params, func.attrs, func.span)
