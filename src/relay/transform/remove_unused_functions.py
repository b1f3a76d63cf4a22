"""`RemoveUnusedFunctions`: keep what the entry functions reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import GlobalVar
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import Pass, PassContext


@dataclass(frozen=True)
class RemoveUnusedFunctions(Pass):
    """Drop the global functions that no function of `entry_functions` calls, directly or not.

    Entry functions that the module does not have are ignored. ::

        def @main(%x) { @f(%x) }  def @f(%x) { %x }  def @g(%x) { %x }   ->   @main, @f
    """

    entry_functions: Sequence[str] = ("main",)

    opt_level = 1

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        waiting = [name for name in self.entry_functions if name in module]
        used = set(waiting)
        while waiting:
            for node in post_order(module[waiting.pop()]):
                if isinstance(node, GlobalVar) and node.name_hint not in used:
                    used.add(node.name_hint)
                    if node.name_hint in module:
                        waiting.append(node.name_hint)
        functions = module.functions
        kept = {name: func for name, func in functions.items() if name.name_hint in used}
        return module if len(kept) == len(functions) else module.with_functions(kept)
