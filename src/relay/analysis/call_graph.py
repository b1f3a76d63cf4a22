"""Who calls whom among the functions of a module."""

from collections import Counter

from relay.ir.expr import Call, GlobalVar
from relay.ir.module import IRModule
from relay.ir.visit import post_order, used_children


class CallGraph:
    """The call graph of `module`: a node a global function, an edge where one names another.

    Functions are named by their `GlobalVar` or its name. Building it takes time linear in the size
    of the module. Printed, it lists each function with those that it names, callers first.
    """

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self._names: dict[str, Counter[str]] = {}
        self._calls: dict[str, Counter[str]] = {}
        for variable, function in module.functions.items():
            named, called = Counter[str](), Counter[str]()
            for node in post_order(function):
                for child in used_children(node):
                    if isinstance(child, GlobalVar):
                        named[child.name_hint] += 1
                if isinstance(node, Call) and isinstance(node.op, GlobalVar):
                    called[node.op.name_hint] += 1
            self._names[variable.name_hint] = named
            self._calls[variable.name_hint] = called
        self._uses = Counter[str]()
        for named in self._names.values():
            self._uses.update(named)
        self._components = _components(self._names)
        self._cyclic = {n for c in self._components if len(c) > 1 for n in c}

    def callees(self, function: GlobalVar | str) -> list[str]:
        """The functions that `function` names, in order of first use."""
        return list(self._names[self._name(function)])

    def names(self, caller: GlobalVar | str, callee: GlobalVar | str) -> int:
        """How often `caller` names `callee`."""
        return self._names[self._name(caller)][self._name(callee)]

    def ref_count(self, function: GlobalVar | str) -> int:
        """How often the functions of the module name `function`, itself included."""
        name = self._name(function)
        return self._uses[name]

    def global_call_count(self, function: GlobalVar | str) -> int:
        """How many calls of global functions are in `function`."""
        return self._calls[self._name(function)].total()

    def is_recursive(self, function: GlobalVar | str) -> bool:
        """Whether `function` reaches itself, directly or through others."""
        name = self._name(function)
        return name in self._names[name] or name in self._cyclic

    def callees_first(self) -> list[GlobalVar]:
        """The functions so that each comes after those that it names, as far as cycles allow."""
        return [
            self.module.get_global_var(name)
            for component in self._components
            for name in component
            if name in self.module
        ]

    def print_var(self, function: GlobalVar | str) -> str:
        """`function` with the functions that it names, and how often."""
        name = self._name(function)
        uses = [f"  @{callee} x{count}" for callee, count in self._names[name].items()]
        return "\n".join([f"@{name} ({self.ref_count(name)} uses)", *uses])

    def __str__(self) -> str:
        order = [g.name_hint for g in reversed(self.callees_first())]
        return "\n".join(self.print_var(name) for name in order)

    def _name(self, function: GlobalVar | str) -> str:
        name = function if isinstance(function, str) else function.name_hint
        return self.module.get_global_var(name).name_hint


def _components(edges: dict[str, Counter[str]]) -> list[list[str]]:
    """The strongly connected components, those that are reached first (R. Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for root in edges:
        stack = [(root, iter(edges[root]))] if root not in index else []
        if stack:
            index[root] = low[root] = len(index)
            path.append(root)
            on_path.add(root)
        while stack:
            name, callees = stack[-1]
            callee = next((c for c in callees if c in edges), None)
            if callee is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = next(i for i in range(len(path) - 1, -1, -1) if path[i] == name)
                    found.append(path[cut:])
                    on_path.difference_update(path[cut:])
                    del path[cut:]
            elif callee not in index:
                index[callee] = low[callee] = len(index)
                path.append(callee)
                on_path.add(callee)
                stack.append((callee, iter(edges[callee])))
            elif callee in on_path:
                low[name] = min(low[name], index[callee])
    return found
