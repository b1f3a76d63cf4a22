"""Arrays of tensors for the prelude: lists of tensors that a program reads and writes by index.

A list has elements of one type, tensors of one loop need not have one shape. So an element is a
value of a data type that wraps tensors: of every rank up to `MAX_RANK` in a *dynamic* family, which
exists once for a data type, or of one shape in a *static* family. A family has the type, and the
functions on it and on lists of it, under names that say whose they are: ``tensor_array_read`` of
float32 tensors is ``@tensor_array_read_float32``, of those of shape (2, ?)
``@tensor_array_read_float32_2_any``.

The functions are Relay text. In it ``$name`` stands for the name in the family, ``$rows.name`` for
the name in a related one (`Family.related`), and so for everything that the text depends on.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from relay.infer.text import library, parse
from relay.ir.adt import Constructor, TypeData
from relay.ir.module import IRModule
from relay.ir.printer import VERSION
from relay.ir.types import Any, Dim, GlobalTypeVar, TensorType
from relay.support.diagnostics import did_you_mean
from relay.support.errors import RelayError

MAX_RANK: Final = 6
"""Tensors of a dynamic family have at most so many dimensions."""

Shape = tuple[int | None, ...]
"""The sizes of a static family; None is a size known only at run time."""

# ---------------------------------------------------------------- functions of every family

_ARRAY: Final = {
    "tensor_array": """
// An array of so many elements without value.
def @$tensor_array(%size: int32) -> List[$tensor_t] {
  if (less_equal(%size, 0)) {
    Nil
  } else {
    Cons($tensor_nil, @$tensor_array(subtract(%size, 1)))
  }
}
""",
    "tensor_array_read": """
def @$tensor_array_read(%array: List[$tensor_t], %index: int32) -> $tensor_t {
  @nth(%array, %index)
}
""",
    "tensor_array_write": """
// The array with another element at a position.
def @$tensor_array_write(%array: List[$tensor_t], %index: int32, %value: $tensor_t)
    -> List[$tensor_t] {
  @update(%array, %index, %value)
}
""",
    "tensor_array_scatter": """
// The array with the first of %values written at the first of %indices, and so on.
def @$tensor_array_scatter(%array: List[$tensor_t], %indices: $Indices, %values: List[$tensor_t])
    -> List[$tensor_t] {
  %0 = take(shape_of(%indices, dtype="int32"), 0);
  @$tensor_array_scatter_helper(%array, 0, %0, %indices, %values)
}
def @$tensor_array_scatter_helper(
  %array: List[$tensor_t], %current: int32, %limit: int32, %indices: $Indices,
  %values: List[$tensor_t]
) -> List[$tensor_t] {
  if (equal(%current, %limit)) {
    %array
  } else {
    match? (%values) {
      Cons(%value, %rest) => {
        %0 = @$tensor_array_write(%array, take(%indices, %current), %value);
        @$tensor_array_scatter_helper(%0, add(%current, 1), %limit, %indices, %rest)
      },
    }
  }
}
""",
    "tensor_array_split": """
// The array whose first elements are the rows of %value: as many to each as %lengths says.
def @$tensor_array_split(
  %array: List[$rows.tensor_t], %value: $value.tensor_t, %lengths: $Lengths
) -> List[$rows.tensor_t] {
  %0 = take(shape_of(%lengths, dtype="int32"), 0);
  @$ta_split_helper(%array, %value, 0, 0, %0, %lengths)
}
def @$ta_split_helper(
  %array: List[$rows.tensor_t], %value: $value.tensor_t, %offset: int32, %current: int32,
  %limit: int32, %lengths: $Lengths
) -> List[$rows.tensor_t] {
  if (equal(%current, %limit)) {
    %array
  } else {
    let %end = add(%offset, take(%lengths, %current));
    %0 = @$value.tensor_take(%value, %offset, %end);
    %1 = @$rows.tensor_array_write(%array, %current, %0);
    @$ta_split_helper(%1, %value, %end, add(%current, 1), %limit, %lengths)
  }
}
""",
    # Neighbours are joined, then neighbours of these, and so on: every row is copied log n times,
    # and where kernels are made for the sizes that occur, there are log n sizes.
    "tensor_array_concat": """
// All elements as one tensor, joined along the first dimension.
def @$tensor_array_concat(%array: List[$rows.tensor_t]) -> $rows.tensor_t {
  match (%array) {
    Nil => { $rows.tensor_nil },
    Cons(%only, Nil) => { %only },
    _ => { @$tensor_array_concat(@$tensor_array_concat_helper(%array)) },
  }
}
def @$tensor_array_concat_helper(%array: List[$rows.tensor_t]) -> List[$rows.tensor_t] {
  match (%array) {
    Cons(%first, Cons(%second, %rest)) => {
      %0 = @$rows.tensor_concatenate(%first, %second);
      Cons(%0, @$tensor_array_concat_helper(%rest))
    },
    _ => { %array },
  }
}
""",
    "tensor_array_stack": """
// All elements as one tensor, along a new first dimension.
def @$tensor_array_stack(%array: List[$tensor_t]) -> $stacked.tensor_t {
  @$stacked.tensor_array_concat(@map(@$tensor_expand_dims, %array))
}
""",
    "tensor_array_gather": """
// The elements at %indices as one tensor, along a new first dimension.
def @$tensor_array_gather(%array: List[$tensor_t], %indices: $Indices) -> $stacked.tensor_t {
  %0 = take(shape_of(%indices, dtype="int32"), 0);
  @$tensor_array_gather_helper(%array, Nil, %0, %indices)
}
def @$tensor_array_gather_helper(
  %array: List[$tensor_t], %found: List[$tensor_t], %current: int32, %indices: $Indices
) -> $stacked.tensor_t {
  if (equal(%current, 0)) {
    @$tensor_array_stack(%found)
  } else {
    let %before = subtract(%current, 1);
    %0 = @$tensor_array_read(%array, take(%indices, %before));
    @$tensor_array_gather_helper(%array, Cons(%0, %found), %before, %indices)
  }
}
""",
}

# ---------------------------------------------------------------- functions of one kind of family

_BATCH_STACK: Final = """
// The first element with a new first dimension of size 1: there is no other element.
def @$tensor_array_stack(%array: List[$tensor_t]) -> $stacked.tensor_t {
  match? (%array) {
    Cons(%only, _) => { @$tensor_expand_dims(%only) },
  }
}
"""


def _unstack(name: str, data: str, element: str, constructor: str) -> str:
    """The text of the function `name` from a tensor to the array of its rows."""
    return f"""
// The rows of a tensor as elements of an array.
def @${name}(%data: {data}) -> List[${element}] {{
  @${name}_helper(take(shape_of(%data, dtype="int32"), 0), %data, Nil)
}}
def @${name}_helper(%current: int32, %data: {data}, %found: List[${element}]) -> List[${element}] {{
  if (equal(%current, 0)) {{
    %found
  }} else {{
    let %before = subtract(%current, 1);
    %0 = ${constructor}(take(%data, %before, axis=0));
    @${name}_helper(%before, %data, Cons(%0, %found))
  }}
}}
"""


def _take(result: str, clauses: str) -> str:
    """The text of the function from a tensor to its rows from one position to another."""
    return f"""
// The rows from %lower up to, and without, %upper.
def @$tensor_take(%tensor: $tensor_t, %lower: int32, %upper: int32) -> ${result} {{
  let %begin = reshape(%lower, newshape=[1]);
  let %end = reshape(%upper, newshape=[1]);
  let %step = ones(shape=[1], dtype="int32");
  match? (%tensor) {{{clauses}
  }}
}}
"""


def _concatenate(result: str, clauses: str) -> str:
    """The text of the function that joins the rows of two tensors."""
    return f"""
def @$tensor_concatenate(%x: $tensor_t, %y: $tensor_t) -> ${result} {{
  match? ((%x, %y)) {{{clauses}
  }}
}}
"""


def _expand_dims(result: str, clauses: str) -> str:
    """The text of the function that puts a dimension of size 1 in front."""
    return f"""
def @$tensor_expand_dims(%tensor: $tensor_t) -> ${result} {{
  match? (%tensor) {{{clauses}
  }}
}}
"""


_SLICE: Final = "dyn.strided_slice(%t, %begin, %end, %step, axes=[0])"

_STATIC: Final = {
    "tensor_take": _take(
        "rows.tensor_t",
        f"""
    $tensor_constructor(%t) => {{ $rows.tensor_constructor({_SLICE}) }},""",
    ),
    "tensor_concatenate": _concatenate(
        "rows.tensor_t",
        """
    ($tensor_constructor(%a), $tensor_constructor(%b)) => {
      $rows.tensor_constructor(concatenate((%a, %b)))
    },""",
    ),
    "tensor_expand_dims": _expand_dims(
        "stacked.tensor_t",
        """
    $tensor_constructor(%t) => { $stacked.tensor_constructor(expand_dims(%t, axis=0)) },""",
    ),
    "tensor_array_unstack": _unstack(
        "tensor_array_unstack", "$Data", "part.tensor_t", "part.tensor_constructor"
    ),
    "tensor_get_data": """
// The tensor itself.
def @$tensor_get_data(%tensor: $tensor_t) -> $Data {
  match? (%tensor) {
    $tensor_constructor(%t) => { %t },
  }
}
""",
}


def _each_rank(clause: str, ranks: Iterable[int]) -> str:
    """`clause` for every rank in place of ``<n>``, the next one in place of ``<n+1>``."""
    return "".join(clause.replace("<n>", str(n)).replace("<n+1>", str(n + 1)) for n in ranks)


_RANKS: Final = range(1, MAX_RANK + 1)

_DYNAMIC: Final = {
    "tensor_take": _take(
        "tensor_t",
        _each_rank(
            f"""
    $tensor<n>(%t) => {{ $tensor<n>({_SLICE}) }},""",
            _RANKS,
        ),
    ),
    "tensor_concatenate": _concatenate(
        "tensor_t",
        _each_rank(
            """
    ($tensor<n>(%a), $tensor<n>(%b)) => { $tensor<n>(concatenate((%a, %b))) },""",
            _RANKS,
        ),
    ),
    "tensor_expand_dims": _expand_dims(
        "tensor_t",
        _each_rank(
            """
    $tensor<n>(%t) => { $tensor<n+1>(expand_dims(%t, axis=0)) },""",
            range(MAX_RANK),
        ),
    ),
    **{
        f"tensor_array_unstack_tensor{n}": _unstack(
            f"tensor_array_unstack_tensor{n}", f"$Data{n}", "tensor_t", f"tensor{n - 1}"
        )
        for n in _RANKS
    },
}

_NEED_ROWS: Final = (
    "tensor_take tensor_concatenate tensor_array_unstack tensor_array_split tensor_array_concat"
).split()
"""What families of scalars do not have."""


# ---------------------------------------------------------------- families


@dataclass(frozen=True)
class Family:
    """The arrays of tensors of `dtype` and `shape`; of any shape when `shape` is None.

    With a `batch_dim` of 1, arrays have one element, and stacking gives a dimension of that size.
    `value`, `indices` and `lengths` are shapes of the arguments of ``tensor_array_scatter`` and
    ``tensor_array_split``, where more is known about them.
    """

    dtype: str
    shape: Shape | None = None
    batch_dim: int | None = None
    value: Shape | None = None
    indices: Shape = (None,)
    lengths: Shape = (None,)

    def related(self, relation: str | None) -> "Family":
        """The family of what a function of this one takes or gives.

        ``part``: of the rows of its tensors; ``rows``: of any number of these; ``stacked``: of
        its tensors along a new first dimension; ``value``: of what `value` says.
        """
        if relation is None:
            return self
        shape = self.shape
        if relation == "value":
            shape = shape if self.value is None else self.value
        elif shape is not None:
            shapes = {
                "part": shape[1:],
                "rows": (None, *shape[1:]),
                "stacked": (self.batch_dim, *shape),
            }
            shape = shapes[relation]
        return Family(self.dtype, shape, self.batch_dim)

    def name(self, canonical: str) -> str:
        """What the type, constructor or function `canonical` is called in this family."""
        if self.shape is None:
            whose = self.dtype
        else:
            batch = f"_batch{self.batch_dim}" if self.batch_dim and not is_part(canonical) else ""
            whose = f"{self.dtype}{batch}_{sizes_name(self.shape)}"
        if canonical == "tensor_t":
            return f"tensor_{whose}_t" if self.shape is None else f"static_tensor_{whose}_t"
        given = f"_indices_{sizes_name(self.indices)}" if self.indices != (None,) else ""
        return f"{canonical}_{whose}{given}" if "scatter" in canonical else f"{canonical}_{whose}"

    def texts(self) -> dict[str, str]:
        """The functions of the family, in order: their texts by their canonical names."""
        own = _DYNAMIC if self.shape is None else _STATIC
        texts = {**own, **_ARRAY}
        if self.batch_dim is not None:
            texts["tensor_array_stack"] = _BATCH_STACK
        return {n: t for n, t in texts.items() if self.shape != () or n not in _NEED_ROWS}

    def owner(self, canonical: str) -> str:
        """The function with whose text `canonical` is defined: itself, but for helpers.

        Raises `RelayError` when the family has no such function.
        """
        texts = self.texts()
        if canonical in texts:
            return canonical
        for name, text in texts.items():
            if f"def @${canonical}(" in text:
                return name
        what = "any shape" if self.shape is None else f"shape ({sizes_name(self.shape)})"
        hints = did_you_mean(canonical, list(texts)) or [f"there are {', '.join(texts)}"]
        raise RelayError(
            f"arrays of {self.dtype} tensors of {what} have no function {canonical}; "
            f"{' '.join(hints)}"
        )

    def data_type(self) -> TypeData:
        """The data type of an element."""
        return _data_type(self.dtype, self.shape)

    def data(self, rank: str) -> TensorType:
        """The type of the tensors; in a dynamic family of those of a rank."""
        shape = (None,) * int(rank) if self.shape is None else self.shape
        return tensor_type(shape, self.dtype)


def is_part(canonical: str) -> bool:
    """Whether `canonical` is the name of the data type or of one of its constructors."""
    known = ("tensor_t", "tensor_nil", "tensor_constructor")
    return canonical in known or re.fullmatch(r"tensor\d", canonical) is not None


def sizes_of(shape: Sequence[Dim]) -> Shape:
    """`shape` as that of a family; raises `RelayError` when a size is neither known nor `Any`."""
    sizes = tuple(None if isinstance(size, Any) else int(size) for size in shape)
    if any(size is not None and size < 0 for size in sizes):
        raise RelayError(f"a size must be a number from 0 or relay.Any(), found {tuple(shape)}")
    return sizes


def sizes_name(shape: Shape) -> str:
    """`shape` as it is part of names: ``2_any``, or ``scalar``."""
    return "_".join("any" if size is None else str(size) for size in shape) or "scalar"


def tensor_type(shape: Shape, dtype: str) -> TensorType:
    """The type of tensors of `shape`."""
    return TensorType([Any() if size is None else size for size in shape], dtype)


@functools.cache
def _data_type(dtype: str, shape: Shape | None) -> TypeData:
    """The one definition of the data type of a family."""
    family = Family(dtype, shape)
    header = GlobalTypeVar(family.name("tensor_t"))
    wrapped = {"tensor_constructor": shape or ()}
    if shape is None:
        wrapped = {f"tensor{rank}": (None,) * rank for rank in range(MAX_RANK + 1)}
    constructors = [Constructor(family.name("tensor_nil"), (), header)]
    for name, sizes in wrapped.items():
        constructors.append(Constructor(family.name(name), [tensor_type(sizes, dtype)], header))
    return TypeData(header, (), constructors)


# ---------------------------------------------------------------- from texts to definitions

_NAME: Final = re.compile(r"\$(?:([a-z]+)\.)?(\w+)")


def _defined(text: str) -> set[str]:
    """The canonical names of the functions that `text` defines."""
    return set(re.findall(r"def @\$(\w+)", text))


@functools.cache
def _definitions(family: Family, canonical: str) -> IRModule:
    """The prelude with the function `canonical` of `family` and all that it needs: do not change.

    `canonical` is a name of `Family.texts`.
    """
    text = family.texts()[canonical]
    own = _defined(text)
    prelude = library("prelude.rly")
    needed = IRModule(prelude.functions, prelude.type_definitions)

    def name_of(match: re.Match[str]) -> str:
        relation, name = match.groups()
        related = family.related(relation)
        if name in ("Indices", "Lengths"):
            return str(tensor_type(getattr(family, name.lower()), "int32"))
        if name.startswith("Data"):
            return str(related.data(name.removeprefix("Data")))
        if is_part(name):
            data = related.data_type()
            needed[data.header] = data
        elif relation is not None or name not in own:
            # Only scatter and split know of these; what they use is the function for any of them.
            plain = replace(related, value=None, indices=(None,), lengths=(None,))
            needed.update(_definitions(plain, plain.owner(name)))
        return related.name(name)

    whole = _NAME.sub(name_of, text)
    return parse(f'#[version = "{VERSION}"]\n{whole}', f"{canonical}.rly", needed)


def define_type(module: IRModule, family: Family) -> None:
    """Add the data type of `family` to `module`, unless it has one of that name."""
    data = family.data_type()
    if data.header not in module:
        module[data.header] = data


def define(module: IRModule, family: Family, canonical: str, replaced: bool = False) -> None:
    """Add the function `canonical` of `family`, and all that it needs, to `module`.

    What the module has of these names stays, but the function itself when it is to be `replaced`.
    Raises `RelayError` when the family has no such function.
    """
    owner = family.owner(canonical)
    name = family.name(owner)
    if name in module and not replaced:
        return
    found = _definitions(family, owner)
    own = {family.name(n) for n in _defined(family.texts()[owner])}
    for header, data in found.type_definitions.items():
        if header not in module:
            module[header] = data
    for variable, function in found.functions.items():
        if variable not in module or (replaced and variable.name_hint in own):
            module[variable] = function
