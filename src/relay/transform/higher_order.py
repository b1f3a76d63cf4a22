"""Derivatives of all programs: closures, recursion, data types and references.

Every tensor becomes a pair of itself and a reference to its adjoint; functions, tuples, data types
and references stay what they are, of pairs. A reference of the whole program, the backpropagator,
holds a function that passes adjoints back. It does nothing at first; every operator call puts one
before it that passes on what its result has got, and then calls the one that was there. Running it
at the end goes through all operator calls that were evaluated, the last one first.

Source: Pearlmutter and Siskind, 2008; Wang et al., 2019.
"""

from collections.abc import Sequence

from relay import dtypes
from relay.ir.adt import Constructor
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    Tuple,
    Var,
)
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import (
    FuncType,
    RefType,
    TensorType,
    TupleType,
    Type,
)
from relay.ir.visit import post_order
from relay.op.gradients import field, make, zero_of
from relay.support.errors import UnsupportedError
from relay.transform.base import PassContext
from relay.transform.lifted_types import LiftedTypes
from relay.transform.to_a_normal_form import ToANormalForm

UNIT = TupleType(())
BACKPROPAGATOR = RefType(FuncType((), UNIT))
SUFFIX = "_grad"
"""What the names of transformed global functions end with."""


def higher_order(function: Function, module: IRModule) -> tuple[Function, IRModule]:
    """The function of results and gradients, and a module of what it needs.

    The module has the functions of `module` that `function` reaches, transformed, under new names,
    and data types of pairs for those of `module` that have fields of tensors. Raises
    `UnsupportedError` for parameters and results that are not tensors or tuples of them.
    """
    types = LiftedTypes(module, pair, SUFFIX)
    names, functions = _reached(function, module, types)
    needed = IRModule()
    for old, new in names.items():
        backpropagator = Var("bp", BACKPROPAGATOR)
        inner = _Transformer(backpropagator, names, types).function(functions[old])
        params = (*inner.params, backpropagator)
        needed[new] = Function(params, inner.body, inner.ret_type, inner.type_params)
    entry = _entry(_normal(function, module), names, types)
    needed.update(IRModule(None, types.definitions))
    return entry, needed


def _normal(function: Function, module: IRModule) -> Function:
    return ToANormalForm().run_function(function, module, PassContext.current())


def _reached(
    function: Function, module: IRModule, types: LiftedTypes
) -> tuple[dict[GlobalVar, GlobalVar], dict[GlobalVar, Function]]:
    """The names of the global functions that `function` reaches, old and new, and their bodies."""
    names: dict[GlobalVar, GlobalVar] = {}
    functions: dict[GlobalVar, Function] = {}
    waiting = [function]
    while waiting:
        for node in post_order(waiting.pop()):
            if isinstance(node, GlobalVar) and node not in names:
                found = module[node]
                type_ = found.checked_type
                assert isinstance(type_, FuncType)
                paired = types.function(type_)
                arguments = (*paired.arg_types, BACKPROPAGATOR)
                new_type = FuncType(arguments, paired.ret_type, paired.type_params)
                names[node] = GlobalVar(node.name_hint + SUFFIX, new_type)
                functions[node] = _normal(found, module)
                waiting.append(functions[node])
    return names, functions


def pair(type_: TensorType) -> Type:
    """The type of a tensor and a reference to its adjoint."""
    return TupleType([type_, RefType(type_)])


def _lifted(value: Expr, type_: Type) -> Expr:
    """`value` with adjoints that are zero."""
    if isinstance(type_, TensorType):
        return Tuple([value, RefCreate(zero_of(type_, value))])
    if not isinstance(type_, TupleType):
        raise UnsupportedError(
            f"gradients are taken of tensors and tuples of them, found a value of type {type_}"
        )
    return Tuple([_lifted(field(value, k), t) for k, t in enumerate(type_.fields)])


def _primal(pairs: Expr, type_: Type) -> Expr:
    """The value without its adjoints."""
    if isinstance(type_, TensorType):
        return field(pairs, 0)
    assert isinstance(type_, TupleType), f"an operator takes no {type_}"
    return Tuple([_primal(field(pairs, k), t) for k, t in enumerate(type_.fields)])


def _adjoints(pairs: Expr, type_: Type) -> list[tuple[Expr, TensorType]]:
    """The references to the adjoints in a value, from left to right, and the types of tensors."""
    if isinstance(type_, TensorType):
        return [(field(pairs, 1), type_)]
    if not isinstance(type_, TupleType):
        raise UnsupportedError(
            f"gradients are taken of tensors and tuples of them, found a value of type {type_}"
        )
    return [found for k, t in enumerate(type_.fields) for found in _adjoints(field(pairs, k), t)]


def _read(pairs: Expr, type_: Type) -> Expr:
    """What the adjoints in a value hold, as a value of `type_`."""
    if isinstance(type_, TensorType):
        return RefRead(field(pairs, 1))
    assert isinstance(type_, TupleType)
    return Tuple([_read(field(pairs, k), t) for k, t in enumerate(type_.fields)])


def _leaves(value: Expr, type_: Type) -> list[Expr]:
    """The tensors in `value`, from left to right."""
    if not isinstance(type_, TupleType):
        return [value]
    return [v for k, t in enumerate(type_.fields) for v in _leaves(field(value, k), t)]


class _Steps:
    """Lets in the making: what is to be evaluated, in order."""

    def __init__(self) -> None:
        self.bindings: list[tuple[Var, Expr]] = []

    def bind(self, name: str, value: Expr, type_: Type) -> Var:
        """A new variable of `type_` for `value`."""
        variable = Var(name, type_)
        self.bindings.append((variable, value))
        return variable

    def close(self, result: Expr) -> Expr:
        """The lets around `result`."""
        for variable, value in reversed(self.bindings):
            result = Let(variable, value, result)
        return result


class _Transformer:
    """Gives the expressions of one function their adjoints."""

    def __init__(
        self, backpropagator: Var, names: dict[GlobalVar, GlobalVar], types: LiftedTypes
    ) -> None:
        self.backpropagator = backpropagator
        self.names = names
        self.types = types
        self.done: dict[Expr, Expr] = {}

    def function(self, function: Function) -> Function:
        """`function`, which is in A-normal form, on pairs."""
        found = self.expression(function)
        assert isinstance(found, Function)
        return found

    def expression(self, root: Expr) -> Expr:
        """`root`, which is in A-normal form, on pairs."""
        for node in post_order(root):
            if node not in self.done:
                self.done[node] = self._node(node)
        return self.done[root]

    def _node(self, node: Expr) -> Expr:
        done = self.done
        match node:
            case Var():
                return Var(node.name_hint, self.types.type_(node.checked_type))
            case Constant():
                return _lifted(node, node.checked_type)
            case GlobalVar():
                return self._as_value(node)
            case Constructor():
                return self.types.constructor(node)
            case Match():
                return self.types.match(node, [done[c] for c in node.children()])
            case Function(params=params, type_params=type_params):
                if "Primitive" in node.attrs:
                    raise UnsupportedError("differentiate before operators are fused", node.span)
                variables = [v for p in params if isinstance(v := done[p], Var)]
                type_ = node.checked_type
                assert isinstance(type_, FuncType)
                result = self.types.type_(type_.ret_type)
                return Function(variables, done[node.body], result, type_params)
            case If():
                condition = field(done[node.cond], 0)
                return If(condition, done[node.true_branch], done[node.false_branch], node.span)
            case Call(op=Op()):
                return self._operator_call(node)
            case Call():
                return self._call(node)
            case _:
                return node.rebuild([done[c] for c in node.children()])

    def _call(self, call: Call) -> Expr:
        arguments = [self.done[a] for a in call.args]
        types = [self.types.type_(t) for t in call.type_args]
        if isinstance(call.op, GlobalVar):
            arguments.append(self.backpropagator)
            return Call(self.names[call.op], arguments, None, types, call.span)
        return Call(self.done[call.op], arguments, None, types, call.span)

    def _as_value(self, name: GlobalVar) -> Expr:
        """A global function as a value: it gets the backpropagator when it is called."""
        new = self.names[name]
        type_ = new.checked_type
        assert isinstance(type_, FuncType)
        params = [Var(f"a{k}", t) for k, t in enumerate(type_.arg_types[:-1])]
        body = Call(new, [*params, self.backpropagator], None, type_.type_params)
        return Function(params, body, type_.ret_type, type_.type_params)

    def _operator_call(self, call: Call) -> Expr:
        """The call, its result with an adjoint, and the way back put before the others."""
        assert isinstance(call.attrs, Operator)
        steps = _Steps()
        pairs = [self.done[a] for a in call.args]
        values = [
            steps.bind("v", _primal(p, a.checked_type), a.checked_type)
            for p, a in zip(pairs, call.args, strict=True)
        ]
        type_ = call.checked_type
        result = steps.bind("r", Call(call.op, values, call.attrs, span=call.span), type_)
        out = steps.bind("out", _lifted(result, type_), self.types.type_(type_))
        floats = any(dtypes.is_float(t.dtype) for _, t in _adjoints(out, type_))
        if call.attrs.piecewise_constant or not floats:
            return steps.close(out)
        before = steps.bind("before", RefRead(self.backpropagator), BACKPROPAGATOR.value)
        back = self._way_back(call.attrs, call, pairs, values, (result, out), before)
        steps.bind("_", RefWrite(self.backpropagator, back), UNIT)
        return steps.close(out)

    def _way_back(
        self,
        declaration: Operator,
        call: Call,
        pairs: Sequence[Expr],
        values: Sequence[Var],
        results: tuple[Var, Var],
        before: Var,
    ) -> Function:
        """The function that adds the gradients of a call to its arguments' adjoints."""
        steps = _Steps()
        result, out = results
        type_ = call.checked_type
        grad: Expr = steps.bind("g", _read(out, type_), type_)
        found = declaration.gradient(grad, result, *values)
        for argument, pair, gradient in zip(call.args, pairs, found, strict=True):
            if gradient is None:
                continue
            wanted = argument.checked_type
            for (adjoint, tensor), part in zip(
                _adjoints(pair, wanted), _leaves(gradient, wanted), strict=True
            ):
                if dtypes.is_float(tensor.dtype):
                    total = make("add", RefRead(adjoint), part)
                    steps.bind("_", RefWrite(adjoint, total), UNIT)
        return Function((), steps.close(Call(before, ())), UNIT)


def _entry(function: Function, names: dict[GlobalVar, GlobalVar], types: LiftedTypes) -> Function:
    """The function of result and gradients."""
    steps = _Steps()
    nothing = Function((), Tuple(()), UNIT)
    backpropagator = steps.bind("bp", RefCreate(nothing), BACKPROPAGATOR)
    transformer = _Transformer(backpropagator, names, types)
    inputs: list[Var] = []
    for parameter in function.params:
        type_ = parameter.checked_type
        given = steps.bind(parameter.name_hint, _lifted(parameter, type_), types.type_(type_))
        transformer.done[parameter] = given
        inputs.append(given)
    result_type = function.body.checked_type
    body = transformer.expression(function.body)
    out = steps.bind("out", body, types.type_(result_type))
    adjoints = _adjoints(out, result_type)
    for value, (adjoint, type_) in zip(
        _leaves(_primal(out, result_type), result_type), adjoints, strict=True
    ):
        if dtypes.is_float(type_.dtype):
            steps.bind("_", RefWrite(adjoint, make("ones_like", value)), UNIT)
    run = steps.bind("back", RefRead(backpropagator), BACKPROPAGATOR.value)
    steps.bind("_", Call(run, ()), UNIT)
    found = [_read(pairs, p.checked_type) for pairs, p in zip(inputs, function.params, strict=True)]
    gradients = [
        steps.bind("grad", value, p.checked_type)
        for value, p in zip(found, function.params, strict=True)
    ]
    final = Tuple([_primal(out, result_type), Tuple(gradients)])
    return Function(function.params, steps.close(final), None, function.type_params)
