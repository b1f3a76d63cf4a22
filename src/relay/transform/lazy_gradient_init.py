"""`LazyGradientInit`: zeros and ones that are made only where something looks at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay import dtypes
from relay.infer import infer_types
from relay.ir.adt import Constructor
from relay.ir.expr import (
    Call,
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
from relay.ir.reference import RefCreate, RefWrite
from relay.ir.types import (
    FuncType,
    GlobalTypeVar,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    instantiate,
)
from relay.ir.visit import post_order
from relay.op.gradients import field, make
from relay.support.errors import RelayError
from relay.transform.base import Pass, PassContext
from relay.transform.calls import is_call_of, operator_name
from relay.transform.copies import unused_name
from relay.transform.lifted_types import LiftedTypes
from relay.transform.to_a_normal_form import a_normal_form

SUFFIX: Final = "_lazy"
"""What the names of functions and data types over cells end with."""
CELL: Final = GlobalTypeVar("GradCell")
INITS: Final = {"zeros": "Zero", "zeros_like": "Zero", "ones": "One", "ones_like": "One"}
"""The operators that are delayed, and the constructors of the cells that hold them."""
COMBINATIONS: Final = {"add": "AddGradCell", "multiply": "MultiplyGradCell"}
"""The operators that may not have to look, and the functions on cells that know when."""


@dataclass(frozen=True)
class LazyGradientInit(Pass):
    """Delay ``zeros``, ``ones``, ``zeros_like`` and ``ones_like`` until their elements are needed.

    Gradients begin as zeros that most often only get something added. A tensor that may be zeros or
    ones becomes a `GradCell` of ``std/gradient.rly``, which the module gets: sums with zeros and
    products with zeros and ones are what the other operand says, without arithmetic (also for
    infinities and NaN), and zeros that nobody looks at are never made. ::

        add(%x, zeros(shape=[3], dtype="float32"))
        ->
        let %v = Zero(fn () { zeros(shape=[3], dtype="float32") });
        @FromGradCell(@AddGradCell(fn (%a, %b) { add(%a, %b) }, Raw(%x), %v))

    Cells go through tuples, closures, references and data types; functions keep their types, and
    what they call is copied to work on cells (``@f_lazy``). Left alone are functions that reach
    none of the four operators other than as ``fn () { zeros(..) }``, primitive functions, those for
    other compilers, those with the attribute ``SkipOptimization``, and those with parameters or
    results that are references to tensors or of a data type with tensors inside. Values are bound
    by lets, in order of evaluation. Linear. Raises `RelayError` where the module has something else
    of a name of ``std/gradient.rly``.
    """

    opt_level = 2
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        typed = infer_types(module)
        normal = {g: a_normal_form(f) for g, f in typed.functions.items() if not is_closed(f)}
        lazy = [g for g in _reaching(normal) if not normal[g].attrs.get("SkipOptimization")]
        if not lazy:
            return module
        result = _with_cells(typed)
        program = _Program(result)
        changed = {g: program.entry(normal[g]) for g in lazy if program.has_entry(normal[g])}
        if not changed:
            return module
        copied: set[GlobalVar] = set()
        while len(copied) < len(program.names):
            for old in [g for g in program.names if g not in copied]:
                copied.add(old)
                changed[program.names[old]] = program.inner(normal[old])
        result.update(changed)
        result.update(IRModule(None, program.types.definitions))
        return result


def is_closed(function: Function) -> bool:
    """Whether what is in `function` is for others: kernels, other compilers."""
    return any(function.attrs.get(n) for n in ("Primitive", "Compiler", "Composite", "Extern"))


def _reaching(functions: dict[GlobalVar, Function]) -> list[GlobalVar]:
    """The functions that call one of the operators, or call one that does."""
    users: dict[GlobalVar, list[GlobalVar]] = {}
    found: dict[GlobalVar, None] = {}
    for name, function in functions.items():
        order = post_order(function, enter_primitive=False)
        thunks = {f.body for f in order if isinstance(f, Function) and not f.params}
        for node in order:
            if isinstance(node, GlobalVar):
                users.setdefault(node, []).append(name)
            elif is_call_of(node, *INITS) and node not in thunks:
                found[name] = None
    waiting = list(found)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found:
                found[user] = None
                waiting.append(user)
    return [name for name in functions if name in found]


def _with_cells(module: IRModule) -> IRModule:
    """`module` with ``std/gradient.rly``; raises `RelayError` where it has other such names."""
    library = IRModule.library("gradient.rly")
    result = IRModule(module.functions, module.type_definitions, module.attrs)
    for header, data in library.type_definitions.items():
        if header not in module:
            result[header] = data
        elif str(module[header]) != str(data):
            raise RelayError(f"the module has a type {header} that is not that of gradient.rly")
    for name, function in library.functions.items():
        if name not in module:
            result[name] = function
        elif str(module[name].checked_type) != str(function.checked_type):
            raise RelayError(f"the module has another {name} than gradient.rly")
    return result


class _Program:
    """What the functions of one module become."""

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self.raw, self.one, self.zero = module[CELL].constructors
        self.types = LiftedTypes(module, lambda t: TypeCall(CELL, [t]), SUFFIX)
        self.names: dict[GlobalVar, GlobalVar] = {}
        self._taken = {g.name_hint for g in module}

    def name(self, old: GlobalVar) -> GlobalVar:
        """The global function over cells that there is for `old`; that itself for others."""
        if is_closed(self.module[old]):
            return old
        if old not in self.names:
            name = unused_name(old.name_hint + SUFFIX, self._taken)
            self._taken.add(name)
            type_ = self.module[old].checked_type
            self.names[old] = GlobalVar(name, self.types.type_(type_))
        return self.names[old]

    def has_entry(self, function: Function) -> bool:
        """Whether the parameters and the result of `function` can become cells and back."""
        type_ = function.checked_type
        assert isinstance(type_, FuncType)
        return self._converts(FuncType(type_.arg_types, type_.ret_type))

    def _converts(self, type_: Type) -> bool:
        match type_:
            case TensorType():
                return True
            case TupleType(fields=fields):
                return all(map(self._converts, fields))
            case FuncType(arg_types=arguments, ret_type=result, type_params=params):
                return not params and all(map(self._converts, (*arguments, result)))
            case _:
                return self.types.type_(type_) == type_

    def entry(self, function: Function) -> Function:
        """`function`, of its own type, on cells inside."""
        made = _Cells(self)
        made.done.update({p: p for p in function.params})
        body = self.converted(made.expression(function.body), function.body.checked_type)
        return function.with_body(body)

    def inner(self, function: Function) -> Function:
        """`function` on cells, with variables of its own."""
        made = _Cells(self).expression(function)
        assert isinstance(made, Function)
        return made

    def converted(self, value: Expr, want: Type) -> Expr:
        """`value`, of which parts are cells or are not, as one of type `want`."""
        have = value.checked_type
        if have == want:
            return value
        lets: list[Let] = []
        while isinstance(value, Let):
            lets.append(value)
            value = value.body
        result = self._as_type(value, have, want)
        for let in reversed(lets):
            result = Let(let.variable, let.value, result, let.span)
        return result

    def _as_type(self, value: Expr, have: Type, want: Type) -> Expr:
        match have, want:
            case TensorType(), TypeCall():
                return Call(self.raw, [value], None, [have])
            case TypeCall(), TensorType():
                return self.call("FromGradCell", [value], want)
            case TupleType(fields=parts), TupleType(fields=wanted):
                pairs = enumerate(zip(parts, wanted, strict=True))
                return Tuple([self.converted(field(value, k), w) for k, (_, w) in pairs])
            case FuncType(arg_types=arguments), FuncType():
                params = [Var(f"a{k}", t) for k, t in enumerate(want.arg_types)]
                given = [self.converted(p, t) for p, t in zip(params, arguments, strict=True)]
                result = self.converted(Call(value, given), want.ret_type)
                return Function(params, result, want.ret_type)
        raise AssertionError(f"a value of type {have} cannot become one of type {want}")

    def call(self, name: str, arguments: Sequence[Expr], type_: Type) -> Call:
        """A call of a function of ``gradient.rly``."""
        return Call(self.module.get_global_var(name), arguments, None, [type_])

    def joined(self, values: Sequence[Expr], type_: Type) -> list[Expr]:
        """`values`, whose type was `type_`, as values of one type."""
        first = values[0].checked_type
        same = all(v.checked_type == first for v in values)
        want = first if same else self.types.type_(type_)
        return [self.converted(v, want) for v in values]


class _Cells:
    """Makes the expressions of one function, which is in A-normal form, work on cells.

    The type of what an expression becomes tells which tensors in it are cells. Those of variables
    and fields of tuples are where something may be zeros or ones; everything in parameters,
    references and data types is.
    """

    def __init__(self, program: _Program) -> None:
        self.program = program
        self.types = program.types
        self.done: dict[Expr, Expr] = {}

    def expression(self, root: Expr) -> Expr:
        """What `root` becomes."""
        order = post_order(root, enter_primitive=False)
        values = {node.variable: node.value for node in order if isinstance(node, Let)}
        # A variable has the type of what its value becomes, and stands before it. Functions may use
        # their own variables; it is known what these become.
        waiting: dict[Expr, list[Var]] = {}
        for variable, value in values.items():
            if not isinstance(value, Function) or is_closed(value):
                waiting.setdefault(value, []).append(variable)
        later = {v for variables in waiting.values() for v in variables}
        for node in order:
            if node not in self.done and node not in later:
                self.done[node] = self._node(node)
            for variable in waiting.get(node, ()):
                self.done[variable] = Var(variable.name_hint, self.done[node].checked_type)
        return self.done[root]

    def _node(self, node: Expr) -> Expr:
        done, program = self.done, self.program
        match node:
            case Var():
                return Var(node.name_hint, self.types.type_(node.checked_type))
            case GlobalVar():
                return program.name(node)
            case Constructor():
                return self.types.constructor(node)
            case Function() if is_closed(node):
                return node
            case Function(params=params, type_params=type_params):
                variables = [v for p in params if isinstance(v := done[p], Var)]
                result = self.types.type_(node.body.checked_type)
                body = program.converted(done[node.body], result)
                return Function(variables, body, result, type_params, node.attrs, node.span)
            case Call(op=Op()):
                return self._operator_call(node)
            case Call():
                return self._call(node)
            case If(cond=cond):
                condition = program.converted(done[cond], cond.checked_type)
                branches = (done[node.true_branch], done[node.false_branch])
                one, other = program.joined(branches, node.checked_type)
                return If(condition, one, other, node.span)
            case Match(data=data):
                wanted = self.types.type_(data.checked_type)
                results = program.joined([done[c.rhs] for c in node.clauses], node.checked_type)
                value = program.converted(done[data], wanted)
                return self.types.match(node, [*(done[v] for v in node.bound), value, *results])
            case RefCreate(value=value):
                return RefCreate(self._whole(value), node.span)
            case RefWrite(ref=ref, value=value):
                return RefWrite(done[ref], self._whole(value), node.span)
            case _:
                return node.rebuild([done[c] for c in node.children()])

    def _whole(self, value: Expr) -> Expr:
        """`value` with all tensors as cells."""
        return self.program.converted(self.done[value], self.types.type_(value.checked_type))

    def _call(self, call: Call) -> Expr:
        callee = self.done[call.op]
        type_ = callee.checked_type
        assert isinstance(type_, FuncType)
        type_args = [self.types.type_(t) for t in call.type_args]
        if type_args:
            type_ = instantiate(type_, type_args)
        pairs = zip(call.args, type_.arg_types, strict=True)
        arguments = [self.program.converted(self.done[a], t) for a, t in pairs]
        return Call(callee, arguments, None, type_args, call.span)

    def _operator_call(self, call: Call) -> Expr:
        type_ = call.checked_type
        program = self.program
        if is_call_of(call, *INITS) and isinstance(type_, TensorType):
            made = Function((), self._init(call, type_), type_)
            cell = program.zero if INITS[operator_name(call)] == "Zero" else program.one
            return Call(cell, [made], None, [type_], call.span)
        values = [self.done[a] for a in call.args]
        combination = COMBINATIONS.get(operator_name(call))
        if combination is not None and self._combines(call, type_):
            a, b = Var("a", type_), Var("b", type_)
            function = Function([a, b], Call(call.op, [a, b], call.attrs, span=call.span), type_)
            cells = [program.converted(v, self.types.type_(type_)) for v in values]
            return program.call(combination, [function, *cells], type_)
        given = [
            program.converted(v, a.checked_type) for v, a in zip(values, call.args, strict=True)
        ]
        return Call(call.op, given, call.attrs, call.type_args, call.span)

    def _combines(self, call: Call, type_: Type) -> bool:
        """Whether a sum or product has a cell, and each operand may be the result."""
        if not isinstance(type_, TensorType) or not type_.is_static:
            return False
        if any(a.checked_type != type_ for a in call.args):
            return False
        return any(self.done[a].checked_type != type_ for a in call.args)

    def _init(self, call: Call, type_: TensorType) -> Expr:
        """What makes the tensor of `call`; it holds on to no other one if it can."""
        if call.args and type_.is_static and dtypes.is_native(type_.dtype):
            name = operator_name(call).removesuffix("_like")
            return make(name, shape=type_.concrete_shape, dtype=type_.dtype)
        given = [self.program.converted(self.done[a], a.checked_type) for a in call.args]
        return Call(call.op, given, call.attrs, call.type_args, call.span)
