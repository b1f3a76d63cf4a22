"""Type errors inside the program text."""

from collections.abc import Sequence
from dataclasses import replace

from relay.ir.expr import Expr
from relay.ir.printer import Functions, positioned_text
from relay.ir.visit import post_order_all
from relay.support.diagnostics import Diagnostic, listing
from relay.support.errors import TypeInferenceError
from relay.support.source import Source, Span

MAX_SHOWN = 20
"""More errors than this are only counted."""

Finding = tuple[Expr, Diagnostic]


def type_error(program: Expr | Functions, findings: Sequence[Finding]) -> TypeInferenceError:
    """The error that shows every finding under the line of the program that it is about.

    A program that was parsed is shown as it was written, another one as it prints.
    """
    source, spans = _places(program, findings)
    placed = [
        replace(diagnostic, span=spans.get(node, diagnostic.span)) for node, diagnostic in findings
    ]
    placed.sort(key=lambda d: (d.span is None, 0 if d.span is None else d.span.line))
    count = len(placed)
    lines = ["1 type error:" if count == 1 else f"{count} type errors:"]
    lines.append(listing(source, placed[:MAX_SHOWN]))
    if count > MAX_SHOWN:
        lines.append(f"... and {count - MAX_SHOWN} more")
    return TypeInferenceError("\n".join(lines), placed[0].span)


def derive_all(roots: Sequence[Expr]) -> list[Finding]:
    """Derive the type of every node in `roots`; the errors of those that have none.

    What depends on a node in error is left out: its own error says nothing new.
    """
    findings: list[Finding] = []
    failed: set[Expr] = set()
    for node in post_order_all(roots):
        if node._type is not None:
            continue
        if any(child in failed for child in node.children()):
            failed.add(node)
            continue
        try:
            assert node.checked_type is not None
        except TypeInferenceError as error:
            failed.add(node)
            findings.append((node, Diagnostic(error.message, node.span)))
    return findings


def _places(
    program: Expr | Functions, findings: Sequence[Finding]
) -> tuple[Source, dict[Expr, Span]]:
    spans = {node: node.span for node, _ in findings if node.span is not None}
    sources = {id(span.source): span.source for span in spans.values()}
    if len(spans) == len({node for node, _ in findings}) and len(sources) == 1:
        return next(iter(sources.values())), spans
    return positioned_text(program, "program")
