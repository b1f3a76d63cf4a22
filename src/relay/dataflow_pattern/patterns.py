"""The kinds of patterns over expressions.

Patterns are written as expressions are: ``is_op("add")(wildcard(), is_constant())``, or
``wildcard() + is_constant()``. A pattern that is used twice must meet one and the same expression.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, TypeVar, final

from relay.dataflow_pattern.conditions import attribute_of, same_value
from relay.dataflow_pattern.dominance import between, dominated_parents
from relay.dataflow_pattern.engine import (
    MATCH,
    NO_MATCH,
    Alternatives,
    Goal,
    Graph,
    PatternNode,
    find_match,
    pattern_text,
)
from relay.dataflow_pattern.groups import accept, matches, partition_expr
from relay.ir.equal import structural_equal
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    If,
    Let,
    Op,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.types import Dim, TensorType, Type
from relay.support.errors import RelayError, TypeInferenceError

COMMUTATIVE: Final = frozenset({"add", "multiply"})
"""Operators whose two arguments a pattern also matches in the other order."""

_T = TypeVar("_T", bound=PatternNode)


class DFPattern(PatternNode):
    """Base of the patterns: what they are combined with."""

    def __repr__(self) -> str:
        return pattern_text(self)

    def __call__(self, *args: "DFPattern | None") -> "CallPattern":
        """A call of what this pattern matches; of any arguments when the only one given is None."""
        if args == (None,):
            return CallPattern(self, None)
        return CallPattern(self, [_expect(a) for a in args])

    def __or__(self, other: "DFPattern") -> "AltPattern":
        return AltPattern(self, other)

    def __add__(self, other: "DFPattern") -> "CallPattern":
        return _operator("add")(self, other)

    def __sub__(self, other: "DFPattern") -> "CallPattern":
        return _operator("subtract")(self, other)

    def __mul__(self, other: "DFPattern") -> "CallPattern":
        return _operator("multiply")(self, other)

    def __truediv__(self, other: "DFPattern") -> "CallPattern":
        return _operator("divide")(self, other)

    def has_attr(self, attrs: Mapping[str, object]) -> "AttrPattern":
        """This pattern, where the expression has all of `attrs` (see `AttrPattern`)."""
        return AttrPattern(self, attrs)

    def has_type(self, ttype: Type) -> "TypePattern":
        """This pattern, where the expression has the type `ttype`."""
        return TypePattern(self, ttype)

    def has_dtype(self, dtype: str) -> "DataTypePattern":
        """This pattern, where the expression is a tensor of data type `dtype`."""
        return DataTypePattern(self, dtype)

    def has_shape(self, shape: Sequence[Dim]) -> "ShapePattern":
        """This pattern, where the expression is a tensor of `shape`."""
        return ShapePattern(self, shape)

    def optional(self, option_constructor: "Callable[[DFPattern], DFPattern]") -> "AltPattern":
        """This pattern alone, or what `option_constructor` makes around it."""
        return AltPattern(self, option_constructor(self))

    def dominates(self, parent: "DFPattern", path: "DFPattern | None" = None) -> "DominatorPattern":
        """This pattern where all that `parent` gives goes through `path` into it."""
        return DominatorPattern(parent, WildcardPattern() if path is None else path, self)

    def match(self, expr: Expr) -> bool:
        """Whether this pattern matches `expr`."""
        return matches(self, expr)

    def partition(
        self,
        expr: Expr,
        attrs: Mapping[str, object] | None = None,
        check: Callable[[Expr], bool] = accept,
    ) -> Expr:
        """`expr` with each match of this pattern as a call of a function of its own.

        See `relay.dataflow_pattern.groups.partition_expr`.
        """
        return partition_expr(self, expr, attrs, check)


def _expect(pattern: object) -> DFPattern:
    if not isinstance(pattern, DFPattern):
        raise RelayError(
            f"expected a pattern, found {type(pattern).__name__}; "
            "is_expr(...) makes a pattern of an expression"
        )
    return pattern


def _operator(name: str) -> "ExprPattern":
    return ExprPattern(Op.get(name))


def _goals(patterns: Sequence[DFPattern] | None, exprs: Sequence[Expr]) -> list[Goal] | None:
    """One goal per expression; none where anything goes; None when the numbers differ."""
    if patterns is None:
        return []
    if len(patterns) != len(exprs):
        return None
    return [Goal(p, e) for p, e in zip(patterns, exprs, strict=True)]


@final
class ExprPattern(DFPattern):
    """An expression that is structurally equal to `expr`; an operator is itself."""

    def __init__(self, expr: Expr) -> None:
        self.expr = expr
        self.embeds_constants = isinstance(expr, Constant)  # type: ignore[misc]

    def details(self) -> tuple[object, ...]:
        return (repr(self.expr),)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if expr is self.expr:
            return MATCH
        if isinstance(expr, Op) or type(expr) is not type(self.expr):
            return NO_MATCH
        return MATCH if structural_equal(expr, self.expr) else NO_MATCH


@final
class VarPattern(DFPattern):
    """A local variable, called `name` unless that is empty."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def details(self) -> tuple[object, ...]:
        return (self.name,) if self.name else ()

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        found = isinstance(expr, Var) and self.name in ("", expr.name_hint)
        return MATCH if found else NO_MATCH


@final
class ConstantPattern(DFPattern):
    """A constant."""

    embeds_constants: ClassVar[bool] = True

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        return MATCH if isinstance(expr, Constant) else NO_MATCH


@final
class CallPattern(DFPattern):
    """A call of `op` with `args`; with any arguments where `args` is None.

    The arguments of the operators in `COMMUTATIVE` are matched in either order.
    """

    structural: ClassVar[bool] = True

    def __init__(self, op: DFPattern, args: Sequence[DFPattern] | None = None) -> None:
        self.op = op
        self.args = None if args is None else tuple(args)

    def parts(self) -> tuple[PatternNode, ...]:
        return (self.op, *(self.args or ()))

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, Call):
            return NO_MATCH
        if isinstance(self.op, ExprPattern) and isinstance(self.op.expr, Op):
            if expr.op is not self.op.expr:
                return NO_MATCH
        goals = _goals(self.args, expr.args)
        if goals is None:
            return NO_MATCH
        op = Goal(self.op, expr.op)
        if self.args is not None and len(goals) == 2 and _is_commutative(expr):
            swapped = [Goal(p, e) for p, e in zip(self.args, reversed(expr.args), strict=True)]
            return [[op, *goals], [op, *swapped]]
        return [[op, *goals]]


def _is_commutative(call: Call) -> bool:
    swappable = isinstance(call.op, Op) and call.op.name in COMMUTATIVE
    return swappable and call.args[0] is not call.args[1]


@final
class FunctionPattern(DFPattern):
    """A function of `params` (any, where that is None) with `body`."""

    structural: ClassVar[bool] = True

    def __init__(self, params: Sequence[DFPattern] | None, body: DFPattern) -> None:
        self.params = None if params is None else tuple(params)
        self.body = body

    def parts(self) -> tuple[PatternNode, ...]:
        return (*(self.params or ()), self.body)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, Function):
            return NO_MATCH
        goals = _goals(self.params, expr.params)
        return NO_MATCH if goals is None else [[*goals, Goal(self.body, expr.body)]]


@final
class IfPattern(DFPattern):
    """An if."""

    structural: ClassVar[bool] = True

    def __init__(self, cond: DFPattern, true_branch: DFPattern, false_branch: DFPattern) -> None:
        self.cond = cond
        self.true_branch = true_branch
        self.false_branch = false_branch

    def parts(self) -> tuple[DFPattern, ...]:
        return (self.cond, self.true_branch, self.false_branch)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, If):
            return NO_MATCH
        return [[Goal(p, e) for p, e in zip(self.parts(), expr.children(), strict=True)]]


@final
class LetPattern(DFPattern):
    """A let."""

    structural: ClassVar[bool] = True

    def __init__(self, var: DFPattern, value: DFPattern, body: DFPattern) -> None:
        self.var = var
        self.value = value
        self.body = body

    def parts(self) -> tuple[DFPattern, ...]:
        return (self.var, self.value, self.body)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, Let):
            return NO_MATCH
        return [[Goal(p, e) for p, e in zip(self.parts(), expr.children(), strict=True)]]


@final
class TuplePattern(DFPattern):
    """A tuple of `fields`; any tuple where that is None."""

    structural: ClassVar[bool] = True

    def __init__(self, fields: Sequence[DFPattern] | None = None) -> None:
        self.fields = None if fields is None else tuple(fields)

    def parts(self) -> tuple[PatternNode, ...]:
        return self.fields or ()

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, Tuple):
            return NO_MATCH
        goals = _goals(self.fields, expr.fields)
        return NO_MATCH if goals is None else [goals]


@final
class TupleGetItemPattern(DFPattern):
    """Field `index` of a tuple; any field where that is None or -1."""

    structural: ClassVar[bool] = True

    def __init__(self, tuple_value: DFPattern, index: int | None = None) -> None:
        self.tuple = tuple_value
        self.index = -1 if index is None else index

    def details(self) -> tuple[object, ...]:
        return () if self.index == -1 else (self.index,)

    def parts(self) -> tuple[PatternNode, ...]:
        return (self.tuple,)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if not isinstance(expr, TupleGetItem) or self.index not in (-1, expr.index):
            return NO_MATCH
        return [[Goal(self.tuple, expr.tuple_value)]]


@final
class AltPattern(DFPattern):
    """What `left` or, where that leads nowhere, `right` matches."""

    def __init__(self, left: DFPattern, right: DFPattern) -> None:
        self.left = left
        self.right = _expect(right)

    def parts(self) -> tuple[PatternNode, ...]:
        return (self.left, self.right)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        return [[Goal(self.left, expr)], [Goal(self.right, expr)]]


@final
class WildcardPattern(DFPattern):
    """Anything, until `redirect_to` makes it stand for another pattern."""

    def __init__(self) -> None:
        self.pattern: DFPattern | None = None

    def redirect_to(self, pattern: DFPattern) -> None:
        """Stand for `pattern` from now on, which may contain this wildcard: a recursive pattern.

        What is inside of `pattern` then matches anew, and may meet other expressions, each time.
        """
        self.pattern = pattern

    def parts(self) -> tuple[PatternNode, ...]:
        return () if self.pattern is None else (self.pattern,)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        return MATCH if self.pattern is None else [[Goal(self.pattern, expr, fresh=True)]]


class _Constraint(DFPattern):
    """Base of the patterns that are another one and a condition."""

    def __init__(self, pattern: DFPattern) -> None:
        self.pattern = _expect(pattern)

    def parts(self) -> tuple[PatternNode, ...]:
        return (self.pattern,)

    def holds(self, expr: Expr) -> bool:
        """Whether `expr` meets the condition."""
        raise TypeError(f"{type(self).__name__} does not define `holds`")

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        return [[Goal(self.pattern, expr)]] if self.holds(expr) else NO_MATCH


class TypeConstraint(_Constraint):
    """Base of the conditions on types. An expression without a type meets none of them."""

    needs_types: ClassVar[bool] = True

    def holds(self, expr: Expr) -> bool:
        if isinstance(expr, Op):
            return False
        try:
            return self.accepts(expr.checked_type)
        except TypeInferenceError:
            return False

    def accepts(self, found: Type) -> bool:
        """Whether the type `found` meets the condition."""
        raise TypeError(f"{type(self).__name__} does not define `accepts`")


@final
class TypePattern(TypeConstraint):
    """What `pattern` matches, of the type `type`."""

    def __init__(self, pattern: DFPattern, ttype: Type) -> None:
        super().__init__(pattern)
        self.type = ttype

    def details(self) -> tuple[object, ...]:
        return (self.type,)

    def accepts(self, found: Type) -> bool:
        return found == self.type


@final
class DataTypePattern(TypeConstraint):
    """What `pattern` matches, a tensor of data type `dtype`."""

    def __init__(self, pattern: DFPattern, dtype: str) -> None:
        super().__init__(pattern)
        self.dtype = dtype

    def details(self) -> tuple[object, ...]:
        return (self.dtype,)

    def accepts(self, found: Type) -> bool:
        return isinstance(found, TensorType) and found.dtype == self.dtype


@final
class ShapePattern(TypeConstraint):
    """What `pattern` matches, a tensor of `shape`."""

    def __init__(self, pattern: DFPattern, shape: Sequence[Dim]) -> None:
        super().__init__(pattern)
        self.shape = tuple(shape)

    def details(self) -> tuple[object, ...]:
        return (self.shape,)

    def accepts(self, found: Type) -> bool:
        return isinstance(found, TensorType) and found.shape == self.shape


@final
class AttrPattern(_Constraint):
    """What `pattern` matches, with all of `attrs`.

    A call has the attributes of its operator's call, a function those of the function, an operator
    ``TOpPattern`` (how it fuses, `relay.ir.op.Pattern`) and ``TOpIsStateful``. Lists equal tuples.
    """

    def __init__(self, pattern: DFPattern, attrs: Mapping[str, object]) -> None:
        super().__init__(pattern)
        self.attrs = dict(attrs)

    def details(self) -> tuple[object, ...]:
        return (self.attrs,)

    def holds(self, expr: Expr) -> bool:
        missing = object()
        return all(
            same_value(attribute_of(expr, name, missing), value)
            for name, value in self.attrs.items()
        )


@final
class _Passed(DFPattern):
    """An expression on the path of a dominator pattern: it belongs to the match."""

    structural: ClassVar[bool] = True

    def __init__(self, pattern: DFPattern) -> None:
        self.pattern = pattern

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        return [[Goal(self.pattern, expr)]]


@final
class DominatorPattern(DFPattern):
    """What `child` matches, when it takes all that comes from an expression that `parent` matches.

    Every way from the parent's expression leads to the child's, through expressions that each match
    `path`. Other arguments of those are free: a bias that is added on the way does not matter.
    """

    def __init__(self, parent: DFPattern, path: DFPattern, child: DFPattern) -> None:
        self.parent = parent
        self.path = path
        self.child = child
        self._passed = _Passed(path)

    def parts(self) -> tuple[PatternNode, ...]:
        return (self.parent, self.path, self.child)

    def expand(self, expr: Expr, graph: Graph) -> Alternatives:
        if expr in graph.barren.get(self, ()) or not find_match(self.child, expr, graph):
            return NO_MATCH
        parents, passed = dominated_parents(self, self.parent, self.path, expr, graph)
        child = Goal(self.child, expr)
        return [
            [
                child,
                Goal(self.parent, parent),
                *(Goal(self._passed, node, True) for node in between(parent, passed, graph)),
            ]
            for parent in parents
        ]
