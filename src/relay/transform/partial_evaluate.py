"""`PartialEvaluate`: run at compile time what does not depend on the inputs.

Source: Jones, Gomard and Sestoft, Partial evaluation and automatic program generation, 1993;
Thiemann and Dussart, Partial evaluation for higher-order languages with state, 1996.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.patterns import Pattern, PatternConstructor, PatternTuple, PatternVar
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import FuncType, TupleType, Type, substitute_types
from relay.ir.visit import bound_vars, post_order, used_children
from relay.transform.base import Pass, PassContext, with_functions
from relay.transform.closures import CLOSED
from relay.transform.copies import fresh_copy
from relay.transform.dead_code import DeadCodeElimination
from relay.transform.fold_constant import FoldConstant
from relay.transform.lets import lets_of, pure_functions, remove_lets
from relay.transform.monomorphic import matched
from relay.transform.residual import (
    Block,
    Environment,
    KnownData,
    KnownFunction,
    KnownReference,
    KnownTuple,
    Part,
    Slot,
    use,
    use_all,
)
from relay.transform.to_a_normal_form import a_normal_form
from relay.transform.trampoline import Steps, run

UNIT = TupleType(())


@dataclass(frozen=True)
class PartialEvaluate(Pass):
    """Evaluate what is known at compile time: operators, calls, branches, matches, references.

    Calls of known functions are replaced by their bodies, with effects in their order; what is not
    needed any more is gone. Everything ends: in one global function at most `fuel` calls are
    replaced, and a call of a function from inside of itself only where it is certain that it will
    happen, not inside of a branch that is decided at run time. The size of the result is at most
    `fuel` times that of the largest function. ::

        let %r = ref(1); let %f = fn (%y) { ref_write(%r, 2); add(%y, ref_read(%r)) }; %f(%x)
        ->
        add(%x, 2)
    """

    fuel: int = 1000

    opt_level = 1
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        normal = {
            name.name_hint: func if CLOSED & func.attrs.keys() else a_normal_form(func)
            for name, func in module.functions.items()
        }
        pure = pure_functions(module)
        changed: dict[GlobalVar, Function] = {}
        for name, func in module.functions.items():
            if func.attrs.get("SkipOptimization") or CLOSED & func.attrs.keys():
                continue
            evaluator = _Evaluator(normal, pure, self.fuel)
            changed[name] = without_dead_references(run(evaluator.entry(normal[name.name_hint])))
        return DeadCodeElimination().run(with_functions(module, changed), context)


def without_dead_references(func: Function) -> Function:
    """`func`, in A-normal form, without references that are only ever written to.

    Writes have to be bound to variables that nothing uses.
    """
    order = post_order(func, enter_primitive=False)
    lets = lets_of(order)
    dead = {v for v, let in lets.items() if isinstance(let.value, RefCreate)}
    for node in order:
        used = used_children(node)
        used = used[1:] if isinstance(node, RefWrite) else used
        dead.difference_update(v for v in used if isinstance(v, Var))
    for v, let in lets.items():
        if isinstance(let.value, RefWrite) and let.value.ref in dead:
            dead.add(v)
    return remove_lets(func, order, lets, dead, set()) if dead else func


class _Evaluator:
    """The evaluation of one global function."""

    def __init__(self, module: Mapping[str, Function], pure: frozenset[str], fuel: int) -> None:
        self.module = module
        self.pure = pure
        self.fuel = fuel
        self.block = Block()
        #: What references hold, as far as it is known at this point of the program.
        self.store: dict[KnownReference, Part] = {}
        #: For each function that is being called, the number of undecided branches around it.
        self.active: dict[Function, int] = {}
        self.branches = 0

    def entry(self, function: Function) -> Steps:
        """The global function itself, without anything known of its parameters."""
        return (yield self._residual(function, Environment(), renames=False))

    def _residual(self, function: Function, outer: Environment, renames: bool = True) -> Steps:
        """The function that is left of `function`."""
        types = dict(outer.types)
        env = Environment({}, types, outer)
        params = []
        for old in function.params:
            new = self._variable(old, env) if renames else old
            env.bind({old: Part(new)})
            params.append(new)
        block = self.block
        saved = self.store, self.active.get(function), block.has_effects
        # It may be called at any time, and is not to be taken apart inside of itself.
        self.store = {}
        self.active[function] = -1
        body = yield self._scope(function.body, env)
        self.store, before, block.has_effects = saved
        self._restore(function, before)
        result = None if function.ret_type is None else substitute_types(function.ret_type, types)
        kept = function.type_params
        return Function(params, body, result, kept, function.attrs, function.span)

    def _restore(self, function: Function, before: int | None) -> None:
        if before is None:
            del self.active[function]
        else:
            self.active[function] = before

    def _variable(self, old: Var, env: Environment) -> Var:
        return Var(old.name_hint, substitute_types(old.checked_type, env.types), old.span)

    def _scope(self, body: Expr, env: Environment) -> Steps:
        """`body` as an expression of its own, in a block of its own."""
        outer, self.block = self.block, Block()
        result = yield self._body(body, env)
        block = self.block
        expr = yield block.close(result)
        self.block = outer
        outer.has_effects = outer.has_effects or block.has_effects
        return expr

    def _body(self, body: Expr, env: Environment) -> Steps:
        """The value of lets around something."""
        while isinstance(body, Let):
            env.bind({body.variable: (yield self._value(body.value, env, body.variable))})
            body = body.body
        return (yield self._value(body, env, None))

    # ------------------------------------------------------------------ values

    def _atom(self, node: Expr, env: Environment) -> Part:
        if isinstance(node, Var):
            return env.lookup(node) or Part(node)
        if isinstance(node, GlobalVar):
            function = self.module.get(node.name_hint)
            known = None
            if function is not None and not CLOSED & function.attrs.keys():
                known = KnownFunction(function, Environment())
            return Part(node, known)
        return Part(node)

    def _value(self, node: Expr, env: Environment, name: Var | None) -> Steps:
        hint = name.name_hint if name else "x"
        match node:
            case Var() | GlobalVar() | Constant() | Constructor():
                return self._atom(node, env)
            case Function():
                return self._function(node, env, hint, name)
            case Call():
                return (yield self._call(node, env, hint))
            case If() | Match():
                return (yield self._choice(node, env, hint))
            case _:
                parts = [self._atom(c, env) for c in node.children()]
                return self._simple(
                    node, parts, hint, substitute_types(node.checked_type, env.types)
                )

    def _function(self, node: Function, env: Environment, hint: str, name: Var | None) -> Part:
        if CLOSED & node.attrs.keys():
            type_ = substitute_types(node.checked_type, env.types)
            return Part(self.block.lazy(hint, type_, lambda: fresh_copy(node, env.types)))
        own = Environment({}, env.types, env)
        type_ = substitute_types(node.checked_type, env.types)
        slot = self.block.lazy(hint, type_, lambda: self._residual(node, own))
        part = Part(slot, KnownFunction(node, own))
        if name is not None:
            own.bind({name: part})
        return part

    def _simple(self, node: Expr, parts: Sequence[Part], hint: str, type_: Type) -> Part:
        """Tuples and references."""
        match node:
            case Tuple():
                slot = self.block.lazy(hint, type_, lambda: Tuple(use_all(parts), node.span))
                return Part(slot, KnownTuple(tuple(parts)))
            case TupleGetItem(index=index):
                known = parts[0].known
                if isinstance(known, KnownTuple):
                    return known.fields[index]
                return Part(self.block.lazy(hint, type_, lambda: node.rebuild(use_all(parts))))
            case RefCreate():
                reference = KnownReference()
                self.store[reference] = parts[0]
                return Part(self.block.emit(hint, type_, RefCreate(use(parts[0]))), reference)
            case RefRead():
                known = parts[0].known
                if isinstance(known, KnownReference) and known in self.store:
                    return self.store[known]
                found = Part(self.block.emit(hint, type_, RefRead(use(parts[0]))))
                if isinstance(known, KnownReference):
                    self.store[known] = found
                return found
            case _:
                assert isinstance(node, RefWrite)
                self.block.emit("_", UNIT, RefWrite(use(parts[0]), use(parts[1])))
                known = parts[0].known
                if isinstance(known, KnownReference):
                    self.store[known] = parts[1]
                else:
                    self.store.clear()
                return Part(Tuple(()), KnownTuple(()))

    # ------------------------------------------------------------------ calls

    def _call(self, call: Call, env: Environment, hint: str) -> Steps:
        parts = [self._atom(a, env) for a in call.args]
        type_ = substitute_types(call.checked_type, env.types)
        if isinstance(call.op, Op):
            return self._operator(call, parts, hint, type_)
        if isinstance(call.op, Function) and CLOSED & call.op.attrs.keys():
            op = fresh_copy(call.op, env.types)
            return Part(self.block.lazy(hint, type_, lambda: Call(op, use_all(parts))))
        callee = self._atom(call.op, env)
        type_args = _type_args(call, callee, env)
        target = callee.dynamic
        if isinstance(target, Constructor):
            slot = self.block.lazy(
                hint, type_, lambda: Call(target, use_all(parts), None, type_args, call.span)
            )
            return Part(slot, KnownData(target, tuple(parts)))
        known = callee.known
        if isinstance(known, KnownFunction) and self._unfolds(known.function):
            return (yield self._unfolded(known, parts, type_args))

        def build() -> Expr:
            return Call(use(callee), use_all(parts), None, type_args, call.span)

        if isinstance(target, GlobalVar) and target.name_hint in self.pure:
            return Part(self.block.lazy(hint, type_, build))
        self.store.clear()
        return Part(self.block.emit(hint, type_, build()))

    def _operator(self, call: Call, parts: Sequence[Part], hint: str, type_: Type) -> Part:
        constants = [self._constant(p) for p in parts]
        known = [c for c in constants if c is not None]
        if len(known) == len(constants):
            folded = FoldConstant().folded(Call(call.op, known, call.attrs))
            if isinstance(folded, Constant):
                return Part(folded)
            if isinstance(folded, Tuple):
                fields = tuple(Part(f) for f in folded.fields)
                slot = self.block.lazy(hint, type_, lambda: folded)
                return Part(slot, KnownTuple(fields))

        def build() -> Expr:
            return Call(call.op, use_all(parts), call.attrs, call.type_args, call.span)

        if isinstance(call.attrs, Operator) and call.attrs.stateful:
            return Part(self.block.emit(hint, type_, build()))
        return Part(self.block.lazy(hint, type_, build))

    def _constant(self, part: Part) -> Expr | None:
        """`part` as a constant, or a tuple of constants."""
        if part.constant is not None:
            return part.constant
        if isinstance(part.known, KnownTuple):
            fields = [f.constant for f in part.known.fields]
            constants = [f for f in fields if f is not None]
            return Tuple(constants) if len(constants) == len(fields) else None
        return None

    def _unfolds(self, function: Function) -> bool:
        """Whether a call of `function` is to be replaced by its body here."""
        if self.fuel <= 0 or "SkipOptimization" in function.attrs:
            return False
        return function not in self.active or self.active[function] == self.branches

    def _unfolded(
        self, known: KnownFunction, parts: Sequence[Part], types: Sequence[Type]
    ) -> Steps:
        function = known.function
        self.fuel -= 1
        env = Environment(
            dict(zip(function.params, parts, strict=True)),
            {**known.environment.types, **dict(zip(function.type_params, types, strict=True))},
            known.environment,
        )
        before = self.active.get(function)
        self.active[function] = self.branches
        result = yield self._body(function.body, env)
        self._restore(function, before)
        return result

    # ------------------------------------------------------------------ choices

    def _choice(self, node: If | Match, env: Environment, hint: str) -> Steps:
        data = self._atom(node.cond if isinstance(node, If) else node.data, env)
        if isinstance(node, If):
            if data.constant is not None:
                chosen = bool(data.constant.data.numpy())
                return (yield self._body(node.true_branch if chosen else node.false_branch, env))
            bodies = [node.true_branch, node.false_branch]
        else:
            for clause in node.clauses:
                bound = match_part(clause.lhs, data)
                if isinstance(bound, dict):
                    env.bind(bound)
                    return (yield self._body(clause.rhs, env))
                if bound is None:
                    break
            bodies = [clause.rhs for clause in node.clauses]
        return (yield self._undecided(node, data, bodies, env, hint))

    def _undecided(
        self, node: If | Match, data: Part, bodies: Sequence[Expr], env: Environment, hint: str
    ) -> Steps:
        """A choice that is made at run time."""
        variables = [self._variable(v, env) for v in bound_vars(node)]
        inner = Environment(
            {old: Part(new) for old, new in zip(bound_vars(node), variables, strict=True)},
            env.types,
            env,
        )
        before, stores, closed = self.store, [], []
        outer_effects, self.block.has_effects = self.block.has_effects, False
        self.branches += 1
        for body in bodies:
            self.store = dict(before)
            closed.append((yield self._scope(body, Environment({}, env.types, inner))))
            stores.append(self.store)
        self.branches -= 1
        self.store = _common(before, stores)
        result = node.rebuild([*variables, use(data), *closed])
        type_ = substitute_types(node.checked_type, env.types)
        effects, self.block.has_effects = self.block.has_effects, outer_effects
        if effects:
            return Part(self.block.emit(hint, type_, result))
        return Part(self.block.lazy(hint, type_, lambda: result))


def _type_args(call: Call, callee: Part, env: Environment) -> list[Type]:
    """The type arguments of `call`, now that it is known what it calls.

    A variable of a function of one type may turn out to be a polymorphic function.
    """
    if call.type_args:
        return [substitute_types(t, env.types) for t in call.type_args]
    target: Expr | Slot = callee.dynamic
    if isinstance(callee.known, KnownFunction):
        target = callee.known.function
    found = target.checked_type if isinstance(target, Expr) else None
    if not isinstance(found, FuncType) or not found.type_params:
        return []
    wanted = substitute_types(call.op.checked_type, env.types)
    types = matched(FuncType(found.arg_types, found.ret_type), wanted)
    return [types[t] for t in found.type_params]


def _common(
    before: Mapping[KnownReference, Part], stores: Sequence[Mapping[KnownReference, Part]]
) -> dict[KnownReference, Part]:
    """What the references from before hold, whichever way was taken."""
    return {
        reference: held
        for reference, held in stores[0].items()
        if before.get(reference) is held and all(s.get(reference) is held for s in stores)
    }


def match_part(pattern: Pattern, part: Part) -> dict[Var, Part] | bool | None:
    """The variables that `pattern` binds when `part` matches it for certain; False when it does

    not, None when that is decided at run time.
    """
    bound: dict[Var, Part] = {}
    certain = True
    stack = [(pattern, part)]
    while stack:
        current, found = stack.pop()
        known = found.known
        match current:
            case PatternVar(var=variable):
                bound[variable] = found
            case PatternConstructor(constructor=constructor, patterns=patterns):
                if not isinstance(known, KnownData):
                    certain = False
                elif not constructor.same_as(known.constructor):
                    return False
                else:
                    stack.extend(zip(patterns, known.fields, strict=True))
            case PatternTuple(patterns=patterns):
                if isinstance(known, KnownTuple):
                    stack.extend(zip(patterns, known.fields, strict=True))
                elif any(p.children() or isinstance(p, PatternVar) for p in patterns):
                    certain = False
            case _:
                pass
    return bound if certain else None
