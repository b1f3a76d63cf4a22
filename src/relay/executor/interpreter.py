"""The reference interpreter: what a program means, by the NumPy references of its operators.

It shares no code with the compiler, evaluates each expression once and only where its value is
needed, and keeps its own stack, so that depth of a program is bounded by memory alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.adt import Constructor
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.expr import const as constant
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.op import Operator, attributes
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
)
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, InternalError, RelayError


@dataclass(frozen=True, eq=False)
class Frame:
    """One activation of a function: the values found so far, and the frame it was defined in."""

    values: "dict[Expr, Value]" = field(default_factory=dict)
    outer: "Frame | None" = None


@dataclass(frozen=True, eq=False)
class Closure:
    """A function together with the frame that its free variables live in."""

    function: Function
    frame: Frame


@dataclass(frozen=True, eq=False, repr=False)
class ConstructorValue:
    """What `constructor` makes of `fields`."""

    constructor: Constructor
    fields: "tuple[Value, ...]" = ()

    @property
    def tag(self) -> int:
        """The number of the constructor."""
        return self.constructor.tag

    def __repr__(self) -> str:
        # Only the outermost layer: a list may be long.
        fields = ", ".join(
            f"{f.constructor.name_hint}(..)" if isinstance(f, ConstructorValue) else repr(f)
            for f in self.fields
        )
        return f"{self.constructor.name_hint}({fields})"


@dataclass(eq=False)
class RefValue:
    """A reference: `value` is what it holds now."""

    value: "Value"


Value: TypeAlias = (
    "NDArray | tuple[Value, ...] | Closure | Op | Constructor | ConstructorValue | RefValue"
)
Argument: TypeAlias = (
    "NDArray | npt.ArrayLike | Constant | Sequence[Argument] | Closure | ConstructorValue"
    " | RefValue"
)
Callee: TypeAlias = Callable[..., Any]


@dataclass(slots=True)
class _Task:
    """An expression to evaluate in `frame`; `called` is the activation that a call waits for."""

    node: Expr
    frame: Frame
    called: Frame | None = None


class Machine:
    """Evaluates expressions over the functions of a module."""

    def __init__(self, module: IRModule) -> None:
        self.module = module

    def run(self, root: Expr, frame: Frame) -> Value:
        """The value of `root`, whose free variables have their values in `frame`."""
        stack = [_Task(root, frame)]
        with np.errstate(all="ignore"):
            while stack:
                task = stack[-1]
                if task.node in task.frame.values:
                    stack.pop()
                else:
                    stack.extend(self._step(task))
        return frame.values[root]

    def _step(self, task: _Task) -> list[_Task]:
        """Finish `task`, or say what must be evaluated before it can go on."""
        node, values = task.node, task.frame.values
        match node:
            case Constant():
                values[node] = node.data
            case Var():
                values[node] = _lookup(node, task.frame)
            case GlobalVar():
                values[node] = Closure(self.module[node], Frame())
            case Function():
                values[node] = Closure(node, task.frame)
            case Op() | Constructor():
                values[node] = node
            case RefCreate() | RefRead() | RefWrite():
                waiting = _unfinished(node.children(), task.frame)
                if waiting:
                    return waiting
                values[node] = _reference(node, values)
            case Match():
                if node.data not in values:
                    return [_Task(node.data, task.frame)]
                return self._forward(task, _chosen_clause(node, values))
            case Tuple() | TupleGetItem():
                waiting = _unfinished(node.children(), task.frame)
                if waiting:
                    return waiting
                values[node] = _project(node, values)
            case Let():
                if node.value not in values:
                    return [_Task(node.value, task.frame)]
                values[node.variable] = values[node.value]
                return self._forward(task, node.body)
            case If():
                if node.cond not in values:
                    return [_Task(node.cond, task.frame)]
                chosen = node.true_branch if _truth(values[node.cond]) else node.false_branch
                return self._forward(task, chosen)
            case Call():
                return self._call(task, node)
            case _:
                raise InternalError(f"the interpreter does not know {type(node).__name__}")
        return []

    def _forward(self, task: _Task, part: Expr) -> list[_Task]:
        """The value of `task` is that of `part`."""
        if part not in task.frame.values:
            return [_Task(part, task.frame)]
        task.frame.values[task.node] = task.frame.values[part]
        return []

    def _call(self, task: _Task, call: Call) -> list[_Task]:
        values = task.frame.values
        if task.called is not None:
            callee = values[call.op]
            assert isinstance(callee, Closure)
            values[call] = task.called.values[callee.function.body]
            return []
        waiting = _unfinished(call.children(), task.frame)
        if waiting:
            return waiting
        arguments = [values[a] for a in call.args]
        if isinstance(call.op, Op):
            values[call] = apply_operator(call.attrs, arguments)
            return []
        callee = values[call.op]
        if isinstance(callee, Op):
            values[call] = apply_operator(callee.default_attrs(), arguments)
            return []
        if isinstance(callee, Constructor):
            values[call] = construct(callee, arguments)
            return []
        if not isinstance(callee, Closure):
            raise RelayError(f"expected a function to call, found {_describe(callee)}", call.span)
        task.called = enter(callee, arguments)
        return [_Task(callee.function.body, task.called)]


def construct(constructor: Constructor, fields: Sequence[Value]) -> ConstructorValue:
    """The value that `constructor` makes of `fields`."""
    wanted = len(constructor.inputs)
    if len(fields) != wanted:
        name = constructor.name_hint
        raise RelayError(f"{name} takes {wanted} fields, found {len(fields)}")
    return ConstructorValue(constructor, tuple(fields))


def _chosen_clause(node: Match, values: "dict[Expr, Value]") -> Expr:
    """The right-hand side of the first clause that matches, its variables bound in `values`."""
    value = values[node.data]
    for clause in node.clauses:
        bound = matches(clause.lhs, value)
        if bound is not None:
            values.update(bound)
            return clause.rhs
    raise RelayError(f"no clause of the match covers {_describe(value)}", node.span)


def matches(pattern: Pattern, value: Value) -> dict[Expr, Value] | None:
    """The variables that `pattern` binds when it matches `value`; None when it does not."""
    bound: dict[Expr, Value] = {}
    stack: list[tuple[Pattern, Value]] = [(pattern, value)]
    while stack:
        current, found = stack.pop()
        match current:
            case PatternVar(var=variable):
                bound[variable] = found
            case PatternWildcard():
                pass
            case PatternConstructor(constructor=constructor, patterns=patterns):
                if not isinstance(found, ConstructorValue):
                    raise RelayError(
                        f"expected a {constructor.belong_to}, found {_describe(found)}"
                    )
                if not constructor.same_as(found.constructor):
                    return None
                stack.extend(zip(patterns, found.fields, strict=True))
            case PatternTuple(patterns=patterns):
                if not isinstance(found, tuple) or len(found) != len(patterns):
                    raise RelayError(f"expected a tuple to match, found {_describe(found)}")
                stack.extend(zip(patterns, found, strict=True))
            case _:
                raise InternalError(f"the interpreter does not know {type(current).__name__}")
    return bound


def enter(closure: Closure, arguments: Sequence[Value]) -> Frame:
    """A frame in which the parameters of `closure` are bound to `arguments`."""
    params = closure.function.params
    if len(params) != len(arguments):
        raise InputError(f"the function takes {len(params)} arguments, found {len(arguments)}")
    return Frame(dict(zip(params, arguments, strict=True)), closure.frame)


def _unfinished(nodes: Sequence[Expr], frame: Frame) -> list[_Task]:
    return [_Task(n, frame) for n in reversed(nodes) if n not in frame.values]


def _lookup(variable: Var, frame: Frame) -> Value:
    current: Frame | None = frame
    while current is not None:
        if variable in current.values:
            return current.values[variable]
        current = current.outer
    raise RelayError(f"the variable %{variable.name_hint} has no value here", variable.span)


def _project(node: Tuple | TupleGetItem, values: Mapping[Expr, Value]) -> Value:
    if isinstance(node, Tuple):
        return tuple(values[f] for f in node.fields)
    found = values[node.tuple_value]
    if not isinstance(found, tuple):
        raise RelayError(f"expected a tuple before .{node.index}, found {_describe(found)}")
    return found[node.index]


def _reference(node: RefCreate | RefRead | RefWrite, values: Mapping[Expr, Value]) -> Value:
    if isinstance(node, RefCreate):
        return RefValue(values[node.value])
    reference = values[node.ref]
    if not isinstance(reference, RefValue):
        raise RelayError(f"expected a reference, found {_describe(reference)}", node.span)
    if isinstance(node, RefRead):
        return reference.value
    reference.value = values[node.value]
    return ()


def _truth(value: Value) -> bool:
    if not isinstance(value, NDArray) or value.shape != ():
        raise RelayError(f"an if needs a scalar condition, found {_describe(value)}")
    return bool(value.numpy())


def _describe(value: Value) -> str:
    match value:
        case NDArray():
            return f"a tensor of shape {value.shape} and type {value.dtype}"
        case tuple():
            return f"a tuple of {len(value)} fields"
        case ConstructorValue():
            return f"a value of {value.constructor.name_hint}"
        case RefValue():
            return "a reference"
        case _:
            return "a function"


def apply_operator(declaration: object, arguments: Sequence[Value]) -> Value:
    """The result of an operator by its reference; ``bfloat16`` is computed in ``float32``."""
    assert isinstance(declaration, Operator)
    types = [type_of(a) for a in arguments]
    result = declaration.reference(*(_to_numpy(a) for a in arguments))
    narrow = "bfloat16" in attributes(declaration).values() or any(
        t.dtype == "bfloat16" for type_ in types for t in flatten_tensor_types(type_)
    )
    if not narrow:
        if isinstance(result, tuple):
            return tuple(NDArray(np.asarray(r)) for r in result)
        return NDArray(np.asarray(result))
    declared = declaration.call_type(types)
    fields = flatten_tensor_types(declared)
    arrays = result if isinstance(result, tuple) else (result,)
    found = tuple(_from_numpy(a, t.dtype) for a, t in zip(arrays, fields, strict=True))
    return found if isinstance(declared, TupleType) else found[0]


def type_of(value: Value) -> Type:
    """The type of a tensor or of a tuple of tensors.

    Raises `RelayError` for functions and the like, which no operator takes.
    """
    if isinstance(value, NDArray):
        return TensorType(value.shape, value.dtype)
    if isinstance(value, tuple):
        return TupleType([type_of(f) for f in value])
    raise RelayError(f"an operator takes tensors and tuples of them, found {_describe(value)}")


def _to_numpy(value: Value) -> Any:
    if isinstance(value, tuple):
        return tuple(_to_numpy(f) for f in value)
    assert isinstance(value, NDArray)
    if value.dtype == "bfloat16":
        return (value.numpy().astype("uint32") << 16).view("float32")
    return value.numpy()


def _from_numpy(array: npt.NDArray[Any], dtype: str) -> NDArray:
    if dtype != "bfloat16":
        return NDArray(np.asarray(array))
    bits = np.ascontiguousarray(array, dtype="float32").reshape(np.shape(array)).view("uint32")
    # To the nearest, ties to even; a NaN must not carry over into infinity.
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    kept = np.where(np.isnan(array), (bits >> 16) | 0x40, rounded)
    return NDArray(np.asarray(kept, dtype="uint16"), "bfloat16")


class Interpreter:
    """Runs programs of `mod` on the host: ``Interpreter(mod).evaluate()(x)``.

    `params` are values of parameters of ``@main`` by name. `device` and `target` are accepted as
    every executor has them; the interpreter has no use for either.
    """

    def __init__(
        self,
        mod: IRModule | None = None,
        device: object = None,
        target: object = None,
        params: Mapping[str, Argument] | None = None,
    ) -> None:
        self.mod = IRModule() if mod is None else mod
        self.device = device
        self.target = target
        self.params = dict(params or {})

    def evaluate(
        self, expr: Expr | None = None, binds: Mapping[Var, Argument] | None = None
    ) -> Any:
        """The value of `expr`, by default ``@main`` of the module.

        A function comes back as a Python function taking arrays (NumPy's, `NDArray`, numbers,
        tuples of them) by position or name; anything else as an `NDArray`, a tuple of them, a
        `ConstructorValue` or a `RefValue`.
        `binds` gives values to free variables.

        Raises `RelayError` when a variable has no value, `InputError` for unfit arguments.
        """
        root = self.mod.get_global_var("main") if expr is None else expr
        bound: dict[Expr, Value] = {v: to_value(a, v) for v, a in (binds or {}).items()}
        value = Machine(self.mod).run(root, Frame(bound))
        is_main = isinstance(root, GlobalVar) and root.name_hint == "main"
        return self._shown(value, self.params if is_main else {})

    def _shown(self, value: Value, params: Mapping[str, Argument]) -> Any:
        if isinstance(value, tuple):
            return tuple(self._shown(f, {}) for f in value)
        if isinstance(value, Closure):
            return self._callable(value, params)
        return value

    def _callable(self, closure: Closure, params: Mapping[str, Argument]) -> Callee:
        variables = closure.function.params

        def run(*args: Argument, **kwargs: Argument) -> Any:
            """Call the function with arrays, by position or by name."""
            named = {**params, **kwargs}
            values = bind_arguments(variables, args, named)
            frame = enter(closure, values)
            return self._shown(Machine(self.mod).run(closure.function.body, frame), {})

        return run


def bind_arguments(
    params: Sequence[Var], args: Sequence[Argument], named: Mapping[str, Argument]
) -> list[Value]:
    """One value a parameter: those of `named` by name, the others from `args` in order.

    Raises `InputError` for missing, unknown and superfluous arguments, and for wrong types.
    """
    names = [p.name_hint for p in params]
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise InputError(
            f"there is no parameter {', '.join(unknown)}; "
            f"the function has {', '.join(names) or 'none'}"
        )
    open_params = [p for p in params if p.name_hint not in named]
    if len(open_params) != len(args):
        expected = ", ".join(p.name_hint for p in open_params) or "none"
        raise InputError(f"expected {len(open_params)} inputs ({expected}), found {len(args)}")
    given = dict(zip(open_params, args, strict=True))
    return [to_value(given[p] if p in given else named[p.name_hint], p) for p in params]


def to_value(argument: Argument, param: Var) -> Value:
    """`argument` as a value for `param`.

    Numbers and lists take the data type that the parameter declares; arrays must have it already.
    Raises `InputError` naming the parameter, what is declared and what was found.
    """
    return _to_value(argument, param.type_annotation, param.name_hint)


def _to_value(argument: Argument, declared: Type | None, name: str) -> Value:
    if isinstance(argument, Closure | Op | Constructor | ConstructorValue | RefValue):
        return argument
    if isinstance(argument, Constant):
        argument = argument.data
    if isinstance(declared, TupleType):
        if not isinstance(argument, list | tuple) or len(argument) != len(declared.fields):
            raise InputError(f"{name}: expected a tuple of {len(declared.fields)} fields")
        pairs = zip(argument, declared.fields, strict=True)
        return tuple(_to_value(a, t, f"{name}.{k}") for k, (a, t) in enumerate(pairs))
    if isinstance(argument, tuple) and not isinstance(declared, TensorType):
        return tuple(_to_value(a, None, f"{name}.{k}") for k, a in enumerate(argument))
    dtype = declared.dtype if isinstance(declared, TensorType) else None
    array = _to_array(argument, dtype)
    if isinstance(declared, TensorType):
        fits = len(array.shape) == len(declared.shape) and all(
            not isinstance(d, int) or d == s
            for d, s in zip(declared.shape, array.shape, strict=False)
        )
        if not fits or array.dtype != declared.dtype:
            found = TensorType(array.shape, array.dtype)
            raise InputError(f"{name}: expected {declared}, found {found}")
    return array


def _to_array(argument: Any, dtype: str | None) -> NDArray:
    if isinstance(argument, NDArray):
        return argument
    if isinstance(argument, np.ndarray | np.generic):
        array = np.asarray(argument)
        if dtype == "bfloat16" and array.dtype == np.float32:
            return _from_numpy(array, "bfloat16")
        return NDArray(array)
    if dtype == "bfloat16":
        return _from_numpy(np.asarray(argument, dtype="float32"), "bfloat16")
    if dtype is not None:
        return NDArray(np.asarray(argument, dtype=dtypes.to_numpy(dtype)))
    return constant(argument).data
