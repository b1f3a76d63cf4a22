"""Calls derived from the records: other data types, sizes, special numbers, indices, axes.

A record is a call that somebody thought of. `variants` makes more of every one of them, each with
something changed that the operator's `infer` accepts; what it refuses is in `Derived.refused`. So
the matrix of operators and data types has no empty cell: a type is tested or refused for a reason.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from op.record import In, Record
from relay import codes, dtypes
from relay.ir.expr import Call, Expr, Op, Tuple, Var
from relay.ir.op import Operator, attributes
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError

Inputs: TypeAlias = tuple[In | tuple[In, ...], ...]

#: Records of an operator that further calls are made of.
MOST_RECORDS = 3
#: Elements in the arguments of a record that further calls are made of.
MOST_ELEMENTS = 3000
#: Arguments that say where something is, so that a wrong one could reach foreign memory.
INDICES = frozenset(
    "indices box_indices coordinates sparse_indices sparse_indptr weight_indices weight_indptr "
    "seq_lengths valid_length valid_count targets nodes roots k axis begin end".split()
)
#: Arguments whose values are sizes or settings, which random numbers are not.
SIZES = frozenset(
    "shape newshape new_shape prev_shape dense_shape output_shape reps size depth pad_width start "
    "stop step count strides key max_output_size max_output_boxes_per_class num_samples in_dtype "
    "out_dtype roots nodes sorted_sequence left_shift right_shift scale_h scale_w scale_d".split()
)
AXES = ("axis", "axes", "seq_axis", "batch_axis")
#: Where results may differ from the reference's, and why: by operator and kind of variant. What
#: is computed is checked to compile, to run and to stay inside memory all the same.
DIFFERENT: Mapping[str, str] = {
    "nn.conv1d_transpose special": "zeros between the data meet infinite weights",
    "nn.conv2d_transpose special": "zeros between the data meet infinite weights",
    "nn.conv3d_transpose special": "zeros between the data meet infinite weights",
    "dft special": "a fast transform adds up in another order, and infinities spread by it",
    "stft special": "a fast transform adds up in another order, and infinities spread by it",
    "nn.sparse_dense special": "what is not stored is not multiplied by infinity",
    "nn.sparse_conv2d special": "what is not stored is not multiplied by infinity",
    "nn.internal.sparse_dense_padded special": "what is not stored is not multiplied by infinity",
    "nn.contrib_conv2d_winograd_weight_transform special": "NaN spreads over the tile",
    "nn.contrib_conv2d_winograd_without_weight_transform special": "NaN spreads over the tile",
    "nn.contrib_conv3d_winograd_weight_transform special": "NaN spreads over the tile",
    "nn.contrib_conv3d_winograd_without_weight_transform special": "NaN spreads over the tile",
    "nn.contrib_conv2d_winograd_nnpack_weight_transform special": "NaN spreads over the tile",
    "fixed_point_multiply_per_axis special": "what does not fit into the result is unspecified",
    "image.crop_and_resize dtype": "between two integers, the lower one may win by rounding",
    "image.crop_and_resize special": "a weight of zero meets infinity",
}
SPECIAL = (math.nan, math.inf, -math.inf, -0.0)


@dataclass(frozen=True)
class Variant:
    """One derived call: `kind` says what was changed of `origin`, `note` how."""

    record: Record
    kind: str
    note: str
    origin: Record

    def __str__(self) -> str:
        return f"{self.origin}-{self.kind}-{self.note}"

    @property
    def declaration(self) -> Operator:
        """The operator with its attributes."""
        return declared(self.record)

    @property
    def different(self) -> str | None:
        """Why results may differ from the reference's; None where they must not."""
        return DIFFERENT.get(f"{self.record.op} {self.kind}")

    def arrays(self) -> list[NDArray | tuple[NDArray, ...]]:
        """The arguments, always the same ones."""
        random = np.random.default_rng(0)
        return [
            tuple(make(f, random) for f in i) if isinstance(i, tuple) else make(i, random)
            for i in self.record.inputs
        ]

    def call(self, first: int = 0) -> tuple[Call, list[Var]]:
        """The call on fresh variables, the `first` of which has that number."""
        variables: list[Var] = []

        def variable(type_: Type) -> Var:
            variables.append(Var(f"x{first + len(variables)}", type_))
            return variables[-1]

        arguments: list[Expr] = [
            Tuple([variable(f) for f in t.fields]) if isinstance(t, TupleType) else variable(t)
            for t in types_of(self.record.inputs)
        ]
        declaration = self.declaration
        return Call(Op.get(self.record.op), arguments, declaration), variables


@dataclass
class Derived:
    """The variants of all records, and the reasons for cells without one: (operator, dtype).

    `refused_axes` are the operators that do not count an axis from the other end.
    """

    variants: list[Variant] = field(default_factory=list)
    tested: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    refused_axes: set[str] = field(default_factory=set)


def declared(record: Record) -> Operator:
    """The operator of `record` with its attributes."""
    declaration = Op.get(record.op).declaration(**record.attrs)
    assert isinstance(declaration, Operator)
    return declaration


def flat(inputs: Inputs) -> list[In]:
    """All inputs, fields of tuples among them."""
    return [f for i in inputs for f in (i if isinstance(i, tuple) else (i,))]


def rebuilt(inputs: Inputs, changed: Sequence[In]) -> Inputs:
    """`inputs` with the leaves `changed`, in the order of `flat`."""
    rest = iter(changed)
    return tuple(
        tuple(next(rest) for _ in i) if isinstance(i, tuple) else next(rest) for i in inputs
    )


def shape_of(spec: In) -> tuple[int, ...]:
    """The shape of an input."""
    return spec.shape if spec.values is None else np.shape(spec.values)


def types_of(inputs: Inputs) -> list[Type]:
    """The types of the arguments."""

    def one(spec: In) -> TensorType:
        return TensorType(shape_of(spec), spec.dtype)

    return [TupleType([one(f) for f in i]) if isinstance(i, tuple) else one(i) for i in inputs]


def make(spec: In, random: np.random.Generator) -> NDArray:
    """The array of an input, of any data type."""
    dtype, shape = spec.dtype, shape_of(spec)
    if spec.values is not None:
        given = np.asarray(spec.values)
        if dtype == dtypes.STRING or given.dtype == dtypes.to_numpy(dtype):
            return NDArray(given, dtype)
        with np.errstate(all="ignore"):
            return NDArray(np.asarray(codes.encode(given, dtype)), dtype)
    if dtype == "bool":
        return NDArray(random.integers(0, 2, shape).astype(bool), dtype)
    if dtypes.is_float(dtype):
        with np.errstate(all="ignore"):
            drawn = np.asarray(random.uniform(spec.low, spec.high, shape))
            return NDArray(np.asarray(codes.encode(drawn, dtype)), dtype)
    low, high = dtypes.integer_range(dtype)
    least, most = max(math.ceil(spec.low), low), min(math.floor(spec.high), high)
    numbers = random.integers(least, max(least, most), shape, endpoint=True)
    return NDArray(np.asarray(numbers).astype(dtypes.to_numpy(dtype)), dtype)


def accepted(record: Record) -> str | None:
    """None where the operator takes the arguments of `record`, else why not."""
    try:
        result = declared(record).call_type(types_of(record.inputs))
    except (RelayError, ValueError) as error:
        return str(error)
    small = all(
        math.prod(t.concrete_shape) < 10**6 for t in flatten_tensor_types(result) if t.is_static
    )
    return None if small else "the result would be large"


def with_dtype(spec: In, dtype: str, keep: bool = False) -> In | None:
    """`spec` with elements of another type; None where it must `keep` values that do not fit."""
    if spec.values is None:
        return replace(spec, dtype=dtype)
    values = np.asarray(spec.values)
    fits = dtypes.is_float(dtype) and dtype not in dtypes.SMALL
    if not fits and values.dtype != object:
        with np.errstate(all="ignore"):
            low, high = (0.0, 4.0) if dtypes.is_float(dtype) else dtypes.integer_range(dtype)
            wide = values.astype(np.float64)
            fits = bool(np.all(wide >= float(low)) and np.all(wide <= float(high)))
    if fits:
        return replace(spec, dtype=dtype)
    if keep:
        return None
    return replace(spec, values=None, shape=values.shape, dtype=dtype)


def _attrs_with(record: Record, old: str, new: str) -> Mapping[str, object]:
    return {k: new if isinstance(v, str) and v == old else v for k, v in record.attrs.items()}


def _refusal_of_type(record: Record, group: str, dtype: str) -> str:
    """Why arguments of type `group` cannot be of type `dtype`, whatever their values are."""
    changed = [
        replace(s, values=None, shape=shape_of(s), dtype=dtype) if s.dtype == group else s
        for s in flat(record.inputs)
    ]
    refusal = accepted(replace(record, inputs=rebuilt(record.inputs, changed)))
    return refusal or "its values mean sizes, places or keys, and those tested do not fit"


def retyped(record: Record, group: str, dtype: str) -> tuple[Record | None, str]:
    """`record` with its arguments of type `group` in `dtype`, or None and why not."""
    leaves, names, fixed = flat(record.inputs), names_of(record), INDICES | SIZES
    chosen = [k for k, spec in enumerate(leaves) if spec.dtype == group]
    why = ""
    for places in (chosen, chosen[:1]):
        changed: list[In] = []
        for k, spec in enumerate(leaves):
            new = with_dtype(spec, dtype, names[k] in fixed) if k in places else spec
            if new is None:
                return None, _refusal_of_type(record, group, dtype)
            changed.append(new)
        for attrs in (record.attrs, _attrs_with(record, group, dtype)):
            tried = replace(record, inputs=rebuilt(record.inputs, changed), attrs=attrs)
            refusal = accepted(tried)
            if refusal is None:
                return tried, ""
            why = why or refusal
    return None, why


def dtype_variants(record: Record, found: Derived) -> Iterator[Variant]:
    """Every group of arguments of one data type in all the others."""
    groups = list(dict.fromkeys(spec.dtype for spec in flat(record.inputs)))
    if not groups:  # what takes nothing says what it gives
        given = [v for v in attributes(declared(record)).values() if v in dtypes.NAMES]
        groups = [v for v in given if isinstance(v, str)]
    for group in groups:
        if group == dtypes.STRING:
            continue
        for dtype in dtypes.NAMES:
            cell = (record.op, dtype)
            if dtype == group:
                found.tested[cell] = found.tested.get(cell, 0) + 1
                continue
            tried, why = retyped(record, group, dtype)
            if tried is None:
                found.refused.setdefault(cell, why)
            else:
                found.tested[cell] = found.tested.get(cell, 0) + 1
                yield Variant(tried, "dtype", f"{group}-{dtype}", record)


def resized(spec: In, shape: tuple[int, ...]) -> In:
    """`spec` with another shape: values are cut off or repeated, or random."""
    if spec.values is None:
        return replace(spec, shape=shape)
    values = np.asarray(spec.values)
    if len(shape) == values.ndim:
        cut = values[tuple(slice(0, n) for n in shape)]
        if cut.shape == shape:
            return replace(spec, values=cut, shape=shape)
    if values.size:
        return replace(spec, values=np.resize(values, shape), shape=shape)
    return replace(spec, values=None, shape=shape)


def shape_variants(record: Record) -> Iterator[Variant]:
    """No elements and one element along every size, alone and wherever the size occurs; rank 0."""
    leaves = flat(record.inputs)
    shapes = [shape_of(s) for s in leaves]
    seen: set[tuple[tuple[int, ...], ...]] = {tuple(shapes)}
    changes: list[tuple[str, list[tuple[int, ...]]]] = []
    for new in (0, 1):
        for size in sorted({n for s in shapes for n in s} - {new}):
            every = [tuple(new if n == size else n for n in s) for s in shapes]
            changes.append((f"{size}to{new}", every))
        for k, shape in enumerate(shapes):
            for axis in range(len(shape)):
                alone = list(shapes)
                alone[k] = (*shape[:axis], new, *shape[axis + 1 :])
                changes.append((f"argument{k}-axis{axis}to{new}", alone))
    changes.append(("rank0", [() for _ in shapes]))
    changes += [
        (f"argument{k}-rank0", [() if j == k else s for j, s in enumerate(shapes)])
        for k in range(len(shapes))
    ]
    for note, changed in changes:
        if tuple(changed) in seen:
            continue
        seen.add(tuple(changed))
        specs = [resized(s, n) for s, n in zip(leaves, changed, strict=True)]
        tried = replace(record, inputs=rebuilt(record.inputs, specs))
        if accepted(tried) is None:
            yield Variant(tried, "shape", note, record)


def _sprinkled(spec: In, numbers: Sequence[float], seed: int) -> In:
    random = np.random.default_rng(seed)
    values = np.array(codes.decode(make(spec, random).numpy(), spec.dtype))
    places = random.permutation(values.size)[: max(1, min(values.size // 3, 2 * len(numbers)))]
    for k, place in enumerate(places):
        values.reshape(-1)[place] = numbers[(k + seed) % len(numbers)]
    return replace(spec, values=values, shape=values.shape)


def special_variants(record: Record) -> Iterator[Variant]:
    """NaN, infinities and the zero below zero among the numbers; the ends of what integers hold.

    Scales and zero points of quantised values are left alone: they are settings.
    """
    names = names_of(record)
    leaves = flat(record.inputs)
    for k, spec in enumerate(leaves):
        if (
            0 in shape_of(spec)
            or names[k] in SIZES
            or names[k].endswith(("scale", "scales", "zero_point", "zero_points"))
            or spec.dtype in dtypes.SMALL
            or spec.dtype == dtypes.STRING
        ):
            continue
        if dtypes.is_float(spec.dtype):
            numbers: Sequence[float] = SPECIAL
        elif dtypes.is_integer(spec.dtype) and names[k] not in INDICES | SIZES:
            low, high = dtypes.integer_range(spec.dtype)
            numbers = (low, high)
        else:
            continue
        for seed in range(1 if k else 2):
            changed = [_sprinkled(s, numbers, seed) if j == k else s for j, s in enumerate(leaves)]
            tried = replace(record, inputs=rebuilt(record.inputs, changed))
            if accepted(tried) is None:
                yield Variant(tried, "special", f"argument{k}-{seed}", record)


def names_of(record: Record) -> list[str]:
    """The name of the argument that every leaf of the inputs belongs to; indices in tuples too."""
    found: list[str] = []
    for name, spec in zip(Op.get(record.op).declaration.inputs, record.inputs, strict=True):
        if isinstance(spec, tuple):
            within = record.op == "adv_index"
            found += [name, *["indices" if within else name] * (len(spec) - 1)][: len(spec)]
        else:
            found.append(name)
    return found


def index_variants(record: Record) -> Iterator[Variant]:
    """Indices below zero, at the end, beyond it and far beyond it."""
    names = names_of(record)
    leaves = flat(record.inputs)
    for k, spec in enumerate(leaves):
        if names[k] not in INDICES or not dtypes.is_integer(spec.dtype) or 0 in shape_of(spec):
            continue
        for dtype in ("int32", "int64"):
            wide = with_dtype(spec, dtype)
            assert wide is not None
            low, high = dtypes.integer_range(dtype)
            size = max([n for s in leaves for n in shape_of(s)], default=1)
            kinds = {"negative": (-1,), "outside": (size, -size - 1), "far": (low, high, 2**30)}
            for note, numbers in kinds.items():
                value = _sprinkled(wide, numbers, 0)
                changed = [value if j == k else s for j, s in enumerate(leaves)]
                tried = replace(record, inputs=rebuilt(record.inputs, changed))
                if accepted(tried) is None:
                    yield Variant(tried, "index", f"argument{k}-{dtype}-{note}", record)


def axis_variants(record: Record, found: Derived) -> Iterator[Variant]:
    """Axes counted from the other end."""
    leaves = flat(record.inputs)
    declaration = attributes(declared(record))
    for name in AXES:
        axes = declaration.get(name)
        if axes is None or isinstance(axes, str) or not leaves:
            continue
        rank = len(shape_of(leaves[0]))
        rank += 1 if record.op in ("stack", "one_hot", "expand_dims") else 0

        def turned(axis: int, rank: int = rank) -> int:
            return axis - rank if axis >= 0 else axis + rank

        if isinstance(axes, int) and not isinstance(axes, bool):
            value: object = turned(axes)
        elif isinstance(axes, tuple) and axes and all(type(a) is int for a in axes):
            value = tuple(turned(a) for a in axes)
        else:
            continue
        tried = replace(record, attrs={**record.attrs, name: value})
        if accepted(tried) is None:
            yield Variant(tried, "axis", f"{name}{value}".replace(" ", ""), record)
        else:
            found.refused_axes.add(record.op)


def chosen_records(records: Sequence[Record]) -> list[Record]:
    """Up to `MOST_RECORDS` small records of every operator, unlike one another."""
    by_name: dict[str, list[Record]] = {}
    kinds: set[tuple[object, ...]] = set()
    for record in records:
        leaves = flat(record.inputs)
        if any(s.dtype == dtypes.STRING for s in leaves):
            continue
        if sum(math.prod(shape_of(s)) for s in leaves) > MOST_ELEMENTS:
            continue
        ranks = tuple(len(shape_of(s)) for s in leaves)
        kind = (record.op, tuple(sorted(record.attrs)), ranks)
        few = by_name.setdefault(record.op, [])
        if (
            kind in kinds
            or len(few) >= MOST_RECORDS
            or 0 in {n for s in leaves for n in shape_of(s)}
        ):
            continue
        kinds.add(kind)
        few.append(record)
    return [r for few in by_name.values() for r in few]


def derive(records: Sequence[Record]) -> Derived:
    """All variants of `records`."""
    found = Derived()
    for record in records:
        for group in {spec.dtype for spec in flat(record.inputs)}:
            found.tested.setdefault((record.op, group), 0)
        if any(spec.dtype == dtypes.STRING for spec in flat(record.inputs)):
            for dtype in dtypes.NAMES:
                why = _refusal_of_type(record, dtypes.STRING, dtype)
                found.refused.setdefault((record.op, dtype), why)
    for record in chosen_records(records):
        found.variants += dtype_variants(record, found)
        found.variants += shape_variants(record)
        found.variants += special_variants(record)
        found.variants += index_variants(record)
        found.variants += axis_variants(record, found)
    found.refused = {c: why for c, why in found.refused.items() if c not in found.tested}
    return found
