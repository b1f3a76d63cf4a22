"""The kernels of a program as functions."""

from relay.ir.equal import structural_equal, structural_hash
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.ir.visit import post_order_all
from relay.transform.base import Sequential
from relay.transform.fuse_ops import FuseOps
from relay.transform.simplify_inference import SimplifyInference


def extract_fused_functions(mod: IRModule) -> dict[int, Function]:
    """The functions that `SimplifyInference` and `FuseOps` at level 3 make of `mod`.

    Each appears once, however often it is called, under its structural hash (or the next free
    number, should two have one hash), in order of first use. `mod` stays as it is.
    """
    fused = Sequential([SimplifyInference(), FuseOps(fuse_opt_level=3)])(mod)
    found: dict[int, Function] = {}
    for node in post_order_all(fused.functions.values(), enter_primitive=False):
        if isinstance(node, Function) and "Primitive" in node.attrs:
            key = structural_hash(node)
            while key in found and not structural_equal(found[key], node):
                key += 1
            found.setdefault(key, node)
    return found
