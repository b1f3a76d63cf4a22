"""Continuation-passing style: calls that never return.

A function gets one parameter more, the continuation, which is given the result; every call of a
function is the last thing that happens. All functions end in the same type, the answer, which is a
type parameter.

Source: Plotkin, Call-by-name, call-by-value and the lambda-calculus, 1975.
"""

from collections.abc import Callable, Sequence
from typing import Final

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.types import FuncType, RefType, TupleType, Type, TypeCall, TypeVar, substitute_types
from relay.ir.visit import bound_vars
from relay.support.errors import UnsupportedError
from relay.transform.closures import CLOSED
from relay.transform.copies import fresh_copy, instance, typed_with, unused_name
from relay.transform.eta_expand import EtaExpand
from relay.transform.to_a_normal_form import a_normal_form
from relay.transform.trampoline import Steps, run

Wrap = Callable[[Expr], Expr]
_EXPAND: Final = EtaExpand(expand_constructor=True, expand_global_var=True)
SUFFIX: Final = "_cps"
"""What the names of converted global functions end with."""


def to_cps(func: Function, mod: IRModule | None = None) -> Function:
    """`func` in continuation-passing style.

    A function ``fn (A) -> B`` becomes ``fn [R](A', fn (B') -> R) -> R``, where ``A'`` is ``A``
    with all types of functions in it changed alike. The global functions that it reaches are
    converted, too: `mod` gets them under new names. Linear in the size of the program. ::

        fn (%x) { exp(@f(%x)) }   ->   fn [R](%x, %k) { @f_cps(%x, fn (%y) { %k(exp(%y)) }) }

    Raises `UnsupportedError` for constructors with a field of the type of a function.
    """
    module = IRModule() if mod is None else mod
    entry, typed = typed_with(func, module)
    program = _Program(typed)
    result = program.converted(entry)
    while program.waiting:
        name, function = program.waiting.pop()
        module[name] = program.converted(function)
    return result


def ToCPS(expr: Function, mod: IRModule | None = None) -> Function:  # noqa: N802 - Relay's name
    """`to_cps`."""
    return to_cps(expr, mod)


def un_cps(func: Function) -> Function:
    """The function that gives `func`, which is in continuation-passing style, no continuation.

    The interface is the one before `to_cps` where that was first-order; functions among parameters
    and results stay in continuation-passing style. ::

        fn [R](%x: A, %k: fn (B) -> R) -> R { .. }   ->   fn (%x: A) -> B { .. }

    Raises `UnsupportedError` when `func` is not in continuation-passing style.
    """
    last = func.params[-1].type_annotation if func.params else None
    answer = func.type_params[-1] if func.type_params else None
    if answer is None or not isinstance(last, FuncType) or last.ret_type is not answer:
        raise UnsupportedError(
            "expected a function in continuation-passing style: its last parameter is a function "
            "to its last type parameter"
        )
    (result,) = last.arg_types
    copy = instance(func, {answer: result})
    value = Var("result", substitute_types(result, {answer: result}))
    identity = Function([value], value, value.type_annotation)
    *params, continuation = copy.params
    body = Let(continuation, identity, copy.body)
    return Function(params, body, value.type_annotation, copy.type_params, func.attrs, func.span)


class _Program:
    """The conversion of the functions of a module."""

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self.waiting: list[tuple[GlobalVar, Function]] = []
        self._names: dict[str, GlobalVar] = {}
        self._taken = {g.name_hint for g in module}

    def converted(self, function: Function) -> Function:
        """A global function in continuation-passing style."""
        answer = TypeVar("R")
        params = [TypeVar(t.name_hint, t.kind) for t in function.type_params]
        types: dict[TypeVar, Type] = dict(zip(function.type_params, params, strict=True))
        normal = a_normal_form(_EXPAND.expanded(instance(function, types)))
        found = run(_Conversion(self, answer).function(normal))
        assert isinstance(found, Function)
        result, attrs = found.ret_type, {**function.attrs}
        return Function(found.params, found.body, result, (*params, answer), attrs, found.span)

    def name(self, old: GlobalVar) -> GlobalVar:
        """The converted version of a global function."""
        if old.name_hint not in self._names:
            function = self.module[old]
            answer = TypeVar("R")
            type_ = converted_type(function.checked_type, answer)
            assert isinstance(type_, FuncType)
            type_ = FuncType(type_.arg_types, type_.ret_type, (*type_.type_params, answer))
            name = unused_name(old.name_hint + SUFFIX, self._taken)
            self._taken.add(name)
            self._names[old.name_hint] = GlobalVar(name, type_)
            self.waiting.append((self._names[old.name_hint], function))
        return self._names[old.name_hint]

    def is_direct(self, callee: Expr) -> bool:
        """Whether calls of `callee` return: operators, constructors, functions for the compiler."""
        if isinstance(callee, GlobalVar):
            callee = self.module[callee]
        if isinstance(callee, Function):
            return bool(CLOSED & callee.attrs.keys())
        return isinstance(callee, Op | Constructor)


def converted_type(type_: Type, answer: TypeVar) -> Type:
    """`type_` with a continuation for every function in it."""
    match type_:
        case FuncType(arg_types=arguments, ret_type=result, type_params=params):
            new = [converted_type(t, answer) for t in arguments]
            continuation = FuncType([converted_type(result, answer)], answer)
            return FuncType([*new, continuation], answer, params)
        case TupleType(fields=fields):
            return TupleType([converted_type(f, answer) for f in fields])
        case RefType(value=value):
            return RefType(converted_type(value, answer))
        case TypeCall(func=func, args=args):
            return TypeCall(func, [converted_type(a, answer) for a in args])
        case _:
            return type_


class _Conversion:
    """The conversion of one global function, which is in A-normal form."""

    def __init__(self, program: _Program, answer: TypeVar) -> None:
        self.program = program
        self.answer = answer
        self.variables: dict[Expr, Expr] = {}

    def _type(self, type_: Type) -> Type:
        return converted_type(type_, self.answer)

    def _variable(self, old: Var) -> Var:
        new = Var(old.name_hint, self._type(old.checked_type), old.span)
        self.variables[old] = new
        return new

    def _atom(self, old: Expr) -> Expr:
        return self.variables.get(old, old)

    def _continuation(self, type_: Type, name: str) -> Var:
        return Var(name, FuncType([self._type(type_)], self.answer))

    def function(self, function: Function) -> Steps:
        """A function value."""
        params = [self._variable(p) for p in function.params]
        k = self._continuation(function.body.checked_type, "k")
        body = yield self._body(function.body, k)
        types = function.type_params
        return Function([*params, k], body, self.answer, types, function.attrs, function.span)

    def _body(self, body: Expr, k: Var) -> Steps:
        """The value of `body`, which is lets around something, given to `k`."""
        wraps: list[Wrap] = []
        while isinstance(body, Let):
            new = self._variable(body.variable)
            wraps.append((yield self._binding(new, body.value)))
            body = body.body
        result = yield self._tail(body, k)
        for wrap in reversed(wraps):
            result = wrap(result)
        return result

    def _binding(self, new: Var, value: Expr) -> Steps:
        """What to write around what follows, in which `new` is the value."""
        if isinstance(value, Function) and not CLOSED & value.attrs.keys():
            function = yield self.function(value)
            return lambda rest: Let(new, function, rest)
        if isinstance(value, If | Match):
            join = Var("join", FuncType([new.checked_type], self.answer))
            branches = yield self._branches(value, join)
            return lambda rest: Let(join, Function([new], rest, self.answer), branches)
        if isinstance(value, Call) and not self.program.is_direct(value.op):
            return lambda rest: self._call(value, Function([new], rest, self.answer))
        simple = self._simple(value)
        return lambda rest: Let(new, simple, rest)

    def _tail(self, body: Expr, k: Var) -> Steps:
        if isinstance(body, If | Match):
            return (yield self._branches(body, k))
        if isinstance(body, Call) and not self.program.is_direct(body.op):
            return self._call(body, k)
        if isinstance(body, Function) and not CLOSED & body.attrs.keys():
            return Call(k, [(yield self.function(body))])
        return Call(k, [self._simple(body)])

    def _branches(self, node: If | Match, k: Var) -> Steps:
        if isinstance(node, If):
            then = yield self._body(node.true_branch, k)
            other = yield self._body(node.false_branch, k)
            return If(self._atom(node.cond), then, other, node.span)
        bound = [self._variable(v) for v in node.bound]
        bodies = []
        for clause in node.clauses:
            bodies.append((yield self._body(clause.rhs, k)))
        return node.rebuild([*bound, self._atom(node.data), *bodies])

    def _call(self, call: Call, continuation: Expr) -> Expr:
        arguments = [*(self._atom(a) for a in call.args), continuation]
        types = [self._type(t) for t in call.type_args]
        if isinstance(call.op, GlobalVar):
            op = self.program.name(call.op)
            return Call(op, arguments, None, [*types, self.answer], call.span)
        return Call(self._atom(call.op), arguments, None, types, call.span)

    def _simple(self, node: Expr) -> Expr:
        """What is computed without calling a function."""
        if not node.children():
            return self._atom(node)
        if isinstance(node, Function):
            return fresh_copy(node)
        if isinstance(node, Call):
            _check_fields(node.op)
            types = [self._type(t) for t in node.type_args]
            op = fresh_copy(node.op) if isinstance(node.op, Function) else node.op
            return Call(op, [self._atom(a) for a in node.args], node.attrs, types, node.span)
        assert not bound_vars(node), "scopes are converted elsewhere"
        return node.rebuild([self._atom(c) for c in node.children()])


def _check_fields(callee: Expr) -> None:
    """Raise `UnsupportedError` where a field's type is that of a function, whatever the type."""
    inputs: Sequence[Type] = callee.inputs if isinstance(callee, Constructor) else ()
    for type_ in inputs:
        if converted_type(type_, TypeVar("R")) != type_:
            raise UnsupportedError(
                f"a field of a constructor has the fixed type {type_}; make the type of the "
                "function a type parameter"
            )
