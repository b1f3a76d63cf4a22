"""Types of the graph language. Types are values: immutable, compared and hashed by content.

The type kinds are `TensorType`, `TupleType`, `FuncType`, `TypeVar`, `GlobalTypeVar`, `TypeCall`,
`RefType` and `IncompleteType`. Shapes are tuples of dimensions: an `int`, or `Any`, a size that is
known only at run time; a `SizeVar` is such a size with a name, the same wherever the name occurs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias, TypeGuard

from relay import dtypes
from relay.support.errors import TypeInferenceError


class TypeKind(IntEnum):
    """The kind of a type, as Relay numbers them."""

    Type = 0
    ShapeVar = 1
    BaseType = 2
    Constraint = 4
    AdtHandle = 5
    TypeData = 6


@dataclass(frozen=True)
class Any:
    """A dimension whose size is known only at run time (Relay: `relay.Any()`, printed ``?``)."""

    def __repr__(self) -> str:
        return "?"


@dataclass(frozen=True, repr=False)
class SizeVar(Any):
    """A size known only at run time that has a name: ``Tensor[(n, 128), float32]``.

    Within one program equal names are equal sizes. Where sizes of different names meet, nothing is
    known about the result (`Any`); a check at run time is what decides whether they agree.
    """

    name: str

    def __repr__(self) -> str:
        return self.name


Dim: TypeAlias = int | Any


class Type:
    """Base of all types."""

    __slots__ = ()

    def children(self) -> "tuple[Type, ...]":
        """The types directly inside this one."""
        return ()


@dataclass(frozen=True, init=False)
class TensorType(Type):
    """A tensor of `shape` and `dtype`; a scalar has shape ``()``.

    Raises `TypeInferenceError` for a negative dimension and an unknown data type.
    """

    shape: tuple[Dim, ...]
    dtype: str

    def __init__(self, shape: Sequence[Dim] = (), dtype: str = "float32") -> None:
        dims = tuple(d if isinstance(d, Any) else int(d) for d in shape)
        for d in dims:
            if isinstance(d, int) and d < 0:
                raise TypeInferenceError(
                    f"a dimension cannot be negative, found {d} in shape {dims}"
                )
        try:
            dtypes.check(dtype)
        except ValueError as error:
            raise TypeInferenceError(str(error)) from None
        object.__setattr__(self, "shape", dims)
        object.__setattr__(self, "dtype", dtype)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is known."""
        return all(isinstance(d, int) for d in self.shape)

    @property
    def concrete_shape(self) -> tuple[int, ...]:
        """The shape as integers; raises `ValueError` when a dimension is `Any`."""
        dims = [d for d in self.shape if isinstance(d, int)]
        if len(dims) != len(self.shape):
            raise ValueError(f"the shape {self.shape} is not known until run time")
        return tuple(dims)

    def __str__(self) -> str:
        if not self.shape:
            return self.dtype
        return f"Tensor[({', '.join(map(str, self.shape))}), {self.dtype}]"


@dataclass(frozen=True, init=False)
class TupleType(Type):
    """A tuple of types."""

    fields: tuple[Type, ...]

    def __init__(self, fields: Sequence[Type] = ()) -> None:
        object.__setattr__(self, "fields", tuple(fields))

    def children(self) -> tuple[Type, ...]:
        return self.fields

    def __str__(self) -> str:
        if len(self.fields) == 1:
            return f"({self.fields[0]},)"
        return f"({', '.join(map(str, self.fields))})"


@dataclass(frozen=True, init=False, eq=False)
class TypeVar(Type):
    """A type parameter. Its identity is the object, its name a hint for printing."""

    name_hint: str
    kind: TypeKind

    def __init__(self, name_hint: str, kind: TypeKind = TypeKind.Type) -> None:
        object.__setattr__(self, "name_hint", name_hint)
        object.__setattr__(self, "kind", kind)

    def __str__(self) -> str:
        return self.name_hint


def ShapeVar(name: str) -> TypeVar:  # noqa: N802 - Relay's name
    """A type parameter that stands for a shape (Relay: `relay.ShapeVar`)."""
    return TypeVar(name, TypeKind.ShapeVar)


@dataclass(frozen=True)
class GlobalTypeVar(Type):
    """The name of an algebraic data type of a module. Equal names are the same type."""

    name_hint: str
    kind: TypeKind = TypeKind.AdtHandle

    def __call__(self, *args: Type) -> "TypeCall":
        """The data type at `args`: ``List(A)``."""
        return TypeCall(self, args)

    def __str__(self) -> str:
        return self.name_hint


@dataclass(frozen=True, init=False)
class TypeCall(Type):
    """An algebraic data type applied to type arguments: ``List[A]``."""

    func: Type
    args: tuple[Type, ...]

    def __init__(self, func: Type, args: Sequence[Type] = ()) -> None:
        object.__setattr__(self, "func", func)
        object.__setattr__(self, "args", tuple(args))

    def children(self) -> tuple[Type, ...]:
        return (self.func, *self.args)

    def __str__(self) -> str:
        return f"{self.func}[{', '.join(map(str, self.args))}]" if self.args else str(self.func)


@dataclass(frozen=True, init=False, eq=False)
class FuncType(Type):
    """A function from `arg_types` to `ret_type`, polymorphic in `type_params`.

    Inference demands `type_constraints` of every call; they have no text form. Two function types
    are equal when they differ at most in the names of their type parameters.
    """

    arg_types: tuple[Type, ...]
    ret_type: Type
    type_params: tuple[TypeVar, ...]
    type_constraints: "tuple[TypeConstraint, ...]"

    def __init__(
        self,
        arg_types: Sequence[Type],
        ret_type: Type,
        type_params: Sequence[TypeVar] | None = None,
        type_constraints: "Sequence[TypeConstraint] | None" = None,
    ) -> None:
        object.__setattr__(self, "arg_types", tuple(arg_types))
        object.__setattr__(self, "ret_type", ret_type)
        object.__setattr__(self, "type_params", tuple(type_params or ()))
        object.__setattr__(self, "type_constraints", tuple(type_constraints or ()))

    def children(self) -> tuple[Type, ...]:
        return (*self.arg_types, self.ret_type, *self.type_constraints)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FuncType) or len(self.type_params) != len(other.type_params):
            return False
        if self.type_params and self.type_params != other.type_params:
            other = instantiate(other, self.type_params)
        same = self.arg_types == other.arg_types and self.ret_type == other.ret_type
        return same and self.type_constraints == other.type_constraints

    def __hash__(self) -> int:
        if self.type_params:
            return hash((len(self.type_params), len(self.arg_types)))
        return hash((self.arg_types, self.ret_type))

    def __str__(self) -> str:
        params = f" [{', '.join(map(str, self.type_params))}]" if self.type_params else " "
        return f"fn{params}({', '.join(map(str, self.arg_types))}) -> {self.ret_type}"


@dataclass(frozen=True)
class RefType(Type):
    """A mutable reference to a value."""

    value: Type

    def children(self) -> tuple[Type, ...]:
        return (self.value,)

    def __str__(self) -> str:
        return f"ref({self.value})"


@dataclass(frozen=True, eq=False)
class IncompleteType(Type):
    """A type that inference has still to find. Its identity is the object."""

    kind: TypeKind = TypeKind.Type

    def __str__(self) -> str:
        return "_"


class TypeConstraint(Type):
    """Base of what may be demanded of types; see `TypeRelation`."""

    __slots__ = ()


Relation: TypeAlias = Callable[[Sequence[Type], int, object, object], bool]


@dataclass(frozen=True, init=False, eq=False)
class TypeRelation(TypeConstraint):
    """The demand that `func` holds of `args`: `num_inputs` inputs, then results.

    ``func(args, num_inputs, attrs, reporter)`` is given the types as far as they are known and a
    `relay.infer.Solver`, on which it unifies; it returns whether it is done (False: it has to be
    asked again when more is known), and raises `TypeInferenceError` when it cannot hold.
    """

    func: Relation
    args: tuple[Type, ...]
    num_inputs: int
    attrs: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeRelation) and self.demands(other) and self.args == other.args

    def __hash__(self) -> int:
        return hash((self.func, self.args, self.num_inputs))

    def demands(self, other: "TypeRelation") -> bool:
        """Whether `other` demands the same, be it of other types."""
        ours = (self.func, self.num_inputs, self.attrs, len(self.args))
        return ours == (other.func, other.num_inputs, other.attrs, len(other.args))

    def with_args(self, args: Sequence[Type]) -> "TypeRelation":
        """The same demand of other types."""
        return TypeRelation(self.func, args, self.num_inputs, self.attrs)

    def __init__(
        self, func: Relation, args: Sequence[Type], num_inputs: int, attrs: object = None
    ) -> None:
        object.__setattr__(self, "func", func)
        object.__setattr__(self, "args", tuple(args))
        object.__setattr__(self, "num_inputs", num_inputs)
        object.__setattr__(self, "attrs", attrs)

    def children(self) -> tuple[Type, ...]:
        return self.args

    def __str__(self) -> str:
        name = getattr(self.func, "__name__", "relation")
        return f"{name}({', '.join(map(str, self.args))})"


def scalar_type(dtype: str) -> TensorType:
    """The type of a scalar of `dtype`."""
    return TensorType((), dtype)


def is_complete(type_: Type | None) -> TypeGuard[Type]:
    """Whether `type_` is given and nothing in it is left to be inferred."""
    if type_ is None:
        return False
    stack = [type_]
    while stack:
        current = stack.pop()
        if isinstance(current, IncompleteType):
            return False
        stack.extend(current.children())
    return True


def flatten_tensor_types(type_: Type) -> tuple[TensorType, ...]:
    """The tensor types of a tensor or a (nested) tuple of tensors, from left to right.

    Raises `ValueError` where a leaf is not a tensor.
    """
    found: list[TensorType] = []
    stack = [type_]
    while stack:
        current = stack.pop()
        if isinstance(current, TensorType):
            found.append(current)
        elif isinstance(current, TupleType):
            stack.extend(reversed(current.fields))
        else:
            raise ValueError(f"expected a tensor or a tuple of tensors, found {current}")
    return tuple(found)


def is_dynamic(type_: Type) -> bool:
    """Whether some dimension in `type_` is known only at run time."""
    stack = [type_]
    while stack:
        current = stack.pop()
        if isinstance(current, TensorType) and not current.is_static:
            return True
        stack.extend(current.children())
    return False


def compatible(expected: Type, found: Type) -> bool:
    """Whether a value of type `found` may stand where `expected` is wanted.

    The types have to be equal, except that an `Any` dimension on either side agrees with any size,
    that the names of type parameters do not count, and that a polymorphic function may stand for
    each of its instances.
    """
    matching: dict[TypeVar, Type] = {}
    open_: set[TypeVar] = set()
    stack = [(expected, found)]
    while stack:
        left, right = (matching.get(t, t) if isinstance(t, TypeVar) else t for t in stack.pop())
        if left == right:
            continue
        if isinstance(left, TypeVar) and left in open_:
            matching[left] = right
            continue
        if isinstance(right, TypeVar) and right in open_:
            matching[right] = left
            continue
        if isinstance(left, TensorType) and isinstance(right, TensorType):
            if not _same_tensors(left, right):
                return False
            continue
        if isinstance(left, FuncType) and isinstance(right, FuncType):
            if len(left.type_params) == len(right.type_params):
                matching.update(zip(right.type_params, left.type_params, strict=True))
            else:
                open_.update(left.type_params, right.type_params)
        if isinstance(left, TypeRelation) and isinstance(right, TypeRelation):
            if not left.demands(right):
                return False
        inner, other = left.children(), right.children()
        if type(left) is not type(right) or not inner or len(inner) != len(other):
            return False
        stack.extend(zip(inner, other, strict=True))
    return True


def _same_tensors(left: TensorType, right: TensorType) -> bool:
    """Whether two tensor types agree, as far as their sizes are known."""
    if left.dtype != right.dtype or len(left.shape) != len(right.shape):
        return False
    pairs = zip(left.shape, right.shape, strict=True)
    return all(a == b or isinstance(a, Any) or isinstance(b, Any) for a, b in pairs)


def join(a: Type, b: Type) -> Type:
    """The type of a value that has one of two `compatible` types: where they differ, `Any`."""
    if a == b:
        return a
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        pairs = zip(a.shape, b.shape, strict=True)
        return TensorType([x if x == y else Any() for x, y in pairs], a.dtype)
    if isinstance(a, TupleType) and isinstance(b, TupleType):
        return TupleType([join(x, y) for x, y in zip(a.fields, b.fields, strict=True)])
    if isinstance(a, TypeCall) and isinstance(b, TypeCall):
        return TypeCall(a.func, [join(x, y) for x, y in zip(a.args, b.args, strict=True)])
    return a


def substitute_types(type_: Type, mapping: Mapping[TypeVar, Type]) -> Type:
    """`type_` with each type variable in `mapping` replaced by what it maps to."""
    if not mapping:
        return type_
    if isinstance(type_, TypeVar):
        return mapping.get(type_, type_)
    if isinstance(type_, TupleType):
        return TupleType([substitute_types(f, mapping) for f in type_.fields])
    if isinstance(type_, FuncType):
        # Type parameters are objects, so that nothing of `mapping` can be captured. They follow
        # when they are themselves mapped to other ones.
        arguments = [substitute_types(a, mapping) for a in type_.arg_types]
        renamed = [mapping.get(p, p) for p in type_.type_params]
        params = [
            n if isinstance(n, TypeVar) else p
            for n, p in zip(renamed, type_.type_params, strict=True)
        ]
        demands = _substituted(type_.type_constraints, mapping)
        return FuncType(arguments, substitute_types(type_.ret_type, mapping), params, demands)
    if isinstance(type_, TypeCall):
        return TypeCall(type_.func, [substitute_types(a, mapping) for a in type_.args])
    if isinstance(type_, RefType):
        return RefType(substitute_types(type_.value, mapping))
    return type_


def _substituted(
    constraints: Sequence[TypeConstraint], mapping: Mapping[TypeVar, Type]
) -> list[TypeConstraint]:
    """`constraints` with each type variable in `mapping` replaced by what it maps to."""
    return [
        c.with_args([substitute_types(a, mapping) for a in c.args])
        if isinstance(c, TypeRelation)
        else c
        for c in constraints
    ]


def instantiate(function: FuncType, type_args: Sequence[Type]) -> FuncType:
    """The polymorphic `function` at `type_args`, one for each type parameter."""
    mapping = dict(zip(function.type_params, type_args, strict=True))
    monomorphic = FuncType(function.arg_types, function.ret_type, (), function.type_constraints)
    found = substitute_types(monomorphic, mapping)
    assert isinstance(found, FuncType)
    return found
