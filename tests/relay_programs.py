"""Well-typed programs with control flow, tuples, closures and data types, made by Hypothesis.

Every program has a ``@main`` of one int32 parameter and ends. Lets and patterns are annotated or
not as Hypothesis likes, so that inference has something to do. `tensor_programs` have tensors of
floats, loops and further global functions as well; their ``@main`` also takes a tensor.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

import relay
from relay.prelude import Prelude

INT = relay.TensorType((), "int32")
BOOL = relay.TensorType((), "bool")
PRELUDE = Prelude()
LIST = PRELUDE.l(INT)
OPTION = PRELUDE.optional(INT)
PAIR = relay.TupleType([INT, BOOL])
FUNCTION = relay.FuncType([INT], INT)
REFERENCE = relay.RefType(INT)
TYPES = (INT, BOOL, LIST, OPTION, PAIR, FUNCTION, REFERENCE)
TENSOR = relay.TensorType((2, 3), "float32")
TENSORS = relay.TupleType([TENSOR, TENSOR])
MAP = relay.FuncType([TENSOR], TENSOR)
TENSOR_LIST = PRELUDE.l(TENSOR)
TENSOR_TYPES = (*TYPES, *[TENSOR] * 4, TENSORS, MAP, TENSOR_LIST)
WEIGHTS = np.random.default_rng(0).uniform(-1, 1, (3, 3)).astype(np.float32)

Draw = Callable[[st.SearchStrategy], object]


@dataclass
class Maker:
    """Makes expressions of a wanted type from the variables in scope."""

    draw: Draw
    scope: list[relay.Var] = field(default_factory=list)
    count: int = 0

    def variable(self, type_: relay.Type, *, annotated: bool = False) -> relay.Var:
        self.count += 1
        keep = annotated or self.draw(st.booleans())
        found = relay.Var(f"v{self.count}", type_ if keep else None)
        self.types[found] = type_
        return found

    types: dict[relay.Var, relay.Type] = field(default_factory=dict)

    def inside(self, variables: list[relay.Var], type_: relay.Type, depth: int) -> relay.Expr:
        """An expression in which `variables` are in scope, too."""
        self.scope += variables
        found = self.make(type_, depth)
        del self.scope[len(self.scope) - len(variables) :]
        return found

    def make(self, type_: relay.Type, depth: int) -> relay.Expr:
        """An expression of `type_`, nested at most `depth` deep."""
        known = [v for v in self.scope if self.types[v] == type_]
        choices = [self.leaf] if not known else [self.leaf, lambda *_: self.pick(known)]
        if depth > 0:
            choices += [self.own, self.own, self.let, self.if_, self.match_list, self.match_option]
            choices += [self.match_pair, self.project, self.call, self.sequence]
        return self.draw(st.sampled_from(choices))(type_, depth - 1)

    def pick(self, known: list[relay.Var]) -> relay.Expr:
        return self.draw(st.sampled_from(known))

    def leaf(self, type_: relay.Type, depth: int) -> relay.Expr:
        if type_ == INT:
            return relay.const(self.draw(st.integers(-3, 3)))
        if type_ == BOOL:
            return relay.const(self.draw(st.booleans()))
        if type_ == LIST:
            return PRELUDE.cons(self.make(INT, 0), self.empty(LIST))
        if type_ == OPTION:
            return PRELUDE.some(self.make(INT, 0))
        if type_ == PAIR:
            return relay.Tuple([self.make(INT, 0), self.make(BOOL, 0)])
        if type_ == REFERENCE:
            return relay.RefCreate(self.make(INT, 0))
        return self.function(0)

    def empty(self, type_: relay.Type) -> relay.Expr:
        """An empty list or option; a let tells its type."""
        variable = self.variable(type_, annotated=True)
        value = PRELUDE.none() if type_ == OPTION else PRELUDE.nil()
        return relay.Let(variable, value, variable)

    def function(self, depth: int) -> relay.Expr:
        x = self.variable(INT, annotated=True)
        return relay.Function([x], self.inside([x], INT, depth))

    def own(self, type_: relay.Type, depth: int) -> relay.Expr:
        """What only values of `type_` are made by."""
        if type_ == INT:
            other = [
                lambda: relay.add(self.make(INT, depth), self.make(INT, depth)),
                lambda: PRELUDE.length(self.make(LIST, depth)),
                lambda: PRELUDE.sum(self.make(LIST, depth)),
                lambda: relay.RefRead(self.make(REFERENCE, depth)),
            ]
            return self.draw(st.sampled_from(other))()
        if type_ == BOOL:
            return relay.less(self.make(INT, depth), self.make(INT, depth))
        if type_ == LIST:
            other = [
                lambda: self.empty(LIST),
                lambda: PRELUDE.cons(self.make(INT, depth), self.make(LIST, depth)),
                lambda: PRELUDE.map(self.function(depth), self.make(LIST, depth)),
                lambda: PRELUDE.foldr(PRELUDE.cons, self.make(LIST, depth), self.make(LIST, depth)),
            ]
            return self.draw(st.sampled_from(other))()
        if type_ == OPTION:
            return self.empty(OPTION)
        if type_ == PAIR:
            return relay.Tuple([self.make(INT, depth), self.make(BOOL, depth)])
        if type_ == REFERENCE:
            return relay.RefCreate(self.make(INT, depth))
        return self.draw(st.sampled_from([lambda: self.function(depth), lambda: PRELUDE.id]))()

    def let(self, type_: relay.Type, depth: int) -> relay.Expr:
        bound = self.draw(st.sampled_from(self.bound_types()))
        value = self.make(bound, depth)
        if value is PRELUDE.id:
            return self.make(type_, depth)
        variable = self.variable(bound)
        return relay.Let(variable, value, self.inside([variable], type_, depth))

    def bound_types(self) -> tuple[relay.Type, ...]:
        """The types of variables that lets bind."""
        return TYPES

    def if_(self, type_: relay.Type, depth: int) -> relay.Expr:
        parts = self.make(BOOL, depth), self.make(type_, depth), self.make(type_, depth)
        return relay.If(*parts)

    def match_list(self, type_: relay.Type, depth: int) -> relay.Expr:
        head, tail = self.variable(INT), self.variable(LIST)
        cons = relay.PatternConstructor(
            PRELUDE.cons, [relay.PatternVar(head), relay.PatternVar(tail)]
        )
        rest = relay.PatternConstructor(PRELUDE.nil)
        if self.draw(st.booleans()):
            rest = relay.PatternWildcard()
        clauses = [
            relay.Clause(cons, self.inside([head, tail], type_, depth)),
            relay.Clause(rest, self.make(type_, depth)),
        ]
        return relay.Match(self.make(LIST, depth), clauses)

    def match_option(self, type_: relay.Type, depth: int) -> relay.Expr:
        held = self.variable(INT)
        some = relay.PatternConstructor(PRELUDE.some, [relay.PatternVar(held)])
        clauses = [
            relay.Clause(relay.PatternConstructor(PRELUDE.none), self.make(type_, depth)),
            relay.Clause(some, self.inside([held], type_, depth)),
        ]
        return relay.Match(self.make(OPTION, depth), clauses)

    def match_pair(self, type_: relay.Type, depth: int) -> relay.Expr:
        first = self.variable(INT)
        pattern = relay.PatternTuple([relay.PatternVar(first), relay.PatternWildcard()])
        clause = relay.Clause(pattern, self.inside([first], type_, depth))
        return relay.Match(self.make(PAIR, depth), [clause])

    def project(self, type_: relay.Type, depth: int) -> relay.Expr:
        fields = [self.make(t, depth) for t in (type_, INT)]
        return relay.TupleGetItem(relay.Tuple(fields), 0)

    def call(self, type_: relay.Type, depth: int) -> relay.Expr:
        if type_ == INT and self.draw(st.booleans()):
            return relay.Call(self.make(FUNCTION, depth), [self.make(INT, depth)])
        x = self.variable(INT, annotated=True)
        function = relay.Function([x], self.inside([x], type_, depth))
        return relay.Call(function, [self.make(INT, depth)])

    def sequence(self, type_: relay.Type, depth: int) -> relay.Expr:
        """Write to a reference, then go on."""
        reference = self.variable(REFERENCE, annotated=True)
        ignored = relay.Var("ignored")
        write = relay.RefWrite(reference, self.make(INT, depth))
        body = relay.Let(ignored, write, self.inside([reference], type_, depth))
        return relay.Let(reference, relay.RefCreate(self.make(INT, 0)), body)


@st.composite
def programs(draw: Draw, depth: int = 3) -> relay.IRModule:
    """A module whose ``@main`` takes an int32 scalar."""
    maker = Maker(draw)
    x = maker.variable(INT, annotated=True)
    result = draw(st.sampled_from([t for t in TYPES if t not in (FUNCTION, REFERENCE)]))
    module = relay.IRModule(PRELUDE.mod.functions, PRELUDE.mod.type_definitions)
    module["main"] = relay.Function([x], maker.inside([x], result, depth))
    return module


@dataclass
class TensorMaker(Maker):
    """Makes tensors of floats, loops and calls of global functions, too."""

    helpers: list[tuple[relay.GlobalVar, relay.Type]] = field(default_factory=list)

    def make(self, type_: relay.Type, depth: int) -> relay.Expr:
        if depth > 0 and self.draw(st.integers(0, 5)) == 0:
            fitting = [g for g, result in self.helpers if result == type_]
            if fitting and self.draw(st.booleans()):
                return relay.Call(self.draw(st.sampled_from(fitting)), [self.make(INT, depth - 1)])
            if type_ in (INT, TENSOR):
                return self.loop(type_, depth - 1)
        if depth > 0 and type_ == TENSOR and self.draw(st.booleans()):
            return self.own(type_, depth - 1)
        return super().make(type_, depth)

    def bound_types(self) -> tuple[relay.Type, ...]:
        return TENSOR_TYPES

    def leaf(self, type_: relay.Type, depth: int) -> relay.Expr:
        if type_ == TENSOR:
            value = self.draw(st.sampled_from([-1.0, 0.0, 0.5, 2.0]))
            return relay.const(np.full((2, 3), value, np.float32))
        if type_ == TENSORS:
            return relay.Tuple([self.make(TENSOR, 0), self.make(TENSOR, 0)])
        if type_ == TENSOR_LIST:
            return PRELUDE.cons(self.make(TENSOR, 0), self.empty(TENSOR_LIST))
        return self.map_function(0) if type_ == MAP else super().leaf(type_, depth)

    def map_function(self, depth: int) -> relay.Expr:
        x = self.variable(TENSOR, annotated=True)
        return relay.Function([x], self.inside([x], TENSOR, depth))

    def own(self, type_: relay.Type, depth: int) -> relay.Expr:
        if type_ == TENSOR:
            return self.draw(st.sampled_from(self.operators(depth)))()
        if type_ == TENSORS:
            other = [
                lambda: relay.Tuple([self.make(TENSOR, depth), self.make(TENSOR, depth)]),
                lambda: relay.split(self.wide(depth), 2, axis=1).astuple(),
            ]
            return self.draw(st.sampled_from(other))()
        if type_ == TENSOR_LIST:
            other = [
                lambda: PRELUDE.cons(self.make(TENSOR, depth), self.make(TENSOR_LIST, depth)),
                lambda: self.empty(TENSOR_LIST),
                lambda: PRELUDE.map(self.map_function(depth), self.make(TENSOR_LIST, depth)),
            ]
            return self.draw(st.sampled_from(other))()
        if type_ == MAP:
            return self.map_function(depth)
        if type_ == BOOL and self.draw(st.booleans()):
            return relay.less(relay.mean(self.make(TENSOR, depth)), relay.const(np.float32(0.3)))
        return super().own(type_, depth)

    def wide(self, depth: int) -> relay.Expr:
        return relay.concatenate([self.make(TENSOR, depth), self.make(TENSOR, depth)], axis=1)

    def operators(self, depth: int) -> list[Callable[[], relay.Expr]]:
        """Ways to make a tensor, none of which lets values grow."""

        def one() -> relay.Expr:
            return self.make(TENSOR, depth)

        row = relay.const(WEIGHTS[0])
        unary = st.sampled_from(
            [relay.tanh, relay.nn.relu, relay.sigmoid, relay.negative, relay.abs]
        )
        return [
            lambda: self.draw(unary)(one()),
            lambda: relay.tanh(relay.add(one(), one())),
            lambda: relay.tanh(relay.multiply(one(), relay.add(one(), row))),
            lambda: relay.maximum(relay.multiply(one(), row), one()),
            lambda: relay.tanh(relay.nn.dense(one(), relay.const(WEIGHTS))),
            lambda: relay.nn.softmax(relay.nn.bias_add(one(), row)),
            lambda: relay.transpose(relay.reshape(one(), (3, 2))),
            lambda: relay.strided_slice(self.wide(depth), (0, 1), (2, 4)),
            lambda: relay.add(one(), relay.zeros((2, 3), "float32")),
            lambda: relay.cast(relay.cast(one(), "float32"), "float32"),
            lambda: relay.Call(self.make(MAP, depth), [one()]),
            lambda: relay.TupleGetItem(self.make(TENSORS, depth), self.draw(st.integers(0, 1))),
            lambda: self.first(depth),
        ]

    def first(self, depth: int) -> relay.Expr:
        """The first tensor of a list, or else another one."""
        head = self.variable(TENSOR)
        parts = [relay.PatternVar(head), relay.PatternWildcard()]
        clauses = [
            relay.Clause(
                relay.PatternConstructor(PRELUDE.cons, parts), self.inside([head], TENSOR, depth)
            ),
            relay.Clause(relay.PatternWildcard(), self.make(TENSOR, depth)),
        ]
        return relay.Match(self.make(TENSOR_LIST, depth), clauses)

    def loop(self, type_: relay.Type, depth: int) -> relay.Expr:
        """A few rounds of a recursive function that captures what is in scope."""
        step = self.variable(INT, annotated=True)
        state = self.variable(type_, annotated=True)
        function = relay.Var("loop", relay.FuncType([INT, type_], type_))
        again = [relay.subtract(step, relay.const(1)), self.inside([step, state], type_, depth)]
        go = relay.less(relay.const(0), step)
        body = relay.If(go, relay.Call(function, again), state)
        rounds = relay.const(self.draw(st.integers(0, 3)))
        start = relay.Call(function, [rounds, self.make(type_, depth)])
        return relay.Let(function, relay.Function([step, state], body, type_), start)


@st.composite
def tensor_programs(draw: Draw, depth: int = 4) -> relay.IRModule:
    """A module whose ``@main`` takes an int32 scalar and a float32 tensor of 2 x 3."""
    module = relay.IRModule(PRELUDE.mod.functions, PRELUDE.mod.type_definitions)
    maker = TensorMaker(draw)
    for number in range(draw(st.integers(0, 2))):
        n = maker.variable(INT, annotated=True)
        result = draw(st.sampled_from([INT, TENSOR, TENSORS]))
        name = relay.GlobalVar(f"helper{number}")
        module[name] = relay.Function([n], maker.inside([n], result, depth - 1), result)
        maker.helpers.append((name, result))
    x, t = maker.variable(INT, annotated=True), maker.variable(TENSOR, annotated=True)
    hidden = (FUNCTION, REFERENCE, MAP)
    result = draw(st.sampled_from([k for k in TENSOR_TYPES if k not in hidden]))
    module["main"] = relay.Function([x, t], maker.inside([x, t], result, depth))
    return module
