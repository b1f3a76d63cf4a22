"""Reverse accumulation: the gradients of a program of operators, from its result to its inputs.

Every node passes what reaches it on to its arguments, once, when all its users have passed theirs:
that takes a time proportional to the size of the program. A tensor has one adjoint, a tuple one for
each tensor in it. Of an if, the branch that is taken is followed back: the gradients of what both
branches use are the result of a second if on the same condition.

What only leads to an ``annotation.checkpoint`` is not kept for the way back but computed again,
from the checkpoints and the values in use elsewhere. Those are marked as checkpoints where the copy
uses them, so that nothing takes it for what it is a copy of.

Source of checkpoints: Chen et al., Training deep nets with sublinear memory cost, 2016.
"""

from collections.abc import Generator, Sequence
from typing import Final, TypeAlias

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, If, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Operator
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.ir.visit import post_order
from relay.op.gradients import field, make, zero_of
from relay.support.errors import UnsupportedError
from relay.transform.calls import is_call_of

CHECKPOINT: Final = "annotation.checkpoint"

Adjoint: TypeAlias = list[Expr | None]
"""One expression for each tensor in a value, None for zero."""
Adjoints: TypeAlias = dict[Expr, Adjoint]
_Walk: TypeAlias = Generator[tuple[Expr, Expr, Adjoint], Adjoints, Adjoints]


def gradients(root: Expr, inputs: Sequence[Var]) -> list[Expr]:
    """The gradients of the sum of all elements of `root` with respect to `inputs`.

    `root` is a dataflow program (see `dataflow`); a gradient has the type of its input, and is zero
    where the input has no influence or is not floating point. Raises `UnsupportedError` naming the
    operator where one on the way has no gradient.
    """
    reverse = _Reverse(root, inputs)
    found = reverse.run(root)
    return [_packed(found.get(v), v.checked_type, v) for v in inputs]


class _Scopes:
    """The places where nodes are evaluated: the whole program, and each branch of an if.

    A node belongs to the innermost place that all its users are in.
    """

    def __init__(self, root: Expr) -> None:
        self.parent: list[int] = [0]
        self.depth: list[int] = [0]
        self.of_branch: dict[tuple[Expr, Expr], int] = {}
        self.of: dict[Expr, int] = {root: 0}
        order = post_order(root)
        for node in reversed(order):
            here = self.of[node]
            for child in node.children():
                scope = here
                if isinstance(node, If) and child is not node.cond:
                    scope = self._branch(node, child, here)
                self.of[child] = self._common(self.of[child], scope) if child in self.of else scope
        self.members: list[list[Expr]] = [[] for _ in self.parent]
        for node in order:
            self.members[self.of[node]].append(node)

    def _branch(self, node: If, branch: Expr, outer: int) -> int:
        if node.true_branch is node.false_branch or branch is node.cond:
            return outer
        scope = len(self.parent)
        self.parent.append(outer)
        self.depth.append(self.depth[outer] + 1)
        self.of_branch[node, branch] = scope
        return scope

    def _common(self, a: int, b: int) -> int:
        while a != b:
            if self.depth[a] < self.depth[b]:
                a, b = b, a
            a = self.parent[a]
        return a


class _Reverse:
    """One run over one program."""

    def __init__(self, root: Expr, inputs: Sequence[Var]) -> None:
        self.scopes = _Scopes(root)
        self.leaves: dict[Expr, list[TensorType]] = {}
        self.starts: dict[Expr, list[int]] = {}
        self.active = self._active(root, set(inputs))
        self.again = _computed_again(root)

    def _active(self, root: Expr, inputs: set[Var]) -> set[Expr]:
        """The nodes that follow small changes of `inputs`."""
        active: set[Expr] = set()
        for node in post_order(root):
            follows = node in inputs or any(c in active for c in node.children())
            if isinstance(node, Call) and isinstance(node.attrs, Operator):
                follows &= not node.attrs.piecewise_constant
            if follows and any(dtypes.is_float(t.dtype) for t in self._leaves(node)):
                active.add(node)
        return active

    def _leaves(self, node: Expr) -> list[TensorType]:
        """The types of the tensors in the value of `node`."""
        if node not in self.leaves:
            try:
                self.leaves[node] = list(flatten_tensor_types(node.checked_type))
            except ValueError as error:
                raise UnsupportedError(
                    f"the gradient of this program: {error}", node.span
                ) from None
        return self.leaves[node]

    def run(self, root: Expr) -> Adjoints:
        """What reaches the inputs when every element of `root` counts once."""
        seeds: Adjoint = [
            _ones(t, e) if dtypes.is_float(t.dtype) else None
            for t, e in zip(self._leaves(root), _parts(root, root.checked_type), strict=True)
        ]
        if root not in self.active:
            return {}
        # Branches ask for walks of their own, by yielding: depth of ifs is no limit.
        stack: list[_Walk] = [self._walk(0, root, seeds)]
        answer: Adjoints | None = None
        while True:
            try:
                branch = stack[-1].send(answer) if answer is not None else next(stack[-1])
            except StopIteration as done:
                stack.pop()
                answer = done.value
                assert answer is not None
                if not stack:
                    return answer
                continue
            node, start, adjoint = branch
            scope = self.scopes.of_branch.get((node, start), self.scopes.of[node])
            stack.append(self._walk(scope, start, adjoint))
            answer = None

    def _walk(self, scope: int, start: Expr, adjoint: Adjoint) -> _Walk:
        """Pass `adjoint` of `start` back through the nodes of `scope`; what reaches others."""
        found: Adjoints = {}
        self._add(found, start, adjoint)
        if self.scopes.of[start] != scope:
            return found
        for node in reversed(self.scopes.members[scope]):
            if node not in found or isinstance(node, Var):
                continue
            passed = found.pop(node)
            match node:
                case Tuple():
                    at = 0
                    for part in node.fields:
                        size = len(self._leaves(part))
                        self._add(found, part, passed[at : at + size])
                        at += size
                case TupleGetItem():
                    self._add(found, node.tuple_value, passed, self._start(node))
                case If():
                    taken = yield node, node.true_branch, passed
                    other = yield node, node.false_branch, passed
                    self._choose(found, self._value(node.cond), taken, other)
                case Call(op=Op()):
                    self._through(found, node, passed)
                case _:
                    pass
        return found

    def _start(self, node: TupleGetItem) -> int:
        """The number of tensors in the fields of the tuple before the one that `node` takes."""
        value = node.tuple_value
        if value not in self.starts:
            starts, type_ = [0], value.checked_type
            assert isinstance(type_, TupleType)
            for part in type_.fields:
                starts.append(starts[-1] + len(flatten_tensor_types(part)))
            self.starts[value] = starts
        return self.starts[value][node.index]

    def _add(
        self, found: Adjoints, node: Expr, adjoint: Sequence[Expr | None], at: int = 0
    ) -> None:
        """Add `adjoint` to that of `node`, from tensor `at` on."""
        if node not in self.active or all(a is None for a in adjoint):
            return
        types = self._leaves(node)
        total = found.setdefault(node, [None] * len(types))
        for k, value in enumerate(adjoint, start=at):
            if value is not None and dtypes.is_float(types[k].dtype):
                old = total[k]
                total[k] = value if old is None else make("add", old, value)

    def _value(self, node: Expr) -> Expr:
        """The value of `node` on the way back: kept, or computed again."""
        return self.again.get(node, node)

    def _through(self, found: Adjoints, call: Call, passed: Adjoint) -> None:
        """Pass what reaches an operator call on to its arguments."""
        assert isinstance(call.attrs, Operator)
        result, values = self._value(call), [self._value(a) for a in call.args]
        grad = _packed(passed, call.checked_type, result)
        for argument, value in zip(
            call.args, call.attrs.gradient(grad, result, *values), strict=True
        ):
            if value is not None and argument in self.active:
                self._add(found, argument, _parts(value, argument.checked_type))

    def _choose(self, found: Adjoints, cond: Expr, taken: Adjoints, other: Adjoints) -> None:
        """Add what reaches the nodes that the branches of an if share with their surroundings."""
        places: list[tuple[Expr, int]] = []
        left: list[Expr] = []
        right: list[Expr] = []
        for node in {**taken, **other}:
            types = self._leaves(node)
            nothing: Adjoint = [None] * len(types)
            a, b = taken.get(node, nothing), other.get(node, nothing)
            parts = _parts(self._value(node), node.checked_type)
            for k, (x, y, type_) in enumerate(zip(a, b, types, strict=True)):
                if x is not None or y is not None:
                    places.append((node, k))
                    left.append(zero_of(type_, parts[k]) if x is None else x)
                    right.append(zero_of(type_, parts[k]) if y is None else y)
        if not places:
            return
        chosen = If(cond, Tuple(left), Tuple(right))
        for k, (node, at) in enumerate(places):
            self._add(found, node, [TupleGetItem(chosen, k)], at)


def _computed_again(root: Expr) -> dict[Expr, Expr]:
    """A copy of each node of which all uses lead to a checkpoint, but for variables and constants.

    The nodes that a copy uses and that have none of their own are checkpoints to it.
    """
    order = post_order(root)
    if not any(is_call_of(node, CHECKPOINT) for node in order):
        return {}
    inside = set(order)
    inside.discard(root)
    for node in reversed(order):
        if node not in inside and not is_call_of(node, CHECKPOINT):
            inside.difference_update(node.children())
        elif is_call_of(node, CHECKPOINT):
            inside.discard(node)
    copies: dict[Expr, Expr] = {}
    kept: dict[Expr, Expr] = {}

    def used(node: Expr) -> Expr:
        """What stands for `node` in a copy."""
        if node in copies or isinstance(node, Constant):
            return copies.get(node, node)
        if node not in kept:
            kept[node] = make(CHECKPOINT, node)
        return kept[node]

    for node in order:
        if node in inside and not isinstance(node, Var | Constant):
            copies[node] = node.rebuild([used(c) for c in node.children()])
    return copies


def _parts(value: Expr, type_: Type) -> list[Expr]:
    """The tensors in `value`, from left to right."""
    if not isinstance(type_, TupleType):
        return [value]
    pairs = enumerate(type_.fields)
    return [part for k, t in pairs for part in _parts(field(value, k), t)]


def _packed(adjoint: Sequence[Expr | None] | None, type_: Type, like: Expr) -> Expr:
    """An adjoint as one value of `type_`, the type of `like`."""
    if adjoint is None:
        return zero_of(type_, like)
    if not isinstance(type_, TupleType):
        (value,) = adjoint
        return zero_of(type_, like) if value is None else value
    fields: list[Expr] = []
    at = 0
    for k, part in enumerate(type_.fields):
        size = len(flatten_tensor_types(part))
        fields.append(_packed(adjoint[at : at + size], part, field(like, k)))
        at += size
    return Tuple(fields)


def _ones(type_: TensorType, like: Expr) -> Expr:
    if type_.is_static and dtypes.is_native(type_.dtype):
        return make("ones", shape=type_.concrete_shape, dtype=type_.dtype)
    return make("ones_like", like)
