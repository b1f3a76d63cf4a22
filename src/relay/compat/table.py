"""Where the modules of TVM have their names from. The form of a source: see `Namespace`."""

from typing import Final

_NAMES: Final = "relay.compat.names"
_ANALYSIS: Final = (
    "relay.analysis",
    "relay.compat.ir_pass:alpha_equal",
    "relay.compat.ir_pass:assert_alpha_equal",
    "relay.compat.ir_pass:assert_graph_equal",
    "relay.compat.ir_pass:graph_equal",
    "relay.ir.equal:structural_hash",
    "relay.transform:extract_fused_functions",
    "relay.executor:get_calibration_data",
)
_TRANSFORM: Final = (
    "relay.compat.build:build_config",  # it has the arguments of 0.5 and 0.6, too
    "relay.transform",
    "relay.transform.base:Pass=ModulePass",
)
_RUNTIME_MODULE: Final = (
    "relay.compat.graph_executor:Library=Module",
    "relay.compat.graph_executor:BenchmarkResult",
    "relay.compat.build:load_module",
    "relay.compat.build:load_module=load",
    "relay.compat.device:enabled",
)
_CONTAINER: Final = (
    "relay.compat.container",
    "builtins:dict=Map",
    "builtins:list=Array",
    "builtins:str=String",
    "builtins:tuple=ShapeTuple",
)
_INTERPRETER: Final = (
    "relay.executor.interpreter:ConstructorValue",
    "relay.executor.interpreter:RefValue",
    "relay.executor.interpreter:Interpreter",
    "relay.executor:Executor",
    "relay.compat.container:ADT=TupleValue",
    "relay.runtime.ndarray:NDArray=TensorValue",
    "relay.compat.container:Value",
)
_OP_OP: Final = (
    "relay.op:get",
    "relay.op:list_names=list_op_names",
    "relay.ir.op:Pattern=OpPattern",
    "relay.ir.expr:Op",
)
_PARAMS: Final = ("relay.runtime.params",)
_VM: Final = ("relay.compat.vm",)
_MODULE: Final = ("relay.ir.module:IRModule", "relay.ir.module:IRModule=Module")
_PARSER: Final = (
    "relay.infer:parse",
    "relay.infer:parse_expr",
    "relay.infer:fromtext",
)
_INSTRUMENT: Final = (
    "relay.transform.instruments",
    "relay.transform.base:PassInstrument",
    "relay.transform.base:pass_instrument",
)
_TEMPDIR: Final = (f"{_NAMES}:tempdir", f"{_NAMES}:TempDirectory")
_EXPR: Final = (f"{_NAMES}:IntImm", "relay.ir.types:SizeVar=Var", "relay.ir.types:SizeVar")

NAMESPACES: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "relay.compat.device",
        "relay.ir.module:IRModule",
        "relay.infer:parse",
        "relay.runtime.ndarray:NDArray",
        "relay.compat.build:build",
        f"{_NAMES}:TVMError",
        f"{_NAMES}:var",
        f"{_NAMES}:var=size_var",
        f"{_NAMES}:const",
        f"{_NAMES}:convert",
        f"{_NAMES}:indexdiv",
        f"{_NAMES}:indexmod",
        f"{_NAMES}:save_json",
        f"{_NAMES}:load_json",
    ),
    "container": _CONTAINER,
    "contrib": (),
    "contrib.graph_executor": ("relay.compat.graph_executor",),
    "contrib.graph_runtime": ("relay.compat.graph_executor",),
    "contrib.util": _TEMPDIR,
    "contrib.utils": _TEMPDIR,
    "error": (
        f"{_NAMES}:TVMError",
        "relay.support.errors:RelayError=DiagnosticError",
        "relay.support.errors:RelayError=OpError",
        "relay.support.errors:UnsupportedError=OpNotImplemented",
        "relay.support.errors:InternalError",
    ),
    "expr": _EXPR,
    "instrument": _INSTRUMENT,
    "ir": (
        "relay.ir.equal:assert_structural_equal",
        "relay.ir.equal:structural_equal",
        "relay.ir.equal:structural_hash",
        "relay.ir.module:IRModule",
        "relay.ir.expr:Op",
        "relay.ir.expr:GlobalVar",
        "relay.ir.expr:Expr=RelayExpr",
        "relay.ir.expr:Function=BaseFunc",
        "relay.ir.types",
        "relay.ir.adt",
        "relay.support.source:Span",
        f"{_NAMES}:IntImm",
        f"{_NAMES}:save_json",
        f"{_NAMES}:load_json",
        "builtins:list=Array",
        "builtins:dict=Map",
    ),
    "ir.instrument": _INSTRUMENT,
    "ir.module": _MODULE,
    "ir.transform": _TRANSFORM[1:],
    "module": _RUNTIME_MODULE,
    "nd": ("relay.compat.nd",),
    "ndarray": ("relay.compat.nd",),
    "parser": _PARSER,
    "relay": (
        "relay.compat.build:build",
        "relay.compat.build:build_config",
        "relay.compat.build:create_executor",
        "relay.compat.build:optimize",
        "relay.compat.ir_pass:alpha_equal",
        "relay.compat.ir_pass:graph_equal",
        f"{_NAMES}:Kind",
        "relay.runtime.params:load_param_dict",
        "relay.runtime.params:save_param_dict",
        "relay.op:TupleWrapper",
        "relay.analysis:Feature",
        "builtins:str=SourceName",
        "relay",
    ),
    "relay.analysis": _ANALYSIS,
    "relay.analysis.analysis": _ANALYSIS,
    "relay.backend": (
        "relay.compat.build:Executor",
        "relay.compat.build:Runtime",
    ),
    "relay.backend.executor": ("relay.compat.build:Executor",),
    "relay.backend.interpreter": _INTERPRETER,
    "relay.backend.runtime": ("relay.compat.build:Runtime",),
    "relay.backend.vm": _VM,
    "relay.backend.vmobj": _VM,
    "relay.base": ("relay.support.source:Span", "relay.ir.expr:Expr=RelayNode"),
    "relay.build_module": ("relay.compat.build",),
    "relay.frontend.common": ("relay.testing:run_infer_type=infer_type",),
    "relay.op.contrib": ("relay.op.contrib", "relay.op:ndarray_size"),
    "relay.contrib": ("relay.op.contrib", "relay.op.nn"),
    "relay.data_dep_optimization": (),
    "relay.data_dep_optimization.simplify_fc_transpose": (
        "relay.transform.simplify_fc_transpose:simplify_fc_transpose=convert",
    ),
    "relay.expr": (
        "relay.expr",
        "relay.op:TupleWrapper",
        "relay.ir.functor:ExprFunctor",
    ),
    "relay.feature": ("relay.analysis:Feature", "relay.analysis:detect_feature"),
    "relay.frontend": ("relay.frontend",),
    "relay.ir_pass": ("relay.compat.ir_pass",),
    "relay.module": _MODULE,
    "relay.image": ("relay.op.image",),
    "relay.nn": ("relay.op.nn", "relay.ir.expr:Constant"),
    "relay.op": ("relay.op", *_OP_OP, "relay.ir.expr:const"),
    "relay.op.image": ("relay.op.image",),
    "relay.op.image.image": ("relay.op.image",),
    "relay.op.nn": ("relay.op.nn",),
    "relay.op.nn.nn": ("relay.op.nn",),
    "relay.op.op": _OP_OP,
    "relay.param_dict": _PARAMS,
    "relay.parser": _PARSER,
    "relay.testing": ("relay.testing", "relay.testing.nat"),
    "relay.transform": _TRANSFORM,
    "relay.transform.transform": _TRANSFORM,
    "relay.vm": _VM,
    "runtime": (
        *_RUNTIME_MODULE,
        *_PARAMS,
        "relay.runtime.ndarray:NDArray",
        "relay.compat.device",
        f"{_NAMES}:convert",
        f"{_NAMES}:const",
    ),
    "runtime.container": _CONTAINER,
    "runtime.module": _RUNTIME_MODULE,
    "runtime.ndarray": ("relay.compat.nd",),
    "runtime.vm": _VM,
    "target": ("relay.compat.target",),
    "te": (f"{_NAMES}:var", f"{_NAMES}:var=size_var", f"{_NAMES}:const"),
    "testing": (
        f"{_NAMES}:assert_allclose",
        "relay.testing.config:enabled_targets",
    ),
    "tir": ("relay.ir.types:Any", *_EXPR),
    "transform": _TRANSFORM[1:],
}
"""Path of a module in TVM -> its sources, the first of which wins."""
