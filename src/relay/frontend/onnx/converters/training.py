"""Steps of training: optimizers and gradients."""

from collections.abc import Callable, Mapping, Sequence

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Call, Expr, Function, TupleGetItem, Var
from relay.ir.visit import post_order
from relay.transform.gradient import gradient

_DOMAIN = "ai.onnx.preview.training"


def _optimized(
    node: Node, states: int, step: Callable[[Sequence[Expr]], Sequence[Expr]]
) -> list[Expr]:
    """All tensors optimized: `step` makes a tensor and its states new, given its gradient too."""
    kinds = states + 2
    values = node.args()[2:]
    if len(values) % kinds or not values:
        node.fail(f"it needs {kinds} inputs for each tensor after the first two, found {values}")
    count = len(values) // kinds
    made = [step([values[k * count + i] for k in range(kinds)]) for i in range(count)]
    return [results[k] for k in range(states + 1) for results in made]


def _times(node: Node, value: Expr, factor: Expr) -> Expr:
    return node.call("multiply", value, node.cast(factor, node.dtype(value)))


def _regularized(node: Node, tensor: Expr, slope: Expr) -> Expr:
    """The gradient, with that of the penalty on large weights."""
    norm = node.number("norm_coefficient", 0.0)
    return slope if norm == 0 else node.call("add", slope, affine(node, tensor, norm, 0))


def _moved(node: Node, tensor: Expr, rate: Expr, direction: Expr) -> Expr:
    return node.call("subtract", tensor, _times(node, direction, rate))


@onnx_op(_DOMAIN, "Adagrad")
def adagrad(node: Node) -> list[Expr]:
    """J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods", 2011."""
    rate, time = node.arg(0), node.arg(1)
    decay = affine(node, node.cast(time, node.dtype(rate)), node.number("decay_factor", 0.0), 1)
    rate = node.call("divide", rate, decay)

    def step(parts: Sequence[Expr]) -> Sequence[Expr]:
        tensor, slope, squares = parts
        slope = _regularized(node, tensor, slope)
        squares = node.call("add", squares, node.call("multiply", slope, slope))
        size = affine(node, node.call("sqrt", squares), 1, node.number("epsilon", 1e-6))
        return _moved(node, tensor, rate, node.call("divide", slope, size)), squares

    return _optimized(node, 1, step)


@onnx_op(_DOMAIN, "Adam")
def adam(node: Node) -> list[Expr]:
    """D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015."""
    alpha, beta = node.number("alpha", 0.9), node.number("beta", 0.999)
    rate, time = node.arg(0), node.cast(node.arg(1), node.dtype(node.arg(0)))

    def rest(base: float) -> Expr:
        """``1 - base ** time``."""
        return affine(node, node.call("power", node.like(base, time), time), -1, 1)

    adjusted = node.call("divide", _times(node, node.call("sqrt", rest(beta)), rate), rest(alpha))
    later = node.call("greater", time, node.like(0, time))
    rate = node.call("where", later, adjusted, rate)

    def step(parts: Sequence[Expr]) -> Sequence[Expr]:
        tensor, slope, momentum, squares = parts
        slope = _regularized(node, tensor, slope)
        momentum = node.call(
            "add", affine(node, momentum, alpha, 0), affine(node, slope, 1 - alpha, 0)
        )
        square = affine(node, node.call("multiply", slope, slope), 1 - beta, 0)
        squares = node.call("add", affine(node, squares, beta, 0), square)
        size = affine(node, node.call("sqrt", squares), 1, node.number("epsilon", 1e-6))
        tensor = _moved(node, tensor, rate, node.call("divide", momentum, size))
        kept = 1 - node.number("norm_coefficient_post", 0.0)
        return affine(node, tensor, kept, 0), momentum, squares

    return _optimized(node, 2, step)


@onnx_op(_DOMAIN, "Momentum")
def momentum_descent(node: Node) -> list[Expr]:
    """Gradient descent with momentum, also Nesterov's (1983)."""
    rate, time = node.arg(0), node.arg(1)
    alpha, beta = node.number("alpha", 0.0), node.number("beta", 0.0)
    mode = node.text("mode", "standard")
    if mode not in ("standard", "nesterov"):
        node.fail(f"its mode must be standard or nesterov, found {mode!r}")
    later = node.call("greater", time, node.like(0, time))
    damping = node.call("where", later, node.like(beta, rate), node.like(1, rate))

    def step(parts: Sequence[Expr]) -> Sequence[Expr]:
        tensor, slope, momentum = parts
        slope = _regularized(node, tensor, slope)
        momentum = node.call("add", affine(node, momentum, alpha, 0), _times(node, slope, damping))
        direction = momentum
        if mode == "nesterov":
            direction = node.call("add", slope, affine(node, momentum, alpha, 0))
        return _moved(node, tensor, rate, direction), momentum

    return _optimized(node, 1, step)


@onnx_op(_DOMAIN, "Gradient")
def gradients(node: Node) -> list[Expr]:
    """What small changes of some values of the graph do to the sum of another one.

    The inputs replace the values that the attributes `xs` and `zs` name.
    """
    by = node.texts("xs") or []
    fixed = node.texts("zs") or []
    if len(node.inputs) != len(by) + len(fixed):
        node.fail(f"it needs {len(by) + len(fixed)} inputs, found {len(node.inputs)}")
    places = [node.scope.value(name) for name in (*by, *fixed)]
    values = node.args()
    inputs = [Var(f"x{k}", value.checked_type) for k, value in enumerate(values)]
    replaced = dict(zip(places, inputs, strict=True))
    root = node.scope.value(node.text("y", ""))
    body = Function(inputs, _replaced(root, replaced))
    found = Call(gradient(body, mode="first_order"), values, span=node.span)
    slopes = TupleGetItem(found, 1, node.span)
    return [TupleGetItem(slopes, k, node.span) for k in range(len(by))]


def _replaced(root: Expr, replacements: Mapping[Expr, Var]) -> Expr:
    """`root` with some of the values that it is made of replaced."""
    done: dict[Expr, Expr] = {}
    for expr in post_order(root):
        found = replacements.get(expr)
        children = expr.children()
        if found is not None:
            done[expr] = found
        else:
            done[expr] = expr.rebuild([done[child] for child in children]) if children else expr
    return done[root]
