"""Algebraic data types: their definitions and their constructors.

::

    a = TypeVar("A")
    list_ = GlobalTypeVar("List")
    cons = Constructor("Cons", [a, list_(a)], list_)
    nil = Constructor("Nil", [], list_)
    module[list_] = TypeData(list_, [a], [cons, nil])

A constructor's type is that of a polymorphic function: ``fn [A](A, List[A]) -> List[A]``. It learns
the type parameters when its `TypeData` is made.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from relay.ir.expr import Expr
from relay.ir.types import FuncType, GlobalTypeVar, Type, TypeCall, TypeVar
from relay.support.errors import RelayError, TypeInferenceError
from relay.support.source import Span

TAG_BITS: Final = 8
"""So many low bits of a tag number the constructors of one type."""


@final
class Constructor(Expr):
    """A constructor of the data type `belong_to`; `inputs` are the types of its fields.

    Callable, as an expression (``call.op is cons``) and in Python: ``cons(head, tail)``.
    """

    __slots__ = ("_data", "belong_to", "inputs", "name_hint")
    _fields = ("name_hint", "inputs", "belong_to")
    name_hint: str
    inputs: tuple[Type, ...]
    belong_to: GlobalTypeVar
    _data: "TypeData | None"

    def __init__(
        self,
        name_hint: str,
        inputs: Sequence[Type],
        belong_to: GlobalTypeVar,
        span: Span | None = None,
    ) -> None:
        self._init(span, name_hint, tuple(inputs), belong_to)
        object.__setattr__(self, "_data", None)

    @property
    def type_data(self) -> "TypeData":
        """The definition that this constructor is part of; raises `RelayError` before there is."""
        if self._data is None:
            raise RelayError(
                f"the constructor {self.name_hint} is in no definition of {self.belong_to} yet: "
                f"make a TypeData with it"
            )
        return self._data

    @property
    def tag(self) -> int:
        """A number for this constructor: of the type's name, and the position in the type."""
        position = [c.name_hint for c in self.type_data.constructors].index(self.name_hint)
        name = zlib.crc32(self.belong_to.name_hint.encode()) >> (TAG_BITS + 1)
        return name << TAG_BITS | position

    def same_as(self, other: "Constructor") -> bool:
        """Whether `other` is the constructor of this name of the type of this name."""
        return self is other or (
            self.name_hint == other.name_hint and self.belong_to == other.belong_to
        )

    def derive_type(self) -> Type:
        if self._data is None:
            raise TypeInferenceError(
                f"the constructor {self.name_hint} is in no definition of {self.belong_to} yet"
            )
        params = self._data.type_vars
        return FuncType(self.inputs, TypeCall(self.belong_to, params), params)


@dataclass(frozen=True, init=False, eq=False)
class TypeData(Type):
    """The definition of the data type `header`: its type parameters and its constructors.

    One without constructors is external: its values come from operators only. Raises `RelayError`
    when a constructor is of another type, is part of another definition or has a name twice.
    """

    header: GlobalTypeVar
    type_vars: tuple[TypeVar, ...]
    constructors: tuple[Constructor, ...]

    def __init__(
        self,
        header: GlobalTypeVar,
        type_vars: Sequence[TypeVar],
        constructors: Sequence[Constructor],
    ) -> None:
        names = [c.name_hint for c in constructors]
        if len(names) > 1 << TAG_BITS:
            raise RelayError(f"{header} has {len(names)} constructors, more than {1 << TAG_BITS}")
        for constructor in constructors:
            if constructor.belong_to != header:
                raise RelayError(
                    f"{constructor.name_hint} is a constructor of {constructor.belong_to}, "
                    f"not of {header}"
                )
            if names.count(constructor.name_hint) > 1:
                raise RelayError(f"{header} has two constructors {constructor.name_hint}")
            if constructor._data is not None:
                raise RelayError(
                    f"{constructor.name_hint} is part of another definition of {header} already"
                )
        object.__setattr__(self, "header", header)
        object.__setattr__(self, "type_vars", tuple(type_vars))
        object.__setattr__(self, "constructors", tuple(constructors))
        for constructor in constructors:
            object.__setattr__(constructor, "_data", self)

    def constructor(self, name: str) -> Constructor:
        """The constructor called `name`; raises `RelayError` when there is none."""
        for constructor in self.constructors:
            if constructor.name_hint == name:
                return constructor
        known = ", ".join(c.name_hint for c in self.constructors) or "none"
        raise RelayError(f"{self.header} has no constructor {name}; it has {known}")

    def __str__(self) -> str:
        params = f"[{', '.join(map(str, self.type_vars))}]" if self.type_vars else ""
        if not self.constructors:
            return f"extern type {self.header}{params}"
        lines = [f"type {self.header}{params} {{"]
        for constructor in self.constructors:
            fields = f"({', '.join(map(str, constructor.inputs))})" if constructor.inputs else ""
            lines.append(f"  {constructor.name_hint}{fields},")
        return "\n".join([*lines, "}"])
