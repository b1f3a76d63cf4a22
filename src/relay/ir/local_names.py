"""The local names of a text: what each stands for at the place that is being read."""

from relay.ir.expr import Expr
from relay.support.diagnostics import did_you_mean


class LocalNames:
    """Names as they are written (``%x``, ``%0``) and their expressions; inner ones hide outer."""

    def __init__(self) -> None:
        self._known: dict[str, Expr] = {}
        #: What each binding hid, in order of binding.
        self._hidden: list[tuple[str, Expr | None]] = []
        #: Names that were bound somewhere, and are not any more.
        self._forgotten: set[str] = set()

    @property
    def mark(self) -> int:
        """How many bindings there are: `unbind` takes those away that follow."""
        return len(self._hidden)

    def bind(self, name: str, value: Expr) -> None:
        """Let `name` stand for `value` from here on."""
        self._hidden.append((name, self._known.get(name)))
        self._known[name] = value

    def unbind(self, mark: int) -> None:
        """Forget what was bound since there were `mark` bindings."""
        while len(self._hidden) > mark:
            name, old = self._hidden.pop()
            if old is None:
                del self._known[name]
                self._forgotten.add(name)
            else:
                self._known[name] = old

    def get(self, name: str) -> Expr | None:
        """What `name` stands for here; None for nothing."""
        return self._known.get(name)

    def hints(self, name: str) -> tuple[str, ...]:
        """What to try where `name` stands for nothing."""
        if name in self._forgotten:
            return (f"use {name} only inside of the function, let or clause that binds it",)
        return tuple(did_you_mean(name[1:], [known[1:] for known in self._known], "%"))
