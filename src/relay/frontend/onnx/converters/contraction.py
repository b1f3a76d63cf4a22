"""Matrix products: Gemm, MatMul and Einsum.

A product with a matrix that is known becomes `nn.dense` on one flat matrix, whose weight is stored
by rows of outputs: transposing it happens while importing. One that is computed stays as it is, and
makes `nn.matmul`.
"""

import math
from collections.abc import Sequence

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import compared
from relay.ir.expr import Expr


def dense(node: Node, data: Expr, weight: Expr) -> Expr:
    """``data @ weight.T`` for `data` of shape (..., K) and `weight` of shape (N, K)."""
    units, depth = node.dims(weight)
    *batch, last = node.dims(data)
    if compared(last, depth) not in (0, None):
        node.fail(f"{node.type_of(data)} and the transposed {node.type_of(weight)} do not multiply")
    rows = node.reshape(data, (math.prod(batch), depth))
    number = units if isinstance(units, int) else None
    product = node.call("nn.dense", rows, weight, units=number)
    return node.reshape(product, (*batch, units))


def plain_product(node: Node, left: Expr, right: Expr, turned: bool = False) -> Expr:
    """``left @ right`` for `left` of shape (..., M, K), or (K, M) if `turned`, and a (K, N)."""
    if node.known(right) is not None:
        left = node.transpose(left, (1, 0)) if turned else left
        return dense(node, left, node.transpose(right, (1, 0)))
    if turned:
        return node.call("nn.matmul", left, right, transpose_a=True)
    *batch, depth = node.dims(left)
    rows = node.reshape(left, (math.prod(batch), depth))
    return node.reshape(node.call("nn.matmul", rows, right), (*batch, node.dims(right)[1]))


def matrix_product(node: Node, left: Expr, right: Expr) -> Expr:
    """NumPy's ``left @ right`` for tensors of any rank above 0."""
    a, b = node.dims(left), node.dims(right)
    if not a or not b:
        node.fail("a scalar is no matrix")
    if len(a) == 1:
        product = matrix_product(node, node.reshape(left, (1, *a)), right)
        return node.call("squeeze", product, axis=(node.rank(product) - 2,))
    if len(b) == 1:
        return node.call("squeeze", dense(node, left, node.reshape(right, (1, *b))), axis=(-1,))
    if compared(a[-1], b[-2]) not in (0, None):
        node.fail(f"matrices of shapes {a} and {b} do not multiply")
    if math.prod(b[:-2]) == 1 and len(b) <= len(a):
        return plain_product(node, left, node.reshape(right, b[-2:]))
    batch = node.common(a[:-2], b[:-2])
    count = math.prod(batch)
    left = node.reshape(node.broadcast(left, (*batch, *a[-2:])), (count, *a[-2:]))
    right = node.reshape(node.broadcast(right, (*batch, *b[-2:])), (count, *b[-2:]))
    product = node.call("nn.batch_matmul", left, right, transpose_a=False, transpose_b=False)
    return node.reshape(product, (*batch, a[-2], b[-1]))


@onnx_op("", "MatMul")
def matmul(node: Node) -> Expr:
    """Product of matrices, batches of which broadcast."""
    return matrix_product(node, node.arg(0), node.arg(1))


@onnx_op("", "Gemm")
def gemm(node: Node) -> Expr:
    """``alpha * A @ B + beta * C``, with A or B transposed where asked for."""
    left, right, bias = node.arg(0), node.arg(1), node.optional(2)
    if node.rank(left) != 2 or node.rank(right) != 2:
        node.fail(f"it needs two matrices, found {node.dims(left)} and {node.dims(right)}")
    turned = bool(node.integer("transA", 0))
    if node.integer("transB", 0):
        left = node.transpose(left, (1, 0)) if turned else left
        result = dense(node, left, affine(node, right, node.number("alpha", 1.0), 0))
    else:
        depth = node.dims(left)[0 if turned else 1]
        if compared(depth, node.dims(right)[0]) not in (0, None):
            node.fail(f"matrices of {depth} columns and of {node.dims(right)} do not multiply")
        result = plain_product(
            node, left, affine(node, right, node.number("alpha", 1.0), 0), turned
        )
    beta = node.number("beta", 1.0)
    if bias is None or beta == 0:
        return result
    bias = affine(node, bias, beta, 0)
    if node.dims(bias) == node.dims(result)[1:]:
        return node.call("nn.bias_add", result, bias, axis=1)
    return node.call("add", result, bias)


# ---------------------------------------------------------------- Einsum


@onnx_op("", "Einsum")
def einsum(node: Node) -> Expr:
    """Sums of products, where the equation is a product of matrices in disguise."""
    equation = node.text("equation", "").replace(" ", "")
    values = node.args()
    named = equation.replace("->", ",").split(",")
    if "." in equation or any(len(set(term)) != len(term) for term in named):
        return node.call("einsum", node.tuple_of(values), equation=equation)
    terms, output = _parse(node, equation, len(values))
    for value, term in zip(values, terms, strict=True):
        if len(term) != node.rank(value):
            node.fail(f"{term!r} in {equation!r} does not fit {node.type_of(value)}")
    value, labels = values[0], terms[0]
    for i in range(1, len(values)):
        kept = set(output).union(*terms[i + 1 :])
        value, labels = _contract(node, value, labels, values[i], terms[i], kept)
    value, labels = _sum_out(node, value, labels, set(output))
    return node.transpose(value, [labels.index(label) for label in output])


def _parse(node: Node, equation: str, count: int) -> tuple[list[str], str]:
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    letters = "".join(terms)
    if not arrow:
        output = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if len(terms) != count or not set(output) <= set(letters):
        node.fail(f"the equation {equation!r} does not fit {count} inputs")
    return terms, output


def _sum_out(node: Node, value: Expr, labels: str, kept: set[str]) -> tuple[Expr, str]:
    axes = tuple(i for i, label in enumerate(labels) if label not in kept)
    if axes:
        value = node.call("sum", value, axis=axes, keepdims=False)
    return value, "".join(label for label in labels if label in kept)


def _arranged(node: Node, value: Expr, labels: str, groups: Sequence[str]) -> Expr:
    """`value` with its axes in the order of `groups`, the axes of each made one."""
    sizes = dict(zip(labels, node.dims(value), strict=True))
    ordered = node.transpose(value, [labels.index(label) for group in groups for label in group])
    return node.reshape(ordered, [math.prod(sizes[x] for x in group) for group in groups])


def _contract(
    node: Node, a: Expr, a_labels: str, b: Expr, b_labels: str, kept: set[str]
) -> tuple[Expr, str]:
    """Multiply two terms, summing over the labels that nobody else wants."""
    a, a_labels = _sum_out(node, a, a_labels, kept | set(b_labels))
    b, b_labels = _sum_out(node, b, b_labels, kept | set(a_labels))
    sizes = dict(zip(b_labels, node.dims(b), strict=True))
    for label, size in zip(a_labels, node.dims(a), strict=True):
        if compared(sizes.setdefault(label, size), size) not in (0, None):
            node.fail(f"the letter {label!r} stands for {size} and for {sizes[label]}")
    shared = [x for x in a_labels if x in b_labels]
    batch = "".join(x for x in shared if x in kept)
    inner = "".join(x for x in shared if x not in kept)
    rows = "".join(x for x in a_labels if x not in shared)
    columns = "".join(x for x in b_labels if x not in shared)
    left = _arranged(node, a, a_labels, (batch, rows, inner))
    right = _arranged(node, b, b_labels, (batch, inner, columns))
    if not batch:
        left = node.reshape(left, node.dims(left)[1:])
        right = node.reshape(right, node.dims(right)[1:])
    labels = batch + rows + columns
    return node.reshape(matrix_product(node, left, right), [sizes[x] for x in labels]), labels


@onnx_op("", "Det")
def determinant(node: Node) -> Expr:
    """Determinants of square matrices."""
    value = node.arg(0)
    dtype = node.dtype(value)
    wide = node.cast(value, "float32") if dtype in ("float16", "bfloat16") else value
    return node.cast(node.call("linalg.det", wide), dtype)
