"""From an ONNX graph to a Relay module."""

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

import relay.frontend.onnx.converters  # noqa: F401  (fills the registry)
from relay import dtypes
from relay.frontend.onnx.containers import OPEN, definitions, holds_open
from relay.frontend.onnx.coverage import missing_operators
from relay.frontend.onnx.expansion import check_expansion
from relay.frontend.onnx.load import parsed, read
from relay.frontend.onnx.registry import supported_operators
from relay.frontend.onnx.scope import Scope
from relay.frontend.onnx.session import Session, functions_of, versions
from relay.frontend.onnx.tensors import element_type
from relay.frontend.onnx.types import dimensions, from_onnx_type
from relay.ir.expr import Function, Tuple, Var
from relay.ir.module import IRModule
from relay.ir.types import Any, Dim, TensorType, Type
from relay.ir.visit import free_vars
from relay.runtime.ndarray import NDArray
from relay.support.collector import paused_collector
from relay.support.errors import ImportModelError, UnsupportedError

#: Sizes of inputs by name; None where a sequence or an optional value is empty.
Shapes: TypeAlias = Mapping[str, Sequence[Dim] | None]


def from_onnx(
    model: ModelProto | bytes | str | os.PathLike[str],
    shape: Shapes | None = None,
    dtype: str | Mapping[str, str] = "float32",
    opset: int | None = None,
    freeze_params: bool = True,
) -> tuple[IRModule, dict[str, NDArray]]:
    """The Relay module for an ONNX model, and its parameters by name.

    - `model`: a model, its bytes, or the path of one (see `relay.frontend.onnx.load`). Large
      weights stay in the file until they are needed; it must not be written to before that.
    - `shape`: sizes of inputs by name, where the model leaves them open or others are wanted;
      `relay.Any()` is one known at run time only. Of sequences and optional values they are the
      sizes of the tensors inside, and None says that there is none.
    - `dtype`: data types of inputs by name; one name serves inputs the model gives no type.
    - `opset`: the version of the default operator set, instead of the one the model says.
    - `freeze_params`: with True, weights are constants of the module and the dictionary is empty.
      With False, the weights (floating-point initializers with at least one dimension) become
      parameters of ``main`` after the inputs, named as in the model, and the dictionary has their
      values; other initializers, those that feed shapes among them, are constants still.

    ``main`` takes the inputs in the order of the model and returns its output, or a tuple of its
    outputs, whose names are the module's attribute ``output_names``. Values that do not depend on
    inputs are computed while importing, so that shapes are static. Sizes that the model leaves open
    are known at run time only, and keep their names, and so do sizes that the model computes of
    them; a node whose meaning depends on what is not known is an `onnx.node` until then. The span
    of an expression names the ONNX node it stands for.

    Raises `ImportModelError` when the model is not well formed, and `UnsupportedError` with all
    operators of the model that cannot be imported.
    """
    model, session = opened(model, opset)
    session.freeze = freeze_params
    inputs = inputs_of(model.graph, shape or {}, dtype)
    with paused_collector():
        return _converted(model.graph, inputs, session)


def opened(
    model: ModelProto | bytes | str | os.PathLike[str], opset: int | None = None
) -> tuple[ModelProto, Session]:
    """`model`, read where it is a path or bytes, and what its import goes by."""
    source_name, weights = "model", dict[str, NDArray]()
    if isinstance(model, bytes):
        model = parsed(model)
    if not isinstance(model, ModelProto):
        source_name = os.fspath(model)
        loaded = read(model)
        model, weights = loaded.model, loaded.weights
    session = Session(_opsets(model, opset), functions_of(model), weights, source_name=source_name)
    return model, session


def scope_of(
    graph: GraphProto, inputs: Sequence[Var], session: Session
) -> tuple[Scope, list[NodeProto]]:
    """The scope of a model's `graph`, and the nodes that its outputs depend on."""
    if not graph.output:
        raise ImportModelError("the model has no outputs")
    check_expansion(graph.node, session.functions)
    scope = Scope.of_graph(session, graph, session.opsets, session.source_name)
    for variable in inputs:
        scope.bind(variable.name_hint, variable)
    return scope, [scope.nodes[index] for index in scope.live([o.name for o in graph.output])]


def _converted(
    graph: GraphProto, inputs: Sequence[Var], session: Session
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module for what the outputs of `graph` depend on."""
    scope, used = scope_of(graph, inputs, session)
    names = [o.name for o in graph.output]
    missing = missing_operators(used, session.opsets, session.functions)
    if missing:
        raise UnsupportedError(
            f"{len(missing)} operator{'s' * (len(missing) > 1)} of the model cannot be imported:\n"
            + "\n".join(f"  {each}" for each in missing)
        )
    outputs = scope.convert(names)
    body = outputs[0] if len(outputs) == 1 else Tuple(outputs)
    parameters = session.parameters
    needed = {p for p in free_vars(body) if p in parameters} if parameters else set[Var]()
    weights = [p for p in parameters if p in needed]
    main = Function([*inputs, *weights], body, body.checked_type)
    module = IRModule.from_expr(main, type_defs=definitions(main))
    module.attrs["output_names"] = tuple(names)
    return module, {w.name_hint: parameters[w] for w in weights}


def _opsets(model: ModelProto, opset: int | None) -> dict[str, int]:
    """The version of each operator set, by domain; the default domain is ``""``."""
    if not model.opset_import and opset is None:
        raise ImportModelError(
            "the model does not say which versions of operators it uses: it is damaged, "
            "or needs opset= to be given"
        )
    opsets = versions(model.opset_import)
    if opset is not None:
        opsets[""] = opset
    version = opsets.setdefault("", 1)
    newest = onnx.defs.onnx_opset_version()
    if version > newest:
        raise UnsupportedError(
            f"the model uses version {version} of the ONNX operators, but the installed package "
            f"onnx knows versions up to {newest}; install a newer one"
        )
    return opsets


def inputs_of(
    graph: GraphProto,
    shapes: Shapes,
    dtype: str | Mapping[str, str],
) -> list[Var]:
    """The inputs of a model as typed variables; initializers listed among them are none."""
    stored = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in stored]
    names = [i.name for i in inputs]
    if len(set(names)) != len(names):
        raise ImportModelError(f"two inputs of the model have one name: {', '.join(names)}")
    given = dtype if isinstance(dtype, Mapping) else {}
    for name in [*shapes, *given]:
        if name not in names:
            raise ImportModelError(
                f"the model has no input named {name!r}; its inputs are "
                + (", ".join(map(repr, names)) or "none")
            )
    default = dtype if isinstance(dtype, str) else "float32"
    return [Var(i.name, _input_type(i, shapes, given.get(i.name), default)) for i in inputs]


def _input_type(info: ValueInfoProto, shapes: Shapes, dtype: str | None, default: str) -> Type:
    """The type of an input. Sizes that the model leaves open keep their names.

    For sequences and the like, given sizes are those of the tensors in them.
    """
    what, given = f"the input {info.name!r}", shapes.get(info.name)
    if info.type.WhichOneof("value") in ("tensor_type", None):
        return TensorType(_input_shape(info, given), _input_dtype(info, dtype, default))
    dims = None if given is None else [d if isinstance(d, Any) else int(d) for d in given]
    if dims is None and info.name in shapes:
        dims = list(OPEN)
    found = from_onnx_type(info.type, what, dims, dtype or default)
    if holds_open(found) and info.name not in shapes:
        raise ImportModelError(
            f"the model does not say how many dimensions the tensors in its input {info.name!r} "
            f"have; give their shape: from_onnx(model, shape={{{info.name!r}: (...)}})"
        )
    return found


def _input_shape(info: ValueInfoProto, given: Sequence[Dim] | None) -> list[Dim]:
    declared = info.type.tensor_type
    dims = dimensions(info.type)
    if given is not None:
        sizes = [d if isinstance(d, Any) else int(d) for d in given]
        if any(isinstance(d, int) and d < 0 for d in sizes):
            raise ImportModelError(f"the shape of {info.name!r} cannot be negative: {sizes}")
        if declared.HasField("shape") and len(sizes) != len(dims):
            raise ImportModelError(
                f"the input {info.name!r} has {len(dims)} dimensions ({_sizes(dims)}), "
                f"but the given shape has {len(sizes)} ({_sizes(sizes)})"
            )
        return sizes
    if not declared.HasField("shape"):
        raise ImportModelError(
            f"the model does not say how many dimensions its input {info.name!r} has; "
            f"give its shape: from_onnx(model, shape={{{info.name!r}: (...)}})"
        )
    if any(isinstance(d, int) and d < 0 for d in dims):
        raise ImportModelError(f"the input {info.name!r} declares the shape ({_sizes(dims)})")
    return dims


def _sizes(dims: Sequence[Dim]) -> str:
    return ", ".join(map(str, dims))


def _input_dtype(info: ValueInfoProto, given: str | None, default: str) -> str:
    if given is not None:
        return dtypes.check(given)
    code = info.type.tensor_type.elem_type
    return element_type(code, f"the input {info.name!r}") if code else dtypes.check(default)


__all__ = ["from_onnx", "supported_operators"]
