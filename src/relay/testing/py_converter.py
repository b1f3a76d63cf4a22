"""Programs as Python source, one statement an operation, over the NumPy references of operators."""

import keyword
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np

from relay import dtypes
from relay.executor.interpreter import Argument, bind_arguments
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
    TupleGetItem,
    Var,
)
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.op import Operator, changed_attributes
from relay.ir.patterns import Pattern, PatternConstructor, PatternTuple, PatternVar
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.visit import free_vars, post_order, used_children
from relay.support.errors import InternalError, RelayError
from relay.testing import py_runtime
from relay.testing.py_blocks import Block, Blocks, is_atomic, name_hints
from relay.testing.py_runtime import deep_calls, tuple_text
from relay.transform.trampoline import Steps, run

LEVELS: Final = 60
"""Blocks nested deeper become functions of their own: Python indents 100 levels at most."""
SMALL: Final = 16
"""Constants of at most this many elements are written out."""
_INDENT: Final = "    "


@dataclass(frozen=True)
class PythonProgram:
    """A program as Python `source`, which ``str()`` gives, too.

    `entry` is the function in it that stands for the program. `objects` are what the source has no
    text for, and refers to as ``objects[0]`` and so on: large constants, constructors, callbacks.
    """

    source: str
    objects: tuple[object, ...]
    entry: str
    is_function: bool
    functions: Mapping[str, Function]

    def __str__(self) -> str:
        return self.source

    def run(self) -> Any:
        """The value of the program, as the interpreter gives it: a function as a Python function.

        Raises `RelayError` as the interpreter does.
        """
        namespace: dict[str, Any] = {"objects": self.objects, "__name__": "relay_program"}
        code = compile(self.source, "<relay program>", "exec")
        with deep_calls():
            # The source is our own; what a program names is made an identifier before.
            exec(code, namespace)  # noqa: S102
            entry = namespace[self.entry]
            return self._shown(entry if self.is_function else entry())

    def _shown(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._shown(f) for f in value)
        if isinstance(value, py_runtime.operator):
            return value.declaration.op
        if isinstance(value, py_runtime.constructor):
            return value.constructor
        function = self.functions.get(getattr(value, "__name__", ""))
        if function is None:
            return value
        params = function.params

        def call(*args: Argument, **kwargs: Argument) -> Any:
            """Call the function with arrays, by position or by name."""
            values = bind_arguments(params, args, kwargs)
            with deep_calls():
                return self._shown(value(*values))

        return call


@dataclass
class _Code:
    """Lines of a block, what its value is called, and the local names it uses and assigns."""

    lines: list[str] = field(default_factory=list)
    result: str = ""
    used: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)

    @property
    def free(self) -> set[str]:
        """The names that have to come from around the block."""
        return self.used - self.assigned

    def assign(self, name: str, value: str) -> None:
        """Add ``name = value``."""
        self.lines.append(f"{name} = {value}")
        self.assigned.add(name)

    def include(self, head: str, body: "_Code", target: str) -> None:
        """Add `head` (``else:``) and under it `body`, whose value becomes that of `target`."""
        self.lines.append(head)
        self.lines += [_INDENT + line for line in (*body.lines, f"{target} = {body.result}")]
        self.used |= body.used
        self.assigned |= body.assigned | {target}

    def define(self, name: str, params: Sequence[str], body: "_Code") -> None:
        """Add a function; what it uses and does not assign itself comes from here."""
        self.lines.append(f"def {name}({', '.join(params)}):")
        self.lines += [_INDENT + line for line in (*body.lines, f"return {body.result}")]
        self.assigned.add(name)
        self.used |= body.free - set(params)


class _Names:
    """Names in Python, each for one thing only, and the lines that define those of constants."""

    def __init__(self) -> None:
        self.taken = {*py_runtime.__all__, "objects"}
        self.counts: dict[str, int] = {}
        self.objects: list[object] = []
        self.header: list[str] = []
        self.headed: dict[object, str] = {}

    def unique(self, hint: str) -> str:
        """A name like `hint` that nothing else has."""
        base = re.sub(r"\W", "_", hint, flags=re.ASCII).lstrip("_") or "v"
        if base[0].isdigit() or keyword.iskeyword(base):
            base = f"v_{base}"
        name, count = base, self.counts.get(base, 0)
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.counts[base] = count
        self.taken.add(name)
        return name

    def constant(self, node: Constant) -> str:
        """The name of a constant."""
        text = _constant_text(node)
        return self._head(text or node, "c", lambda: text or self._object(node.data))

    def constructor(self, node: Constructor) -> str:
        """The name of the function that makes data."""
        return self._head(node, node.name_hint, lambda: f"constructor({self._object(node)})")

    def operator(self, declaration: object) -> str:
        """The name of an operator with its attributes."""
        assert isinstance(declaration, Operator)
        text = _operator_text(declaration)
        key = text or ("object", id(declaration))
        return self._head(
            key, declaration.name, lambda: text or f"operator({self._object(declaration)})"
        )

    def _head(self, key: object, hint: str, value: Callable[[], str]) -> str:
        if key not in self.headed:
            self.headed[key] = self.unique(hint)
            self.header.append(f"{self.headed[key]} = {value()}")
        return self.headed[key]

    def _object(self, value: object) -> str:
        self.objects.append(value)
        return f"objects[{len(self.objects) - 1}]"


def _constant_text(node: Constant) -> str:
    """A small constant as Python; empty when it is large, or has numbers that are not written."""
    array, dtype = node.data.numpy(), node.data.dtype
    if not 0 < array.size <= SMALL or dtypes.from_numpy(array.dtype) != dtype:
        return ""
    if not np.isfinite(array).all():
        return ""
    return f"constant({array.tolist()!r}, {dtype!r})"


def _operator_text(declaration: Operator) -> str:
    """An operator with its attributes as Python; empty when one of them has no text."""
    hidden = (f for f in fields(declaration) if not f.repr)
    given = changed_attributes(declaration)
    if any(getattr(declaration, f.name) != f.default for f in hidden):
        return ""
    if not all(map(_is_literal, given.values())):
        return ""
    parts = [repr(declaration.name), *(f"{name}={value!r}" for name, value in given.items())]
    return f"operator({', '.join(parts)})"


def _is_literal(value: object) -> bool:
    if type(value) is tuple:
        return all(map(_is_literal, value))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


class _Writer:
    """Writes a program, block by block."""

    def __init__(self, mod: IRModule, root: Expr) -> None:
        self.root = root
        self.globals = _reached(mod, root)
        roots = [*self.globals.values(), root]
        for expr in roots:
            for variable in free_vars(expr):
                name = variable.name_hint
                raise RelayError(f"the variable %{name} has no value here", variable.span)
        self.names = _Names()
        self.hints = name_hints(roots)
        self.hints.update({function: name for name, function in self.globals.items()})
        self.hints.setdefault(root, "main")
        self.blocks = Blocks(list(self.globals.values()), root)
        self.parts: list[str] = []
        self.functions: dict[str, Function] = {}
        self.function_names: dict[tuple[Block, Expr], str] = {}
        self.shared_names: dict[tuple[Block, Expr], str] = {}
        self.values: dict[tuple[Block, Expr], str] = {}

    def program(self) -> PythonProgram:
        """The whole program."""
        outer, root, code = self.blocks.outermost, self.root, _Code()
        self._name_functions(outer)
        for function, body in outer.functions:
            code.lines += ["", ""]
            run(self._function(code, function, body, 1))
        is_function = isinstance(root, GlobalVar | Function)
        if is_function:
            entry = self._text(root, outer, code)
        else:
            entry = self.names.unique("evaluate")
            code.lines += ["", ""]
            code.define(entry, (), run(self._block(self.blocks.root, root, 1)))
        imports = f"from relay.testing.py_runtime import {', '.join(py_runtime.__all__)}"
        lines = [imports, "", *self.names.header, *self.parts, *code.lines]
        return PythonProgram(
            source="\n".join(lines) + "\n",
            objects=tuple(self.names.objects),
            entry=entry,
            is_function=is_function,
            functions=self.functions,
        )

    def _name_functions(self, block: Block) -> None:
        for function, _ in block.functions:
            name = self.names.unique(self.hints.get(function, "function"))
            self.function_names[block.owner, function] = name
            self.functions[name] = function

    def _text(self, node: Expr, block: Block, code: _Code) -> str:
        """What `node`, which has its value, is called in `block`."""
        match node:
            case Constant():
                return self.names.constant(node)
            case Op():
                return self.names.operator(node.default_attrs())
            case Constructor():
                return self.names.constructor(node)
            case GlobalVar():
                function = self.globals[node.name_hint]
                return self.function_names[self.blocks.outermost, function]
            case Function() if (self.blocks.outermost, node) in self.function_names:
                return self.function_names[self.blocks.outermost, node]
            case Function():
                name = self.function_names[block.owner, node]
            case Var():
                name = block.name_of(node)
            case _:
                name = self.values[block, node]
        code.used.add(name)
        return name

    def _function(self, code: _Code, function: Function, body: Block, level: int) -> Steps:
        """Add the definition of `function` to `code`."""
        assert body.parent is not None
        for parameter in function.params:
            body.variables[parameter] = self.names.unique(parameter.name_hint)
        params = [body.variables[p] for p in function.params]
        inner = yield self._inner(body, function.body, level)
        code.define(self.function_names[body.parent.owner, function], params, inner)

    def _inner(self, block: Block, root: Expr, level: int) -> Steps:
        """The code of a block in another one: where that is too deep, a call of a function."""
        if level < LEVELS:
            return (yield self._block(block, root, level))
        body: _Code = yield self._block(block, root, 1)
        name, params = self.names.unique("part"), sorted(body.free)
        part = _Code()
        part.define(name, params, body)
        self.parts += ["", "", *part.lines]
        return _Code(result=f"{name}({', '.join(params)})", used=set(params))

    def _block(self, block: Block, root: Expr, level: int) -> Steps:
        """The code of `block`, whose value is that of `root`; its lines are indented `level`."""
        code = _Code()
        self._name_functions(block)
        for node, _ in block.shared:
            hint = self.hints.get(node, "shared")
            self.shared_names[block.owner, node] = self.names.unique(hint)
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [] if self._known(node, block) else self._waiting(node, block, code)
            stack.extend(reversed(waiting))
            if not waiting:
                stack.pop()
                if not self._known(node, block):
                    yield self._statement(node, block, code, level)
        code.result = self._text(root, block, code)
        # Functions come first, but are written last, when what they use has its name.
        first = _Code()
        for function, body in block.functions:
            yield self._function(first, function, body, level + 1)
        for node, inner in block.shared:
            shared = yield self._inner(inner, node, level + 1)
            first.lines.append("@once")
            first.define(self.shared_names[block.owner, node], (), shared)
        code.lines[:0] = first.lines
        code.used |= first.used
        code.assigned |= first.assigned
        return code

    def _known(self, node: Expr, block: Block) -> bool:
        return is_atomic(node) or isinstance(node, Function) or (block, node) in self.values

    def _waiting(self, node: Expr, block: Block, code: _Code) -> list[Expr]:
        """What must have a value before `node` can have its own, in order."""
        if self._is_shared(node, block):
            return []
        match node:
            case Let() if self._known(node.value, block):
                block.owner.variables[node.variable] = self._text(node.value, block, code)
                needed: Sequence[Expr] = (node.body,)
            case Let():
                needed = (node.value,)
            case If():
                needed = (node.cond,)
            case Match():
                needed = (node.data,)
            case _:
                needed = used_children(node)
        return [n for n in needed if not self._known(n, block)]

    def _is_shared(self, node: Expr, block: Block) -> bool:
        """Whether `node` has a block of its own, which is not this one."""
        return self.blocks.places.get((block.owner, node), block) is not block

    def _statement(self, node: Expr, block: Block, code: _Code, level: int) -> Steps:
        """Add what gives `node` its value, all that it waits for being there."""

        def text(part: Expr) -> str:
            return self._text(part, block, code)

        if isinstance(node, Let) and not self._is_shared(node, block):
            self.values[block, node] = text(node.body)
            return
        target = self.names.unique(self.hints.get(node, "t"))
        self.values[block, node] = target
        if self._is_shared(node, block):
            name = self.shared_names[block.owner, node]
            code.used.add(name)
            code.assign(target, f"{name}()")
            return
        match node:
            case If():
                branches = self.blocks.branches[block, node]
                parts = (node.true_branch, node.false_branch)
                heads = (f"if truth({text(node.cond)}):", "else:")
                for head, inner, part in zip(heads, branches, parts, strict=True):
                    code.include(head, (yield self._inner(inner, part, level + 1)), target)
            case Match():
                yield self._match(node, block, code, level)
            case RefWrite():
                code.lines.append(f"{text(node.ref)}.value = {text(node.value)}")
                code.assign(target, "()")
            case _:
                code.assign(target, self._operation(node, text))

    def _operation(self, node: Expr, text: Callable[[Expr], str]) -> str:
        """An expression of one step as Python."""
        match node:
            case Call(op=Op()):
                return f"{self.names.operator(node.attrs)}({', '.join(map(text, node.args))})"
            case Call():
                return f"{text(node.op)}({', '.join(map(text, node.args))})"
            case Tuple():
                return tuple_text([text(f) for f in node.fields])
            case TupleGetItem():
                return f"{text(node.tuple_value)}[{node.index}]"
            case RefCreate():
                return f"ref({text(node.value)})"
            case RefRead():
                return f"{text(node.ref)}.value"
        raise InternalError(f"{type(node).__name__} has no form in Python")

    def _match(self, node: Match, block: Block, code: _Code, level: int) -> Steps:
        data, target = self._text(node.data, block, code), self.values[block, node]
        word = "if"
        for clause, inner in zip(node.clauses, self.blocks.branches[block, node], strict=True):
            conditions, bound = self._pattern(clause.lhs, data)
            for variable in bound:
                block.owner.variables[variable] = self.names.unique(variable.name_hint)
            body: _Code = yield self._inner(inner, clause.rhs, level + 1)
            taken = _Code(result=body.result, used=set(body.used), assigned=set(body.assigned))
            for variable, value in bound.items():
                taken.assign(block.owner.variables[variable], value)
            taken.lines += body.lines
            # A clause that matches everything is the last that is looked at.
            test = " and ".join(conditions)
            last = "else:" if word == "elif" else "if True:"
            code.include(f"{word} {test}:" if conditions else last, taken, target)
            word = "elif"
            if not conditions:
                return
        raising = f"raise no_clause({data})"
        code.lines += ["else:", _INDENT + raising] if node.clauses else [raising]

    def _pattern(self, pattern: Pattern, data: str) -> tuple[list[str], dict[Var, str]]:
        """What must hold of the value `data` to match, and where the variables are in it."""
        conditions: list[str] = []
        bound: dict[Var, str] = {}
        stack = [(pattern, data)]
        while stack:
            current, found = stack.pop()
            match current:
                case PatternVar(var=variable):
                    bound[variable] = found
                case PatternConstructor(constructor=made_by, patterns=patterns):
                    conditions.append(f"is_a({found}, {self.names.constructor(made_by)})")
                    inner = [(p, f"{found}.fields[{k}]") for k, p in enumerate(patterns)]
                    stack.extend(reversed(inner))
                case PatternTuple(patterns=patterns):
                    stack.extend(reversed([(p, f"{found}[{k}]") for k, p in enumerate(patterns)]))
        return conditions, bound


def _reached(mod: IRModule, root: Expr) -> dict[str, Function]:
    """The global functions that `root` uses, directly or not."""
    found: dict[str, Function] = {}
    waiting = [root]
    while waiting:
        for node in post_order(waiting.pop()):
            if isinstance(node, GlobalVar) and node.name_hint not in found:
                found[node.name_hint] = mod[node]
                waiting.append(found[node.name_hint])
    return found


def to_python(expr: Expr, mod: IRModule | None = None, target: object = "llvm") -> PythonProgram:
    """`expr`, with the functions of `mod` that it uses, as a Python program.

    Every step is a statement, so that long programs do no harm. Operators are their NumPy
    references; `target`, which Relay compiles them for, is accepted and has no use.
    (Relay: ``relay.testing.py_converter.to_python``, which gives a syntax tree.)

    Raises `RelayError` when a variable is free or a global function is not in `mod`.
    """
    del target
    return _Writer(IRModule() if mod is None else mod, expr).program()


def run_as_python(expr: Expr, mod: IRModule | None = None, target: object = "llvm") -> Any:
    """The value of `expr` by running it as Python, as `relay.create_executor` gives it.

    Raises what `to_python` raises, and `RelayError` for what goes wrong on the way.
    """
    return to_python(expr, mod, target).run()
