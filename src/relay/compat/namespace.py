"""Modules of TVM, put together from a table of where their names are here.

A `Namespace` is a module without a file. Its names are those of its sources, looked up when they
are first asked for; where it lacks one, the error says why, if the table of absent names does.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from relay.compat.absent import reason


class Namespace(ModuleType):
    """The module of TVM at `path` (``"relay.op"``; empty for ``tvm`` itself).

    A source is a module (``"relay.op"``), of which all public names are here, or one thing in a
    module (``"relay.op:get"``), which may have another name here (``"relay.op:get=lookup"``). The
    first source that has a name wins. `table` tells the sources of the modules inside.
    """

    def __init__(self, path: str, table: Mapping[str, Sequence[str]]) -> None:
        super().__init__(f"relay.compat.tvm.{path}".rstrip("."))
        self.__path__: list[str] = []
        self._path = path
        self._table = table
        self._sources = tuple(table.get(path, ()))

    def __getattr__(self, name: str) -> object:
        if not (name.startswith("__") and name.endswith("__")):
            found = self._find(name)
            if found is not None:
                setattr(self, name, found)
                return found
        full = f"tvm.{self._path}.{name}".replace("..", ".")
        why = reason(full)
        raise AttributeError(f"there is no {full} here{': ' + why if why else ''}")

    def _find(self, name: str) -> object | None:
        path = f"{self._path}.{name}".lstrip(".")
        if path in self._table:
            return Namespace(path, self._table)
        for source in self._sources:
            found = _from_source(source, name)
            if isinstance(found, ModuleType) and found.__name__.startswith("relay."):
                # A module seen through a namespace is one, too: its path is TVM's, not ours.
                return Namespace(path, {**self._table, path: (found.__name__,)})
            if found is not None:
                return found
        return None

    def __dir__(self) -> list[str]:
        names = {n for source in self._sources for n in _names(source)}
        start = f"{self._path}." if self._path else ""
        inside = [p[len(start) :] for p in self._table if p.startswith(start)]
        return sorted(names | {p for p in inside if p and "." not in p})


def _from_source(source: str, name: str) -> object | None:
    """What `source` gives for `name`, or None."""
    module_name, _, item = source.partition(":")
    if item:
        original, _, alias = item.partition("=")
        if name != (alias or original):
            return None
        found: object = getattr(importlib.import_module(module_name), original, None)
        return found
    module = importlib.import_module(module_name)
    found = getattr(module, name, None)
    # A package may not have loaded the module of that name yet.
    if found is None and hasattr(module, "__path__"):
        inside = f"{module_name}.{name}"
        return importlib.import_module(inside) if importlib.util.find_spec(inside) else None
    return found


def _names(source: str) -> Iterable[str]:
    module_name, _, item = source.partition(":")
    if item:
        return [item.rpartition("=")[2]]
    module = importlib.import_module(module_name)
    return [n for n in dir(module) if not n.startswith("_")]


class _Ready(Loader):
    """Loads a module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""


class Finder(MetaPathFinder):
    """Finds the modules inside of namespaces for ``import``; `prefixes` are the names of roots."""

    def __init__(self) -> None:
        self.prefixes: dict[str, ModuleType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for prefix, root in self.prefixes.items():
            if fullname.startswith(f"{prefix}."):
                found: object = root
                for part in fullname[len(prefix) + 1 :].split("."):
                    found = getattr(found, part, None)
                if isinstance(found, Namespace):
                    return ModuleSpec(fullname, _Ready(found), is_package=True)
                name = f"tvm{fullname[len(prefix) :]}"
                if found is None and (why := reason(name)):
                    # Without `name`, which would let `from tvm import x` hide the reason.
                    raise ModuleNotFoundError(f"there is no {name} here: {why}")
        return None


FINDER: Final = Finder()
sys.meta_path.append(FINDER)
