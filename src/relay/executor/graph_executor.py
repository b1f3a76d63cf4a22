"""The graph executor behind `relay.create_executor`: compile, then call like a Python function."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay.executor.build import bind_params, build
from relay.executor.trace import At, Trace, chosen, with_results
from relay.executor.values import Argument, bind_arguments
from relay.infer import infer_types
from relay.ir.expr import Expr, Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.ir.types import FuncType, TensorType, TupleType, Type
from relay.ir.visit import post_order
from relay.runtime.device import Device, cpu
from relay.runtime.ndarray import NDArray, SupportsDLPack, from_dlpack
from relay.support.errors import InputError, UnsupportedError
from relay.target import Target

Result: TypeAlias = "NDArray | tuple[Result, ...]"


class CompiledFunction:
    """A compiled function: called with arrays by position or by name, returns arrays.

    Takes NumPy arrays, `NDArray`, arrays of any library that speaks DLPack, numbers and lists.
    Gives an `NDArray`, or a tuple (of tuples) of them where the function's result is one. Each
    result has memory of its own. Raises `InputError` for missing, unknown and unfit arguments.
    """

    def __init__(
        self,
        module: IRModule,
        device: Device,
        target: Target | str | None,
    ) -> None:
        module = infer_types(module)  # the result's type is read off `main`
        self._module = build(module, target)["default"](device)
        main = module["main"]
        self._variables = main.params
        type_ = main.checked_type
        assert isinstance(type_, FuncType)
        self._type = type_.ret_type

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        """Run the function once."""
        named = {k: _shared(v) for k, v in kwargs.items()}
        values = bind_arguments(self._variables, [_shared(a) for a in args], named)
        arrays = [v for v in values if isinstance(v, NDArray)]
        return _nested(self._type, iter(self._module(*arrays)))


class GraphExecutor:
    """Compiles functions of `mod` for `target` and runs them on `device` (Relay's GraphExecutor).

    `params` are values of parameters of ``@main`` by name, which become constants of it.
    """

    def __init__(
        self,
        mod: IRModule | None = None,
        device: object = None,
        target: object = None,
        params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
    ) -> None:
        if target is not None and not isinstance(target, Target | str):
            raise InputError(f'expected "llvm" or a relay.target.Target, not {target!r}')
        if device is not None and not isinstance(device, Device):
            raise InputError(f"expected a device, such as relay.cpu(0), not {device!r}")
        self.mod = IRModule() if mod is None else mod
        self.device = cpu(0) if device is None else device
        self.target = target
        self.params = dict(params or {})

    def evaluate(
        self, expr: Expr | None = None, binds: Mapping[Var, Argument] | None = None
    ) -> "CompiledFunction | Result":
        """`expr`, by default ``@main`` of the module, compiled.

        A function comes back as a `CompiledFunction`; the value of any other expression, whose free
        variables `binds` gives, as an `NDArray` or a tuple of them.

        Raises what `relay.build` raises, and `InputError` for unfit values in `binds`.
        """
        module, values = self._program(expr, binds)
        compiled = self._compile(module)
        return compiled if values is None else compiled(*values)

    def trace(
        self, at: At, expr: Expr | None = None, binds: Mapping[Var, Argument] | None = None
    ) -> "Callable[..., Trace] | Trace":
        """Like `evaluate`, but what comes back is a `Trace`: the result, and values on the way.

        `at` chooses the expressions to note: expressions of the program, names of operators, or a
        function that tells for each expression. They are further results of the program that is
        compiled, so that nothing is fused across them: rounding may differ from `evaluate`'s.

        Raises what `evaluate` raises, and `InputError` when `at` chooses nothing.
        """
        module, values = self._program(expr, binds)
        main = module["main"]
        nodes = chosen([main.body], at)
        if any(isinstance(n, GlobalVar) and n.name_hint == "main" for n in post_order(main.body)):
            raise UnsupportedError(
                'this program is recursive; relay.create_executor("debug", mod).trace(...) runs it'
            )
        compiled = self._compile(module.with_function("main", with_results(main, nodes)))

        def run(*args: Any, **kwargs: Any) -> Trace:
            """Call the function with arrays, by position or by name."""
            found = compiled(*args, **kwargs)
            assert isinstance(found, tuple)
            return Trace(found[0], tuple(zip(nodes, found[1:], strict=True)))

        return run if values is None else run(*values)

    def _program(
        self, expr: Expr | None, binds: Mapping[Var, Argument] | None
    ) -> tuple[IRModule, list[Argument] | None]:
        """A module whose ``@main`` is `expr`; its arguments, where `expr` is not a function."""
        root = self.mod.get_global_var("main") if expr is None else expr
        if isinstance(root, GlobalVar):
            module = self.mod.with_function("main", self.mod[root])
            is_main = root.name_hint == "main"
            return bind_params(module, self.params if is_main else None), None
        if isinstance(root, Function):
            return self.mod.with_function("main", root), None
        values = dict(binds or {})
        module = self.mod.with_function("main", Function(list(values), root))
        return module, list(values.values())

    def _compile(self, module: IRModule) -> CompiledFunction:
        return CompiledFunction(module, self.device, self.target)


def _shared(value: Any) -> Any:
    """`value`, or where it is an array of another library, an array that shares its memory."""
    if isinstance(value, NDArray | np.ndarray | np.generic):
        return value
    return from_dlpack(value) if isinstance(value, SupportsDLPack) else value


def _nested(type_: Type, arrays: Iterator[NDArray]) -> Result:
    """The next of `arrays` as a value of type `type_`."""
    if isinstance(type_, TensorType):
        return next(arrays)
    assert isinstance(type_, TupleType)
    return tuple(_nested(field, arrays) for field in type_.fields)
