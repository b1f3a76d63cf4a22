"""Small things that TVM has and the language of this package does without."""

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from relay.infer import parse, parse_expr
from relay.ir.expr import Expr
from relay.ir.module import IRModule
from relay.ir.printer import astext
from relay.ir.types import SizeVar, TypeKind
from relay.support.errors import ParseError, RelayError

TVMError = RelayError
"""The error of everything."""


class Kind:
    """`TypeKind` by its name until TVM 0.6."""

    Type: ClassVar = TypeKind.Type
    Shape: ClassVar = TypeKind.ShapeVar
    ShapeVar: ClassVar = TypeKind.ShapeVar
    BaseType: ClassVar = TypeKind.BaseType
    Constraint: ClassVar = TypeKind.Constraint
    AdtHandle: ClassVar = TypeKind.AdtHandle
    TypeData: ClassVar = TypeKind.TypeData


class IntImm(int):
    """A number with a data type, which is what sizes are made of in TVM."""

    dtype: str

    def __new__(cls, dtype: str, value: int) -> "IntImm":
        """The number `value`."""
        made = super().__new__(cls, value)
        made.dtype = dtype
        return made

    @property
    def value(self) -> int:
        """The number."""
        return int(self)


def var(name: str = "tindex", dtype: str = "int32") -> SizeVar:
    """A size that is known only at run time: `relay.SizeVar`."""
    return SizeVar(name)


def const(value: float, dtype: str | None = None) -> float:
    """The number itself."""
    return value


def convert(value: object) -> object:
    """`value` itself; a list as a tuple."""
    return tuple(convert(v) for v in value) if isinstance(value, list | tuple) else value


def indexdiv(a: int, b: int) -> int:
    """The quotient of sizes, rounded down."""
    return a // b


def indexmod(a: int, b: int) -> int:
    """The remainder of sizes."""
    return a % b


def save_json(node: IRModule | Expr) -> str:
    """A program as JSON that `load_json` reads: its text, and nothing of TVM's objects.

    Raises `RelayError` for anything but modules and expressions.
    """
    if not isinstance(node, IRModule | Expr):
        raise RelayError(f"only modules and expressions have a text, not {type(node).__name__}")
    kind = "module" if isinstance(node, IRModule) else "expression"
    text = node.astext() if isinstance(node, IRModule) else astext(node)
    return json.dumps({"relay": kind, "text": text})


def load_json(json_str: str) -> IRModule | Expr:
    """The program that `save_json` wrote; raises `ParseError` for anything else."""
    try:
        document = json.loads(json_str)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"this is not JSON: {error}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("text"), str):
        raise ParseError("this JSON is not from save_json; objects of TVM cannot be read")
    text: str = document["text"]
    return parse(text) if document.get("relay") == "module" else parse_expr(text)


class TempDirectory:
    """A directory that is removed when this object is."""

    def __init__(self) -> None:
        self._path = tempfile.mkdtemp()
        self._cleanup = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)

    @property
    def temp_dir(self) -> str:
        """Its path."""
        return self._path

    @property
    def path(self) -> str:
        """Its path."""
        return self._path

    def relpath(self, name: str) -> str:
        """The path of the file `name` in it."""
        return str(Path(self._path) / name)

    def listdir(self) -> list[str]:
        """The names of what is in it."""
        return [p.name for p in Path(self._path).iterdir()]

    def remove(self) -> None:
        """Remove it now."""
        self._cleanup()


tempdir = TempDirectory


def assert_allclose(
    actual: npt.ArrayLike, desired: npt.ArrayLike, rtol: float = 1e-7, atol: float = 1e-7
) -> None:
    """Raise `AssertionError` unless the arrays are of one shape and close."""
    left, right = np.asarray(actual), np.asarray(desired)
    np.testing.assert_allclose(left.shape, right.shape)
    np.testing.assert_allclose(left, right, rtol=rtol, atol=atol, verbose=True)
