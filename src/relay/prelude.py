"""The standard library of Relay programs: lists, optional values, trees, and arrays of tensors.

>>> from relay import IRModule, Prelude, const
>>> p = Prelude(IRModule())
>>> print(p.map(p.id, p.cons(const(1), p.nil())))
%0 = Nil;
%1 = Cons(1, %0);
@map(@id, %1)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, overload

from relay import tensor_array
from relay.infer.infer import infer_types
from relay.ir.adt import Constructor
from relay.ir.expr import Expr, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import Dim, GlobalTypeVar, TensorType, TypeCall
from relay.support.errors import RelayError
from relay.tensor_array import Family, is_part, sizes_name, sizes_of

FUNCTIONS: Final = (
    "id compose flip iterate hd tl nth length update map foldl foldr foldr1 sum concat filter zip "
    "rev map_accumr map_accuml unfoldl unfoldr tmap size"
).split()
"""The functions of the prelude; each is an attribute of `Prelude`."""


class Prelude:
    """Adds the prelude to `mod` and gives its functions, types and constructors as attributes.

    Types and constructors: `l` (``List``), `cons`, `nil`; `optional` (``Option``), `some`, `none`;
    `tree` (``Tree``), `rose`. Raises `RelayError` when `mod` has something else of such a name.
    """

    l: GlobalTypeVar  # noqa: E741 - Relay's name
    cons: Constructor
    nil: Constructor
    optional: GlobalTypeVar
    some: Constructor
    none: Constructor
    tree: GlobalTypeVar
    rose: Constructor
    id: GlobalVar
    compose: GlobalVar
    flip: GlobalVar
    iterate: GlobalVar
    hd: GlobalVar
    tl: GlobalVar
    nth: GlobalVar
    length: GlobalVar
    update: GlobalVar
    map: GlobalVar
    foldl: GlobalVar
    foldr: GlobalVar
    foldr1: GlobalVar
    sum: GlobalVar
    concat: GlobalVar
    filter: GlobalVar
    zip: GlobalVar
    rev: GlobalVar
    map_accumr: GlobalVar
    map_accuml: GlobalVar
    unfoldl: GlobalVar
    unfoldr: GlobalVar
    tmap: GlobalVar
    size: GlobalVar

    def __init__(self, mod: IRModule | None = None) -> None:
        self.mod = IRModule() if mod is None else mod
        self.load_prelude()

    def load_prelude(self) -> None:
        """Add the prelude to the module, unless it is there already."""
        import_library(self.mod, "prelude.rly")
        for name in FUNCTIONS:
            setattr(self, name, self.mod.get_global_var(name))
        self.l, self.optional, self.tree = map(
            self.mod.get_global_type_var, ("List", "Option", "Tree")
        )
        self.cons, self.nil = self.mod[self.l].constructors
        self.some, self.none = self.mod[self.optional].constructors
        (self.rose,) = self.mod[self.tree].constructors

    @overload
    def get_type(self, name: str) -> tuple[GlobalTypeVar | Constructor, ...]: ...
    @overload
    def get_type(self, name: str, dtype: str) -> GlobalTypeVar: ...
    def get_type(
        self, name: str, dtype: str | None = None
    ) -> GlobalTypeVar | tuple[GlobalTypeVar | Constructor, ...]:
        """The data type called `name` followed by its constructors.

        With a `dtype` the data type alone, of the name that ``"tensor_t"`` has for `dtype`.
        """
        if dtype is None:
            return self.mod.get_type(name)
        return self._type(Family(dtype), name)

    def get_global_var(self, name: str, dtype: str | None = None) -> GlobalVar:
        """The function called `name`; with a `dtype` the one of `TensorArrayOps` called so."""
        if dtype is None:
            return self.mod.get_global_var(name)
        return self._function(Family(dtype), name)

    def get_ctor(self, type_name: str, name: str, dtype: str | None = None) -> Constructor:
        """The constructor called `name` of the data type called `type_name`.

        With a `dtype` the name is the one that `name` has for `dtype`, ``"tensor2"`` for example.
        """
        if dtype is None:
            return self.mod.get_constructor(type_name, name)
        family = Family(dtype)
        tensor_array.define_type(self.mod, family)
        return self.mod.get_constructor(type_name, family.name(name))

    # ------------------------------------------------------------------ arrays of tensors

    def get_name(self, canonical: str, dtype: str) -> str:
        """What the type, constructor or function `canonical` is called for tensors of `dtype`."""
        return Family(dtype).name(canonical)

    def get_tensor_ctor(self, canonical: str, dtype: str) -> Constructor:
        """The constructor `canonical`, ``"tensor2"`` for example, of tensors of `dtype`."""
        return self.get_ctor(self.get_name("tensor_t", dtype), canonical, dtype)

    def get_var(self, canonical: str, dtype: str) -> GlobalVar | GlobalTypeVar | Constructor:
        """The function, type or constructor `canonical` of tensors of `dtype` (Relay 0.6)."""
        if canonical == "tensor_t":
            return self.get_type(canonical, dtype)
        if is_part(canonical):
            return self.get_tensor_ctor(canonical, dtype)
        return self.get_global_var(canonical, dtype)

    def get_name_static(
        self, canonical: str, dtype: str, shape: Sequence[Dim], batch_dim: int | None = None
    ) -> str:
        """What `canonical` is called for tensors of `dtype` and `shape`."""
        return _family(dtype, shape, batch_dim).name(canonical)

    def get_global_var_static(
        self, canonical: str, dtype: str, shape: Sequence[Dim], batch_dim: int | None = None
    ) -> GlobalVar:
        """The function of `StaticTensorArrayOps` called `canonical`."""
        return self._function(_family(dtype, shape, batch_dim), canonical)

    def get_type_static(self, canonical: str, dtype: str, shape: Sequence[Dim]) -> GlobalTypeVar:
        """The data type, ``"tensor_t"``, of tensors of `dtype` and `shape`."""
        return self._type(_family(dtype, shape), canonical)

    def get_ctor_static(
        self, type_name: str, name: str, dtype: str, shape: Sequence[Dim]
    ) -> Constructor:
        """The constructor `name` of the data type ``"tensor_t"`` of tensors of a shape."""
        family = _family(dtype, shape)
        header = self._type(family, type_name)
        return self.mod.get_constructor(header.name_hint, family.name(name))

    def get_tensor_ctor_static(self, name: str, dtype: str, shape: Sequence[Dim]) -> Constructor:
        """The constructor ``"tensor_constructor"`` or ``"tensor_nil"`` of tensors of a shape."""
        return self.get_ctor_static("tensor_t", name, dtype, shape)

    def get_var_static(
        self, canonical: str, dtype: str, shape: Sequence[Dim], batch_dim: int | None = None
    ) -> GlobalVar | GlobalTypeVar | Constructor:
        """The function, type or constructor `canonical` of tensors of a shape (Relay 0.7)."""
        if canonical == "tensor_t":
            return self.get_type_static(canonical, dtype, shape)
        if is_part(canonical):
            return self.get_tensor_ctor_static(canonical, dtype, shape)
        return self.get_global_var_static(canonical, dtype, shape, batch_dim)

    def _type(self, family: Family, canonical: str) -> GlobalTypeVar:
        if canonical == "tensor_t":
            tensor_array.define_type(self.mod, family)
        return self.mod.get_global_type_var(family.name(canonical))

    def _function(self, family: Family, canonical: str) -> GlobalVar:
        tensor_array.define(self.mod, family, canonical)
        return self.mod.get_global_var(family.name(canonical))


class _ArrayOps:
    """What both kinds of families of arrays of tensors have in common."""

    def __init__(self, prelude: Prelude, family: Family) -> None:
        self.prelude = prelude
        self.dtype = family.dtype
        self.family = family
        self.list, self.cons, self.nil = prelude.l, prelude.cons, prelude.nil

    @property
    def tensor_type_var(self) -> GlobalTypeVar:
        """The data type of an element."""
        return self.get_type("tensor_t")

    def get_global_var(self, canonical: str) -> GlobalVar:
        """The function `canonical`; raises `RelayError` when there is none."""
        return self.prelude._function(self.family, canonical)

    def get_type(self, canonical: str) -> GlobalTypeVar:
        """The data type ``"tensor_t"``."""
        return self.prelude._type(self.family, canonical)

    def get_ctor(self, canonical: str) -> Constructor:
        """The constructor `canonical`; raises `RelayError` when there is none."""
        return self.prelude.mod.get_constructor(
            self.tensor_type_var.name_hint, self.family.name(canonical)
        )

    def get_var(self, canonical: str) -> GlobalVar | GlobalTypeVar | Constructor:
        """The function, type or constructor `canonical` (Relay 0.6)."""
        if canonical == "tensor_t":
            return self.tensor_type_var
        return self.get_ctor(canonical) if is_part(canonical) else self.get_global_var(canonical)

    def register(self) -> None:
        """Add the type and all functions, unless they are there already."""
        self.define_tensor_adt()
        for canonical in self.family.texts():
            tensor_array.define(self.prelude.mod, self.family, canonical)

    def _define(self, canonical: str) -> None:
        # Families of scalars have no rows; that there is then nothing to define is no error.
        if canonical in self.family.texts():
            tensor_array.define(self.prelude.mod, self.family, canonical)

    def define_tensor_adt(self) -> None:
        """Add the type of an element."""
        tensor_array.define_type(self.prelude.mod, self.family)

    def define_tensor_take(self) -> None:
        """Add ``tensor_take``."""
        self._define("tensor_take")

    def define_tensor_concatenate(self) -> None:
        """Add ``tensor_concatenate``."""
        self._define("tensor_concatenate")

    def define_tensor_expand_dims(self) -> None:
        """Add ``tensor_expand_dims``."""
        self._define("tensor_expand_dims")

    def define_tensor_array(self) -> None:
        """Add ``tensor_array``."""
        self._define("tensor_array")

    def define_tensor_array_read(self) -> None:
        """Add ``tensor_array_read``."""
        self._define("tensor_array_read")

    def define_tensor_array_write(self) -> None:
        """Add ``tensor_array_write``."""
        self._define("tensor_array_write")

    def define_tensor_array_concat(self) -> None:
        """Add ``tensor_array_concat``."""
        self._define("tensor_array_concat")

    def define_tensor_array_stack(self) -> None:
        """Add ``tensor_array_stack``."""
        self._define("tensor_array_stack")

    def define_tensor_array_gather(self) -> None:
        """Add ``tensor_array_gather``."""
        self._define("tensor_array_gather")


class TensorArrayOps(_ArrayOps):
    """Arrays of tensors of `dtype` and of any shape, up to rank 6, for the module of `prelude`.

    The type ``tensor_t`` has the constructors ``tensor_nil``, for an element that was not written
    yet, and ``tensor0`` to ``tensor6``, named by rank. `register` adds everything; `Prelude`'s
    ``get_global_var(name, dtype)`` and the like add what they are asked for. Functions, where
    ``array`` is ``List[tensor_t]`` and positions are scalars of int32:

    - ``tensor_array(size) -> array``, ``tensor_array_read(array, position) -> tensor_t``,
      ``tensor_array_write(array, position, tensor_t) -> array``
    - ``tensor_array_unstack_tensor1(tensor) -> array`` to ``tensor6``: the rows of a tensor;
      ``tensor_array_stack(array) -> tensor_t``, ``tensor_array_gather(array, indices) -> tensor_t``
    - ``tensor_array_split(array, tensor_t, lengths) -> array``, whose first elements are so many
      rows each; ``tensor_array_concat(array) -> tensor_t``
    - ``tensor_array_scatter(array, indices, values) -> array``, where `values` is an array
    - ``tensor_expand_dims(tensor_t)``, ``tensor_concatenate(tensor_t, tensor_t)`` and
      ``tensor_take(tensor_t, lower, upper)``, on the first dimension

    Where an element has no value, or another rank than its neighbours, a program that needs it
    fails at run time, as a match without a clause.
    """

    def __init__(self, prelude: Prelude, dtype: str) -> None:
        super().__init__(prelude, Family(dtype))

    def get_name(self, canonical: str) -> str:
        """What the type, constructor or function `canonical` is called in the module."""
        return self.family.name(canonical)

    def define_tensor_concat(self) -> None:
        """Add ``tensor_concatenate``."""
        self._define("tensor_concatenate")

    def define_tensor_array_scatter(self) -> None:
        """Add ``tensor_array_scatter``."""
        self._define("tensor_array_scatter")

    def define_tensor_array_split(self) -> None:
        """Add ``tensor_array_split``."""
        self._define("tensor_array_split")

    def define_tensor_array_unstack_tensor1(self) -> None:
        """Add ``tensor_array_unstack_tensor1``."""
        self._define("tensor_array_unstack_tensor1")

    def define_tensor_array_unstack_tensor2(self) -> None:
        """Add ``tensor_array_unstack_tensor2``."""
        self._define("tensor_array_unstack_tensor2")

    def define_tensor_array_unstack_tensor3(self) -> None:
        """Add ``tensor_array_unstack_tensor3``."""
        self._define("tensor_array_unstack_tensor3")

    def define_tensor_array_unstack_tensor4(self) -> None:
        """Add ``tensor_array_unstack_tensor4``."""
        self._define("tensor_array_unstack_tensor4")

    def define_tensor_array_unstack_tensor5(self) -> None:
        """Add ``tensor_array_unstack_tensor5``."""
        self._define("tensor_array_unstack_tensor5")

    def define_tensor_array_unstack_tensor6(self) -> None:
        """Add ``tensor_array_unstack_tensor6``."""
        self._define("tensor_array_unstack_tensor6")


class StaticTensorArrayOps(_ArrayOps):
    """Arrays of tensors of `dtype` and `shape` for the module of `prelude`.

    A size in `shape` may be `relay.Any()`. The type ``tensor_t`` has the constructors
    ``tensor_nil``, for an element that was not written yet, and ``tensor_constructor``. The
    functions are those of `TensorArrayOps`, but there is one ``tensor_array_unstack``, and
    ``tensor_get_data`` gives the tensor in an element. What changes the first dimension gives
    elements of another family: ``tensor_take``, ``tensor_concatenate``, ``tensor_array_concat``
    and ``tensor_array_split`` of the one with an unknown size there, ``tensor_array_unstack`` of
    the one without it, ``tensor_expand_dims``, ``tensor_array_stack`` and ``tensor_array_gather``
    of the one with one more in front. Families of scalars have no functions on rows.

    With a `batch_dim` of 1 arrays have one element, and stacking them gives a first dimension of
    size 1; every other `batch_dim` is as good as none. Raises `RelayError` when a size is neither
    a number nor unknown.
    """

    def __init__(
        self, prelude: Prelude, dtype: str, shape: Sequence[Dim], batch_dim: int | None = None
    ) -> None:
        super().__init__(prelude, _family(dtype, shape, batch_dim))
        self.shape = shape
        self.batch_dim = batch_dim

    def get_name(
        self, canonical: str, extra_shapes: Mapping[str, Sequence[Dim]] | None = None
    ) -> str:
        """What the type, constructor or function `canonical` is called in the module.

        ``{"indices": shape}`` asks for the ``tensor_array_scatter`` of indices of that shape.
        """
        extra = "".join(f"_{n}_{sizes_name(sizes_of(s))}" for n, s in (extra_shapes or {}).items())
        return f"{self.family.name(canonical)}{extra}"

    def define_tensor_array_unstack(self) -> None:
        """Add ``tensor_array_unstack``."""
        self._define("tensor_array_unstack")

    def define_tensor_get_data(self) -> None:
        """Add ``tensor_get_data``."""
        self._define("tensor_get_data")

    def define_tensor_array_scatter(
        self, indices_shape: Sequence[Dim] | None = None, force_update: bool = False
    ) -> None:
        """Add ``tensor_array_scatter``, for indices of a shape under a name that says it.

        With `force_update` it replaces what the module has of that name.
        """
        family = self.family
        if indices_shape is not None:
            family = replace(family, indices=sizes_of(indices_shape))
        tensor_array.define(self.prelude.mod, family, "tensor_array_scatter", force_update)

    def define_tensor_array_split(
        self,
        value_shape: Sequence[Dim] | None = None,
        lengths_shape: Sequence[Dim] | None = None,
        force_update: bool = False,
    ) -> None:
        """Add ``tensor_array_split``, for a value and lengths of given shapes.

        With `force_update` it replaces what the module has of that name, without it that stays.
        """
        if self.family.shape == ():
            return
        family = self.family
        if value_shape is not None:
            family = replace(family, value=sizes_of(value_shape))
        if lengths_shape is not None:
            family = replace(family, lengths=sizes_of(lengths_shape))
        tensor_array.define(self.prelude.mod, family, "tensor_array_split", force_update)


def get_tensor_array_shape(expr: Expr, dtype: str, prelude: Prelude) -> tuple[Dim, ...] | None:
    """The shape of the tensors in the array `expr`; None when they may be of any shape.

    `expr` may use everything in the module of `prelude`. Raises `RelayError` when it is no array
    of tensors of `dtype`, and `TypeInferenceError` when it has no type.
    """
    module = IRModule.from_expr(expr, prelude.mod.functions, prelude.mod.type_definitions)
    found = infer_types(module)["main"].ret_type
    element = found.args[0] if isinstance(found, TypeCall) and found.func == prelude.l else None
    if isinstance(element, TypeCall) and isinstance(element.func, GlobalTypeVar):
        if element.func.name_hint == Family(dtype).name("tensor_t"):
            return None
        fields = [c.inputs for c in module[element.func].constructors]
        match fields:
            case [(), (TensorType() as tensor,)] if tensor.dtype == dtype:
                return tensor.shape
    raise RelayError(f"expected an array of tensors of {dtype}, found {found}")


def _family(dtype: str, shape: Sequence[Dim], batch_dim: int | None = None) -> Family:
    return Family(dtype, sizes_of(shape), 1 if batch_dim == 1 else None)


def import_library(module: IRModule, file_name: str) -> None:
    """Add a file of the standard library to `module`, unless it is there already.

    Raises `RelayError` when the module has something else of one of its names.
    """
    library = IRModule.library(file_name)
    own = [
        str(t)
        for t, data in library.type_definitions.items()
        if t in module and module[t] is not data
    ]
    present = all(t in module for t in library.type_definitions) and not own
    if present and all(v in module for v in library.functions):
        return
    own += [
        f"@{v.name_hint}"
        for v, f in library.functions.items()
        if v in module and module[v] is not f
    ]
    if own:
        raise RelayError(
            f"the module has {', '.join(own)} of its own, which {file_name} defines, too"
        )
    module.update(library)
