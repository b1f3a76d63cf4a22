"""`relay.build`: from a module to something that runs."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.calls import SYMBOL
from relay.codegen.llvm.entry import entry_text
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.link import compile_text, link
from relay.executor.artifact import obstacle
from relay.executor.graph import GraphFactory
from relay.ir.expr import Call, Constant, Expr, Function, Var
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import TensorType, Type
from relay.ir.visit import bind, post_order_all
from relay.lower import CompileOptions, Kernel, Lowered, lower, optimise
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, RelayError, UnsupportedError
from relay.support.timing import Timings, stage
from relay.target import Target
from relay.transform.base import PassContext

#: The level `build` uses outside of any `PassContext`: everything that makes programs faster.
DEFAULT_LEVEL = 3
#: What `GraphFactory.timings` tells the seconds of. Looking for kernels in the cache belongs to
#: lowering: those found are neither scheduled nor generated. LLVM works beside the stages before
#: it, and counts for as long as it is waited for.
STAGES = (
    "graph passes",
    "lowering",
    "scheduling",
    "code generation",
    "LLVM",
    "linking",
    "constants",
)


def resolve_target(target: Target | str | None) -> Target:
    """The `Target` that a user means: None and ``"llvm"`` are this machine's CPU."""
    if isinstance(target, Target):
        return target
    if target is None or target.strip() in ("llvm", "cpu", "native"):
        return host_target()
    raise RelayError(
        f'unknown target {target!r}; expected "llvm" (this machine\'s CPU) or a relay.target.Target'
    )


def bind_params(
    module: IRModule, params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None
) -> IRModule:
    """`module` with the parameters of ``@main`` named in `params` replaced by constants.

    Raises `InputError` for a name that is no parameter, or that several parameters have.
    """
    if not params:
        return module
    main = module["main"]
    by_name: dict[str, list[Var]] = {}
    for parameter in main.params:
        by_name.setdefault(parameter.name_hint, []).append(parameter)
    values: dict[Var, Expr] = {}
    for name, array in params.items():
        found = by_name.get(name, [])
        if len(found) != 1:
            known = ", ".join(by_name) or "none"
            what = "several parameters are" if found else "no parameter is"
            raise InputError(f"{what} called {name!r}; the parameters of @main are: {known}")
        values[found[0]] = Constant(array if isinstance(array, NDArray) else NDArray(array))
    bound = bind(main, values)
    assert isinstance(bound, Function)
    return module.with_function("main", bound)


def as_module(program: IRModule | Function | Expr) -> IRModule:
    """`program` as a module with a ``@main``."""
    return program if isinstance(program, IRModule) else IRModule.from_expr(program)


def lower_module(
    program: IRModule | Function,
    target: Target | str | None = None,
    params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
) -> Lowered:
    """`program` optimised and lowered to scheduled kernels, but not to machine code."""
    return _lower_module(program, target, params)


def _lower_module(
    program: IRModule | Function,
    target: Target | str | None,
    params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None,
    each: Callable[[Kernel], object] | None = None,
) -> Lowered:
    level = PassContext.current().opt_level if PassContext.entered() else DEFAULT_LEVEL
    options = CompileOptions(resolve_target(target), level)
    with stage("graph passes"):
        module = bind_params(as_module(program), params)
        _check_numeric(module)
        _check_closed(module)
        fused = optimise(module, options)
    with stage("lowering"):
        return _with_output_names(lower(fused, options, each), module)


def _check_closed(module: IRModule) -> None:
    """Raise `UnsupportedError` where parameters have open sizes, and show how to give them."""
    main = module["main"]
    assert isinstance(main, Function)
    types = {p.name_hint: p.type_annotation for p in main.params}
    open_ = {n: t for n, t in types.items() if isinstance(t, TensorType) and not t.is_static}
    if not open_:
        return
    example = {n: tuple(d if isinstance(d, int) else 1 for d in t.shape) for n, t in open_.items()}
    options = " ".join(f"--shape {n}={','.join(map(str, d))}" for n, d in example.items())
    raise UnsupportedError(
        "the graph executor needs static shapes, but these sizes are open:\n"
        + "\n".join(f"  {n}: ({', '.join(map(str, t.shape))})" for n, t in open_.items())
        + "\ngive them where the program is made, for example: "
        f"from_onnx(model, shape={example!r})\non the command line: {options}"
        "\nor run the program with the virtual machine: relay.vm.compile(mod) takes any sizes"
    )


def _check_numeric(module: IRModule) -> None:
    """Raise `UnsupportedError` for a program that works on text, which only the host can do."""
    for node in post_order_all(module.functions.values()):
        match node:
            case Var(type_annotation=type_) if type_ is not None and _holds_text(type_):
                found = f"the variable %{node.name_hint} holds text"
            case Constant(data=data) if data.dtype == dtypes.STRING:
                found = "a constant holds text"
            case Call(attrs=Operator() as operator) if _makes_text(operator):
                found = f"{operator.name} runs on the host"
            case _:
                continue
        raise UnsupportedError(
            f"the graph executor runs what is compiled code altogether, but {found}; run the "
            "program with the virtual machine: relay.vm.compile(mod), or "
            'create_executor("vm", mod)',
            node.span,
        )


def _makes_text(operator: Operator) -> bool:
    """Whether `operator` runs on the host, or gives text whatever it takes."""
    return operator.host or getattr(operator, "dtype", "") == dtypes.STRING


def _holds_text(root: Type) -> bool:
    stack = [root]
    while stack:
        current = stack.pop()
        if isinstance(current, TensorType) and current.dtype == dtypes.STRING:
            return True
        stack.extend(current.children())
    return False


def _with_output_names(lowered: Lowered, module: IRModule) -> Lowered:
    """`lowered` with its outputs called as the module's attribute ``output_names`` says."""
    names = module.attrs.get("output_names")
    count = len(lowered.outputs)
    if not isinstance(names, tuple) or not len(names) == len(set(names)) == count:
        return lowered
    outputs = tuple(
        replace(spec, name=str(name)) for spec, name in zip(lowered.outputs, names, strict=True)
    )
    return replace(lowered, outputs=outputs)


def build(
    program: IRModule | Function,
    target: Target | str | None = None,
    params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
) -> GraphFactory:
    """Compile `program` for `target` (default: this CPU), with `params` bound by name.

    ``exe = relay.build(mod, target="llvm", params=params)``, then ``exe["default"](relay.cpu(0))``
    gives a `GraphModule` to run. The level of optimisation is that of the current `PassContext`,
    or 3 outside of any. What is built for a `target` that this machine is not can be written to a
    file with `GraphFactory.export_library`, but not run. Raises `TypeInferenceError` for an
    ill-typed program, `UnsupportedError` for one the graph executor does not run, `InputError` for
    unknown names in `params`.
    """
    worker = ThreadPoolExecutor(1)
    made: list[Future[bytes]] = []
    try:
        with Timings(dict.fromkeys(STAGES, 0.0)) as timings:
            lowered = _lower_module(
                program, target, params, lambda kernel: made.append(kernel.object_code(worker))
            )
            with stage("LLVM"):
                objects = [future.result() for future in made]
            with stage("code generation"):
                entry = entry_text(lowered.steps, lowered.target)
                objects.append(compile_text(entry, lowered.target))
            with stage("linking"):
                runs_here = obstacle(lowered.target, host_target()) is None
                library = link(objects, [SYMBOL]) if runs_here else None
            with stage("constants"):
                constants = lowered.constants
    finally:
        worker.shutdown(cancel_futures=True)
    return GraphFactory(
        target=lowered.target,
        objects=tuple(objects),
        constants=constants,
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        arena_bytes=lowered.arena_bytes,
        library=library,
        timings=timings.seconds,
        kernel_names=tuple(k.name for k in lowered.kernels),
        steps=len(lowered.steps),
        calls=lowered.steps,
        work=lowered.work,
    )
