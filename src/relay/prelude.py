"""The standard library of Relay programs: lists, optional values, trees and functions on them.

>>> from relay import IRModule, Prelude, const
>>> p = Prelude(IRModule())
>>> print(p.map(p.id, p.cons(const(1), p.nil())))
%0 = Nil;
%1 = Cons(1, %0);
@map(@id, %1)
"""

from typing import Final

from relay.ir.adt import Constructor
from relay.ir.expr import GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import GlobalTypeVar
from relay.support.errors import RelayError

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

    def get_type(self, name: str) -> tuple[GlobalTypeVar | Constructor, ...]:
        """The data type called `name` followed by its constructors."""
        return self.mod.get_type(name)

    def get_global_var(self, name: str) -> GlobalVar:
        """The function called `name`."""
        return self.mod.get_global_var(name)

    def get_ctor(self, type_name: str, name: str) -> Constructor:
        """The constructor called `name` of the data type called `type_name`."""
        return self.mod.get_constructor(type_name, name)


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
