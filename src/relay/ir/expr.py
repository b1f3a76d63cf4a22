"""Expressions of the graph language.

Nodes are immutable and compared by identity; `relay.ir.equal` compares structure. The type of a
node is a function of the node: `Expr.checked_type` derives it on first use, without recursion, and
keeps it. Only a program with missing annotations needs inference first (`transform.InferType`),
which returns a new, fully annotated program.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, TypeAlias, TypeVar, final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.html import highlighted
from relay.ir.types import (
    FuncType,
    TensorType,
    TupleType,
    Type,
    compatible,
    instantiate,
    is_complete,
    join,
)
from relay.ir.types import TypeVar as RelayTypeVar
from relay.runtime.ndarray import NDArray
from relay.runtime.ndarray import array as new_array
from relay.support.errors import RelayError, TypeInferenceError
from relay.support.source import Span

Scalar: TypeAlias = bool | int | float
_C = TypeVar("_C", bound=type)


class Expr:
    """Base of all expressions: variables, constants, calls, functions and so on."""

    __slots__ = ("_type", "span")

    span: Span | None
    _type: Type | None
    _fields: ClassVar[tuple[str, ...]] = ()
    #: Turns expressions into text; `relay.ir.printer`, which knows the format, puts itself here.
    formatter: ClassVar[Callable[["Expr"], str]] = object.__repr__

    def __str__(self) -> str:
        return Expr.formatter(self)

    def __repr__(self) -> str:
        return Expr.formatter(self)

    def _repr_html_(self) -> str:
        """The text in colours, as a notebook shows it."""
        return highlighted(Expr.formatter(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{type(self).__name__} is immutable: build a new node instead of setting {name!r}"
        )

    def _init(self, span: Span | None, *values: object) -> None:
        put = object.__setattr__
        for name, value in zip(self._fields, values, strict=True):
            put(self, name, value)
        put(self, "span", span)
        put(self, "_type", None)

    def children(self) -> "tuple[Expr, ...]":
        """The expressions directly inside this one, in evaluation order."""
        return ()

    def rebuild(self, children: "Sequence[Expr]") -> "Expr":
        """This node with `children` in place of its own; itself when they are the same."""
        return self

    def derive_type(self) -> Type:
        """The type of this node, given that the types of `children()` are already derived.

        Raises `TypeInferenceError` when the node is ill typed or lacks an annotation.
        """
        raise TypeInferenceError(f"{type(self).__name__} has no type of its own", self.span)

    @property
    def checked_type(self) -> Type:
        """The type of this expression, derived on first use.

        Raises `TypeInferenceError` when it is ill typed or an annotation is missing.
        """
        if self._type is None:
            _derive_types(self)
            assert self._type is not None
        return self._type

    def __call__(self, *args: "Expr") -> "Call":
        return Call(self, args)

    def __neg__(self) -> "Expr":
        return Call(Op.get("negative"), (self,))

    def __add__(self, other: "ExprLike") -> "Expr":
        return _binary("add", self, other)

    def __radd__(self, other: "ExprLike") -> "Expr":
        return _binary("add", other, self)

    def __sub__(self, other: "ExprLike") -> "Expr":
        return _binary("subtract", self, other)

    def __rsub__(self, other: "ExprLike") -> "Expr":
        return _binary("subtract", other, self)

    def __mul__(self, other: "ExprLike") -> "Expr":
        return _binary("multiply", self, other)

    def __rmul__(self, other: "ExprLike") -> "Expr":
        return _binary("multiply", other, self)

    def __truediv__(self, other: "ExprLike") -> "Expr":
        return _binary("divide", self, other)

    def __rtruediv__(self, other: "ExprLike") -> "Expr":
        return _binary("divide", other, self)

    def __lt__(self, other: "ExprLike") -> "Expr":
        return _binary("less", self, other)

    def __le__(self, other: "ExprLike") -> "Expr":
        return _binary("less_equal", self, other)

    def __gt__(self, other: "ExprLike") -> "Expr":
        return _binary("greater", self, other)

    def __ge__(self, other: "ExprLike") -> "Expr":
        return _binary("greater_equal", self, other)

    def astype(self, dtype: str) -> "Expr":
        """Cast every element to `dtype` (the operator ``cast``)."""
        cast = Op.get("cast")
        return Call(cast, (self,), cast.declaration(dtype=dtype))


ExprLike: TypeAlias = Expr | Scalar | npt.NDArray[np.generic]


def _binary(name: str, lhs: ExprLike, rhs: ExprLike) -> Expr:
    return Call(Op.get(name), (as_expr(lhs, like=rhs), as_expr(rhs, like=lhs)))


def as_expr(value: ExprLike, like: ExprLike | None = None) -> Expr:
    """`value` as an expression; a Python scalar takes the dtype of `like` where that is known."""
    if isinstance(value, Expr):
        return value
    if isinstance(like, Expr) and isinstance(value, bool | int | float):
        annotated = like.type_annotation if isinstance(like, Var) else like._type
        if isinstance(annotated, TensorType):
            return const(value, annotated.dtype)
    return const(value)


@final
class Var(Expr):
    """A local variable. `name_hint` is for printing; identity is the object."""

    __slots__ = ("name_hint", "type_annotation")
    _fields = ("name_hint", "type_annotation")
    name_hint: str
    type_annotation: Type | None

    def __init__(
        self, name_hint: str, type_annotation: Type | str | None = None, span: Span | None = None
    ) -> None:
        if isinstance(type_annotation, str):
            type_annotation = TensorType((), type_annotation)
        self._init(span, name_hint, type_annotation)

    def derive_type(self) -> Type:
        if not is_complete(self.type_annotation):
            raise TypeInferenceError(
                f"the variable %{self.name_hint} has no complete type annotation; "
                "annotate it, or run relay.transform.InferType() on the module first",
                self.span,
            )
        return self.type_annotation


@final
class GlobalVar(Expr):
    """The name of a function of a module. Within one module, equal names are the same function."""

    __slots__ = ("name_hint", "type_annotation")
    _fields = ("name_hint", "type_annotation")
    name_hint: str
    type_annotation: Type | None

    def __init__(
        self, name_hint: str, type_annotation: Type | None = None, span: Span | None = None
    ) -> None:
        self._init(span, name_hint, type_annotation)

    def derive_type(self) -> Type:
        if not is_complete(self.type_annotation):
            raise TypeInferenceError(
                f"the type of @{self.name_hint} is not known here; "
                "run relay.transform.InferType() on the module first",
                self.span,
            )
        return self.type_annotation


@final
class Constant(Expr):
    """A tensor known at compile time."""

    __slots__ = ("data",)
    _fields = ("data",)
    data: NDArray

    def __init__(self, data: NDArray | npt.NDArray[np.generic], span: Span | None = None) -> None:
        self._init(span, data if isinstance(data, NDArray) else NDArray(data))

    def derive_type(self) -> Type:
        return TensorType(self.data.shape, self.data.dtype)


@final
class Tuple(Expr):
    """A tuple of values."""

    __slots__ = ("fields",)
    _fields = ("fields",)
    fields: tuple[Expr, ...]

    def __init__(self, fields: Sequence[Expr], span: Span | None = None) -> None:
        self._init(span, tuple(fields))

    def __getitem__(self, index: int) -> Expr:
        return self.fields[index]

    def __len__(self) -> int:
        return len(self.fields)

    def children(self) -> tuple[Expr, ...]:
        return self.fields

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return self if _same(self.fields, children) else Tuple(children, self.span)

    def derive_type(self) -> Type:
        return TupleType([_type(f) for f in self.fields])


@final
class TupleGetItem(Expr):
    """Field `index` (from 0) of a tuple."""

    __slots__ = ("index", "tuple_value")
    _fields = ("tuple_value", "index")
    tuple_value: Expr
    index: int

    def __init__(self, tuple_value: Expr, index: int, span: Span | None = None) -> None:
        self._init(span, tuple_value, int(index))

    def children(self) -> tuple[Expr, ...]:
        return (self.tuple_value,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        (value,) = children
        return self if value is self.tuple_value else TupleGetItem(value, self.index, self.span)

    def derive_type(self) -> Type:
        found = _type(self.tuple_value)
        if not isinstance(found, TupleType):
            raise TypeInferenceError(f"expected a tuple before .{self.index}, found {found}")
        if not 0 <= self.index < len(found.fields):
            raise TypeInferenceError(
                f"the tuple has {len(found.fields)} fields, so .{self.index} is not one of them"
            )
        return found.fields[self.index]


@final
class Function(Expr):
    """A function value. The compiler knows the attributes ``Primitive`` and ``reshape_only``."""

    __slots__ = ("attrs", "body", "params", "ret_type", "type_params")
    _fields = ("params", "body", "ret_type", "type_params", "attrs")
    params: tuple[Var, ...]
    body: Expr
    ret_type: Type | None
    type_params: tuple[RelayTypeVar, ...]
    attrs: Mapping[str, object]

    def __init__(
        self,
        params: Sequence[Var],
        body: Expr,
        ret_type: Type | None = None,
        type_params: Sequence[RelayTypeVar] | None = None,
        attrs: Mapping[str, object] | None = None,
        span: Span | None = None,
    ) -> None:
        frozen = MappingProxyType(dict(attrs or {}))
        self._init(span, tuple(params), body, ret_type, tuple(type_params or ()), frozen)

    def with_attr(self, name: str, value: object) -> "Function":
        """This function with attribute `name` set to `value`."""
        attrs = {**self.attrs, name: value}
        return Function(self.params, self.body, self.ret_type, self.type_params, attrs, self.span)

    def with_body(self, body: Expr, params: Sequence[Var] | None = None) -> "Function":
        """This function with another body (and parameters); the result type is derived anew."""
        if body is self.body and (params is None or _same(self.params, params)):
            return self
        params = self.params if params is None else params
        return Function(params, body, None, self.type_params, self.attrs, self.span)

    def children(self) -> tuple[Expr, ...]:
        return (*self.params, self.body)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        *params, body = children
        if body is self.body and _same(self.params, params):
            return self
        variables = [p for p in params if isinstance(p, Var)]
        assert len(variables) == len(params), "a parameter can only become another variable"
        return Function(variables, body, self.ret_type, self.type_params, self.attrs, self.span)

    def derive_type(self) -> Type:
        found = _type(self.body)
        if is_complete(self.ret_type):
            if not compatible(self.ret_type, found):
                raise TypeInferenceError(
                    f"the function is declared to return {self.ret_type}, "
                    f"but its body has type {found}"
                )
            found = self.ret_type
        return FuncType([_type(p) for p in self.params], found, self.type_params)


@final
class Call(Expr):
    """`op` applied to `args`. `attrs` is an instance of the operator's declaration, or None."""

    __slots__ = ("args", "attrs", "op", "type_args")
    _fields = ("op", "args", "attrs", "type_args")
    op: Expr
    args: tuple[Expr, ...]
    attrs: "OperatorBase | None"
    type_args: tuple[Type, ...]

    def __init__(
        self,
        op: Expr,
        args: Sequence[Expr],
        attrs: "OperatorBase | None" = None,
        type_args: Sequence[Type] | None = None,
        span: Span | None = None,
    ) -> None:
        if attrs is None and isinstance(op, Op):
            attrs = op.default_attrs()
        self._init(span, op, tuple(args), attrs, tuple(type_args or ()))

    def children(self) -> tuple[Expr, ...]:
        return self.args if isinstance(self.op, Op) else (self.op, *self.args)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        op, args = (self.op, children) if isinstance(self.op, Op) else (children[0], children[1:])
        if op is self.op and _same(self.args, args):
            return self
        return Call(op, args, self.attrs, self.type_args, self.span)

    def derive_type(self) -> Type:
        types = [_type(a) for a in self.args]
        if isinstance(self.op, Op):
            assert self.attrs is not None
            return self.attrs.call_type(types)
        callee = _type(self.op)
        if not isinstance(callee, FuncType):
            raise TypeInferenceError(f"expected a function to call, found a value of type {callee}")
        if callee.type_params:
            if len(self.type_args) != len(callee.type_params):
                raise TypeInferenceError(
                    f"the function has {len(callee.type_params)} type parameters, and the call "
                    f"{len(self.type_args)} type arguments; run relay.transform.InferType() first"
                )
            callee = instantiate(callee, self.type_args)
        if len(types) != len(callee.arg_types):
            raise TypeInferenceError(
                f"the function takes {len(callee.arg_types)} arguments, found {len(types)}"
            )
        for i, (found, expected) in enumerate(zip(types, callee.arg_types, strict=True)):
            if not compatible(expected, found):
                raise TypeInferenceError(f"argument {i}: expected {expected}, found {found}")
        return callee.ret_type


@final
class Let(Expr):
    """Bind `variable` to `value` in `body`; recursive only where the value is a function."""

    __slots__ = ("body", "value", "variable")
    _fields = ("variable", "value", "body")
    variable: Var
    value: Expr
    body: Expr

    def __init__(self, variable: Var, value: Expr, body: Expr, span: Span | None = None) -> None:
        self._init(span, variable, value, body)

    @property
    def var(self) -> Var:
        """The bound variable (Relay's name of the field)."""
        return self.variable

    def children(self) -> tuple[Expr, ...]:
        return (self.variable, self.value, self.body)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        variable, value, body = children
        if variable is self.variable and value is self.value and body is self.body:
            return self
        assert isinstance(variable, Var), "a let can only bind a variable"
        return Let(variable, value, body, self.span)

    def derive_type(self) -> Type:
        bound, found = _type(self.variable), _type(self.value)
        if not compatible(bound, found):
            raise TypeInferenceError(
                f"%{self.variable.name_hint} is declared {bound}, but its value has type {found}"
            )
        return _type(self.body)


@final
class If(Expr):
    """`true_branch` where the scalar boolean `cond` holds, else `false_branch`."""

    __slots__ = ("cond", "false_branch", "true_branch")
    _fields = ("cond", "true_branch", "false_branch")
    cond: Expr
    true_branch: Expr
    false_branch: Expr

    def __init__(
        self, cond: Expr, true_branch: Expr, false_branch: Expr, span: Span | None = None
    ) -> None:
        self._init(span, cond, true_branch, false_branch)

    def children(self) -> tuple[Expr, ...]:
        return (self.cond, self.true_branch, self.false_branch)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        if _same(self.children(), children):
            return self
        cond, true_branch, false_branch = children
        return If(cond, true_branch, false_branch, self.span)

    def derive_type(self) -> Type:
        cond, left, right = (_type(c) for c in self.children())
        if cond != TensorType((), "bool"):
            raise TypeInferenceError(f"an if needs a scalar bool condition, found {cond}")
        if not compatible(left, right, sizes=False):
            raise TypeInferenceError(
                f"both branches of an if must have one type, found {left} and {right}"
            )
        return join(left, right)


class OperatorBase:
    """What `Call.attrs` is: the declaration of an operator together with its attributes.

    `relay.ir.op.Operator` is the class to derive from; this base only says what expressions need.
    """

    op: ClassVar["Op"]

    def call_type(self, types: Sequence[Type]) -> Type:
        """Type of a call of this operator; raises `TypeInferenceError` for unfit argument types."""
        raise TypeInferenceError(f"{type(self).__name__} declares no type")


@final
class Op(Expr):
    """A primitive operator. There is one object per name: `Op.get("nn.conv2d")`."""

    __slots__ = ("declaration", "name")
    _fields = ("name", "declaration")
    name: str
    declaration: Callable[..., OperatorBase]
    _registry: ClassVar[dict[str, "Op"]] = {}

    def __init__(self, name: str, declaration: Callable[..., OperatorBase]) -> None:
        if name in Op._registry:
            raise ValueError(f"the operator {name!r} is declared twice")
        self._init(None, name, declaration)
        Op._registry[name] = self

    def __repr__(self) -> str:
        return f"Op({self.name})"

    @staticmethod
    def get(name: str) -> "Op":
        """The operator called `name`; raises `RelayError` when there is none."""
        found = Op._registry.get(name)
        if found is None:
            raise RelayError(f"there is no operator named {name!r}")
        return found

    @staticmethod
    def list_names() -> list[str]:
        """The names of all operators, sorted."""
        return sorted(Op._registry)

    def default_attrs(self) -> OperatorBase:
        """The declaration with its default attributes; raises when it has required ones."""
        try:
            return self.declaration()
        except TypeError as error:
            raise RelayError(f"a call of {self.name} needs its attributes: {error}") from None


class TempExpr(Expr):
    """An expression that exists only inside one pass; `realize` gives what it stands for."""

    __slots__ = ()

    def realize(self) -> Expr:
        """The ordinary expression this one stands for."""
        raise RelayError(f"{type(self).__name__} does not say what it stands for")


def _same(old: Sequence[Expr], new: Sequence[Expr]) -> bool:
    return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))


def _type(expr: Expr) -> Type:
    assert expr._type is not None
    return expr._type


def _derive_types(root: Expr) -> None:
    """Derive and store the types of `root` and everything below it, children first."""
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node._type is not None:
            continue
        if not ready:
            stack.append((node, True))
            stack.extend((c, False) for c in reversed(node.children()) if c._type is None)
            continue
        try:
            found = node.derive_type()
        except TypeInferenceError as error:
            error.span = error.span or node.span
            raise
        object.__setattr__(node, "_type", found)


def var(
    name_hint: str,
    type_annotation: Type | str | None = None,
    shape: Sequence[int] | None = None,
    dtype: str = "float32",
    span: Span | None = None,
) -> Var:
    """A new variable, typed by `type_annotation`, or as a tensor of `shape` and `dtype`.

    Raises `ValueError` when both are given.
    """
    if type_annotation is not None and shape is not None:
        raise ValueError("give either type_annotation or shape, not both")
    if shape is not None:
        type_annotation = TensorType(shape, dtype)
    return Var(name_hint, type_annotation, span)


def const(
    value: Scalar | Sequence[Scalar] | npt.ArrayLike | NDArray,
    dtype: str | None = None,
    span: Span | None = None,
) -> Constant:
    """A constant. Without `dtype`, Python ints become int32, floats float32, bools bool;

    lists go through NumPy, with int64 narrowed to int32 and float64 to float32; arrays keep theirs.
    Values are rounded to types that NumPy does not have, as ``bfloat16``; where what is stored is
    known, make an `NDArray` around it.
    """
    if isinstance(value, NDArray):
        return Constant(value, span)
    if dtype is not None and not dtypes.is_native(dtype):
        return Constant(new_array(value, dtype), span)
    array = np.asarray(value, dtype=None if dtype is None else dtypes.to_numpy(dtype))
    if dtype is None and not isinstance(value, np.ndarray | np.generic):
        narrowed = {"int64": "int32", "float64": "float32"}.get(array.dtype.name)
        array = array if narrowed is None else array.astype(narrowed)
    return Constant(NDArray(np.ascontiguousarray(array).reshape(array.shape)), span)


__all__ = [
    "Call",
    "Constant",
    "Expr",
    "ExprLike",
    "Function",
    "GlobalVar",
    "If",
    "Let",
    "Op",
    "OperatorBase",
    "TempExpr",
    "Tuple",
    "TupleGetItem",
    "Var",
    "as_expr",
    "const",
    "var",
]
