"""Tensor expressions of many loop shapes, their loop programs, and three ways to run them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import relay.loop
from relay import dtypes, te
from relay.codegen.llvm.jit import run_func
from relay.loop import nest
from relay.loop.ir import Func
from relay.testing.te_eval import evaluate_te

Array = npt.NDArray[np.generic]
RTOL, ATOL = 1e-4, 1e-4


@dataclass(frozen=True)
class Case:
    """What a kernel computes: `outputs` from `inputs`, all ``float32``."""

    inputs: tuple[te.Tensor, ...]
    outputs: tuple[te.Tensor, ...]

    def build(self) -> Func:
        """The loop program, nothing scheduled."""
        return nest.build("f", self.inputs, self.outputs)

    def arrays(self, seed: int = 0) -> list[Array]:
        """Random inputs."""
        rng = np.random.default_rng(seed)
        return [rng.standard_normal(t.static_shape).astype(t.dtype) for t in self.inputs]

    def reference(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs, by NumPy from the tensor expressions."""
        return evaluate_te(self.outputs, dict(zip(self.inputs, arrays, strict=True)))


def assert_close(found: Sequence[Array], wanted: Sequence[Array], message: str = "") -> None:
    """All results agree within what another order of ``float32`` sums may change."""
    for a, b in zip(found, wanted, strict=True):
        a = a.reshape(b.shape)
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL, err_msg=message)


def check(case: Case, func: Func, message: str = "", *, strict: bool = True) -> None:
    """`func` keeps the contract and computes what `case` says, by the reference interpreter."""
    relay.loop.verify(func, strict=strict)
    arrays = case.arrays()
    # A step may make one dimension of two.
    given = [a.reshape(b.shape) for a, b in zip(arrays, func.params, strict=False)]
    assert_close(relay.loop.run(func, *given), case.reference(arrays), message)


def aligned(array: Array) -> Array:
    """A copy that starts at an address a kernel may take."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    view = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def compiled(func: Func, arrays: Sequence[Array]) -> list[Array]:
    """The outputs of `func`, compiled for this machine."""
    split = len(func.params) - func.outputs
    unset = {"bfloat16": 0x7FC0}
    scratch = [
        np.full(b.shape, unset.get(b.dtype, np.nan), dtypes.to_numpy(b.dtype))
        for b in (*func.params[split:], *func.workspaces)
    ]
    given = [a.reshape(b.shape) for a, b in zip(arrays, func.params, strict=False)]
    places = [aligned(a) for a in (*given, *scratch)]
    run_func(func, places)
    return places[split : split + func.outputs]


# ------------------------------------------------------------------ tensor expressions


def sigmoid_bias(x: te.Tensor, bias: te.Tensor, axis: int) -> te.Tensor:
    """``sigmoid(x + bias)``, the bias along `axis`."""
    return te.compute(x.shape, lambda *i: te.unary("sigmoid", x(*i) + bias(i[axis])), "activated")


def dense(
    m: int, n: int, k: int, *, a_t: bool = False, b_t: bool = True, epilogue: bool = True
) -> Case:
    """A matrix product with any operand transposed; `epilogue` adds a bias and rectifies."""
    a = te.placeholder((k, m) if a_t else (m, k), "float32", "a")
    b = te.placeholder((n, k) if b_t else (k, n), "float32", "b")
    bias = te.placeholder((n,), "float32", "bias")
    r = te.reduce_axis(k, "k")

    def product(i: te.Expr, j: te.Expr) -> te.Expr:
        left = a[r.var, i] if a_t else a[i, r.var]
        right = b[j, r.var] if b_t else b[r.var, j]
        return te.reduce_sum(left * right, r)

    d = te.compute((m, n), product, "dense")
    if not epilogue:
        return Case((a, b), (d,))
    out = te.compute((m, n), lambda i, j: te.maximum(d[i, j] + bias[j], 0.0), "out")
    return Case((a, b, bias), (out,))


def batch_matmul(
    batch: int, m: int, n: int, k: int, *, b_t: bool = True, shared: bool = False
) -> Case:
    """Matrix products of a batch; `shared` is one right operand for all of them."""
    a = te.placeholder((batch, m, k), "float32", "a")
    b = te.placeholder((1 if shared else batch, *((n, k) if b_t else (k, n))), "float32", "b")
    r = te.reduce_axis(k, "k")

    def product(p: te.Expr, i: te.Expr, j: te.Expr) -> te.Expr:
        q = te.const(0) if shared else p
        return te.reduce_sum(a[p, i, r.var] * (b[q, j, r.var] if b_t else b[q, r.var, j]), r)

    d = te.compute((batch, m, n), product, "product")
    out = te.compute((batch, m, n), lambda p, i, j: d[p, i, j] * 0.5, "out")
    return Case((a, b), (out,))


@dataclass(frozen=True)
class Window:
    """Sizes of a convolution or pooling."""

    kernel: int = 3
    stride: int = 1
    padding: int = 1
    dilation: int = 1

    def out(self, size: int) -> int:
        """The output's size."""
        reach = self.dilation * (self.kernel - 1) + 1
        return max(0, (size + 2 * self.padding - reach) // self.stride + 1)

    def at(self, index: te.Expr, axis: te.Axis) -> te.Expr:
        """The position in the padded input."""
        return index * self.stride + axis.var * self.dilation


def padded(x: te.Tensor, first: int, width: int, value: float = 0.0) -> te.Tensor:
    """`x` with dimensions `first` and `first` + 1 padded."""
    if width == 0:
        return x
    shape = [d + 2 * width * (first <= k < first + 2) for k, d in enumerate(x.static_shape)]

    def element(*i: te.Expr) -> te.Expr:
        h, w = i[first], i[first + 1]
        high, wide = x.static_shape[first : first + 2]
        inside = te.both(h >= width, h < high + width, w >= width, w < wide + width)
        return te.select(inside, x(*i[:first], h - width, w - width, *i[first + 2 :]), value)

    return te.compute(shape, element, "padded")


def conv_blocked(
    n: int, ic: int, oc: int, h: int, w: int, block: int, window: Window, *, relu: bool = True
) -> Case:
    """NCHWc with OIHWio weights; `ic` and `oc` count blocks."""
    x = te.placeholder((n, ic, h, w, block), "float32", "x")
    k = window.kernel
    weight = te.placeholder((oc, ic, k, k, block, block), "float32", "w")
    bias = te.placeholder((oc, 1, 1, block), "float32", "bias")
    p = padded(x, 2, window.padding)
    axes = [te.reduce_axis(s, a) for s, a in ((ic, "ico"), (k, "kh"), (k, "kw"), (block, "ici"))]
    ico, kh, kw, ici = axes
    d = te.compute(
        (n, oc, window.out(h), window.out(w), block),
        lambda b, o, y, z, c: te.reduce_sum(
            p[b, ico.var, window.at(y, kh), window.at(z, kw), ici.var]
            * weight[o, ico.var, kh.var, kw.var, ici.var, c],
            axes,
        ),
        "conv",
    )
    if not relu:
        return Case((x, weight), (d,))
    out = te.compute(
        d.shape,
        lambda b, o, y, z, c: te.maximum(d[b, o, y, z, c] + bias[o, 0, 0, c], 0.0),
        "out",
    )
    return Case((x, weight, bias), (out,))


def conv(
    n: int, ic: int, oc: int, h: int, w: int, window: Window, *, groups: int = 1, nhwc: bool = False
) -> Case:
    """NCHW with OIHW weights, or NHWC with HWIO weights; `groups` equal to `ic` is depthwise."""
    k, per_group, outs = window.kernel, ic // groups, oc // groups
    x = te.placeholder((n, h, w, ic) if nhwc else (n, ic, h, w), "float32", "x")
    shape = (k, k, per_group, oc) if nhwc else (oc, per_group, k, k)
    weight = te.placeholder(shape, "float32", "w")
    p = padded(x, 1 if nhwc else 2, window.padding)
    ci, kh, kw = axes = [te.reduce_axis(s, a) for s, a in ((per_group, "c"), (k, "kh"), (k, "kw"))]

    def element(b: te.Expr, o: te.Expr, y: te.Expr, z: te.Expr) -> te.Expr:
        c = ci.var if groups == 1 else o // outs * per_group + ci.var
        y, z = window.at(y, kh), window.at(z, kw)
        if nhwc:
            return te.reduce_sum(p[b, y, z, c] * weight[kh.var, kw.var, ci.var, o], axes)
        return te.reduce_sum(p[b, c, y, z] * weight[o, ci.var, kh.var, kw.var], axes)

    oh, ow = window.out(h), window.out(w)
    if nhwc:
        d = te.compute((n, oh, ow, oc), lambda b, y, z, o: element(b, o, y, z), "conv")
    else:
        d = te.compute((n, oc, oh, ow), element, "conv")
    bias = te.placeholder((oc,), "float32", "bias")
    return Case((x, weight, bias), (sigmoid_bias(d, bias, 3 if nhwc else 1),))


def pool(shape: Sequence[int], first: int, window: Window, kind: str = "max") -> Case:
    """Pooling over dimensions `first` and `first` + 1; ``avg`` divides by the window's size."""
    x = te.placeholder(shape, "float32", "x")
    p = padded(x, first, window.padding, -1e30 if kind == "max" else 0.0)
    kh, kw = te.reduce_axis(window.kernel, "kh"), te.reduce_axis(window.kernel, "kw")
    sizes = [window.out(d) if first <= k < first + 2 else d for k, d in enumerate(shape)]

    def element(*i: te.Expr) -> te.Expr:
        at = window.at(i[first], kh), window.at(i[first + 1], kw)
        value = p(*i[:first], *at, *i[first + 2 :])
        return te.reduce_max(value, (kh, kw)) if kind == "max" else te.reduce_sum(value, (kh, kw))

    d = te.compute(sizes, element, "pool")
    if kind == "max":
        return Case((x,), (d,))
    scale = 1.0 / window.kernel**2
    return Case((x,), (te.compute(sizes, lambda *i: d(*i) * scale, "mean"),))


def reduced(x: te.Tensor, axes: Sequence[int], kind: str, name: str) -> te.Tensor:
    """`x` reduced over `axes`, which stay as ones."""
    loops = [te.reduce_axis(x.static_shape[a], f"r{a}") for a in axes]
    shape = [1 if k in axes else d for k, d in enumerate(x.static_shape)]
    make = {
        "sum": te.reduce_sum,
        "max": te.reduce_max,
        "min": te.reduce_min,
        "prod": te.reduce_prod,
    }

    def element(*i: te.Expr) -> te.Expr:
        return make[kind](
            x(*(loops[axes.index(k)].var if k in axes else v for k, v in enumerate(i))), loops
        )

    return te.compute(shape, element, name)


def reduction(shape: Sequence[int], axes: Sequence[int], kind: str = "sum") -> Case:
    """One reduction over `axes`."""
    x = te.placeholder(shape, "float32", "x")
    return Case((x,), (reduced(x, axes, kind, "r"),))


def _kept(indices: Sequence[te.Expr], axes: Sequence[int]) -> list[te.Operand]:
    return [0 if k in axes else v for k, v in enumerate(indices)]


def softmax(shape: Sequence[int], axis: int) -> Case:
    """Softmax over `axis`."""
    x = te.placeholder(shape, "float32", "x")
    top = reduced(x, (axis,), "max", "top")
    e = te.compute(shape, lambda *i: te.unary("exp", x(*i) - top(*_kept(i, (axis,)))), "e")
    total = reduced(e, (axis,), "sum", "total")
    out = te.compute(shape, lambda *i: e(*i) / total(*_kept(i, (axis,))), "out")
    return Case((x,), (out,))


def layer_norm(shape: Sequence[int], axes: Sequence[int]) -> Case:
    """Normalisation over `axes`, with a scale along the last dimension."""
    x = te.placeholder(shape, "float32", "x")
    gamma = te.placeholder((shape[-1],), "float32", "gamma")
    count = float(np.prod([shape[a] for a in axes]))
    total = reduced(x, axes, "sum", "total")
    mean = te.compute(total.shape, lambda *i: total(*i) / count, "mean")
    squares = te.compute(
        shape,
        lambda *i: (x(*i) - mean(*_kept(i, axes))) * (x(*i) - mean(*_kept(i, axes))),
        "squares",
    )
    spread = reduced(squares, axes, "sum", "spread")
    out = te.compute(
        shape,
        lambda *i: (
            (x(*i) - mean(*_kept(i, axes)))
            * te.unary("rsqrt", spread(*_kept(i, axes)) / count + 1e-5)
            * gamma(i[-1])
        ),
        "out",
    )
    return Case((x, gamma), (out,))


def elementwise(shape: Sequence[int], broadcast: Sequence[int] = ()) -> Case:
    """``tanh(x) * y + x``, where `y` has one element along the dimensions in `broadcast`."""
    x = te.placeholder(shape, "float32", "x")
    y_shape = [1 if k in broadcast else d for k, d in enumerate(shape)]
    y = te.placeholder(y_shape, "float32", "y")
    out = te.compute(
        shape, lambda *i: te.unary("tanh", x(*i)) * y(*_kept(i, broadcast)) + x(*i), "out"
    )
    return Case((x, y), (out,))


def transpose(shape: Sequence[int], order: Sequence[int]) -> Case:
    """``2 * x`` with dimension `order[k]` at place `k`."""
    x = te.placeholder(shape, "float32", "x")
    out = te.compute(
        [shape[k] for k in order],
        lambda *i: x(*(i[list(order).index(k)] for k in range(len(shape)))) * 2.0,
        "out",
    )
    return Case((x,), (out,))


def concatenate(shape: Sequence[int], axis: int, other: int) -> Case:
    """Two tensors one after the other along `axis`; the second is `other` long."""
    x = te.placeholder(shape, "float32", "x")
    y = te.placeholder([other if k == axis else d for k, d in enumerate(shape)], "float32", "y")
    first = shape[axis]

    def element(*i: te.Expr) -> te.Expr:
        later = [v - first if k == axis else v for k, v in enumerate(i)]
        return te.select(i[axis] < first, x(*i), y(*later))

    whole = [first + other if k == axis else d for k, d in enumerate(shape)]
    return Case((x, y), (te.compute(whole, element, "out"),))


def reshape(shape: Sequence[int], new: Sequence[int]) -> Case:
    """``x + 1`` with another shape of the same size."""
    x = te.placeholder(shape, "float32", "x")

    def element(*i: te.Expr) -> te.Expr:
        return x(*te.unflatten_index(te.flatten_index(i, new), tuple(shape))) + 1.0

    return Case((x,), (te.compute(new, element, "out"),))


def two_outputs(m: int, n: int) -> Case:
    """The row sums of ``2 * x``, and ``2 * x`` itself."""
    x = te.placeholder((m, n), "float32", "x")
    double = te.compute((m, n), lambda i, j: x[i, j] * 2.0, "double")
    return Case((x,), (reduced(double, (1,), "sum", "rows"), double))


def attention(heads: int, m: int, n: int, k: int) -> Case:
    """``softmax(q k') v`` for every head."""
    q = te.placeholder((heads, m, k), "float32", "q")
    keys = te.placeholder((heads, n, k), "float32", "keys")
    v = te.placeholder((heads, n, k), "float32", "v")
    r, s = te.reduce_axis(k, "k"), te.reduce_axis(n, "n")
    scores = te.compute(
        (heads, m, n),
        lambda h, i, j: te.reduce_sum(q[h, i, r.var] * keys[h, j, r.var], r),
        "scores",
    )
    top = reduced(scores, (2,), "max", "top")
    e = te.compute(
        (heads, m, n), lambda h, i, j: te.unary("exp", scores[h, i, j] - top[h, i, 0]), "e"
    )
    total = reduced(e, (2,), "sum", "total")
    weights = te.compute((heads, m, n), lambda h, i, j: e[h, i, j] / total[h, i, 0], "weights")
    out = te.compute(
        (heads, m, k),
        lambda h, i, d: te.reduce_sum(weights[h, i, s.var] * v[h, s.var, d], s),
        "out",
    )
    return Case((q, keys, v), (out,))


def pool_of_costly(shape: Sequence[int], first: int, window: Window) -> Case:
    """The padded maximum pooling of ``exp(x)``, which is read several times."""
    x = te.placeholder(shape, "float32", "x")
    e = te.compute(shape, lambda *i: te.unary("exp", x(*i)), "e")
    kh, kw = te.reduce_axis(window.kernel, "kh"), te.reduce_axis(window.kernel, "kw")
    sizes = [window.out(d) if first <= k < first + 2 else d for k, d in enumerate(shape)]
    high, wide = shape[first : first + 2]

    def element(*i: te.Expr) -> te.Expr:
        h, w = (window.at(i[first + k], a) - window.padding for k, a in enumerate((kh, kw)))
        inside = te.both(h >= 0, h < high, w >= 0, w < wide)
        value = te.select(inside, e(*i[:first], h, w, *i[first + 2 :]), -1e30)
        return te.reduce_max(value, (kh, kw))

    d = te.compute(sizes, element, "pool")
    return Case((x,), (te.compute(sizes, lambda *i: d(*i) + 1.0, "out"),))


def dense_of_costly(m: int, n: int, k: int) -> Case:
    """A matrix product of ``exp(a)``."""
    a = te.placeholder((m, k), "float32", "a")
    b = te.placeholder((n, k), "float32", "b")
    e = te.compute((m, k), lambda i, j: te.unary("exp", a[i, j]), "e")
    r = te.reduce_axis(k, "k")
    d = te.compute((m, n), lambda i, j: te.reduce_sum(e[i, r.var] * b[j, r.var], r), "dense")
    return Case((a, b), (te.compute((m, n), lambda i, j: d[i, j] - 1.0, "out"),))


def conv_read_twice(n: int, c: int, h: int, w: int, oc: int) -> Case:
    """A convolution and its rectified copy."""
    case = conv(n, c, oc, h, w, Window())
    out = case.outputs[0]
    again = te.compute(out.shape, lambda *i: te.maximum(out(*i), 0.5), "again")
    return Case(case.inputs, (out, again))


def two_dense(m: int, n: int, k: int, last: int) -> Case:
    """A matrix product of a matrix product, with something in between."""
    a = te.placeholder((m, k), "float32", "a")
    b = te.placeholder((n, k), "float32", "b")
    c = te.placeholder((last, n), "float32", "c")
    r, s = te.reduce_axis(k, "k"), te.reduce_axis(n, "n")
    d = te.compute((m, n), lambda i, j: te.reduce_sum(a[i, r.var] * b[j, r.var], r), "first")
    e = te.compute((m, n), lambda i, j: te.unary("tanh", d[i, j]), "between")
    out = te.compute((m, last), lambda i, j: te.reduce_sum(e[i, s.var] * c[j, s.var], s), "second")
    return Case((a, b, c), (out,))


def softmax_of_dense(m: int, n: int, k: int) -> Case:
    """Softmax over the rows of a matrix product."""
    a = te.placeholder((m, k), "float32", "a")
    b = te.placeholder((n, k), "float32", "b")
    r = te.reduce_axis(k, "k")
    d = te.compute((m, n), lambda i, j: te.reduce_sum(a[i, r.var] * b[j, r.var], r), "scores")
    top = reduced(d, (1,), "max", "top")
    e = te.compute((m, n), lambda i, j: te.unary("exp", d[i, j] - top[i, 0]), "e")
    total = reduced(e, (1,), "sum", "total")
    return Case((a, b), (te.compute((m, n), lambda i, j: e[i, j] / total[i, 0], "out"),))
