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
from relay.ir.type_base import Compound, Type, derived, joined, rebuild_types
from relay.support.errors import TypeInferenceError

__all__ = [
    "Any",
    "Dim",
    "FuncType",
    "GlobalTypeVar",
    "IncompleteType",
    "RefType",
    "Relation",
    "ShapeVar",
    "SizeVar",
    "TensorType",
    "TupleType",
    "Type",
    "TypeCall",
    "TypeConstraint",
    "TypeKind",
    "TypeRelation",
    "TypeVar",
    "compatible",
    "flatten_tensor_types",
    "instantiate",
    "is_complete",
    "is_dynamic",
    "join",
    "rebuild_types",
    "scalar_type",
    "substitute_types",
]


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


@dataclass(frozen=True, init=False, eq=False, repr=False)
class TupleType(Compound):
    """A tuple of types."""

    fields: tuple[Type, ...]

    def __init__(self, fields: Sequence[Type] = ()) -> None:
        object.__setattr__(self, "fields", tuple(fields))

    def children(self) -> tuple[Type, ...]:
        return self.fields

    def _with_children(self, children: Sequence[Type]) -> Type:
        return TupleType(children)

    def _pieces(self) -> list[str | Type]:
        return ["(", *joined(self.fields), ",)" if len(self.fields) == 1 else ")"]


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


@dataclass(frozen=True, init=False, eq=False, repr=False)
class TypeCall(Compound):
    """An algebraic data type applied to type arguments: ``List[A]``."""

    func: Type
    args: tuple[Type, ...]

    def __init__(self, func: Type, args: Sequence[Type] = ()) -> None:
        object.__setattr__(self, "func", func)
        object.__setattr__(self, "args", tuple(args))

    def children(self) -> tuple[Type, ...]:
        return (self.func, *self.args)

    def _with_children(self, children: Sequence[Type]) -> Type:
        return TypeCall(children[0], children[1:])

    def _pieces(self) -> list[str | Type]:
        return [self.func, "[", *joined(self.args), "]"] if self.args else [self.func]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class FuncType(Compound):
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

    def _with_children(self, children: Sequence[Type]) -> Type:
        count = len(self.arg_types)
        demands = [c for c in children[count + 1 :] if isinstance(c, TypeConstraint)]
        return FuncType(children[:count], children[count], self.type_params, demands)

    def _matches(self, other: Compound, names: dict[Type, Type]) -> bool:
        assert isinstance(other, FuncType)
        if len(self.type_params) != len(other.type_params):
            return False
        names.update(zip(other.type_params, self.type_params, strict=True))
        return len(self.arg_types) == len(other.arg_types)

    def _own_hash(self) -> int:
        if self.type_params:
            return hash((len(self.type_params), len(self.arg_types)))
        return super()._own_hash()

    def _pieces(self) -> list[str | Type]:
        params: list[str | Type] = ["[", *joined(self.type_params), "]"] if self.type_params else []
        return ["fn ", *params, "(", *joined(self.arg_types), ") -> ", self.ret_type]


@dataclass(frozen=True, eq=False, repr=False)
class RefType(Compound):
    """A mutable reference to a value."""

    value: Type

    def children(self) -> tuple[Type, ...]:
        return (self.value,)

    def _with_children(self, children: Sequence[Type]) -> Type:
        return RefType(children[0])

    def _pieces(self) -> list[str | Type]:
        return ["ref(", self.value, ")"]


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


@dataclass(frozen=True, init=False, eq=False, repr=False)
class TypeRelation(Compound, TypeConstraint):
    """The demand that `func` holds of `args`: `num_inputs` inputs, then results.

    ``func(args, num_inputs, attrs, reporter)`` is given the types as far as they are known and a
    `relay.infer.Solver`, on which it unifies; it returns whether it is done (False: it has to be
    asked again when more is known), and raises `TypeInferenceError` when it cannot hold.
    """

    func: Relation
    args: tuple[Type, ...]
    num_inputs: int
    attrs: object

    def demands(self, other: "TypeRelation") -> bool:
        """Whether `other` demands the same, be it of other types."""
        ours = (self.func, self.num_inputs, self.attrs, len(self.args))
        return ours == (other.func, other.num_inputs, other.attrs, len(other.args))

    def _matches(self, other: Compound, names: dict[Type, Type]) -> bool:
        return isinstance(other, TypeRelation) and self.demands(other)

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

    def _with_children(self, children: Sequence[Type]) -> Type:
        return self.with_args(children)

    def _pieces(self) -> list[str | Type]:
        return [getattr(self.func, "__name__", "relation"), "(", *joined(self.args), ")"]


def scalar_type(dtype: str) -> TensorType:
    """The type of a scalar of `dtype`."""
    return TensorType((), dtype)


def _own_completeness(type_: Type) -> bool:
    if isinstance(type_, IncompleteType):
        return False
    return all(c.__dict__["_complete"] for c in type_.children())


def is_complete(type_: Type | None) -> TypeGuard[Type]:
    """Whether `type_` is given and nothing in it is left to be inferred."""
    return type_ is not None and derived(type_, "_complete", _own_completeness)


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


def compatible(expected: Type, found: Type, *, sizes: bool = True) -> bool:
    """Whether a value of type `found` may stand where `expected` is wanted.

    The types have to be equal, except that an `Any` dimension on either side agrees with any size,
    that the names of type parameters do not count, and that a polymorphic function may stand for
    each of its instances. Without `sizes`, all sizes agree with each other: `join` says what they
    have in common.
    """
    matching: dict[TypeVar, Type] = {}
    open_: set[TypeVar] = set()
    stack = [(expected, found)]
    while stack:
        left, right = (matching.get(t, t) if isinstance(t, TypeVar) else t for t in stack.pop())
        if left is right:
            continue
        if isinstance(left, TypeVar) and left in open_:
            matching[left] = right
            continue
        if isinstance(right, TypeVar) and right in open_:
            matching[right] = left
            continue
        if isinstance(left, TensorType) and isinstance(right, TensorType):
            if not _same_tensors(left, right, sizes):
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
        if type(left) is not type(right) or len(inner) != len(other):
            return False
        if not inner and left != right:
            return False
        stack.extend(zip(inner, other, strict=True))
    return True


def _same_tensors(left: TensorType, right: TensorType, sizes: bool) -> bool:
    """Whether two tensor types agree, with `sizes` as far as these are known."""
    if left.dtype != right.dtype or len(left.shape) != len(right.shape):
        return False
    if not sizes:
        return True
    pairs = zip(left.shape, right.shape, strict=True)
    return all(a == b or isinstance(a, Any) or isinstance(b, Any) for a, b in pairs)


def join(a: Type, b: Type) -> Type:
    """The type of a value that has one of two types, `compatible` without sizes.

    Where sizes differ they are `Any`.
    """
    done: dict[tuple[int, int], Type] = {}
    stack = [(a, b)]
    while stack:
        left, right = stack[-1]
        key = id(left), id(right)
        pairs = list(zip(left.children(), right.children(), strict=False))
        if key in done:
            stack.pop()
        elif isinstance(left, TensorType) and isinstance(right, TensorType):
            done[key] = _joined_tensors(left, right)
        elif left is right or not isinstance(left, TupleType | TypeCall):
            done[key] = left
        else:
            missing = [(x, y) for x, y in pairs if (id(x), id(y)) not in done]
            stack.extend(missing)
            if not missing:
                done[key] = left.rebuild([done[id(x), id(y)] for x, y in pairs])
    return done[id(a), id(b)]


def _joined_tensors(left: TensorType, right: TensorType) -> TensorType:
    if left == right:
        return left
    dims = [x if x == y else Any() for x, y in zip(left.shape, right.shape, strict=True)]
    return TensorType(dims, left.dtype)


def substitute_types(type_: Type, mapping: Mapping[TypeVar, Type]) -> Type:
    """`type_` with each type variable in `mapping` replaced by what it maps to.

    Type parameters are objects, so that nothing of `mapping` can be captured. They follow when they
    are themselves mapped to other ones.
    """
    if not mapping:
        return type_

    def step(current: Type) -> tuple[Type, bool]:
        if isinstance(current, TypeVar):
            return mapping.get(current, current), True
        if isinstance(current, FuncType) and not mapping.keys().isdisjoint(current.type_params):
            renamed = [mapping.get(p, p) for p in current.type_params]
            params = [
                n if isinstance(n, TypeVar) else p
                for n, p in zip(renamed, current.type_params, strict=True)
            ]
            demands = current.type_constraints
            return FuncType(current.arg_types, current.ret_type, params, demands), False
        return current, False

    return rebuild_types(type_, step)


def instantiate(function: FuncType, type_args: Sequence[Type]) -> FuncType:
    """The polymorphic `function` at `type_args`, one for each type parameter."""
    mapping = dict(zip(function.type_params, type_args, strict=True))
    monomorphic = FuncType(function.arg_types, function.ret_type, (), function.type_constraints)
    found = substitute_types(monomorphic, mapping)
    assert isinstance(found, FuncType)
    return found
