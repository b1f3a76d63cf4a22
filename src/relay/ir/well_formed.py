"""Whether variables are bound as the language wants it: once each, and before they are used."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Expr, Function, Let, Var
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.patterns import pattern_vars
from relay.ir.visit import bound_vars, post_order
from relay.support.diagnostics import Diagnostic
from relay.support.errors import RelayError


def check_well_formed(program: Expr | IRModule) -> None:
    """Raise `RelayError` naming what is wrong with the variables of `program`, if anything is.

    Every variable is bound at most once in the whole program, a variable that something binds is
    not used outside of it, and the functions of a module have no free variables.
    """
    checker = _Checker()
    if isinstance(program, IRModule):
        for variable, function in program.functions.items():
            checker.check(function, f"@{variable.name_hint}", closed=True)
    else:
        checker.check(program, "the expression", closed=False)
    if checker.findings:
        message = "\n".join(finding.render() for finding in checker.findings)
        raise RelayError(message, checker.findings[0].span)


class _Checker:
    """Collects findings; remembers what is bound anywhere."""

    def __init__(self) -> None:
        self.findings: list[Diagnostic] = []
        self.bound: set[Var] = set()

    def check(self, root: Expr, where: str, closed: bool) -> None:
        """Check one program."""
        binders = 0
        for node in post_order(root):
            for variable in bound_vars(node):
                binders += 1
                if variable in self.bound:
                    self._add(variable, f"{where} binds %{variable.name_hint} a second time")
                self.bound.add(variable)
        if not binders and not closed:
            return
        for variable in _outside(root):
            if variable in self.bound:
                message = f"{where} uses %{variable.name_hint} where it is not bound"
                self._add(variable, message)
            elif closed:
                self._add(variable, f"{where} uses %{variable.name_hint}, which nothing binds")

    def _add(self, variable: Var, message: str) -> None:
        self.findings.append(Diagnostic(message, variable.span))


def _outside(root: Expr) -> list[Var]:
    """The variables used somewhere outside of what binds them, in order of first such use.

    A node that is used in two scopes is looked at in the first: walking it once per scope could
    take exponentially long, and the variables that it uses are in scope wherever it may stand.
    """
    open_: set[Var] = set()
    found: dict[Var, None] = {}
    seen: set[Expr] = set()
    stack: list[Expr | _Scope] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, _Scope):
            change = open_.update if node.begins else open_.difference_update
            change(node.variables)
        elif isinstance(node, Var):
            if node not in open_:
                found[node] = None
        elif node not in seen:
            seen.add(node)
            stack.extend(reversed(_steps(node)))
    return list(found)


@dataclass(frozen=True)
class _Scope:
    """Where `variables` come into scope, or go out of it."""

    variables: Sequence[Var]
    begins: bool


def _steps(node: Expr) -> list["Expr | _Scope"]:
    """What to look at in `node`, in order."""
    match node:
        case Function(body=body):
            return _inside(node.params, body)
        case Let(variable=variable, value=value, body=body):
            # A function may refer to the variable that it is bound to.
            if isinstance(value, Function):
                return _inside([variable], value, body)
            return [value, *_inside([variable], body)]
        case Match(data=data, clauses=clauses):
            steps: list[Expr | _Scope] = [data]
            for clause in clauses:
                steps += _inside(pattern_vars(clause.lhs), clause.rhs)
            return steps
        case _:
            return list(node.children())


def _inside(variables: Sequence[Var], *nodes: Expr) -> list["Expr | _Scope"]:
    return [_Scope(variables, True), *nodes, _Scope(variables, False)]
