"""Visitors of types that users derive from: one method per kind of type."""

from typing import Generic
from typing import TypeVar as PythonTypeVar

from relay.ir.adt import TypeData
from relay.ir.types import (
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeConstraint,
    TypeRelation,
    TypeVar,
)
from relay.support.errors import UnsupportedError

R = PythonTypeVar("R")


DEEP = 40
"""So many methods in progress, one inside the other, and what is inside is visited ahead."""


class TypeFunctor(Generic[R]):
    """A function on types: `visit`, with a method for each kind, like ``visit_tensor_type``.

    A method may call ``self.visit`` on what is inside as if nothing were deep: in a type that nests
    deeply that has been visited before, without recursion, and its result is remembered.
    """

    _depth = 0
    _ahead: "dict[int, tuple[Type, R]] | None" = None

    def visit(self, typ: Type) -> R:
        """The result for `typ`."""
        if self._ahead is not None:
            if id(typ) in self._ahead:
                return self._ahead[id(typ)][1]
        elif self._depth >= DEEP:
            return self._visit_inside_out(typ)
        self._depth += 1
        try:
            return self.dispatch(typ)
        finally:
            self._depth -= 1

    def _visit_inside_out(self, typ: Type) -> R:
        """The result for `typ`, after those for all the types inside of it."""
        known: dict[int, tuple[Type, R]] = {}
        self._ahead = known
        try:
            stack = [typ]
            while stack:
                current = stack[-1]
                missing = [c for c in current.children() if id(c) not in known]
                if id(current) in known or not missing:
                    stack.pop()
                    known.setdefault(id(current), (current, self.visit(current)))
                else:
                    stack.extend(reversed(missing))
        finally:
            self._ahead = None
        return known[id(typ)][1]

    def dispatch(self, typ: Type) -> R:
        """Call the method for the kind of `typ`."""
        match typ:
            case TensorType():
                return self.visit_tensor_type(typ)
            case TupleType():
                return self.visit_tuple_type(typ)
            case FuncType():
                return self.visit_func_type(typ)
            case TypeVar():
                return self.visit_type_var(typ)
            case GlobalTypeVar():
                return self.visit_global_type_var(typ)
            case TypeCall():
                return self.visit_type_call(typ)
            case RefType():
                return self.visit_ref_type(typ)
            case IncompleteType():
                return self.visit_incomplete_type(typ)
            case TypeRelation():
                return self.visit_type_relation(typ)
            case TypeData():
                return self.visit_type_data(typ)
            case _:
                return self.visit_default(typ)

    def visit_default(self, typ: Type) -> R:
        """What is done where the derived class has no method for the kind of `typ`.

        Raises `UnsupportedError` unless overridden.
        """
        raise UnsupportedError(f"{type(self).__name__} has no case for a {type(typ).__name__}")

    def visit_tensor_type(self, tt: TensorType) -> R:
        """A tensor type."""
        return self.visit_default(tt)

    def visit_tuple_type(self, tt: TupleType) -> R:
        """A tuple type."""
        return self.visit_default(tt)

    def visit_func_type(self, ft: FuncType) -> R:
        """A function type."""
        return self.visit_default(ft)

    def visit_type_var(self, tv: TypeVar) -> R:
        """A type parameter."""
        return self.visit_default(tv)

    def visit_global_type_var(self, gtv: GlobalTypeVar) -> R:
        """The name of a data type."""
        return self.visit_default(gtv)

    def visit_type_call(self, tc: TypeCall) -> R:
        """A data type with its arguments."""
        return self.visit_default(tc)

    def visit_ref_type(self, rt: RefType) -> R:
        """A reference type."""
        return self.visit_default(rt)

    def visit_incomplete_type(self, it: IncompleteType) -> R:
        """A type that is to be found."""
        return self.visit_default(it)

    def visit_type_relation(self, tr: TypeRelation) -> R:
        """A relation between types."""
        return self.visit_default(tr)

    def visit_type_data(self, td: TypeData) -> R:
        """A type definition."""
        return self.visit_default(td)


class TypeVisitor(TypeFunctor[None]):
    """Visits everything in a type; override the methods for the kinds of interest."""

    def visit_default(self, typ: Type) -> None:
        """Visit the types inside."""
        for child in typ.children():
            self.visit(child)

    def visit_type_data(self, td: TypeData) -> None:
        """Visit the fields of the constructors."""
        for constructor in td.constructors:
            for field in constructor.inputs:
                self.visit(field)


class TypeMutator(TypeFunctor[Type]):
    """Rebuilds types over what its methods return; what does not change stays as it is."""

    def visit_default(self, typ: Type) -> Type:
        """`typ` itself."""
        return typ

    def visit_tuple_type(self, tt: TupleType) -> Type:
        """Rebuild the tuple type over its visited fields."""
        fields = [self.visit(f) for f in tt.fields]
        return tt if _same(tt.fields, fields) else TupleType(fields)

    def visit_func_type(self, ft: FuncType) -> Type:
        """Rebuild the function type over its visited parts; the type parameters stay."""
        parts = [self.visit(t) for t in ft.children()]
        if _same(ft.children(), parts):
            return ft
        count = len(ft.arg_types)
        demands = [p for p in parts[count + 1 :] if isinstance(p, TypeConstraint)]
        return FuncType(parts[:count], parts[count], ft.type_params, demands)

    def visit_type_relation(self, tr: TypeRelation) -> Type:
        """Rebuild the relation over its visited types."""
        args = [self.visit(t) for t in tr.args]
        return tr if _same(tr.args, args) else tr.with_args(args)

    def visit_type_call(self, tc: TypeCall) -> Type:
        """Rebuild the data type over its visited arguments."""
        func, *args = (self.visit(t) for t in tc.children())
        return tc if _same(tc.children(), [func, *args]) else TypeCall(func, args)

    def visit_ref_type(self, rt: RefType) -> Type:
        """Rebuild the reference type over its visited type."""
        value = self.visit(rt.value)
        return rt if value is rt.value else RefType(value)


def _same(old: tuple[Type, ...], new: list[Type]) -> bool:
    return all(a is b for a, b in zip(old, new, strict=True))
