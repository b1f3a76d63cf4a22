"""`FastMath`: transcendental functions by short polynomials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Call, Expr
from relay.ir.op import attributes
from relay.transform.calls import declaration, make
from relay.transform.rule_pass import RulePass
from relay.transform.simplify_rules import Rule

FAST: Final = {
    "exp": "fast_exp",
    "erf": "fast_erf",
    "tanh": "fast_tanh",
    "nn.softmax": "nn.fast_softmax",
}
"""The operators that have a faster, less accurate form, and that form."""


def _faster(name: str) -> Callable[[Call], Expr | None]:
    def apply(call: Call) -> Expr | None:
        return make(name, *call.args, **attributes(declaration(call)))

    return apply


RULES: Final = tuple(
    Rule((exact,), f"{exact}(x) ~ {fast}(x), to about 1e-4", _faster(fast))
    for exact, fast in FAST.items()
)


@dataclass(frozen=True)
class FastMath(RulePass):
    """Use the faster, less accurate form of an operator where there is one; see `FAST`. ::

    tanh(%x)   ->   fast_tanh(%x)
    """

    rules = RULES
    opt_level = 4
