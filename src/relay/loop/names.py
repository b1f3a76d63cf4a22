"""Names that are given once only."""

from collections.abc import Iterable


class Names:
    """Makes a name of its own out of every wish; none of those `taken` already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def __call__(self, wish: str) -> str:
        """`wish`, or with a number appended where it is taken."""
        name, number = wish, 0
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name
