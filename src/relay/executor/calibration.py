"""Values at the edges of the functions of external compilers, as quantisers want them."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from relay.executor.graph_executor import CompiledFunction
from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Tuple, TupleGetItem
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType
from relay.ir.visit import post_order
from relay.runtime.device import cpu
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.transform.compiler_functions import InlineCompilerFunctionsBoundTo


class Calibration(TypedDict):
    """What goes into a function and what comes out of it, in the order of its type."""

    inputs: list[NDArray]
    outputs: list[NDArray]


def get_calibration_data(
    mod: IRModule, data: Mapping[str, NDArray | npt.NDArray[np.generic]]
) -> dict[GlobalVar, Calibration]:
    """The values at each global function with the attribute ``Compiler`` when `mod` runs on `data`.

    `data` gives the arguments of ``@main`` by name. ``@main`` calls the functions directly, outside
    of branches, and each once (what `relay.transform.PartitionGraph` makes is so); arguments
    are tensors, results tensors or tuples of tensors. The program runs compiled, on the CPU.
    Raises `RelayError` where it is otherwise, and `InputError` for unfit `data`.
    """
    compilers = {g: f for g, f in mod.functions.items() if "Compiler" in f.attrs}
    main = mod["main"]
    calls = _calls(main, {g.name_hint: g for g in compilers})
    values: list[Expr] = []
    for call in calls.values():
        values += [*_fields(call, call.args), *_results(call)]
    if not values:
        return {}
    probe = mod.with_function("main", main.with_body(Tuple(values)))
    probe = InlineCompilerFunctionsBoundTo(list(compilers))(probe)
    found = CompiledFunction(probe, cpu(0), None)(**data)
    assert isinstance(found, tuple)
    rest = [array for array in found if isinstance(array, NDArray)]
    result: dict[GlobalVar, Calibration] = {}
    for variable, call in calls.items():
        inputs, rest = rest[: len(call.args)], rest[len(call.args) :]
        count = len(_results(call))
        outputs, rest = rest[:count], rest[count:]
        result[variable] = {"inputs": inputs, "outputs": outputs}
    return result


def _calls(main: Function, compilers: Mapping[str, GlobalVar]) -> dict[GlobalVar, Call]:
    """The call of each function in the order of `compilers`."""
    found: dict[GlobalVar, Call] = {}
    for node in post_order(main.body, enter_primitive=False):
        if isinstance(node, If | Match | Function):
            raise RelayError(
                "calibration needs a program without branches and inner functions", node.span
            )
        if not isinstance(node, Call) or not isinstance(node.op, GlobalVar):
            continue
        variable = compilers.get(node.op.name_hint)
        if variable is None or variable in found:
            why = "is not for an external compiler" if variable is None else "is called twice"
            raise RelayError(f"calibration: @{node.op.name_hint} {why}", node.span)
        found[variable] = node
    missing = [g.name_hint for g in compilers.values() if g not in found]
    if missing:
        raise RelayError(f"calibration: @main does not call @{', @'.join(missing)}")
    return {g: found[g] for g in compilers.values()}


def _fields(call: Call, values: tuple[Expr, ...]) -> tuple[Expr, ...]:
    for value in values:
        if not isinstance(value.checked_type, TensorType):
            raise RelayError(
                f"calibration: the functions of compilers take and give tensors, "
                f"found {value.checked_type}",
                call.span,
            )
    return values


def _results(call: Call) -> tuple[Expr, ...]:
    type_ = call.checked_type
    if not isinstance(type_, TupleType):
        return _fields(call, (call,))
    return _fields(call, tuple(TupleGetItem(call, k) for k in range(len(type_.fields))))
