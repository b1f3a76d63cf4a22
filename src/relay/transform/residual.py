"""What a partial evaluator knows of values, and the program that it leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from relay.ir.adt import Constructor
from relay.ir.expr import Constant, Expr, Function, Let, Var
from relay.ir.types import Type, TypeVar
from relay.transform.trampoline import Steps


@dataclass(frozen=True, eq=False)
class Known:
    """Base of what is known of a value that is no tensor."""


@dataclass(frozen=True, eq=False)
class KnownTuple(Known):
    """A tuple of values of which more may be known."""

    fields: "tuple[Part, ...]"


@dataclass(frozen=True, eq=False)
class KnownData(Known):
    """What `constructor` makes of values of which more may be known."""

    constructor: Constructor
    fields: "tuple[Part, ...]"


@dataclass(frozen=True, eq=False)
class KnownReference(Known):
    """One certain reference; what it holds is for the store to say."""


@dataclass(frozen=True, eq=False)
class KnownFunction(Known):
    """A function together with the environment of its free variables."""

    function: Function
    environment: "Environment"


@dataclass(frozen=True, eq=False)
class Part:
    """A value: what is known of it at compile time, and the expression for it at run time.

    The expression is an atom, or a `Slot` that is only filled when the value is used.
    """

    dynamic: "Expr | Slot"
    known: Known | None = None

    @property
    def constant(self) -> Constant | None:
        """The tensor that it is, when that is known."""
        return self.dynamic if isinstance(self.dynamic, Constant) else None


class Environment:
    """The values of variables and type variables in one activation of a function, or one scope.

    Environments within each other share one table of who binds a variable; a value is looked up
    among those few, not scope by scope on the way out.
    """

    def __init__(
        self,
        values: Mapping[Var, Part] | None = None,
        types: Mapping[TypeVar, Type] | None = None,
        outer: "Environment | None" = None,
    ) -> None:
        self.types = dict(types or {})
        self.outer = outer
        if outer is None:
            self.depth = 0
            self.jump = self
            self._table: dict[Var, list[tuple[Environment, Part]]] = {}
        else:
            self.depth = outer.depth + 1
            near, far = outer.jump, outer.jump.jump
            self.jump = far if outer.depth - near.depth == near.depth - far.depth else outer
            self._table = outer._table
        self.bind(values or {})

    def bind(self, values: Mapping[Var, Part]) -> None:
        """Give variables their values here."""
        for variable, part in values.items():
            self._table.setdefault(variable, []).append((self, part))

    def lookup(self, variable: Var) -> Part | None:
        """The value of `variable`; None when it has none here."""
        for environment, part in reversed(self._table.get(variable, ())):
            if self._is_inside(environment):
                return part
        return None

    def _is_inside(self, other: "Environment") -> bool:
        """Whether this is `other` or within it, in steps logarithmic in the depth.

        (Myers, "An applicative random-access stack", 1983.)
        """
        current = self
        while current.depth > other.depth:
            closer = current.outer
            assert closer is not None, "only the outermost environment has depth 0"
            current = current.jump if current.jump.depth >= other.depth else closer
        return current is other


Builder: TypeAlias = Callable[[], Expr | Steps]
"""Makes the value of a slot, at once or step by step."""


@dataclass(eq=False)
class Slot:
    """A place for a binding in the program that is left; it is written when it is used."""

    variable: Var
    build: Builder
    block: "Block"
    value: Expr | None = None
    used: bool = False


class Block:
    """The bindings of one scope of the program that is left, in order."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.pending: list[Slot] = []
        self.has_effects = False

    def lazy(self, name: str, type_: Type, build: Builder) -> Slot:
        """A binding that is written if something uses it."""
        slot = Slot(Var(name, type_), build, self)
        self.slots.append(slot)
        return slot

    def emit(self, name: str, type_: Type, value: Expr) -> Var:
        """A binding that is written in any case: its value has effects."""
        slot = Slot(Var(name, type_), lambda: value, self, value, used=True)
        self.slots.append(slot)
        self.has_effects = True
        return slot.variable

    def close(self, result: Part) -> Steps:
        """The scope as an expression whose value is `result`. Yields what has to be built."""
        final = use(result)
        while self.pending:
            slot = self.pending.pop()
            built = slot.build()
            slot.value = built if isinstance(built, Expr) else (yield built)
        slots = [slot for slot in self.slots if slot.used]
        for slot in reversed(slots):
            assert slot.value is not None
            final = Let(slot.variable, slot.value, final)
        return final


def use(part: Part) -> Expr:
    """The atom for `part` in the program that is left."""
    slot = part.dynamic
    if isinstance(slot, Expr):
        return slot
    if not slot.used:
        slot.used = True
        slot.block.pending.append(slot)
    return slot.variable


def use_all(parts: Sequence[Part]) -> list[Expr]:
    """The atoms for `parts`."""
    return [use(part) for part in parts]
