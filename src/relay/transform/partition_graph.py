"""`PartitionGraph`: the regions of external compilers become global functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.analysis.regions import Regions, find_regions, mark_of, sorted_units
from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, Op, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import FuncType
from relay.ir.visit import bound_vars, post_order
from relay.op.annotation import CompilerBegin, CompilerEnd
from relay.transform.base import Pass, PassContext


@dataclass(frozen=True)
class PartitionGraph(Pass):
    """Make each region between ``compiler_begin`` and ``compiler_end`` a global function.

    The function has the attributes ``Compiler`` (whose it is), ``global_symbol`` (its name, which
    begins with ``tvmgen_`` and `mod_name`), ``Primitive`` and ``Inline``. Several results of a
    region come as a tuple. With `bind_constants` constants go into the function, otherwise they are
    passed. ::

        %0 = annotation.compiler_begin(%x, compiler="toy");
        %1 = nn.relu(%0);
        exp(annotation.compiler_end(%1, compiler="toy"))
        ->
        def @main(%x) { exp(@tvmgen_default_toy_main_0(%x)) }
        def @tvmgen_default_toy_main_0(%toy_0_i0, Compiler="toy", ...) { nn.relu(%toy_0_i0) }

    Raises `RelayError` where regions overlap or depend on themselves.
    """

    mod_name: str = "default"
    bind_constants: bool = True

    opt_level = 0
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        functions = module.functions
        changed = False
        for variable, func in list(functions.items()):
            if "Compiler" in func.attrs or "Primitive" in func.attrs:
                continue
            order = post_order(func.body, enter_primitive=False)
            regions = find_regions(order)
            if not regions.target:
                continue
            prefix = f"tvmgen_{self.mod_name}"
            taken = {g.name_hint for g in functions}
            splitter = _Splitter(regions, prefix, variable.name_hint, self.bind_constants, taken)
            functions[variable] = splitter.split(func, order)
            functions.update(splitter.functions)
            changed = True
        return module.with_functions(functions) if changed else module


class _Splitter:
    """Takes one function apart."""

    def __init__(
        self, regions: Regions, prefix: str, caller: str, bind_constants: bool, taken: set[str]
    ) -> None:
        self.regions = regions
        self.prefix = prefix
        self.caller = caller
        self.bind_constants = bind_constants
        self.taken = taken
        self.functions: dict[GlobalVar, Function] = {}
        self.done: dict[Expr, Expr] = {}

    def split(self, func: Function, order: Sequence[Expr]) -> Function:
        """`func` with calls in place of its regions, which go to `functions`."""
        for nodes in sorted_units(order, self.regions.units):
            target = self.regions.target.get(nodes[0])
            if target is None:
                (node,) = nodes
                self.done[node] = self._rebuilt(node)
            else:
                self._outline(nodes, target)
        result = func.rebuild((*func.params, self.done[func.body]))
        assert isinstance(result, Function)
        return result

    def _rebuilt(self, node: Expr) -> Expr:
        children = node.children()
        binders = len(bound_vars(node))
        if not all(child in self.done for child in children[binders:]):
            return node  # a primitive function
        return node.rebuild([*children[:binders], *(self.done[c] for c in children[binders:])])

    def _outline(self, nodes: Sequence[Expr], target: str) -> None:
        """The region of `nodes` as a function, and its call as what the marks at its end become."""
        number = len(self.functions)
        ends = [n for n in nodes if isinstance(mark_of(n), CompilerEnd)]
        results = list(dict.fromkeys(n.children()[0] for n in ends))
        inner, arguments = self._inside(nodes, f"{target}_{number}")
        fields = [inner[r] for r in results]
        body = fields[0] if len(fields) == 1 else Tuple(fields)
        name = self._free_name(f"{self.prefix}_{target}_{self.caller}_{number}")
        attrs = {"Primitive": 1, "Inline": 1, "Compiler": target, "global_symbol": name}
        function = Function(list(arguments.values()), body, body.checked_type, attrs=attrs)
        type_ = function.checked_type
        assert isinstance(type_, FuncType)
        variable = GlobalVar(name, type_)
        self.functions[variable] = function
        call = Call(variable, [self.done[value] for value in arguments])
        for mark in ends:
            index = results.index(mark.children()[0])
            self.done[mark] = call if len(results) == 1 else TupleGetItem(call, index)

    def _inside(
        self, nodes: Sequence[Expr], prefix: str
    ) -> tuple[Mapping[Expr, Expr], Mapping[Expr, Var]]:
        """What the nodes of a region are in its function, and the parameter of each argument."""
        inner: dict[Expr, Expr] = {}
        arguments: dict[Expr, Var] = {}

        def operand(value: Expr) -> Expr:
            if value in inner:
                return inner[value]
            if isinstance(value, GlobalVar | Function | Op):
                return value
            if isinstance(value, Constant) and self.bind_constants:
                return value
            if value not in arguments:
                arguments[value] = Var(f"{prefix}_i{len(arguments)}", value.checked_type)
            return arguments[value]

        for node in nodes:
            if isinstance(mark_of(node), CompilerBegin):
                inner[node] = operand(node.children()[0])
            elif not isinstance(mark_of(node), CompilerEnd):
                inner[node] = node.rebuild([operand(child) for child in node.children()])
        return inner, arguments

    def _free_name(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name
