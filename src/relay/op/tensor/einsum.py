"""Sums of products in Einstein's notation."""

import string
from collections.abc import Mapping, Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr, Tuple
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import field, fields_of, known_shape, make, matrix_of, reshaped
from relay.op.shapes import (
    broadcast_dim,
    expect_kind,
    expect_same_dtype,
    expect_tensors,
    show,
    te_broadcast_read,
    te_broadcast_shape,
)
from relay.support.errors import TypeInferenceError


def _used_once(terms: Sequence[str]) -> str:
    """The letters that occur once in all, in order."""
    joined = "".join(terms)
    return "".join(c for c in sorted(set(joined)) if joined.count(c) == 1)


@operator("einsum", inputs=("data",), pattern=Pattern.INJECTIVE, level=11)
class Einsum(Operator):
    """The sum of products of tensors that `equation` says: ``"ij,jk->ik"`` is a matrix product.

    A letter stands for an index; the result has those after the arrow, the others are summed over.
    Without an arrow it has those that occur once, in alphabetical order. ``...`` stands for any
    dimensions, aligned at the last one; sizes of 1 are repeated. As NumPy's ``einsum``.
    """

    equation: str

    def __post_init__(self) -> None:
        plain = self.equation.replace(" ", "").replace("...", "")
        odd = [c for c in plain.replace("->", "", 1) if c not in string.ascii_letters + ","]
        if odd:
            raise ValueError(
                f"equation must be of letters, commas, '...' and one arrow, found {odd[0]!r} in "
                f"{self.equation!r}"
            )

    def terms(self, ranks: Sequence[int]) -> tuple[list[str], str]:
        """One letter for each dimension of the operands, which are of `ranks`, and of the result.

        Dimensions that ``...`` stands for have letters of their own. Raises `TypeInferenceError`
        where equation and operands do not fit.
        """
        left, arrow, right = self.equation.replace(" ", "").partition("->")
        parts = left.split(",")
        if len(parts) != len(ranks):
            raise TypeInferenceError(
                f"{self.name}: {self.equation!r} is for {len(parts)} operands, found {len(ranks)}"
            )
        free = [c for c in string.ascii_letters if c not in self.equation]
        inputs: list[str] = []
        longest = 0
        for k, (part, rank) in enumerate(zip(parts, ranks, strict=True)):
            hidden = rank - len(part.replace("...", ""))
            if hidden < 0 or (hidden and "..." not in part) or part.count("...") > 1:
                raise TypeInferenceError(
                    f"{self.name}: {part!r} does not fit operand {k} of rank {rank}"
                )
            longest = max(longest, hidden if "..." in part else 0)
            inputs.append(part)
        if longest > len(free):
            raise TypeInferenceError(f"{self.name}: there are more dimensions than letters")
        rest = "".join(free[:longest])
        for k, (part, rank) in enumerate(zip(parts, ranks, strict=True)):
            hidden = rank - len(part.replace("...", ""))
            inputs[k] = part.replace("...", rest[len(rest) - hidden :])
        output = right if arrow else "..." + _used_once([p.replace("...", "") for p in parts])
        wrong = [c for c in output.replace("...", "") if c not in left or output.count(c) > 1]
        if wrong or ("..." not in output and rest):
            raise TypeInferenceError(
                f"{self.name}: the result of {self.equation!r} must have '...' where an operand "
                "has, and each of its letters once and in an operand"
            )
        return inputs, output.replace("...", rest)

    def infer(self, data: Type) -> Type:
        tensors = expect_tensors(self.name, "data", data)
        for k, t in enumerate(tensors):
            expect_kind(self.name, f"field {k} of data", t, "number")
            expect_same_dtype(self.name, tensors[0], t)
        inputs, output = self.terms([len(t.shape) for t in tensors])
        sizes: dict[str, Dim] = {}
        for term, tensor in zip(inputs, tensors, strict=True):
            for letter, dim in zip(term, tensor.shape, strict=True):
                first = tensor.shape[term.index(letter)]
                if isinstance(first, int) and isinstance(dim, int) and first != dim:
                    raise TypeInferenceError(
                        f"{self.name}: the index {letter} of {self.equation!r} is of sizes {first} "
                        f"and {dim} in one operand, {show(tensor.shape)}"
                    )
                common = broadcast_dim(sizes.get(letter, 1), dim)
                if common is None:
                    raise TypeInferenceError(
                        f"{self.name}: the index {letter} of {self.equation!r} is of size "
                        f"{sizes[letter]} and, in {show(tensor.shape)}, of size {dim}"
                    )
                sizes[letter] = common
        return TensorType([sizes[c] for c in output], tensors[0].dtype)

    def compute(self, data: Sequence[te.Tensor]) -> te.Tensor:
        inputs, output = self.terms([t.ndim for t in data])
        found: dict[str, list[tuple[te.Dim]]] = {}
        for term, tensor in zip(inputs, data, strict=True):
            for letter, dim in zip(term, tensor.shape, strict=True):
                found.setdefault(letter, []).append((dim,))
        sizes = {c: te_broadcast_shape(*dims)[0] for c, dims in found.items()}
        # Two operands at a time: all at once costs the product of all sizes.
        value, term = data[0], inputs[0]
        for k in range(1, len(data)):
            needed = set(output).union(*inputs[k + 1 :])
            last = k == len(data) - 1
            kept = output if last else "".join(sorted(set(term + inputs[k]) & needed))
            value = _contracted((value, data[k]), (term, inputs[k]), kept, sizes)
            term = kept
        return _contracted((value,), (term,), output, sizes) if len(data) == 1 else value

    def reference(self, data: Sequence[Array]) -> Array:
        return np.asarray(np.einsum(self.equation, *data), dtype=data[0].dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        operands = [field(data, k) for k in range(fields_of(data))]
        shapes = [known_shape(self.name, x) for x in operands]
        inputs, output = self.terms([len(s) for s in shapes])
        sizes: dict[str, int] = {}
        for term, shape in zip(inputs, shapes, strict=True):
            for letter, size in zip(term, shape, strict=True):
                sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
        parts: list[Expr] = []
        for k, operand in enumerate(operands):
            others = [
                (x, t) for j, (x, t) in enumerate(zip(operands, inputs, strict=True)) if j != k
            ]
            factors = [(grad, output), *others]
            wanted = _completed(inputs[k], shapes[k], sizes, factors, operand)
            equation = ",".join(t for _, t in factors) + "->" + wanted
            back = make("einsum", Tuple([x for x, _ in factors]), equation=equation)
            parts.append(reshaped(back, shapes[k]))
        return (Tuple(parts),)


def _contracted(
    tensors: Sequence[te.Tensor], terms: Sequence[str], output: str, sizes: Mapping[str, te.Dim]
) -> te.Tensor:
    """The product of `tensors` summed over the letters of `terms` that `output` has not."""
    summed = sorted(set("".join(terms)) - set(output))

    def element(*i: te.Var) -> te.Expr:
        axes = [te.reduce_axis(sizes[c], c) for c in summed]
        at: dict[str, te.Expr] = dict(zip(output, i, strict=True))
        at |= {c: axis.var for c, axis in zip(summed, axes, strict=True)}
        product: te.Expr | None = None
        for tensor, term in zip(tensors, terms, strict=True):
            value = te_broadcast_read(tensor, [at[c] for c in term], [sizes[c] for c in term])
            product = value if product is None else product * value
        assert product is not None
        return te.reduce_sum(product, axes) if axes else product

    return te.compute([sizes[c] for c in output], element, "einsum")


def _completed(
    term: str,
    shape: Sequence[int],
    sizes: Mapping[str, int],
    factors: list[tuple[Expr, str]],
    like: Expr,
) -> str:
    """The letters of an operand's gradient; `factors` gets what they lack.

    An index of size 1 that was repeated is summed over, a diagonal is put back by an identity
    matrix, and an index that nothing else has is spread out by ones.
    """
    wanted = ""
    for letter, size in zip(term, shape, strict=True):
        if size == 1 and sizes[letter] != 1:
            continue
        if letter in wanted:
            used = "".join(t for _, t in factors) + term + wanted
            fresh = next(c for c in string.ascii_letters if c not in used)
            factors.append((matrix_of(np.eye(size), like), letter + fresh))
            letter = fresh
        reaches = {known_shape("einsum", x)[t.index(letter)] for x, t in factors if letter in t}
        if size not in reaches:
            factors.append((matrix_of(np.ones(size), like), letter))
        wanted += letter
    return wanted
