"""A fused graph as a program: kernels called one after the other on values in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.ir.expr import Call, Constant, Expr, Function, Op, Tuple, TupleGetItem, Var
from relay.ir.types import TensorType, flatten_tensor_types
from relay.ir.visit import post_order
from relay.support.errors import UnsupportedError


@dataclass(eq=False)
class Value:
    """A tensor of the program. `of` is the value whose memory it shares, for a reshaped view."""

    type: TensorType
    input: int | None = None
    constant: Constant | None = None
    of: "Value | None" = None

    @property
    def storage(self) -> "Value":
        """The value that owns the memory."""
        value = self
        while value.of is not None:
            value = value.of
        return value


Values: TypeAlias = "Value | tuple[Values, ...]"


@dataclass(frozen=True)
class Step:
    """A call of the fused function `source`: reads `inputs`, writes `outputs`."""

    source: Function
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass
class Program:
    """Steps in order of execution, with the parameters and results of the whole."""

    inputs: list[Value]
    input_names: list[str]
    outputs: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def flatten(values: Values) -> list[Value]:
    """The tensors of a value, from left to right."""
    if isinstance(values, Value):
        return [values]
    return [v for field_ in values for v in flatten(field_)]


def is_view(func: Function) -> bool:
    """Whether a fused function only gives its argument another shape."""
    return bool(func.attrs.get("reshape_only"))


def linearize(main: Function, copy: Callable[[TensorType], Function]) -> Program:
    """The fused function `main` as a program.

    `copy` makes the fused function that copies a tensor: used where a result is a parameter, a
    constant, a view of one of those, or given out twice. Raises `UnsupportedError` for control
    flow, which the graph executor does not do.
    """
    program = Program([], [p.name_hint for p in main.params])
    known: dict[Expr, Values] = {}
    for k, parameter in enumerate(main.params):
        type_ = parameter.checked_type
        if not isinstance(type_, TensorType):
            raise UnsupportedError(
                f"the parameter %{parameter.name_hint} has type {type_}; "
                "the graph executor takes tensors"
            )
        known[parameter] = Value(type_, input=k)
        program.inputs.append(flatten(known[parameter])[0])
    order = post_order(main.body, enter_primitive=False)
    for node in order:
        _check_straight(node)
    for node in order:
        _evaluate(node, known, program)
    _bind_outputs(program, flatten(known[main.body]), copy)
    return program


def _check_straight(node: Expr) -> None:
    """Raise `UnsupportedError` for what a program without control flow does not have."""
    match node:
        case Op() | Var() | Constant() | Tuple() | TupleGetItem():
            return
        case Function() as func if func.attrs.get("Primitive"):
            return
        case Call(op=Function() as func) if func.attrs.get("Primitive"):
            return
        case Function():
            found = "a function value"
        case Call():
            found = "a call of a function"
        case _:
            found = type(node).__name__
    raise UnsupportedError(
        f"the graph executor runs straight-line programs of operators; found {found}. "
        'The executors "debug" and "vm" run the whole language'
    )


def _evaluate(node: Expr, known: dict[Expr, Values], program: Program) -> None:
    match node:
        case Op() | Var() | Function():
            return
        case Constant():
            type_ = node.checked_type
            assert isinstance(type_, TensorType)
            known[node] = Value(type_, constant=node)
        case Tuple():
            known[node] = tuple(known[f] for f in node.fields)
        case TupleGetItem():
            whole = known[node.tuple_value]
            assert isinstance(whole, tuple)
            known[node] = whole[node.index]
        case Call(op=Function() as func):
            arguments = [v for a in node.args for v in flatten(known[a])]
            known[node] = _call(func, arguments, program)


def _call(func: Function, arguments: Sequence[Value], program: Program) -> Values:
    types = flatten_tensor_types(func.body.checked_type)
    if is_view(func) and len(arguments) == len(types) == 1:
        return Value(types[0], of=arguments[0])
    outputs = tuple(Value(t) for t in types)
    program.steps.append(Step(func, tuple(arguments), outputs))
    single = isinstance(func.body.checked_type, TensorType)
    return outputs[0] if single else outputs


def _bind_outputs(
    program: Program, results: Sequence[Value], copy: Callable[[TensorType], Function]
) -> None:
    """Make every result a value of its own, that a step computes."""
    taken: set[Value] = set()
    for result in results:
        storage = result.storage
        owned = storage.input is None and storage.constant is None and storage not in taken
        if not owned:
            fresh = Value(result.type)
            program.steps.append(Step(copy(result.type), (result,), (fresh,)))
            result, storage = fresh, fresh
        taken.add(storage)
        program.outputs.append(result)
