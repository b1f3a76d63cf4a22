"""References: the mutable cells of the graph language."""

from collections.abc import Sequence
from typing import final

from relay.ir.expr import Expr
from relay.ir.types import RefType, TupleType, Type, compatible
from relay.support.errors import TypeInferenceError
from relay.support.source import Span


def _referenced(type_: Type, doing: str) -> Type:
    if not isinstance(type_, RefType):
        raise TypeInferenceError(f"expected a reference to {doing}, found {type_}")
    return type_.value


@final
class RefCreate(Expr):
    """A new reference that holds `value`: ``ref(e)``."""

    __slots__ = ("value",)
    _fields = ("value",)
    value: Expr

    def __init__(self, value: Expr, span: Span | None = None) -> None:
        self._init(span, value)

    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        (value,) = children
        return self if value is self.value else RefCreate(value, self.span)

    def derive_type(self) -> Type:
        return RefType(self.value.checked_type)


@final
class RefRead(Expr):
    """What the reference `ref` holds at the time of evaluation: ``ref_read(r)``."""

    __slots__ = ("ref",)
    _fields = ("ref",)
    ref: Expr

    def __init__(self, ref: Expr, span: Span | None = None) -> None:
        self._init(span, ref)

    def children(self) -> tuple[Expr, ...]:
        return (self.ref,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        (ref,) = children
        return self if ref is self.ref else RefRead(ref, self.span)

    def derive_type(self) -> Type:
        return _referenced(self.ref.checked_type, "read")


@final
class RefWrite(Expr):
    """Make the reference `ref` hold `value`; the result is the unit ``()``: ``ref_write(r, v)``."""

    __slots__ = ("ref", "value")
    _fields = ("ref", "value")
    ref: Expr
    value: Expr

    def __init__(self, ref: Expr, value: Expr, span: Span | None = None) -> None:
        self._init(span, ref, value)

    def children(self) -> tuple[Expr, ...]:
        return (self.ref, self.value)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        ref, value = children
        if ref is self.ref and value is self.value:
            return self
        return RefWrite(ref, value, self.span)

    def derive_type(self) -> Type:
        held, found = _referenced(self.ref.checked_type, "write"), self.value.checked_type
        if not compatible(held, found):
            raise TypeInferenceError(f"the reference holds {held}, but is given {found}")
        return TupleType(())
