"""`Defunctionalization`: higher-order programs as first-order ones.

Every type of functions becomes a data type with a constructor for each function of the program that
is of this type; its fields are what the function captures. Calling such a value is calling the
type's ``apply`` function, which matches on the constructor.

Source: Reynolds, Definitional interpreters for higher-order programming languages, 1972.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Call, Expr, Function, GlobalVar, Op, Var
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.patterns import Pattern, PatternConstructor, PatternVar
from relay.ir.types import FuncType, GlobalTypeVar, RefType, TupleType, Type, TypeCall
from relay.support.errors import UnsupportedError
from relay.transform.closures import CLOSED, ClosureConversion, Lambda
from relay.transform.copies import instance, typed_with, unused_name
from relay.transform.monomorphic import monomorphic_values
from relay.transform.to_a_normal_form import a_normal_form

INSTANCE_LIMIT: Final = 10_000
"""More instances of global functions than this come from a recursion that never ends."""


def Defunctionalization(func: Function, mod: IRModule) -> Function:  # noqa: N802 - Relay's name
    """`func`, which may call the functions of `mod`, without function values.

    `mod` gets the data types that stand for functions, their ``apply`` functions, and a copy of
    each global function for each list of type arguments that it is called with: the result calls
    those only. Linear in the size of the result. ::

        fn (%x) { let %f = fn (%y) { add(%x, %y) }; %f(1) }
        ->
        fn (%x) { let %f = Lambda_f(%x); @apply(%f, 1) }

    Raises `UnsupportedError` for functions among the parameters and results of `func`, for `func`
    itself being polymorphic, and for uses of polymorphic functions as values at no certain type.
    """
    entry, typed = typed_with(func, mod)
    type_ = entry.checked_type
    assert isinstance(type_, FuncType)
    if entry.type_params or any(_has_functions(t) for t in type_.children()):
        raise UnsupportedError(
            f"only functions between first-order values can be defunctionalised, found {type_}"
        )
    program = _Program(typed)
    result = program.function(entry, "main")
    program.finish()
    for data in program.data.values():
        assert data.definition is not None
        mod[data.header] = data.definition
    for name, function in program.functions.items():
        mod[name] = function
    return result


def _has_functions(type_: Type) -> bool:
    stack = [type_]
    while stack:
        current = stack.pop()
        if isinstance(current, FuncType):
            return True
        stack.extend(current.children())
    return False


@dataclass(eq=False)
class _Data:
    """The data type for a type of functions: a clause of its ``apply`` for each constructor."""

    header: GlobalTypeVar
    apply: GlobalVar
    type_: FuncType
    clauses: list[tuple[Constructor, GlobalVar]] = field(default_factory=list)
    definition: TypeData | None = None


class _Program:
    """The first-order program in the making."""

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self.functions: dict[GlobalVar, Function] = {}
        self.data: dict[FuncType, _Data] = {}
        self._instances: dict[tuple[str, tuple[Type, ...]], GlobalVar] = {}
        self._waiting: list[tuple[GlobalVar, str, Function]] = []
        self._names = {g.name_hint for g in module}
        self._types = {g.name_hint for g in module.get_global_type_vars()}

    def new_name(self, wanted: str) -> str:
        """A name for a global function that there is none of yet."""
        name = unused_name(wanted, self._names)
        self._names.add(name)
        return name

    def type_name(self, wanted: str) -> str:
        """A name for a type or a constructor that there is none of yet."""
        name = unused_name(wanted, self._types)
        self._types.add(name)
        return name

    def function(self, function: Function, owner: str) -> Function:
        """`function`, which is monomorphic, without function values."""
        normal = a_normal_form(monomorphic_values(instance(function, {})))
        return _Conversion(normal, owner, self).run()

    def finish(self) -> None:
        """Convert what is reached, and define the data types and their ``apply`` functions."""
        while self._waiting:
            name, owner, function = self._waiting.pop()
            self.functions[name] = self.function(function, owner)
        for data in list(self.data.values()):
            self._define(data)

    def instance(self, name: GlobalVar, type_args: Sequence[Type]) -> GlobalVar:
        """The first-order version of a global function at type arguments."""
        key = name.name_hint, tuple(type_args)
        if key not in self._instances:
            if len(self._instances) >= INSTANCE_LIMIT:
                raise UnsupportedError(
                    f"@{name.name_hint} is called with ever more types: that recursion has no "
                    "first-order version"
                )
            function = self.module[name]
            function = instance(function, dict(zip(function.type_params, type_args, strict=True)))
            arguments = [self.converted(p.checked_type) for p in function.params]
            type_ = function.checked_type
            assert isinstance(type_, FuncType)
            new_type = FuncType(arguments, self.converted(type_.ret_type))
            new = GlobalVar(self.new_name(f"{name.name_hint}_first_order"), new_type)
            self._instances[key] = new
            self._waiting.append((new, name.name_hint, function))
        return self._instances[key]

    def converted(self, type_: Type) -> Type:
        """`type_` with data types in place of the types of functions."""
        match type_:
            case FuncType():
                return TypeCall(self.data_of(type_).header, ())
            case TupleType(fields=fields):
                return TupleType([self.converted(f) for f in fields])
            case RefType(value=value):
                return RefType(self.converted(value))
            case TypeCall(func=func, args=args):
                return TypeCall(func, [self.converted(a) for a in args])
            case _:
                return type_

    def data_of(self, type_: FuncType) -> _Data:
        """The data type that stands for functions of `type_`."""
        if type_.type_params:
            raise UnsupportedError(f"a value of the polymorphic type {type_} has no data type")
        if type_ not in self.data:
            header = GlobalTypeVar(self.type_name("Function"))
            apply = GlobalVar(self.new_name("apply"))
            self.data[type_] = _Data(header, apply, type_)
            arguments = [self.converted(t) for t in type_.arg_types]
            result = self.converted(type_.ret_type)
            apply = GlobalVar(apply.name_hint, FuncType([TypeCall(header), *arguments], result))
            self.data[type_].apply = apply
        return self.data[type_]

    def _define(self, data: _Data) -> None:
        type_ = data.apply.type_annotation
        assert isinstance(type_, FuncType)
        function, *arguments = [Var(f"x{i}", t) for i, t in enumerate(type_.arg_types)]
        clauses: list[Clause] = []
        constructors: list[Constructor] = []
        for constructor, name in data.clauses:
            fields = [Var(f"c{i}", t) for i, t in enumerate(constructor.inputs)]
            pattern: Pattern = PatternConstructor(constructor, [PatternVar(v) for v in fields])
            clauses.append(Clause(pattern, Call(name, [*fields, *arguments])))
            constructors.append(constructor)
        if not clauses:
            # Nothing makes such a function, so that none is ever called.
            never = Constructor(self.type_name("Never"), (), data.header)
            again = Call(data.apply, [function, *arguments])
            clauses, constructors = [Clause(PatternConstructor(never), again)], [never]
        data.definition = TypeData(data.header, (), constructors)
        body = Match(function, clauses)
        self.functions[data.apply] = Function([function, *arguments], body, type_.ret_type)


class _Conversion(ClosureConversion):
    """The conversion of one global function."""

    def __init__(self, root: Function, owner: str, program: _Program) -> None:
        super().__init__(root)
        self.owner = owner
        self.program = program
        self.constructors: dict[Lambda, Constructor] = {}
        self.names: dict[Lambda, GlobalVar] = {}

    def run(self) -> Function:
        """The function itself; what is inside of it goes to the program."""
        for inner in self.lambdas.values():
            if inner.function is not self.root:
                self._declare(inner)
        for inner, name in self.names.items():
            captured, params, body = self.convert(inner)
            type_ = name.type_annotation
            assert isinstance(type_, FuncType)
            self.program.functions[name] = Function([*captured, *params], body, type_.ret_type)
        _, params, body = self.convert(self.lambdas[self.root])
        result = self.root.body.checked_type
        attrs = self.root.attrs
        return Function(params, body, self.program.converted(result), None, attrs, self.root.span)

    def _declare(self, inner: Lambda) -> None:
        program = self.program
        hint = inner.names[0].name_hint if inner.names else "lambda"
        type_ = inner.function.checked_type
        assert isinstance(type_, FuncType)
        data = program.data_of(type_)
        fields = [program.converted(v.checked_type) for v in inner.captured]
        constructor = Constructor(program.type_name(f"Lambda_{hint}"), fields, data.header)
        arguments = [program.converted(t) for t in type_.arg_types]
        result = program.converted(type_.ret_type)
        name = program.new_name(f"{self.owner}_{hint}")
        self.names[inner] = GlobalVar(name, FuncType([*fields, *arguments], result))
        self.constructors[inner] = constructor
        data.clauses.append((constructor, self.names[inner]))

    def closure(self, inner: Lambda, captured: Sequence[Expr]) -> Expr:
        return Call(self.constructors[inner], captured)

    def variable(self, variable: Var) -> Var:
        type_ = self.program.converted(variable.checked_type)
        return Var(variable.name_hint, type_, variable.span)

    def node(self, old: Expr, new: Expr) -> Expr:
        if not isinstance(old, Call) or not isinstance(new, Call) or isinstance(old.op, Op):
            return new
        if isinstance(old.op, Constructor):
            self._check_fields(old.op)
            types = [self.program.converted(t) for t in old.type_args]
            return Call(old.op, new.args, None, types, old.span)
        if isinstance(old.op, GlobalVar):
            if CLOSED & self.program.module[old.op].attrs.keys():
                return new
            name = self.program.instance(old.op, old.type_args)
            return Call(name, new.args, None, None, old.span)
        if isinstance(old.op, Function) and CLOSED & old.op.attrs.keys():
            return new
        type_ = old.op.checked_type
        assert isinstance(type_, FuncType)
        apply = self.program.data_of(type_).apply
        return Call(apply, [new.op, *new.args], None, None, old.span)

    def _check_fields(self, constructor: Constructor) -> None:
        for type_ in constructor.inputs:
            if _has_functions(type_):
                raise UnsupportedError(
                    f"{constructor.name_hint} has a field of the fixed type {type_}; "
                    "make the type of the function a type parameter"
                )
