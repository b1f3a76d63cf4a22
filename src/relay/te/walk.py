"""Walks over scalar expressions, without recursion: fused chains can be deep."""

from collections.abc import Callable, Iterator, Mapping

from relay.te.expr import Axis, Binary, Cast, Compare, Const, Expr, Reduce, Select, Unary, Var


def post_order(root: Expr) -> Iterator[Expr]:
    """Every node below `root`, each once, children first."""
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((c, False) for c in reversed(node.children()))


def rewrite(root: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """`root` with every node, children first, replaced by what `fn` makes of it."""
    done: dict[int, Expr] = {}
    for node in post_order(root):
        children = node.children()
        rebuilt = node.rebuild([done[id(c)] for c in children]) if children else node
        done[id(node)] = fn(rebuilt)
    return done[id(root)]


def substitute(root: Expr, values: Mapping[Var, Expr]) -> Expr:
    """`root` with variables replaced by `values`."""
    if not values:
        return root
    return rewrite(root, lambda e: values.get(e, e) if isinstance(e, Var) else e)


def variables(root: Expr) -> set[Var]:
    """The variables in `root`."""
    return {node for node in post_order(root) if isinstance(node, Var)}


def structural_key(root: Expr, names: Mapping[Var, object] | None = None) -> tuple[object, ...]:
    """A hashable value, equal for expressions of equal structure over the same variables.

    `names` gives variables a name to compare by, in place of their identity. Reads and loads
    compare by the identity of the tensor or buffer.
    """
    numbers: dict[tuple[object, ...], int] = {}
    done: dict[int, int] = {}
    for node in post_order(root):
        children = tuple(done[id(c)] for c in node.children())
        head: tuple[object, ...]
        match node:
            case Var():
                head = ("var", (names or {}).get(node, node))
            case Const():
                head = ("const", repr(node.value), node.dtype)
            case Unary() | Binary() | Compare():
                head = (type(node).__name__, node.op, children)
            case Cast():
                head = ("cast", node.dtype, children)
            case Select():
                head = ("select", children)
            case Reduce():
                head = ("reduce", node.kind, _axes_key(node.axes), children)
            case _:
                head = (type(node).__name__, node.place, children)
        done[id(node)] = numbers.setdefault(head, len(numbers))
    return tuple(numbers)


def _axes_key(axes: tuple[Axis, ...]) -> tuple[object, ...]:
    return tuple((a.var, a.extent) for a in axes)
