"""`ToMixedPrecision`: compute with narrow floats where that is safe."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType, Type
from relay.ir.visit import bound_vars, post_order
from relay.support.errors import RelayError
from relay.transform.base import Pass, PassContext, with_functions
from relay.transform.calls import declaration, is_operator_call, make, operator_name
from relay.transform.precision_lists import PRECISIONS, Precision
from relay.transform.recast import has_out_dtype

WIDE: Final = "float32"
"""The data type that is narrowed, and in which products are accumulated."""

KEEP_OUTPUT: Final = "relay.ToMixedPrecision.keep_orig_output_dtype"
"""The configuration key that keeps the data type of what ``@main`` returns."""


@dataclass(frozen=True)
class ToMixedPrecision(Pass):
    """Compute ``float32`` operators in `mixed_precision_type` (``float16`` or ``bfloat16``).

    `PRECISIONS` says which: ALWAYS (products, accumulated in float32), FOLLOW (where one argument
    is narrow and the others are narrow too, or parameters and constants, which cost nothing to
    convert) or NEVER. `precisions` overrules it by operator name. For an operator without an entry
    `missing_op_mode` 0 raises `RelayError`, 1 warns, 2 says nothing; it is computed in float32.

    What ``@main`` returns may get narrow; the key `KEEP_OUTPUT` of the context keeps it as it was.
    Other functions, lets, branches and closures keep their types at the borders: run
    `ToGraphNormalForm` first. ::

        nn.relu(nn.dense(%x, %w))
        ->
        %0 = nn.dense(cast(%x, "float16"), cast(%w, "float16"), out_dtype="float32");
        nn.relu(cast(%0, "float16"))
    """

    mixed_precision_type: str = "float16"
    missing_op_mode: int = 1
    precisions: Mapping[str, Precision] = field(default_factory=dict)

    opt_level = 0
    required = ("InferType",)

    def __post_init__(self) -> None:
        if self.mixed_precision_type not in ("float16", "bfloat16"):
            raise RelayError(
                "ToMixedPrecision: mixed_precision_type must be float16 or bfloat16, "
                f"found {self.mixed_precision_type!r}"
            )
        if self.missing_op_mode not in (0, 1, 2):
            raise RelayError(
                "ToMixedPrecision: missing_op_mode must be 0 (an error), 1 (a warning) or 2 "
                f"(nothing), found {self.missing_op_mode!r}"
            )

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        table = {**PRECISIONS, **self.precisions}
        self._report_missing(module, table)
        changed: dict[GlobalVar, Function] = {}
        for name, func in module.functions.items():
            keep = bool(context.config.get(KEEP_OUTPUT, False)) or name.name_hint != "main"
            narrowing = _Narrowing(self.mixed_precision_type, table)
            result = narrowing.function(func, keep)
            if result is not func:
                changed[name] = result
        return with_functions(module, changed)

    def _report_missing(self, module: IRModule, table: Mapping[str, Precision]) -> None:
        if self.missing_op_mode == 2:
            return
        called = {
            operator_name(node)
            for func in module.functions.values()
            for node in post_order(func, enter_primitive=False)
            if is_operator_call(node)
        }
        missing = ", ".join(sorted(called - table.keys()))
        if not missing:
            return
        message = (
            f"ToMixedPrecision: no precision is known for {missing}; "
            "give one in `precisions`, for example {'name': Precision.FOLLOW}"
        )
        if self.missing_op_mode == 0:
            raise RelayError(message)
        warnings.warn(f"{message}. They are computed in {WIDE}.", stacklevel=2)


class _Narrowing:
    """The work on one function.

    `done` has what stands for each expression, wide or narrow; `free` what is wide, but may as well
    be narrow: parameters, constants and what follows from them alone; `local` the variables that
    stand for values computed elsewhere, in lets and matches.
    """

    def __init__(self, narrow: str, table: Mapping[str, Precision]) -> None:
        self.narrow = narrow
        self.table = table
        self.done: dict[Expr, Expr] = {}
        self.free: set[Expr] = set()
        self.local: set[Expr] = set()
        self.casts: dict[tuple[Expr, str], Expr] = {}

    def function(self, func: Function, keep_output: bool) -> Function:
        """`func`, narrowed; with `keep_output` its type stays."""
        order = post_order(func, enter_primitive=False)
        self.local = {v for n in order if not isinstance(n, Function) for v in bound_vars(n)}
        for node in order:
            if node is not func:
                self.done[node] = self._narrowed(node)
        body = self.done[func.body]
        if keep_output:
            body = self._as_type(body, func.body.checked_type)
        return func.with_body(body)

    def _narrowed(self, node: Expr) -> Expr:
        if isinstance(node, Function) and "Primitive" in node.attrs:
            return node
        if is_operator_call(node):
            return self._call(node)
        if isinstance(node, Tuple | TupleGetItem):
            children = node.children()
            if all(child in self.free for child in children):
                self.free.add(node)
            return node.rebuild([self.done[child] for child in children])
        if isinstance(node, Var | Constant) and node not in self.local:
            self.free.add(node)
        bound = set(bound_vars(node))
        return node.rebuild(
            [c if c in bound else self._as_type(self.done[c], c.checked_type)
             for c in node.children()]
        )  # fmt: skip

    def _call(self, node: Call) -> Expr:
        precision = self.table.get(operator_name(node), Precision.NEVER)
        arguments = [self.done[a] for a in node.args]
        if precision is Precision.FOLLOW:
            if all(a in self.free for a in node.args):
                self.free.add(node)
            precision = self._followed(node, arguments)
        if precision is Precision.NEVER:
            pairs = zip(arguments, node.args, strict=True)
            return node.rebuild([self._as_type(a, old.checked_type) for a, old in pairs])
        return self._narrow_call(node, arguments)

    def _followed(self, node: Call, arguments: Sequence[Expr]) -> Precision:
        """Whether an operator that may follow does: ALWAYS, otherwise NEVER."""
        some = any(self.narrow in _dtypes(a.checked_type) for a in arguments)
        for old, new in zip(node.args, arguments, strict=True):
            olds = old.fields if isinstance(old, Tuple) else (old,)
            news = new.fields if isinstance(new, Tuple) else (new,)
            for before, after in zip(olds, news, strict=True):
                if WIDE in _dtypes(after.checked_type) and before not in self.free:
                    return Precision.NEVER
        return Precision.ALWAYS if some else Precision.NEVER

    def _narrow_call(self, node: Call, arguments: Sequence[Expr]) -> Expr:
        """`node` on narrow arguments; products give wide sums, narrowed right after."""
        if not any({WIDE, self.narrow} & _dtypes(a.checked_type) for a in arguments):
            return node.rebuild(arguments)
        args = [self._converted(a, WIDE, self.narrow) for a in arguments]
        attrs = declaration(node)
        if has_out_dtype(attrs) and WIDE in _dtypes(node.checked_type):
            attrs = replace(attrs, out_dtype=WIDE)  # type: ignore[call-arg]
            wide = Call(node.op, args, attrs, node.type_args, node.span)
            return self._cast(wide, self.narrow)
        return Call(node.op, args, attrs, node.type_args, node.span)

    def _as_type(self, value: Expr, type_: Type) -> Expr:
        """`value` with the data types of `type_`."""
        if WIDE not in _dtypes(type_):
            return value
        found = value.checked_type
        if isinstance(found, TupleType) and isinstance(type_, TupleType):
            fields = [self._as_type(self._field(value, k), t) for k, t in enumerate(type_.fields)]
            same = all(f is self._field(value, k) for k, f in enumerate(fields))
            unchanged = found == type_ or (isinstance(value, Tuple) and same)
            return value if unchanged else Tuple(fields)
        if isinstance(found, TensorType) and isinstance(type_, TensorType):
            return self._cast(value, type_.dtype)
        return value

    def _converted(self, value: Expr, old: str, new: str) -> Expr:
        """`value`, a tensor or a tuple, with what is of `old` in `new`."""
        found = value.checked_type
        if old not in _dtypes(found):
            return value
        if isinstance(found, TupleType):
            fields = range(len(found.fields))
            return Tuple([self._converted(self._field(value, k), old, new) for k in fields])
        return self._cast(value, new)

    def _field(self, value: Expr, index: int) -> Expr:
        return value.fields[index] if isinstance(value, Tuple) else TupleGetItem(value, index)

    def _cast(self, value: Expr, dtype: str) -> Expr:
        """`value` in `dtype`; one cast for all who need it."""
        found = value.checked_type
        assert isinstance(found, TensorType)
        if found.dtype == dtype:
            return value
        if (value, dtype) not in self.casts:
            self.casts[value, dtype] = make("cast", value, dtype=dtype)
        return self.casts[value, dtype]


def _dtypes(type_: Type) -> set[str]:
    """The data types of the tensors in `type_`, a tensor or a (nested) tuple."""
    found: set[str] = set()
    stack = [type_]
    while stack:
        current = stack.pop()
        if isinstance(current, TensorType):
            found.add(current.dtype)
        elif isinstance(current, TupleType):
            stack.extend(current.fields)
    return found
