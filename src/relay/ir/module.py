"""Modules: named functions that may call each other, and the data types that they use."""

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, overload

from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Expr, Function, GlobalVar
from relay.ir.html import highlighted
from relay.ir.printer import Annotate, astext, module_text
from relay.ir.types import GlobalTypeVar
from relay.ir.visit import free_type_vars, free_vars, post_order
from relay.support.errors import RelayError


class IRModule:
    """Global functions and data types by name.

    A module is the one mutable container of the graph language: users fill it with
    ``module[global_var] = function`` and ``module[global_type_var] = type_data``. Passes leave the
    module they are given as it is and return a new one. Names identify functions and types: a
    module never holds two global variables, or two types, of one name.
    """

    __slots__ = ("_entries", "_types", "attrs")

    attrs: dict[str, object]
    #: Reads a file of the standard library; `relay.infer.text`, which can, puts itself here.
    library: ClassVar[Callable[[str], "IRModule"]]

    def __init__(
        self,
        functions: Mapping[GlobalVar, Function] | None = None,
        type_definitions: Mapping[GlobalTypeVar, TypeData] | None = None,
        attrs: Mapping[str, object] | None = None,
    ) -> None:
        self._entries: dict[str, tuple[GlobalVar, Function]] = {}
        self._types: dict[str, TypeData] = {}
        self.attrs = dict(attrs or {})
        for type_var, data in (type_definitions or {}).items():
            self[type_var] = data
        for variable, function in (functions or {}).items():
            self[variable] = function

    @classmethod
    def from_expr(
        cls,
        expr: Expr,
        functions: Mapping[GlobalVar, Function] | None = None,
        type_defs: Mapping[GlobalTypeVar, TypeData] | None = None,
    ) -> "IRModule":
        """A module with `expr` as ``@main``; the free variables become parameters."""
        module = cls(functions, type_defs)
        main = expr if isinstance(expr, Function) else _closed(expr)
        called = {g.name_hint: g for g in post_order(main) if isinstance(g, GlobalVar)}
        module[called.get("main", GlobalVar("main"))] = main
        return module

    @property
    def functions(self) -> dict[GlobalVar, Function]:
        """The functions by their variables, in order of insertion (a copy)."""
        return dict(self._entries.values())

    def get_global_var(self, name: str) -> GlobalVar:
        """The variable called `name`; raises `RelayError` when the module has none."""
        return self._entry(name)[0]

    def get_global_vars(self) -> list[GlobalVar]:
        """The variables of all functions, in order of insertion."""
        return [variable for variable, _ in self._entries.values()]

    def with_functions(self, functions: Mapping[GlobalVar, Function]) -> "IRModule":
        """A new module of exactly `functions`, with everything else of this one.

        This very module when `functions` are the ones that it holds already.
        """
        if len(functions) == len(self._entries) and all(
            self._entries.get(variable.name_hint) == (variable, function)
            for variable, function in functions.items()
        ):
            return self
        return IRModule(functions, self.type_definitions, self.attrs)

    def with_function(self, variable: GlobalVar | str, function: Function) -> "IRModule":
        """A new module in which `variable` names `function`; this one when it does already."""
        name = variable if isinstance(variable, str) else variable.name_hint
        found = self._entries.get(name)
        if found is not None and found[1] is function:
            return self
        module = IRModule(self.functions, self.type_definitions, self.attrs)
        module[variable] = function
        return module

    def with_attr(self, name: str, value: object) -> "IRModule":
        """A new module with attribute `name` set to `value`."""
        return IRModule(self.functions, self.type_definitions, {**self.attrs, name: value})

    # ------------------------------------------------------------------ data types

    @property
    def type_definitions(self) -> dict[GlobalTypeVar, TypeData]:
        """The data types by their names, in order of insertion (a copy)."""
        return {data.header: data for data in self._types.values()}

    def get_global_type_var(self, name: str) -> GlobalTypeVar:
        """The data type called `name`; raises `RelayError` when the module has none."""
        return self._data(name).header

    def get_global_type_vars(self) -> list[GlobalTypeVar]:
        """All data types, in order of insertion."""
        return list(self.type_definitions)

    def get_type(self, name: str) -> tuple[GlobalTypeVar | Constructor, ...]:
        """The data type called `name` followed by its constructors.

        Raises `RelayError` when the module has no such type.
        """
        data = self._data(name)
        return data.header, *data.constructors

    def get_constructor(self, tag: int | str, name: str | None = None) -> Constructor:
        """The constructor with `tag`, or the constructor `name` of the type called `tag`.

        Raises `RelayError` when the module has none.
        """
        if isinstance(tag, str):
            return self._data(tag).constructor(name or "")
        for data in self._types.values():
            for constructor in data.constructors:
                if constructor.tag == tag:
                    return constructor
        raise RelayError(f"the module has no constructor with the tag {tag}")

    def import_from_std(self, file_name: str) -> None:
        """Add the functions and types of a file of the standard library: ``"prelude.rly"``.

        Raises `RelayError` when there is no such file.
        """
        self.update(IRModule.library(file_name))

    def _data(self, name: str) -> TypeData:
        found = self._types.get(name)
        if found is None:
            known = ", ".join(self._types) or "none"
            raise RelayError(f"the module has no type {name}; it has {known}")
        return found

    def _define(self, key: GlobalTypeVar, value: TypeData) -> None:
        if value.header != key:
            raise RelayError(f"the definition of {value.header} cannot be that of {key}")
        self._types[key.name_hint] = value

    # ------------------------------------------------------------------ as a container

    def update(self, other: "IRModule | Mapping[GlobalVar, Function]") -> None:
        """Add the functions and types of `other`, replacing those of the same name."""
        if isinstance(other, IRModule):
            self._types.update(other._types)
        functions = other.functions if isinstance(other, IRModule) else other
        for variable, function in functions.items():
            self[variable] = function

    def astext(self, show_meta_data: bool = True, annotate: Annotate | None = None) -> str:
        """The module as a complete text: see `relay.ir.printer.astext`."""
        return astext(self.functions, show_meta_data, annotate, self.type_definitions)

    def __str__(self) -> str:
        return module_text(self.functions, self.type_definitions)

    def __repr__(self) -> str:
        return module_text(self.functions, self.type_definitions)

    def _repr_html_(self) -> str:
        """The text in colours, as a notebook shows it."""
        return highlighted(str(self))

    def _entry(self, name: str) -> tuple[GlobalVar, Function]:
        found = self._entries.get(name)
        if found is None:
            known = ", ".join(f"@{n}" for n in self._entries) or "none"
            raise RelayError(f"the module has no function @{name}; it has {known}")
        return found

    @overload
    def __getitem__(self, key: GlobalVar | str) -> Function: ...
    @overload
    def __getitem__(self, key: GlobalTypeVar) -> TypeData: ...
    def __getitem__(self, key: GlobalVar | GlobalTypeVar | str) -> Function | TypeData:
        if isinstance(key, GlobalTypeVar):
            return self._data(key.name_hint)
        return self._entry(key if isinstance(key, str) else key.name_hint)[1]

    @overload
    def __setitem__(self, key: GlobalVar | str, value: Expr) -> None: ...
    @overload
    def __setitem__(self, key: GlobalTypeVar, value: TypeData) -> None: ...
    def __setitem__(self, key: GlobalVar | GlobalTypeVar | str, value: Expr | TypeData) -> None:
        if isinstance(key, GlobalTypeVar) or isinstance(value, TypeData):
            if not isinstance(key, GlobalTypeVar) or not isinstance(value, TypeData):
                raise RelayError("a GlobalTypeVar names a TypeData, a GlobalVar a function")
            self._define(key, value)
            return
        function = value if isinstance(value, Function) else _closed(value)
        name = key if isinstance(key, str) else key.name_hint
        old = self._entries.get(name)
        if isinstance(key, str):
            key = GlobalVar(key) if old is None else old[0]
        self._entries[name] = (key, function)

    def __delitem__(self, key: GlobalVar | str) -> None:
        name = key if isinstance(key, str) else key.name_hint
        self._entry(name)
        del self._entries[name]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, GlobalTypeVar):
            return key.name_hint in self._types
        if isinstance(key, GlobalVar):
            key = key.name_hint
        return key in self._entries

    def __iter__(self) -> Iterator[GlobalVar]:
        return iter(self.get_global_vars())

    def __len__(self) -> int:
        return len(self._entries)


def _closed(expr: Expr) -> Function:
    """`expr` as a function of its free variables, polymorphic in its free type variables."""
    variables = free_vars(expr)
    return Function(variables, expr, None, free_type_vars(expr))
