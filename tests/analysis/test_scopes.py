"""The innermost common scope, near and far."""

import random

from relay.analysis.scopes import Scope


def around(scope: Scope) -> list[Scope]:
    """A scope and all that it is in, the innermost first."""
    found = [scope]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def test_common_scopes_of_random_trees() -> None:
    rng = random.Random(0)
    for _ in range(20):
        scopes = [Scope(None)]
        for _ in range(200):
            scopes.append(Scope(scopes[-1] if rng.random() < 0.8 else rng.choice(scopes)))
        for _ in range(200):
            a, b = rng.choice(scopes), rng.choice(scopes)
            outside = set(around(b))
            assert a.common(b) is next(s for s in around(a) if s in outside)
            assert a.common(b) is b.common(a)


def test_common_scopes_are_near_however_deep() -> None:
    root = Scope(None)
    left, right = [Scope(root)], [Scope(root)]
    for _ in range(100_000):
        left.append(Scope(left[-1]))
        right.append(Scope(right[-1]))
    for scope in left:  # takes minutes where each step goes out by one
        assert scope.common(right[-1]) is root
