"""Ordered stages: tensors that a program of loops makes, for what depends on an order.

A tensor expression says what each element is, independent of all others. Where elements follow from
one another, as in a sort or a running sum, that takes time quadratic in their number. An ordered
stage says instead what is done, one thing after the other, on memory of its own: it is still a
pure function of the tensors it reads, and its results are read like those of any other stage.

>>> from relay import te
>>> def running(w: te.Writer, inputs: te.Given, outputs: te.Given) -> None:
...     (x,), (y,) = inputs, outputs
...     total = w.private("float32", (1,), "total")
...     w.store(total, (0,), 0.0)
...     with w.loop(8) as i:
...         w.store(total, (0,), x(i), reduce="sum")
...         w.store(y, (i,), total(0))
>>> x = te.placeholder((8,), "float32", "x")
>>> (y,) = te.ordered((x,), (te.placeholder((8,), "float32", "y"),), running)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias, final

from relay.te.expr import Expr, Operand, Var
from relay.te.tensor import Tensor

#: Tensors of static shape that a stage reads or writes, in the order it was declared with.
Given: TypeAlias = Sequence[Tensor]

#: Elements done at once by `Writer.each`: a few vectors of any machine.
LANES = 16


class Writer(ABC):
    """Takes down the statements of an ordered stage, in the order in which they run.

    The tensors that are given and those of `private` are memory: an element read has the value
    stored last. They keep the contract of loop programs: every element read has been stored, every
    index is within, and nothing is written that was given to be read.
    """

    @abstractmethod
    def loop(
        self, extent: int, name: str = "i", *, kind: str = "serial"
    ) -> AbstractContextManager[Var]:
        """What is written inside is done for each value of the variable, ``0 .. extent-1``.

        A `kind` of ``"parallel"`` says that iterations are independent: any number of threads does
        them, in any order. It is the outermost loop. Inside of ``"vectorized"``, an extent of a few
        vectors, there are stores only, and each is done for all iterations before the next one.
        """

    @abstractmethod
    def when(self, cond: Expr) -> AbstractContextManager[None]:
        """What is written inside is done where `cond` holds."""

    @abstractmethod
    def private(self, dtype: str, shape: Sequence[int], name: str) -> Tensor:
        """Memory with no particular content, until the end of the loop it is asked for in."""

    @abstractmethod
    def shared(self, dtype: str, shape: Sequence[int], name: str) -> Tensor:
        """Memory with no particular content that all threads see, until the end of the stage."""

    @abstractmethod
    def store(
        self,
        target: Tensor,
        indices: Sequence[Operand],
        value: Operand,
        reduce: str | None = None,
    ) -> None:
        """Store `value` at `indices`, or with `reduce` what is there combined with it."""

    def each(self, extent: int, body: Callable[[Expr], None]) -> None:
        """Write `body`, stores only, for all of ``0 .. extent-1``, independent of each other."""
        whole, rest = divmod(extent, LANES)
        if whole:
            with (
                self.loop(whole, "block") as block,
                self.loop(LANES, "lane", kind="vectorized") as lane,
            ):
                body(block * LANES + lane)
        if rest:
            with self.loop(rest, "rest") as k:
                body(k + whole * LANES)

    def fill(self, target: Tensor, value: Operand) -> None:
        """Store `value` to all of the vector `target`."""
        (size,) = target.static_shape
        self.each(size, lambda i: self.store(target, (i,), value))


@final
class Ordered:
    """The program behind the tensors `outputs`: `write` writes it, reading `inputs`.

    `write` takes the inputs and outputs from its arguments: they are of static shape there.
    """

    __slots__ = ("inputs", "outputs", "write")

    def __init__(
        self,
        inputs: Given,
        outputs: Given,
        write: Callable[[Writer, Given, Given], None],
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(
            Tensor(t.name, t.shape, t.dtype, stage=True, ordered=self) for t in outputs
        )
        self.write = write


def ordered(
    inputs: Given, outputs: Given, write: Callable[[Writer, Given, Given], None]
) -> tuple[Tensor, ...]:
    """Tensors such as the placeholders `outputs`, made by the statements of `write`.

    ``write(writer, inputs, outputs)`` stores all elements of all outputs, and may read them again.
    """
    return Ordered(inputs, outputs, write).outputs
