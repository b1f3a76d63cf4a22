"""`CanonicalizeCast`: a cast for everyone who uses it."""

from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Pattern
from relay.ir.visit import post_order
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import declaration, is_call_of, is_operator_call


@dataclass(frozen=True)
class CanonicalizeCast(FunctionPass):
    """Repeat a cast for each of the element-wise and broadcasting calls that use it.

    A cast in the kernel of its user reads the narrower data; one that is shared is a kernel of its
    own. The first user keeps the cast as it is. ::

        %0 = cast(%x, dtype="float32");        %0 = cast(%x, dtype="float32");
        %1 = exp(%0);                     ->   %1 = exp(%0);
        (%1, tanh(%0))                         %2 = cast(%x, dtype="float32");
                                               (%1, tanh(%2))
    """

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        done: dict[Expr, Expr] = {}
        taken: set[Expr] = set()

        def own(cast: Expr) -> Expr:
            if not is_call_of(cast, "cast"):
                return cast
            if cast in taken:
                return Call(cast.op, cast.args, cast.attrs, cast.type_args, cast.span)
            taken.add(cast)
            return cast

        for node in post_order(func, enter_primitive=False):
            if isinstance(node, Function) and node is not func and "Primitive" in node.attrs:
                done[node] = node
                continue
            children = [done[child] for child in node.children()]
            if is_operator_call(node) and declaration(node).pattern <= Pattern.BROADCAST:
                copies = {child: own(child) for child in children}
                children = [copies[child] for child in children]
            done[node] = node.rebuild(children)
        result = done[func]
        assert isinstance(result, Function)
        return result
