"""`FlexibleShapeDispatch`: a program of many batch sizes from copies for a few."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Tuple, TupleGetItem, Var, const
from relay.ir.module import IRModule
from relay.ir.types import Any, Dim, TensorType, TupleType
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

    Raises `RelayError` where there are no buckets or no such parameters, or where the size of
    another dimension of a parameter to be padded is not known. With ``buckets=[8]``::

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
            shape = type_.shape if isinstance(type_, TensorType) else ()
            has_axis = -1 < self.axis < len(shape)
            if self.input_indices is None:
                if not has_axis or not isinstance(shape[self.axis], Any):
                    continue
            elif k not in self.input_indices:
                continue
            others = (*shape[: self.axis], *shape[self.axis + 1 :])
            known = not self.auto_pad or all(isinstance(d, int) for d in others)
            if not has_axis or not known:
                raise RelayError(
                    f"FlexibleShapeDispatch: %{parameter.name_hint} needs an axis {self.axis} and, "
                    f"to be padded, known sizes of the others; its type is {type_}"
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
                call = self._padded(params, chosen, variable, bucket)
            else:
                fits = make("equal", size, limit)
                call = Call(variable, params)
            result = If(fits, call, result)
        return result

    def _padded(
        self, params: Sequence[Var], chosen: Sequence[int], variable: GlobalVar, bucket: int
    ) -> Expr:
        """A call with the chosen parameters padded to `bucket`, its results cut back."""
        arguments: list[Expr] = list(params)
        for k in chosen:
            type_ = params[k].checked_type
            assert isinstance(type_, TensorType)
            # Enough for any size; of this the first `bucket` positions are taken.
            shape = (*type_.shape[: self.axis], bucket, *type_.shape[self.axis + 1 :])
            value = const(self.pad_value, type_.dtype)
            more = make("full", value, shape=TensorType(shape).concrete_shape, dtype=type_.dtype)
            longer = make("concatenate", Tuple([params[k], more]), axis=self.axis)
            first: dict[str, object] = {"begin": (0,), "end": (bucket,), "strides": (1,)}
            arguments[k] = make("strided_slice", longer, **first, axes=(self.axis,))
        call = Call(variable, arguments)
        return self._cut(call, params[chosen[0]]) if self.affects_output else call

    def _cut(self, value: Expr, like: Expr) -> Expr:
        """The tensors in `value` cut to the size that `like` has along the axis."""
        found = value.checked_type
        if isinstance(found, TupleType):
            fields = [TupleGetItem(value, k) for k in range(len(found.fields))]
            return Tuple([self._cut(field, like) for field in fields])
        if not isinstance(found, TensorType) or len(found.shape) <= self.axis:
            return value
        return make("slice_like", value, like, axes=(self.axis,))


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
