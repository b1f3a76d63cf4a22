"""Type inference: every node gives constraints, unification solves them.

A call of an operator waits until the types of its arguments are known, or the operator can tell
them (`Operator.complete_inputs`); it is looked at again when the hole it waits for is filled. So
every node is visited once, and again only when something new is known about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.infer.explain import (
    argument_diagnostic,
    callee_name,
    operator_diagnostic,
    uncovered_diagnostic,
    unknown_diagnostic,
)
from relay.infer.report import Finding
from relay.infer.solver import Solver
from relay.infer.unify import Unifier
from relay.ir.adt import Constructor, TypeData
from relay.ir.exhaustive import missing_patterns
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
from relay.ir.kind import kind_error
from relay.ir.match import Match
from relay.ir.op import Operator
from relay.ir.patterns import Pattern, PatternConstructor, PatternTuple, PatternVar
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import (
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeRelation,
    compatible,
    instantiate,
    is_complete,
    join,
)
from relay.ir.visit import annotations, callees_first, post_order_all
from relay.support.diagnostics import Diagnostic, did_you_mean
from relay.support.errors import RelayError, TypeInferenceError


@dataclass
class Inference:
    """Infers the types in some functions (or one expression); collects errors in `findings`."""

    functions: Mapping[GlobalVar, Function] = field(default_factory=dict)
    definitions: Mapping[GlobalTypeVar, TypeData] | None = None
    findings: list[Finding] = field(default_factory=list)
    types: dict[Expr, Type] = field(default_factory=dict)
    type_args: dict[Call, list[Type]] = field(default_factory=dict)
    _global_types: dict[str, Type] = field(default_factory=dict)
    _waiting: dict[IncompleteType, list[Expr]] = field(default_factory=dict)
    _ready: list[Expr] = field(default_factory=list)
    _demands: list[tuple[Call, TypeRelation]] = field(default_factory=list)
    _news: bool = False

    def __post_init__(self) -> None:
        self.unifier = Unifier(self._wake)
        self._reporter = Solver.over(self.unifier)

    # ------------------------------------------------------------------ driving

    def infer_functions(self) -> None:
        """Infer all functions, with what they tell about each other."""
        self._check_kinds(list(self.functions.values()))
        for variable, function in self.functions.items():
            self._global_types[variable.name_hint] = self._signature(function)
        for variable in callees_first(self.functions):
            function = self.functions[variable]
            self.infer(function)
            self._same(
                variable, self._global_types[variable.name_hint], self.types[function], "declared"
            )
        self._finish(list(self.functions.values()))

    def infer_expr(self, expr: Expr) -> None:
        """Infer one expression."""
        self._check_kinds([expr])
        self.infer(expr)
        self._finish([expr])

    def infer(self, root: Expr) -> None:
        """Visit everything in `root` in order of evaluation: a let binds before its body."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                if isinstance(node, Let | Match) and node not in self.types:
                    # The first of two visits: the value is done.
                    self._bind(node)
                    self.types[node] = IncompleteType()
                else:
                    self._visit(node)
                self._drain()
            elif node in self.types:
                continue
            elif node._type is not None and not isinstance(node, GlobalVar):
                self.types[node] = node._type
            elif isinstance(node, Let):
                self._declare(node)
                stack += [(node, True), (node.body, False), (node, True)]
                stack += [(node.value, False), (node.variable, False)]
            elif isinstance(node, Match):
                bodies = [clause.rhs for clause in node.clauses]
                stack += [(node, True), *((body, False) for body in reversed(bodies))]
                stack += [(node, True), (node.data, False), *((v, False) for v in node.bound)]
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(node.children()))

    def _declare(self, node: Let) -> None:
        """Tell the type parameters of a function that may call itself before it is visited."""
        recursive = isinstance(node.value, Function) and node.value.type_params
        if recursive and node.variable.type_annotation is None and node.variable not in self.types:
            assert isinstance(node.value, Function)
            self.types[node.variable] = self._signature(node.value)

    def _bind(self, node: Let | Match) -> None:
        """Give the variables that `node` binds what its value tells about their types."""
        if isinstance(node, Let):
            declared = self.types[node.variable]
            self._same(node, declared, self.types[node.value], "the let declares")
        else:
            for clause in node.clauses:
                self._pattern(node, clause.lhs, self.types[node.data])

    def _check_kinds(self, roots: Sequence[Expr]) -> None:
        """Report annotations that are no types, and types that the module does not have."""
        for node in post_order_all(roots):
            if node._type is not None and self.definitions is None:
                continue
            for annotation in annotations(node):
                problem = kind_error(annotation, self.definitions)
                if problem:
                    self._report(node, problem)

    def _wake(self, hole: IncompleteType) -> None:
        self._ready.extend(self._waiting.pop(hole, ()))
        self._news = True

    def _drain(self) -> None:
        while self._ready or (self._demands and self._news):
            if self._ready:
                self._visit(self._ready.pop())
            else:
                self._ask()

    def _ask(self) -> None:
        """Ask the open demands of callees what follows from what is known now."""
        self._news = False
        asked, self._demands = self._demands, []
        for node, relation in asked:
            types = [self.unifier.full(t) for t in relation.args]
            try:
                done = relation.func(types, relation.num_inputs, relation.attrs, self._reporter)
            except TypeInferenceError as error:
                self._report(node, error.message, f"{callee_name(node.op)} demands {relation}")
                done = True
            if not done:
                self._demands.append((node, relation))
            added = self._reporter.relations
            self._demands += [(node, other) for other in added]
            self._news |= bool(added)
            added.clear()

    def _finish(self, roots: Sequence[Expr]) -> None:
        """Report what is still unknown: variables, or else the first expression."""
        if self.findings:
            return
        unknown = [
            node
            for node in post_order_all(roots)
            if node in self.types and self.unifier.first_hole(self.types[node]) is not None
        ]
        variables = [node for node in unknown if isinstance(node, Var)]
        for call, relation in self._demands:
            open_ = relation.with_args([self.unifier.full(t) for t in relation.args])
            self._report(call, f"{callee_name(call.op)} demands {open_}, which cannot be told")
        for node in variables or unknown[:1]:
            self.findings.append((node, unknown_diagnostic(node)))

    # ------------------------------------------------------------------ errors

    def _report(self, node: Expr, message: str, because: str = "") -> None:
        self.findings.append((node, Diagnostic(message, node.span, because=because)))

    def _same(self, node: Expr, expected: Type, found: Type, because: str) -> None:
        """`expected` and `found` must agree, by what `because` says at `node`."""
        if self.unifier.unify(expected, found):
            return
        if self.unifier.circular:
            self.unifier.circular = False
            self._report(node, "the type of this value would have to contain itself")
            return
        wanted, got = self.unifier.full(expected), self.unifier.full(found)
        self._report(node, f"{because} {wanted}, but the value has type {got}")

    # ------------------------------------------------------------------ nodes

    def _annotation(self, annotation: Type | None) -> Type:
        return IncompleteType() if annotation is None else annotation

    def _signature(self, function: Function) -> FuncType:
        """The type of `function` as far as it is written down."""
        for parameter in function.params:
            self.types.setdefault(parameter, self._annotation(parameter.type_annotation))
        arguments = [self.types[p] for p in function.params]
        return FuncType(arguments, self._annotation(function.ret_type), function.type_params)

    def known_type(self, node: Expr) -> Type:
        """What has been found out about the type of `node`."""
        if node._type is not None:
            return node._type
        return self.unifier.full(self.types[node])

    def _visit(self, node: Expr) -> None:
        """Give `node` its type, or wait for what it needs."""
        old = self.types.get(node)
        found = self._type_of(node)
        if old is None:
            self.types[node] = IncompleteType() if found is None else found
        elif found is not None:
            self.unifier.unify(old, found)

    def _type_of(self, node: Expr) -> Type | None:
        match node:
            case Var(type_annotation=annotation):
                return self._annotation(annotation)
            case GlobalVar():
                return self._global(node)
            case Constant():
                return TensorType(node.data.shape, node.data.dtype)
            case Tuple(fields=fields):
                return TupleType([self.types[f] for f in fields])
            case TupleGetItem():
                return self._projection(node)
            case Function():
                return self._function(node)
            case Let(body=body):
                return self.types[body]
            case If():
                return self._if(node)
            case Match():
                return self._match(node)
            case Constructor():
                return self._constructor(node)
            case RefCreate(value=value):
                return RefType(self.types[value])
            case RefRead() | RefWrite():
                return self._reference(node)
            case Call(op=Op()):
                return self._operator_call(node)
            case Call():
                return self._function_call(node)
            case _:
                self._report(node, f"a {type(node).__name__} cannot be used as a value")
                return self.unifier.poison()

    def _global(self, node: GlobalVar) -> Type:
        found = self._global_types.get(node.name_hint)
        if found is None and is_complete(node.type_annotation):
            return node.type_annotation
        if found is None:
            hints = did_you_mean(node.name_hint, self._global_types, "@")
            message = f"the module has no function @{node.name_hint}"
            self.findings.append((node, Diagnostic(message, node.span, hints=hints)))
            return self.unifier.poison()
        return found

    def _wait(self, node: Expr, hole: IncompleteType) -> Type | None:
        """Visit `node` again when `hole` is known; nothing comes of it when an error hides it."""
        if hole in self.unifier.poisoned:
            return self.unifier.poison()
        self._waiting.setdefault(hole, []).append(node)
        return None

    def _projection(self, node: TupleGetItem) -> Type | None:
        found = self.unifier.resolve(self.types[node.tuple_value])
        if isinstance(found, IncompleteType):
            return self._wait(node, found)
        if not isinstance(found, TupleType):
            message = f"expected a tuple before .{node.index}, found {self.unifier.full(found)}"
            self._report(node, message)
            return self.unifier.poison()
        if not 0 <= node.index < len(found.fields):
            count = len(found.fields)
            self._report(node, f"the tuple has {count} fields, so .{node.index} is not one of them")
            return self.unifier.poison()
        return found.fields[node.index]

    def _function(self, node: Function) -> Type:
        signature = self._signature(node)
        body = self.types[node.body]
        self._same(node, signature.ret_type, body, "the function is declared to return")
        return signature

    def _if(self, node: If) -> Type:
        condition = self.types[node.cond]
        if not self.unifier.unify(TensorType((), "bool"), condition):
            found = self.unifier.full(condition)
            self._report(node, f"an if needs a scalar bool condition, found {found}")
        branches = [self.types[node.true_branch], self.types[node.false_branch]]
        return self._one_of(node, branches, "both branches of an if")

    def _one_of(self, node: Expr, types: Sequence[Type], what: str) -> Type:
        """The type of a value that is one of several, which must agree."""
        result = self.unifier.full(types[0])
        for other in types[1:]:
            found = self.unifier.full(other)
            if is_complete(result) and is_complete(found):
                agree = compatible(result, found, sizes=False)
            else:
                agree = self.unifier.unify(result, found)
                result, found = self.unifier.full(result), self.unifier.full(found)
            if not agree:
                self._report(node, f"{what} must have one type, found {result} and {found}")
                return self.unifier.poison()
            if is_complete(result) and is_complete(found):
                result = join(result, found)
        return result

    # ------------------------------------------------------------------ data types, references

    def _constructor(self, node: Constructor) -> Type:
        try:
            found = node.checked_type
        except TypeInferenceError as error:
            self._report(node, error.message)
            return self.unifier.poison()
        if self.definitions is not None and node.belong_to not in self.definitions:
            self._report(node, f"the module has no type {node.belong_to}, which it would make")
        return found

    def _reference(self, node: RefRead | RefWrite) -> Type:
        held = IncompleteType()
        reference = self.types[node.ref]
        if not self.unifier.unify(RefType(held), reference):
            self._report(node, f"expected a reference, found {self.unifier.full(reference)}")
            return self.unifier.poison()
        if isinstance(node, RefRead):
            return held
        self._same(node, held, self.types[node.value], "the reference holds")
        return TupleType(())

    def _pattern(self, node: Match, pattern: Pattern, type_: Type) -> None:
        """A value of `type_` is matched with `pattern`: what that tells about variables in it."""
        stack = [(pattern, type_)]
        while stack:
            current, wanted = stack.pop()
            match current:
                case PatternVar(var=variable):
                    self._same(variable, self.types[variable], wanted, "the pattern declares")
                case PatternTuple(patterns=patterns):
                    fields: list[Type] = [IncompleteType() for _ in patterns]
                    if not self.unifier.unify(TupleType(fields), wanted):
                        found = self.unifier.full(wanted)
                        message = f"a pattern of {len(patterns)} fields cannot match a {found}"
                        self._report(node, message)
                    stack.extend(zip(patterns, fields, strict=True))
                case PatternConstructor(constructor=constructor, patterns=patterns):
                    inputs = self._matched_fields(node, constructor, len(patterns), wanted)
                    stack.extend(zip(patterns, inputs, strict=False))
                case _:
                    pass

    def _matched_fields(
        self, node: Match, constructor: Constructor, count: int, type_: Type
    ) -> Sequence[Type]:
        """The types of the fields that `constructor` has in a value of `type_`."""
        made = self._constructor(constructor)
        if not isinstance(made, FuncType):
            return ()
        instance = instantiate(made, [IncompleteType() for _ in made.type_params])
        name = constructor.name_hint
        if not self.unifier.unify(instance.ret_type, type_):
            found = self.unifier.full(type_)
            self._report(node, f"{name} makes a {made.ret_type}, but the value has type {found}")
        elif len(constructor.inputs) != count:
            wanted = len(constructor.inputs)
            self._report(node, f"{name} has {wanted} fields, the pattern has {count}")
        return instance.arg_types

    def _match(self, node: Match) -> Type:
        if not node.clauses:
            self._report(node, "a match without clauses has no value")
            return self.unifier.poison()
        if node.complete and not self.findings:
            self._check_exhaustive(node)
        return self._one_of(
            node, [self.types[c.rhs] for c in node.clauses], "all clauses of a match"
        )

    def _check_exhaustive(self, node: Match) -> None:
        try:
            missing = [str(p) for p in missing_patterns([c.lhs for c in node.clauses])]
        except RelayError as error:
            self._report(node, error.message)
            return
        if missing:
            found = self.unifier.full(self.types[node.data])
            self.findings.append((node, uncovered_diagnostic(node, missing, found)))

    # ------------------------------------------------------------------ calls

    def _operator_call(self, node: Call) -> Type | None:
        attrs = node.attrs
        assert attrs is not None
        known = [self.unifier.full(self.types[a]) for a in node.args]
        try:
            if not all(is_complete(t) for t in known):
                known = self._completed(node, known)
            for argument in known:
                hole = self.unifier.first_hole(argument)
                if hole is not None:
                    return self._wait(node, hole)
            return attrs.call_type(known)
        except TypeInferenceError as error:
            self.findings.append((node, operator_diagnostic(node, known, error.message)))
            return self.unifier.poison()

    def _completed(self, node: Call, known: Sequence[Type]) -> list[Type]:
        """The types of the arguments with what the operator itself can tell."""
        attrs = node.attrs
        if isinstance(attrs, Operator) and len(known) == len(attrs.inputs):
            told = attrs.complete_inputs([t if is_complete(t) else None for t in known])
            for argument, before, after in zip(node.args, known, told, strict=True):
                if after is not None and not is_complete(before):
                    self._same(argument, before, after, f"{attrs.name} needs an argument of")
        return [self.unifier.full(t) for t in known]

    def _function_call(self, node: Call) -> Type | None:
        callee = self.unifier.resolve(self.types[node.op])
        arguments = [self.types[a] for a in node.args]
        if isinstance(callee, IncompleteType):
            if callee in self.unifier.poisoned:
                return self.unifier.poison()
            result = IncompleteType()
            self.unifier.unify(callee, FuncType(arguments, result))
            return result
        if not isinstance(callee, FuncType):
            found = self.unifier.full(callee)
            self._report(node, f"expected a function to call, found a value of type {found}")
            return self.unifier.poison()
        declared = callee
        if callee.type_params:
            fresh: list[Type] = list(node.type_args)
            if len(fresh) != len(callee.type_params):
                fresh = [IncompleteType() for _ in callee.type_params]
            self.type_args[node] = fresh
            whole = self.unifier.full(callee)
            assert isinstance(whole, FuncType)
            callee = instantiate(whole, fresh)
        self._arguments(node, callee, arguments, declared)
        relations = [c for c in callee.type_constraints if isinstance(c, TypeRelation)]
        self._demands += [(node, relation) for relation in relations]
        self._news |= bool(relations)
        return callee.ret_type

    def _arguments(
        self, node: Call, callee: FuncType, arguments: Sequence[Type], declared: FuncType
    ) -> None:
        name = callee_name(node.op)

        def because() -> str:
            return f"{name} has the type {self.unifier.full(declared)}"

        if len(arguments) != len(callee.arg_types):
            wanted = len(callee.arg_types)
            message = f"{name} takes {wanted} arguments, found {len(arguments)}"
            self._report(node, message, because=because())
            return
        for i, (found, expected) in enumerate(zip(arguments, callee.arg_types, strict=True)):
            if not self.unifier.unify(expected, found):
                wanted_type, got = self.unifier.full(expected), self.unifier.full(found)
                diagnostic = argument_diagnostic(node, i, wanted_type, got, because())
                self.findings.append((node, diagnostic))
