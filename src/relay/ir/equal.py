"""Structural equality and hashing, up to the names of bound variables.

Two expressions are equal when one can be turned into the other by renaming what they bind. Sharing
counts: a node used twice is not equal to two nodes used once each. All of it is iterative and
linear in the size of the smaller program.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.ir.adt import Constructor, TypeData
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
from relay.ir.patterns import Pattern, PatternConstructor, pre_order
from relay.ir.types import (
    Any,
    FuncType,
    IncompleteType,
    TensorType,
    Type,
    TypeRelation,
    TypeVar,
)
from relay.ir.visit import bound_vars, post_order

Comparable: TypeAlias = Expr | IRModule | Type | Sequence["Comparable"]
_Path: TypeAlias = tuple["_Path", str] | None


def structural_equal(a: Comparable, b: Comparable, map_free_vars: bool = False) -> bool:
    """Whether `a` and `b` (expressions, modules or types) have the same structure.

    A free variable is equal only to itself, unless `map_free_vars` lets it stand for another one.
    """
    return _Comparison(map_free_vars).first_difference(a, b) is None


def assert_structural_equal(a: Comparable, b: Comparable, map_free_vars: bool = False) -> None:
    """Raise `AssertionError` naming the first difference unless `structural_equal`."""
    difference = _Comparison(map_free_vars).first_difference(a, b)
    if difference is not None:
        raise AssertionError(difference)


def structural_hash(value: Comparable, map_free_vars: bool = False) -> int:
    """A hash that structurally equal values share; 64 bits, the same in every process.

    With free variables that are not mapped it holds for the life of those variables only.
    """
    return _Hash(map_free_vars).of(value)


def _describe(value: object) -> str:
    if isinstance(value, Var):
        return f"the variable %{value.name_hint}"
    if isinstance(value, GlobalVar):
        return f"@{value.name_hint}"
    if isinstance(value, Call):
        return f"a call of {value.op.name if isinstance(value.op, Op) else _describe(value.op)}"
    if isinstance(value, Constant):
        return f"a constant of type {TensorType(value.data.shape, value.data.dtype)}"
    if isinstance(value, Expr):
        return f"a {type(value).__name__}"
    return str(value)


@dataclass
class _Comparison:
    map_free_vars: bool
    forward: dict[Expr, Expr] = field(default_factory=dict)
    backward: dict[Expr, Expr] = field(default_factory=dict)
    type_vars: dict[TypeVar, TypeVar] = field(default_factory=dict)

    def first_difference(self, a: Comparable, b: Comparable) -> str | None:
        """The message about the first difference, None when there is none."""
        if isinstance(a, IRModule) and isinstance(b, IRModule):
            return self._modules(a, b)
        if isinstance(a, Type) and isinstance(b, Type):
            return None if self._types(a, b) else f"the types differ: {a} and {b}"
        if isinstance(a, Expr) and isinstance(b, Expr):
            return self._exprs(a, b, "the expression")
        if isinstance(a, Sequence) and isinstance(b, Sequence):
            if len(a) != len(b):
                return f"the lengths differ: {len(a)} and {len(b)}"
            found = (self.first_difference(x, y) for x, y in zip(a, b, strict=True))
            return next((d for d in found if d is not None), None)
        return f"the kinds differ: {type(a).__name__} and {type(b).__name__}"

    def _modules(self, a: IRModule, b: IRModule) -> str | None:
        ours = {g.name_hint: f for g, f in a.functions.items()}
        theirs = {g.name_hint: f for g, f in b.functions.items()}
        if ours.keys() != theirs.keys():
            alone = sorted(ours.keys() ^ theirs.keys())
            return f"only one of the modules has {', '.join('@' + n for n in alone)}"
        if a.attrs != b.attrs:
            return f"the attributes of the modules differ: {a.attrs} and {b.attrs}"
        difference = self._definitions(a, b)
        if difference is not None:
            return difference
        for name, function in ours.items():
            difference = self._exprs(function, theirs[name], f"@{name}")
            if difference is not None:
                return difference
        return None

    def _exprs(self, a: Expr, b: Expr, root: str) -> str | None:
        stack: list[tuple[Expr, Expr, _Path]] = [(a, b, None)]
        while stack:
            left, right, path = stack.pop()
            if self._known(left, right):
                continue
            difference = self._node(left, right)
            if difference is not None:
                return f"{root} differs at {_path_text(path)}: {difference}"
            if not isinstance(left, Constant | GlobalVar | Op | Constructor):
                self.forward[left] = right
                self.backward[right] = left
            pairs = list(zip(left.children(), right.children(), strict=True))
            for i in range(len(pairs) - 1, -1, -1):
                stack.append((*pairs[i], (path, _step(left, i))))
        return None

    def _known(self, a: Expr, b: Expr) -> bool:
        return a in self.forward and self.forward[a] is b

    def _node(self, a: Expr, b: Expr) -> str | None:
        """The difference between two nodes, their children aside."""
        if type(a) is not type(b):
            return f"{_describe(a)} against {_describe(b)}"
        if a in self.forward or b in self.backward:
            if isinstance(a, Var):
                return f"{_describe(a)} and {_describe(b)} are different variables"
            return f"{_describe(a)} is shared on one side only"
        if isinstance(a, Var) and isinstance(b, Var):
            return self._vars(a, b)
        return self._contents(a, b)

    def _vars(self, a: Var, b: Var) -> str | None:
        # Binding occurrences were entered by their function or let: what is left is free.
        if not self.map_free_vars and a is not b:
            return f"the free variables %{a.name_hint} and %{b.name_hint} are different variables"
        return self._binder(a, b)

    def _binder(self, a: Var, b: Var) -> str | None:
        if not self._types(a.type_annotation, b.type_annotation):
            return (
                f"%{a.name_hint} is annotated {a.type_annotation or '_'}, "
                f"but %{b.name_hint} {b.type_annotation or '_'}"
            )
        self.forward[a], self.backward[b] = b, a
        return None

    def _contents(self, a: Expr, b: Expr) -> str | None:
        same = True
        match a, b:
            case Constant(), Constant():
                same = _constant_key(a) == _constant_key(b)
                return None if same else f"{_describe(a)} differs from {_describe(b)} or its values"
            case GlobalVar(), GlobalVar():
                same = a.name_hint == b.name_hint
            case Op(), Op():
                same = a is b
            case Constructor(), Constructor():
                same = a.same_as(b)
            case Match(), Match():
                return self._matches(a, b)
            case Tuple(), Tuple() if len(a.fields) != len(b.fields):
                return f"a tuple of {len(a.fields)} fields against one of {len(b.fields)}"
            case TupleGetItem(), TupleGetItem() if a.index != b.index:
                return f"field {a.index} against field {b.index}"
            case Call(), Call():
                return self._calls(a, b)
            case Function(), Function():
                return self._functions(a, b)
            case Let(), Let():
                return self._binder(a.variable, b.variable)
        return None if same else f"{_describe(a)} against {_describe(b)}"

    def _calls(self, a: Call, b: Call) -> str | None:
        if isinstance(a.op, Op) != isinstance(b.op, Op) or (
            isinstance(a.op, Op) and a.op is not b.op
        ):
            return f"{_describe(a)} against {_describe(b)}"
        if len(a.args) != len(b.args):
            return f"{_describe(a)} with {len(a.args)} arguments against {len(b.args)}"
        if a.attrs != b.attrs:
            return f"the attributes of {_describe(a)} differ: {a.attrs} and {b.attrs}"
        if not self._type_lists(a.type_args, b.type_args):
            return f"the type arguments of {_describe(a)} differ"
        return None

    def _functions(self, a: Function, b: Function) -> str | None:
        if len(a.params) != len(b.params):
            return f"a function of {len(a.params)} parameters against one of {len(b.params)}"
        if len(a.type_params) != len(b.type_params):
            return f"{len(a.type_params)} type parameters against {len(b.type_params)}"
        self.type_vars.update(zip(a.type_params, b.type_params, strict=True))
        for left, right in zip(a.params, b.params, strict=True):
            difference = self._binder(left, right)
            if difference is not None:
                return difference
        if not self._types(a.ret_type, b.ret_type):
            return f"a result of type {a.ret_type or '_'} against {b.ret_type or '_'}"
        if dict(a.attrs) != dict(b.attrs):
            return f"the attributes differ: {dict(a.attrs)} and {dict(b.attrs)}"
        return None

    def _matches(self, a: Match, b: Match) -> str | None:
        if a.complete != b.complete or len(a.clauses) != len(b.clauses):
            return f"a match of {len(a.clauses)} clauses against another one"
        for i, (left, right) in enumerate(zip(a.clauses, b.clauses, strict=True)):
            if not _same_shape(left.lhs, right.lhs):
                return f"the patterns of clause {i} differ: {left.lhs} and {right.lhs}"
        for variable, other in zip(a.bound, b.bound, strict=True):
            difference = self._binder(variable, other)
            if difference is not None:
                return difference
        return None

    def _definitions(self, a: IRModule, b: IRModule) -> str | None:
        """The first difference between the type definitions of two modules."""
        theirs = {g.name_hint: d for g, d in b.type_definitions.items()}
        alone = {g.name_hint for g in a.type_definitions} ^ theirs.keys()
        if alone:
            return f"only one of the modules has the types {', '.join(sorted(alone))}"
        for name, data in a.type_definitions.items():
            if not self._same_data(data, theirs[name.name_hint]):
                return f"the definitions of the type {name} differ"
        return None

    def _same_data(self, a: TypeData, b: TypeData) -> bool:
        if a is b:
            return True
        if len(a.type_vars) != len(b.type_vars) or len(a.constructors) != len(b.constructors):
            return False
        self.type_vars.update(zip(a.type_vars, b.type_vars, strict=True))
        return all(
            x.same_as(y) and self._type_lists(x.inputs, y.inputs)
            for x, y in zip(a.constructors, b.constructors, strict=True)
        )

    def _type_lists(self, a: Sequence[Type], b: Sequence[Type]) -> bool:
        return len(a) == len(b) and all(self._types(x, y) for x, y in zip(a, b, strict=True))

    def _types(self, a: Type | None, b: Type | None) -> bool:
        """Whether two annotations agree; none at all is the same as an incomplete type."""
        stack: list[tuple[Type | None, Type | None]] = [(a, b)]
        while stack:
            left, right = stack.pop()
            if left is None or isinstance(left, IncompleteType):
                if not (right is None or isinstance(right, IncompleteType)):
                    return False
                continue
            if right is None or type(left) is not type(right):
                return False
            if isinstance(left, TypeVar) and isinstance(right, TypeVar):
                if self.type_vars.get(left, left) is not right:
                    return False
                continue
            if isinstance(left, TypeRelation) and isinstance(right, TypeRelation):
                if not left.demands(right):
                    return False
            if isinstance(left, FuncType) and isinstance(right, FuncType):
                if len(left.type_params) != len(right.type_params):
                    return False
                self.type_vars.update(zip(left.type_params, right.type_params, strict=True))
            inner, other = left.children(), right.children()
            if len(inner) != len(other) or (not inner and left != right):
                return False
            stack.extend(zip(inner, other, strict=True))
        return True


def _step(node: Expr, index: int) -> str:
    """How child `index` of `node` is reached, as Python would write it."""
    match node:
        case Function():
            return ".body" if index == len(node.params) else f".params[{index}]"
        case Call():
            first = 0 if isinstance(node.op, Op) else 1
            return f".args[{index - first}]" if index >= first else ".op"
        case Let():
            return (".var", ".value", ".body")[index]
        case If():
            return (".cond", ".true_branch", ".false_branch")[index]
        case TupleGetItem():
            return ".tuple_value"
        case Match():
            clause = index - len(node.bound) - 1
            return ".data" if clause < 0 else f".clauses[{clause}].rhs"
        case _:
            return f"[{index}]"


def _same_shape(a: Pattern, b: Pattern) -> bool:
    """Whether two patterns differ in their variables at most."""
    left, right = pre_order(a), pre_order(b)
    return len(left) == len(right) and all(
        type(x) is type(y)
        and len(x.children()) == len(y.children())
        and not (
            isinstance(x, PatternConstructor)
            and isinstance(y, PatternConstructor)
            and not x.constructor.same_as(y.constructor)
        )
        for x, y in zip(left, right, strict=True)
    )


def _path_text(path: _Path) -> str:
    """The steps of `path` from the root; the middle of a very long path is left out."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(step)
    steps.reverse()
    if len(steps) > 24:
        steps = [*steps[:8], f" ...{len(steps) - 20} steps... ", *steps[-12:]]
    return "".join(steps).removeprefix(".") or "the root"


def _constant_key(constant: Constant) -> tuple[str, tuple[int, ...], bytes]:
    return (constant.data.dtype, constant.data.shape, constant.data.tobytes())


def _digest(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


@dataclass
class _Hash:
    map_free_vars: bool
    numbers: dict[Expr, int] = field(default_factory=dict)
    type_vars: dict[TypeVar, int] = field(default_factory=dict)

    def of(self, value: Comparable) -> int:
        if isinstance(value, IRModule):
            entries = {g.name_hint: f for g, f in value.functions.items()}
            parts = [(name, self._expr(entries[name])) for name in sorted(entries)]
            types = sorted(_definition_key(data) for data in value.type_definitions.values())
            return _digest("module", parts, types, sorted(map(repr, value.attrs.items())))
        if isinstance(value, Type):
            return self._type(value)
        if isinstance(value, Expr):
            return self._expr(value)
        return _digest("sequence", [self.of(v) for v in value])

    def _expr(self, expr: Expr) -> int:
        order = post_order(expr)
        bound: set[Expr] = set()
        for node in order:
            if isinstance(node, Function):
                bound.update(node.params)
                # By position alone: copies of a function may share parameters, or have their own.
                for position, parameter in enumerate(node.type_params):
                    self.type_vars[parameter] = position
            else:
                bound.update(bound_vars(node))
        done: dict[Expr, int] = {}
        for node in order:
            if isinstance(node, Var):
                done[node] = self._var(node, node in bound)
            else:
                done[node] = _digest(
                    type(node).__name__,
                    self._own(node),
                    [done[child] for child in node.children()],
                )
        return done[expr]

    def _var(self, variable: Var, bound: bool) -> int:
        if not bound and not self.map_free_vars:
            return _digest("free", id(variable))
        number = self.numbers.setdefault(variable, len(self.numbers))
        return _digest("var", number, self._type(variable.type_annotation))

    def _own(self, node: Expr) -> object:
        """What distinguishes `node` apart from its children."""
        match node:
            case Constant():
                dtype, shape, data = _constant_key(node)
                return dtype, shape, hashlib.blake2b(data, digest_size=8).hexdigest()
            case GlobalVar():
                return node.name_hint
            case Op():
                return node.name
            case Constructor():
                return node.belong_to.name_hint, node.name_hint
            case Match():
                return node.complete, [_pattern_key(c.lhs) for c in node.clauses]
            case TupleGetItem():
                return node.index
            case Call():
                name = node.op.name if isinstance(node.op, Op) else ""
                return name, node.attrs, [self._type(t) for t in node.type_args]
            case Function():
                return self._type(node.ret_type), _sorted(node.attrs), len(node.type_params)
            case _:
                return ""

    def _type(self, type_: Type | None) -> int:
        if type_ is None or isinstance(type_, IncompleteType):
            return _digest("_")
        parts: list[object] = []
        stack: list[Type] = [type_]
        #: What the function types inside bind, by the order of the binders.
        local: dict[TypeVar, str] = {}
        binders = 0
        while stack:
            current = stack.pop()
            if isinstance(current, TypeVar):
                parts.append(local.get(current) or self.type_vars.get(current, id(current)))
                continue
            if isinstance(current, FuncType):
                for parameter in current.type_params:
                    local[parameter] = f"bound {binders}"
                    binders += 1
            inner = current.children()
            leaf = "" if inner else _leaf_text(current)
            parts.append((type(current).__name__, len(inner), leaf))
            stack.extend(reversed(inner))
        return _digest(parts)


def _pattern_key(pattern: Pattern) -> list[tuple[str, str, int]]:
    """What distinguishes a pattern apart from its variables."""
    return [
        (
            type(p).__name__,
            p.constructor.name_hint if isinstance(p, PatternConstructor) else "",
            len(p.children()),
        )
        for p in pre_order(pattern)
    ]


def _definition_key(data: TypeData) -> str:
    """What structurally equal definitions share."""
    return repr((data.header.name_hint, [c.name_hint for c in data.constructors]))


def _leaf_text(type_: Type) -> str:
    if isinstance(type_, IncompleteType):
        return "_"
    if isinstance(type_, TensorType):
        dims = ["?" if isinstance(d, Any) else str(d) for d in type_.shape]
        return f"{dims}{type_.dtype}"
    return str(type_)


def _sorted(attrs: Mapping[str, object]) -> list[str]:
    return sorted(f"{name}={value!r}" for name, value in attrs.items())
