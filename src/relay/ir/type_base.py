"""What types have in common: their parts, their text, equality, and rebuilding them.

Nothing here recurses on how deep types nest, and what is derived from a type is derived once.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from relay.support.errors import InternalError

T = TypeVar("T")


class Type:
    """Base of all types. What is asked of them does not recurse: they nest without a limit."""

    __slots__ = ()

    def children(self) -> "tuple[Type, ...]":
        """The types directly inside this one."""
        return ()

    def rebuild(self, children: "Sequence[Type]") -> "Type":
        """This type with others inside; itself when they are the ones that it has."""
        if all(a is b for a, b in zip(self.children(), children, strict=True)):
            return self
        return self._with_children(children)

    def _with_children(self, children: "Sequence[Type]") -> "Type":
        raise InternalError(f"a {type(self).__name__} has no types inside")

    def text(self, limit: int | None = None) -> str:
        """This type as text; what follows after about `limit` characters is left out."""
        out: list[str] = []
        length = 0
        stack: list[str | Type] = [self]
        while stack:
            piece = stack.pop()
            if isinstance(piece, Compound):
                stack.extend(reversed(piece._pieces()))
                continue
            out.append(str(piece))
            length += len(out[-1])
            if limit is not None and length > limit:
                out.append("...")
                break
        return "".join(out)


class Compound(Type):
    """A type that is put together from others, which tell whether two of them are equal."""

    __slots__ = ()

    def _pieces(self) -> "list[str | Type]":
        """The text of this type, and where in it are the texts of those inside."""
        raise InternalError(f"a {type(self).__name__} has no text")

    def _matches(self, other: "Compound", names: "dict[Type, Type]") -> bool:
        """Whether `other`, a type of this class, is like this one, what is inside aside.

        `names` is told which type parameters of `other` stand for which of this.
        """
        return True

    def _own_hash(self) -> int:
        """The hash, from those of the types inside."""
        return hash((type(self).__name__, *map(hash, self.children())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compound) and equal(self, other)

    def __hash__(self) -> int:
        return derived(self, "_hash", _own_hash)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __getstate__(self) -> dict[str, object]:
        # A copy, which may be of another process, finds out by itself what is derived.
        return {k: v for k, v in self.__dict__.items() if k not in ("_hash", "_complete")}


def joined(types: "Sequence[Type]") -> "list[str | Type]":
    """The pieces of `types` with commas between them."""
    pieces: list[str | Type] = []
    for type_ in types:
        pieces += (", ", type_) if pieces else (type_,)
    return pieces


def derived(type_: Type, name: str, derive: Callable[[Type], T]) -> T:
    """What `derive` finds out about `type_` from what it found out about the types inside.

    It is kept under `name`, so that nothing is looked at twice.
    """
    stack = [type_]
    while stack:
        current = stack[-1]
        known = current.__dict__
        if name in known:
            stack.pop()
            continue
        missing = [c for c in current.children() if name not in c.__dict__]
        if missing:
            stack.extend(missing)
        else:
            known[name] = derive(current)
            stack.pop()
    found: T = type_.__dict__[name]
    return found


def _own_hash(type_: Type) -> int:
    return type_._own_hash() if isinstance(type_, Compound) else hash(type_)


def equal(a: Type, b: Type) -> bool:
    """Whether two types are the same, up to the names of type parameters."""
    names: dict[Type, Type] = {}
    seen: set[tuple[int, int]] = set()
    stack = [(a, b)]
    while stack:
        left, right = stack.pop()
        if not isinstance(left, Compound):
            if left != names.get(right, right):
                return False
            continue
        if left is right:
            continue
        if not isinstance(right, Compound) or type(left) is not type(right):
            return False
        if not names:  # types that share much are compared in linear time
            if (id(left), id(right)) in seen:
                continue
            seen.add((id(left), id(right)))
        inner, other = left.children(), right.children()
        if len(inner) != len(other) or not left._matches(right, names):
            return False
        stack.extend(zip(inner, other, strict=True))
    return True


def rebuild_types(
    root: Type,
    step: Callable[[Type], tuple[Type, bool]],
    done: "dict[int, tuple[Type, Type]] | None" = None,
) -> Type:
    """`root` rebuilt from the inside out, every type object once.

    `step` gives what stands for a type, and whether that is all: else its parts are rebuilt. The
    results are put into `done`: by the identity of a type, the type and its result.
    """
    found = {} if done is None else done
    stack = [root]
    while stack:
        current = stack[-1]
        if id(current) in found:
            stack.pop()
            continue
        new, final = step(current)
        children = () if final else new.children()
        missing = [c for c in children if id(c) not in found]
        if missing:
            stack.extend(missing)
            continue
        if children:
            new = new.rebuild([found[id(c)][1] for c in children])
        found[id(current)] = (current, new)
        stack.pop()
    return found[id(root)][1]
