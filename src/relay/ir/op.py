"""How an operator is declared: one class, everything about the operator in it.

::

    @operator("nn.relu", inputs=("data",), pattern=Pattern.ELEMWISE, level=1)
    class Relu(Operator):
        \"\"\"Rectified linear unit: ``max(x, 0)``.\"\"\"

        def infer(self, data: Type) -> Type: ...
        def compute(self, data: te.Tensor) -> te.Tensor: ...
        def reference(self, data: Array) -> Array: ...
        def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients: ...

The fields of the class are the operator's attributes, with their defaults. `Call.attrs` is an
instance of the class, so passes match on it: ``case Call(attrs=Conv2D(groups=1))``. Printer,
parser, inference, folding, fusion, lowering, docs and tests all read this one declaration.
"""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.expr import Call, Expr, Op, OperatorBase
from relay.ir.types import TensorType, TupleType, Type
from relay.support.errors import TypeInferenceError, UnsupportedError

Array: TypeAlias = npt.NDArray[Any]
Gradients: TypeAlias = Sequence[Expr | None]
"""One gradient an argument; None where it is zero."""


class Pattern(IntEnum):
    """How an operator takes part in fusion (Relay's `TOpPattern`, with its numbers)."""

    ELEMWISE = 0
    BROADCAST = 1
    INJECTIVE = 2
    COMM_REDUCE = 3
    OUT_ELEMWISE_FUSABLE = 4
    TUPLE = 7
    OPAQUE = 8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Operator(OperatorBase):
    """Base of operator declarations. Derived classes are frozen dataclasses made by `operator`.

    A derived class defines

    - ``infer(self, *types) -> Type``: the result type from the argument types. It serves symbolic
      shapes too: a dimension may be `Any`. Raises `TypeInferenceError` with a helpful message.
    - ``compute(self, *tensors) -> te.Tensor | tuple[te.Tensor, ...]``: the meaning as tensor
      expressions. An argument of tuple type arrives as a tuple of tensors.
    - ``reference(self, *arrays) -> Array | tuple[Array, ...]``: the meaning in NumPy, written
      independently of `compute`.
    - ``gradient(self, grad, result, *arguments) -> Gradients``: what a change of each argument
      does to a number, of which `grad` says what a change of `result` does to it. All are
      expressions: `grad` has the type of `result`, a gradient the type of its argument, and None
      is zero. They may be used more than once: expressions are shared. An operator whose result
      does not follow small changes (comparisons, rounding, shapes, positions) declares
      ``piecewise_constant = True`` instead: all its gradients are zero.
    - ``expand(self, *arguments) -> Expr`` (optional): the call in terms of other operators, with
      the same type. An operator that has it needs no ``compute``: compilers expand it first, with
      `relay.transform.ExpandOps`.
    - ``layouts`` (optional): how the operator follows a change of data layout.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    pattern: ClassVar[Pattern]
    level: ClassVar[int]
    stateful: ClassVar[bool] = False
    #: Whether it runs on the host: `reference` is all of its meaning, and no code is made for it.
    host: ClassVar[bool] = False
    #: Whether the small types (`dtypes.SMALL`) may go in and out: what moves and compares elements.
    takes_small: ClassVar[bool] = False
    #: Whether text may, besides: what moves and compares is understood to. The host works on it.
    takes_text: ClassVar[bool] = False
    #: Whether `reference` takes and gives what is stored (`NDArray.numpy`), not values.
    reads_stored: ClassVar[bool] = False
    #: Whether small changes of the arguments leave the result as it is, so that gradients are zero.
    piecewise_constant: ClassVar[bool] = False
    #: Why a capability is absent: {"compute": "runs only in the interpreter"}; read by the tests.
    missing: ClassVar[dict[str, str]] = {}

    # Written once: to generate these for every operator takes long when relay is imported.
    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def _values(self) -> tuple[object, ...]:
        """The attributes, in order of declaration."""
        names: tuple[str, ...] = self.__match_args__
        return tuple([getattr(self, name) for name in names])

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields if f.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def infer(self, *types: Any, **_: Any) -> Type:
        """Result type from argument types."""
        raise TypeInferenceError(f"the operator {self.name} declares no type")

    def compute(self, *tensors: Any, **_: Any) -> Any:
        """Result tensors, as tensor expressions over argument tensors."""
        raise TypeInferenceError(f"the operator {self.name} declares no tensor expression")

    def reference(self, *arrays: Any, **_: Any) -> Any:
        """Result arrays from argument arrays, in NumPy."""
        raise TypeInferenceError(f"the operator {self.name} declares no reference")

    def gradient(self, *values: Any, **_: Any) -> Gradients:
        """Gradients with respect to the arguments, from that of the result.

        Raises `UnsupportedError` where the operator declares none.
        """
        if self.piecewise_constant:
            return (None,) * len(self.inputs)
        reason = self.missing.get("gradient", "it declares none")
        raise UnsupportedError(f"the operator {self.name} has no gradient: {reason}")

    def expand(self, *arguments: Any, **_: Any) -> Expr:
        """The call of this operator on `arguments`, whose types are known, by other operators.

        Raises `UnsupportedError` where the operator declares none: it is one of those others.
        """
        raise UnsupportedError(f"the operator {self.name} stands for itself")

    @property
    def expands(self) -> bool:
        """Whether the operator declares what it is in terms of other operators."""
        return type(self).expand is not Operator.expand

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        """Argument types with what this operator can tell of the unknown ones filled in.

        For example a convolution with `channels` and `kernel_size` tells the type of its weight.
        """
        return types

    def call_type(self, types: Sequence[Type]) -> Type:
        if len(types) != len(self.inputs):
            raise TypeInferenceError(
                f"{self.name} takes {len(self.inputs)} arguments "
                f"({', '.join(self.inputs) or 'none'}), found {len(types)}"
            )
        if self.takes_small:
            return self.infer(*types)
        self._refuse_special(types)
        result = self.infer(*types)
        self._refuse_special((result,))
        return result

    def _refuse_special(self, types: Sequence[Type]) -> None:
        """Raise `TypeInferenceError` where a tensor of small type, or of text, goes in or out."""
        for type_ in types:
            fields = type_.fields if isinstance(type_, TupleType) else (type_,)
            for found in fields:
                if isinstance(found, TensorType) and found.dtype in dtypes.SMALL:
                    raise TypeInferenceError(
                        f"{self.name} does not compute with {found.dtype} (found {found}): "
                        'cast first, for example cast(x, dtype="float32")'
                    )
                if isinstance(found, TensorType) and found.dtype == dtypes.STRING:
                    if not self.takes_text:
                        raise TypeInferenceError(f"{self.name} does not work on text: {found}")

    @classmethod
    def call(cls, *args: Expr, **attributes: Any) -> Call:
        """A call of this operator with `attributes`."""
        return Call(cls.op, args, cls(**attributes))


_T = TypeVar("_T", bound=Operator)


def _adds_fields(cls: type) -> bool:
    """Whether `cls` itself annotates an attribute (class variables aside)."""
    own = inspect.get_annotations(cls)
    return any("ClassVar" not in str(annotation) for annotation in own.values())


@dataclass_transform(frozen_default=True)
def operator(
    name: str, *, inputs: tuple[str, ...], pattern: Pattern, level: int = 1
) -> Callable[[type[_T]], type[_T]]:
    """Class decorator: declare the operator `name` taking `inputs`.

    `pattern` says how it fuses, `level` is Relay's support level (documentation only).
    """

    def declare(cls: type[_T]) -> type[_T]:
        # A class without attributes of its own inherits what makes it a dataclass: generating that
        # anew for every operator would double the time it takes to import relay.
        declared = cls
        if _adds_fields(cls):
            declared = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
            for method in ("__eq__", "__hash__", "__repr__"):
                # A base may be a dataclass of its own, whose methods know its fields only.
                setattr(declared, method, getattr(Operator, method))
        declared.name = name
        declared.inputs = inputs
        declared.pattern = pattern
        declared.level = level
        declared.op = Op(name, declared)
        return declared

    return declare


def attributes(declaration: Operator) -> dict[str, object]:
    """The attributes of `declaration` by name, in order of declaration."""
    return {f.name: getattr(declaration, f.name) for f in dataclasses.fields(declaration)}


def with_attributes(declaration: _T, **changes: object) -> _T:
    """`declaration` with some attributes changed; they are checked and brought to form as ever."""
    copy: Any = declaration
    changed: _T = dataclasses.replace(copy, **changes)
    return changed


def changed_attributes(declaration: Operator) -> dict[str, object]:
    """The attributes that differ from their defaults: what the text format prints.

    Those declared with ``field(repr=False)`` have no text, and are left out.
    """
    changed: dict[str, object] = {}
    for f in dataclasses.fields(declaration):
        if not f.repr:
            continue
        value = getattr(declaration, f.name)
        if f.default is dataclasses.MISSING or value != f.default:
            changed[f.name] = value
    return changed


def expect_tensor(operator_name: str, argument: str, type_: Type) -> TensorType:
    """`type_` as a tensor type; raises `TypeInferenceError` naming operator and argument."""
    if not isinstance(type_, TensorType):
        raise TypeInferenceError(
            f"{operator_name}: expected a tensor for {argument}, found {type_}"
        )
    return type_


def as_array(value: object) -> Array:
    """`value` as a NumPy array (NumPy scalars become rank-0 arrays)."""
    return np.asarray(value)
