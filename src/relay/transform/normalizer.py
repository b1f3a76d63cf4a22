"""What the let-normal forms share: binding values to variables in the scopes they belong to."""

from collections.abc import Callable, Mapping

from relay.analysis.scopes import ScopeTree, is_atomic, is_opened, own_scopes
from relay.ir.expr import Expr, Function, If, Let, Var
from relay.ir.match import Match


class Normalizer:
    """One run over one function: binds the values for which `binds` holds, in their scopes.

    All other values go where they are used. Values of lets keep the names that these gave them.
    """

    def __init__(self, func: Function, binds: Callable[[Expr], bool], tree: ScopeTree) -> None:
        self.func = func
        self.binds = binds
        self.tree = tree
        self.results = self._results()
        self.names = self._names()
        self.atoms: dict[Expr, Expr] = {}
        self._fresh = 0

    def _results(self) -> Mapping[Expr, Expr]:
        """What the value of each let is in the end, where it is itself a let."""
        results: dict[Expr, Expr] = {}
        for node in self.tree.order:
            if isinstance(node, Let):
                results[node] = results.get(node.body, node.body)
        return results

    def _result(self, let: Let) -> Expr:
        return self.results.get(let.value, let.value)

    def _names(self) -> Mapping[Expr, Var]:
        """The variables that lets give to values; the first one where there are several."""
        names: dict[Expr, Var] = {}
        for node in self.tree.order:
            if not isinstance(node, Let):
                continue
            value = self._result(node)
            # Functions that are not opened stay where they are called.
            stays = isinstance(value, Function) and not is_opened(value)
            if not is_atomic(value) and not stays:
                names.setdefault(value, node.variable)
        return names

    def _atom(self, node: Expr) -> Expr:
        return self.atoms.get(node, node)

    def _name(self, node: Expr) -> Var:
        named = self.names.get(node)
        if named is not None:
            return named
        self._fresh += 1
        return Var(f"x{self._fresh}", node.checked_type)

    def _alias(self) -> None:
        """What the variable of a let stands for where its value has another name already."""
        aliases: dict[Expr, Expr] = {}
        for node in self.tree.order:
            if isinstance(node, Let):
                value = self._result(node)
                name = self.names.get(value)
                if name is not node.variable:
                    aliases[node.variable] = value if name is None else name
        while aliases:
            variable, end = aliases.popitem()
            path = [variable]
            while end in aliases:
                path.append(end)
                end = aliases.pop(end)
            end = self._atom(end)
            self.atoms.update(dict.fromkeys(path, end))

    def run(self) -> Function:
        """The function with its values bound."""
        self._alias()
        for node in self.tree.order:
            if is_atomic(node) or node is self.func:
                continue
            if isinstance(node, Let):
                self.atoms[node] = self._atom(node.body)
            elif isinstance(node, Function) and not is_opened(node):
                continue
            else:
                value = self._value(node)
                if node in self.names or self.binds(node):
                    variable = self._name(node)
                    self.tree.scope_of[node].bindings.append((variable, value))
                    self.atoms[node] = variable
                else:
                    self.atoms[node] = value
        body = self.tree.inner[self.func, 0].close(self._atom(self.func.body))
        result = self.func.rebuild((*self.func.params, body))
        assert isinstance(result, Function)
        return result

    def _value(self, node: Expr) -> Expr:
        """`node` with its scopes closed, and over the variables of the values that it uses."""
        closed = [
            self.tree.inner[node, position].close(self._atom(child))
            for position, child in enumerate(own_scopes(node))
        ]
        if isinstance(node, If):
            return node.rebuild((self._atom(node.cond), *closed))
        if isinstance(node, Function):
            return node.rebuild((*node.params, *closed))
        if isinstance(node, Match):
            return node.rebuild((*node.bound, self._atom(node.data), *closed))
        return node.rebuild([self._atom(child) for child in node.children()])
