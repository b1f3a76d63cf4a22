"""The passes of `relay.transform` that must keep the type and the value of every program."""

import inspect
from dataclasses import MISSING, fields, is_dataclass

import relay.transform
from relay.target import Target
from relay.transform import (
    ConvertLayout,
    DeadCodeElimination,
    EtaExpand,
    FoldConstant,
    FoldScaleAxis,
    FuseOps,
    PadChannels,
    PartialEvaluate,
    Pass,
    SimplifyInference,
    SplitArgs,
    UseWinograd,
)

#: Passes that are not tried with their defaults, and why.
LEFT_OUT = {
    "AnnotateTarget": "needs the names of other compilers",
    "ConvertLayout": "needs layouts; tried with one below",
    "FirstOrderGradient": "makes another function, of another type, by contract",
    "FlexibleShapeDispatch": "refuses to run without buckets; makes sizes unknown",
    "FunctionPass": "a base class",
    "InlineCompilerFunctionsBoundTo": "needs the functions to inline",
    "MergeComposite": "needs a table of patterns",
    "Pass": "a base class",
    "Sequential": "runs the others",
    "SplitArgs": "needs a number; tried with one below",
    "UseWinograd": "needs a target; tried with one below",
    "ToMixedPrecision": "computes in float16 by contract, far from 1e-4",
}

EXPORTED = {
    name: value
    for name in relay.transform.__all__
    if inspect.isclass(value := getattr(relay.transform, name)) and issubclass(value, Pass)
}


def needs_arguments(kind: type[Pass]) -> bool:
    """Whether a pass cannot be made without arguments."""
    if not is_dataclass(kind):
        return False
    return any(
        f.init and f.default is MISSING and f.default_factory is MISSING for f in fields(kind)
    )


DEFAULTS = {name: kind() for name, kind in EXPORTED.items() if name not in LEFT_OUT}

#: Name -> pass: every exported pass with its defaults, and some with other options.
PASSES: dict[str, Pass] = {
    **DEFAULTS,
    "ConvertLayout NHWC": ConvertLayout({"nn.conv2d": ["NHWC", "default"]}),
    "DeadCodeElimination inline_once": DeadCodeElimination(inline_once=True),
    "EtaExpand all": EtaExpand(expand_constructor=True, expand_global_var=True),
    "FoldConstant allow_growth": FoldConstant(allow_growth=not FoldConstant().allow_growth),
    "FoldScaleAxis": FoldScaleAxis(),
    "FuseOps alone": FuseOps(fuse_opt_level=0),
    "PadChannels 4": PadChannels(4),
    "PartialEvaluate fuel": PartialEvaluate(fuel=5),
    "SimplifyInference rows": SimplifyInference(expand_norms=not SimplifyInference().expand_norms),
    "SplitArgs 4": SplitArgs(4),
    "UseWinograd": UseWinograd(Target("x86_64", "x86-64", ("sse2",))),
}
