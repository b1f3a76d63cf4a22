"""`draw`: a program as a `Drawing`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relay.drawing.layout import require
from relay.drawing.scopes import count, scope_of
from relay.drawing.svg import document
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import post_order_all
from relay.support.errors import UnsupportedError

LARGEST: Final = 2000
"""Programs of more nodes than this are not drawn: nobody could read the picture."""


@dataclass(frozen=True)
class Drawing:
    """A picture of a program; notebooks show it. `svg` is the text of the SVG document."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file. Raises `UnsupportedError` for other kinds of files."""
        if Path(path).suffix.lower() != ".svg":
            raise UnsupportedError(f"a drawing is saved as SVG, name it like that: not {path}")
        Path(path).write_text(self.svg, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<a drawing of {len(self.svg)} bytes; .save('x.svg') writes it>"


def draw(program: IRModule | Expr, depth: int | None = None) -> Drawing:
    """`program` as boxes and arrows: operators, variables and constants with their types.

    Arrows lead from values to what uses them, from top to bottom. A function is a box around its
    body; those of a module stand side by side. Types show where they are known: after
    `relay.transform.InferType` everywhere. With `depth`, only what is at most so many steps
    from the result is shown.

    Raises `UnsupportedError` for programs of more than 2000 nodes, and where the package that
    makes the layout is not installed (``pip install relay-ir[draw]``).
    """
    require()
    if depth is None:
        roots = program.functions.values() if isinstance(program, IRModule) else (program,)
        _check_size(len(post_order_all(roots)), program)
    if isinstance(program, IRModule):
        scopes = [scope_of(f, f"@{g.name_hint}", depth) for g, f in program.functions.items()]
    else:
        scopes = [scope_of(program, "fn" if isinstance(program, Function) else "", depth)]
    _check_size(count(scopes), program)
    return Drawing(document(scopes))


def _check_size(nodes: int, program: IRModule | Expr) -> None:
    if nodes <= LARGEST:
        return
    several = isinstance(program, IRModule) and len(program) > 1
    part = 'one function, `relay.draw(mod["main"])`' if several else "an expression inside of it"
    raise UnsupportedError(
        f"the program has {nodes} nodes, and a drawing shows at most {LARGEST}: draw {part}, or "
        "only what is close to the result, `relay.draw(program, depth=8)`"
    )


__all__ = ["Drawing", "draw"]
