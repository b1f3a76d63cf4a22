"""Modules: named functions that may call each other."""

from collections.abc import Iterator, Mapping

from relay.ir.expr import Expr, Function, GlobalVar
from relay.ir.printer import Annotate, astext, module_text
from relay.ir.visit import free_vars, post_order
from relay.support.errors import RelayError


class IRModule:
    """Global functions by name.

    A module is the one mutable container of the graph language: users fill it with
    ``module[global_var] = function``. Passes leave the module they are given as it is and return a
    new one. Names identify functions: a module never holds two global variables of one name.
    """

    __slots__ = ("_entries", "attrs")

    attrs: dict[str, object]

    def __init__(
        self,
        functions: Mapping[GlobalVar, Function] | None = None,
        attrs: Mapping[str, object] | None = None,
    ) -> None:
        self._entries: dict[str, tuple[GlobalVar, Function]] = {}
        self.attrs = dict(attrs or {})
        for variable, function in (functions or {}).items():
            self[variable] = function

    @classmethod
    def from_expr(
        cls, expr: Expr, functions: Mapping[GlobalVar, Function] | None = None
    ) -> "IRModule":
        """A module with `expr` as ``@main``; the free variables become parameters."""
        module = cls(functions)
        main = expr if isinstance(expr, Function) else Function(free_vars(expr), expr)
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
        return IRModule(functions, self.attrs)

    def with_function(self, variable: GlobalVar | str, function: Function) -> "IRModule":
        """A new module in which `variable` names `function`; this one when it does already."""
        name = variable if isinstance(variable, str) else variable.name_hint
        found = self._entries.get(name)
        if found is not None and found[1] is function:
            return self
        module = IRModule(self.functions, self.attrs)
        module[variable] = function
        return module

    def with_attr(self, name: str, value: object) -> "IRModule":
        """A new module with attribute `name` set to `value`."""
        return IRModule(self.functions, {**self.attrs, name: value})

    def update(self, other: "IRModule | Mapping[GlobalVar, Function]") -> None:
        """Add the functions of `other`, replacing those of the same name."""
        functions = other.functions if isinstance(other, IRModule) else other
        for variable, function in functions.items():
            self[variable] = function

    def astext(self, show_meta_data: bool = True, annotate: Annotate | None = None) -> str:
        """The module as a complete text: see `relay.ir.printer.astext`."""
        return astext(self.functions, show_meta_data, annotate)

    def __str__(self) -> str:
        return module_text(self.functions)

    def __repr__(self) -> str:
        return module_text(self.functions)

    def _entry(self, name: str) -> tuple[GlobalVar, Function]:
        found = self._entries.get(name)
        if found is None:
            known = ", ".join(f"@{n}" for n in self._entries) or "none"
            raise RelayError(f"the module has no function @{name}; it has {known}")
        return found

    def __getitem__(self, key: GlobalVar | str) -> Function:
        return self._entry(key if isinstance(key, str) else key.name_hint)[1]

    def __setitem__(self, key: GlobalVar | str, value: Expr) -> None:
        if not isinstance(value, Function):
            value = Function(free_vars(value), value)
        name = key if isinstance(key, str) else key.name_hint
        old = self._entries.get(name)
        if isinstance(key, str):
            key = GlobalVar(key) if old is None else old[0]
        self._entries[name] = (key, value)

    def __delitem__(self, key: GlobalVar | str) -> None:
        name = key if isinstance(key, str) else key.name_hint
        self._entry(name)
        del self._entries[name]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, GlobalVar):
            key = key.name_hint
        return key in self._entries

    def __iter__(self) -> Iterator[GlobalVar]:
        return iter(self.get_global_vars())

    def __len__(self) -> int:
        return len(self._entries)
