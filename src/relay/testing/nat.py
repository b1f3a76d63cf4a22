"""Natural numbers by counting, as the tests of control flow want them."""

from relay.executor.interpreter import ConstructorValue
from relay.ir.adt import Constructor
from relay.ir.expr import Expr, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import GlobalTypeVar
from relay.prelude import Prelude, import_library


class NatPrelude(Prelude):
    """The prelude together with ``nat``: `nat`, `z`, `s`, `double`, `add`, `nat_iterate`."""

    nat: GlobalTypeVar
    z: Constructor
    s: Constructor
    double: GlobalVar
    add: GlobalVar
    nat_iterate: GlobalVar

    def __init__(self, mod: IRModule | None = None) -> None:
        super().__init__(mod)
        add_nat_definitions(self)


def add_nat_definitions(prelude: Prelude) -> None:
    """Add ``nat`` and its functions to the module of `prelude`, and to its attributes."""
    module = prelude.mod
    import_library(module, "nat.rly")
    nat = module.get_global_type_var("nat")
    zero, successor = module[nat].constructors
    found = {"nat": nat, "z": zero, "s": successor}
    for name, function in (("double", "nat_double"), ("add", "nat_add")):
        setattr(prelude, name, module.get_global_var(function))
    prelude.nat_iterate = module.get_global_var("nat_iterate")  # type: ignore[attr-defined]
    for name, value in found.items():
        setattr(prelude, name, value)


def make_nat_expr(prelude: Prelude, n: int) -> Expr:
    """The number `n` as an expression; raises `ValueError` when it is negative."""
    if n < 0:
        raise ValueError(f"a natural number is not negative, found {n}")
    zero, successor = prelude.mod[prelude.mod.get_global_type_var("nat")].constructors
    found: Expr = zero()
    for _ in range(n):
        found = successor(found)
    return found


def make_nat_value(prelude: Prelude, n: int) -> ConstructorValue:
    """The number `n` as a value of the interpreter."""
    zero, successor = prelude.mod[prelude.mod.get_global_type_var("nat")].constructors
    found = ConstructorValue(zero)
    for _ in range(n):
        found = ConstructorValue(successor, (found,))
    return found


def count(prelude: Prelude, n: ConstructorValue) -> int:  # noqa: ARG001 - as Relay has it
    """The number that the value `n` stands for."""
    found = 0
    while n.fields:
        (inner,) = n.fields
        assert isinstance(inner, ConstructorValue)
        n, found = inner, found + 1
    return found
