"""A loop program as native functions.

``void name(ptr args)`` is a kernel's entry: `args` points to the addresses of its parameters, then
of its workspaces. It calls one internal function for every stretch of serial code, and
``relay_parallel_for(fn, env, n)`` for every parallel loop, with an outlined
``void name.parallelK(ptr env, i64 begin, i64 end, i64 step)`` that does the iterations
``begin, begin + step ...`` until `end`, where `step` is 1 or -1. `env` is `args` itself, or, where
the loop stands inside of other loops or scratch buffers, an array of the addresses and values it
uses.

The internal functions take every buffer as a parameter of its own, marked ``noalias``, aligned and
dereferenceable: that is how LLVM learns that accumulators may stay in registers. They are never
inlined into the entry, which reaches the same memory through `args`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.codegen.llvm.builder import FunctionBuilder, Module
from relay.codegen.llvm.index import Range
from relay.codegen.llvm.stmt import StatementWriter
from relay.loop.ir import (
    ALIGNMENT,
    Allocate,
    Block,
    Buffer,
    For,
    Func,
    If,
    Kind,
    Load,
    Stmt,
    Store,
    block,
)
from relay.support.errors import InternalError
from relay.te.expr import Expr, Var

PARALLEL_FOR = "relay_parallel_for"


@dataclass
class Uses:
    """What a statement needs from outside, in order of first use."""

    buffers: dict[Buffer, None]
    written: set[Buffer]
    variables: dict[Var, None]
    parallel: bool = False


def uses(stmt: Stmt) -> Uses:
    """Buffers and variables that `stmt` uses and does not define."""
    found = Uses({}, set(), {})
    defined: set[Var | Buffer] = set()
    seen: set[Expr] = set()
    exprs: list[Expr] = []
    stmts: list[Stmt] = [stmt]
    while stmts:
        node = stmts.pop()
        match node:
            case For():
                defined.add(node.var)
                found.parallel = found.parallel or node.kind is Kind.PARALLEL
                stmts.append(node.body)
            case Block():
                stmts.extend(reversed(node.stmts))
            case If():
                exprs.append(node.cond)
                stmts.extend([node.then] if node.otherwise is None else [node.otherwise, node.then])
            case Allocate():
                defined.add(node.buffer)
                stmts.append(node.body)
            case Store():
                found.buffers[node.buffer] = None
                found.written.add(node.buffer)
                exprs.extend((node.value, *reversed(node.indices)))
        while exprs:
            expr = exprs.pop()
            if expr in seen:
                continue
            seen.add(expr)
            if isinstance(expr, Load):
                found.buffers[expr.buffer] = None
            elif isinstance(expr, Var):
                found.variables[expr] = None
            exprs.extend(expr.children())
    found.buffers = {b: None for b in found.buffers if b not in defined}
    found.variables = {v: None for v in found.variables if v not in defined}
    return found


class KernelWriter(StatementWriter):
    """Writes a kernel's entry; serial stretches and parallel bodies become functions."""

    def __init__(self, module: Module, func: Func) -> None:
        super().__init__(FunctionBuilder(module), {})
        self.module = module
        self.func = func
        self.places = {b: i for i, b in enumerate((*func.params, *func.workspaces))}
        self._parts = 0

    def run(self) -> None:
        """Write the whole kernel into the module."""
        self.write(self.func.body)
        self.builder.line("ret void")
        self.module.define(
            self.func.name, self.builder.finish(f"void @{self.func.name}(ptr %args)")
        )

    def write(self, stmt: Stmt) -> None:
        if not uses(stmt).parallel:
            self._call_part(stmt)
        elif isinstance(stmt, Block):
            self._write_block(stmt)
        elif isinstance(stmt, For) and stmt.kind is Kind.PARALLEL:
            self._call_parallel(stmt)
        elif isinstance(stmt, For) and stmt.kind is Kind.VECTORIZED:
            raise InternalError("a vectorized loop contains a parallel one")
        else:
            self._provide(stmt)
            super().write(stmt)

    def _write_block(self, stmt: Block) -> None:
        """Neighbours without parallel loops share one function."""
        serial: list[Stmt] = []
        for part in stmt.stmts:
            if not uses(part).parallel:
                serial.append(part)
                continue
            if serial:
                self._call_part(block(*serial))
                serial = []
            self.write(part)
        if serial:
            self._call_part(block(*serial))

    def _provide(self, stmt: Stmt) -> None:
        """Make the buffers that a condition reads known to the entry."""
        if isinstance(stmt, If):
            for buffer in uses(If(stmt.cond, Block(()))).buffers:
                self._pointer(buffer)

    def _pointer(self, buffer: Buffer) -> str:
        """The address of a buffer, in the entry function."""
        if buffer in self.places:
            self.pointers[buffer] = load_pointer(self.builder, "%args", self.places[buffer])
        return self.pointers[buffer]

    def _variable(self, var: Var) -> str:
        bound = self.evaluator.vars.get(var)
        if bound is None:
            raise InternalError(f"the variable {var.name} is used outside of its loop")
        return str(bound)

    def _part_name(self, kind: str) -> str:
        self._parts += 1
        return f"{self.func.name}.{kind}{self._parts - 1}"

    def _ranges(self, variables: Sequence[Var]) -> list[Range | None]:
        result: list[Range | None] = []
        for var in variables:
            bound = self.evaluator.vars.get(var)
            exact = (bound, bound) if isinstance(bound, int) else None
            result.append(exact or self.evaluator.ranges.get(str(bound)))
        return result

    def _part(self, name: str, stmt: Stmt, used: Uses, loop: For | None) -> None:
        """An internal function for `stmt`, or for a range of the iterations of `loop`."""
        writer = StatementWriter(FunctionBuilder(self.module), {})
        params = []
        for index, buffer in enumerate(used.buffers):
            writer.pointers[buffer] = f"%b{index}"
            access = "" if buffer in used.written else " readonly"
            size = f" dereferenceable({buffer.nbytes})" if buffer.nbytes else ""
            params.append(f"ptr noalias{access} align {ALIGNMENT}{size} %b{index}")
        variables = list(used.variables)
        for index, (var, known) in enumerate(zip(variables, self._ranges(variables), strict=True)):
            writer.evaluator.vars[var] = f"%i{index}"
            writer.evaluator.serial.add(f"%i{index}")
            params.append(f"i64 %i{index}")
            if known is not None:
                writer.evaluator.ranges[f"%i{index}"] = known
        if loop is None:
            writer.write(stmt)
        else:
            params += ["i64 %begin", "i64 %end", "i64 %step"]
            writer.loop(loop, "%begin", "%end", "%step")
        writer.builder.line("ret void")
        signature = f"internal void @{name}({', '.join(params)})"
        self.module.define(name, writer.builder.finish(signature, self._attributes()))

    def _attributes(self) -> str:
        attributes = "noinline nounwind"
        if self.module.target.vector_bytes == 64:
            # Some CPU models prefer half-wide vectors; schedules have already chosen the width.
            attributes += ' "min-legal-vector-width"="512" "prefer-vector-width"="512"'
        return attributes

    def _call_part(self, stmt: Stmt) -> None:
        used = uses(stmt)
        name = self._part_name("part")
        self._part(name, stmt, used, None)
        args = [f"ptr {self._pointer(b)}" for b in used.buffers]
        args += [f"i64 {self._variable(v)}" for v in used.variables]
        self.builder.line(f"call void @{name}({', '.join(args)})")

    def _call_parallel(self, loop: For) -> None:
        if loop.extent < 1:
            return
        used = uses(loop)
        name = self._part_name("parallel")
        self._part(f"{name}.body", loop, used, loop)
        simple = not used.variables and all(b in self.places for b in used.buffers)
        inner = FunctionBuilder(self.module)
        args = []
        for index, buffer in enumerate(used.buffers):
            place = self.places[buffer] if simple else index
            args.append(f"ptr {load_pointer(inner, '%env', place)}")
        for index in range(len(used.variables)):
            slot = inner.pure(f"getelementptr i64, ptr %env, i64 {len(used.buffers) + index}")
            args.append(f"i64 {inner.pure(f'load i64, ptr {slot}, align 8')}")
        args += ["i64 %begin", "i64 %end", "i64 %step"]
        inner.line(f"call void @{name}.body({', '.join(args)})")
        inner.line("ret void")
        signature = f"internal void @{name}(ptr %env, i64 %begin, i64 %end, i64 %step)"
        self.module.define(name, inner.finish(signature))
        self.module.declare(PARALLEL_FOR, "void", ["ptr", "ptr", "i64"])
        env = "%args" if simple else self._environment(used)
        self.builder.line(f"call void @{PARALLEL_FOR}(ptr @{name}, ptr {env}, i64 {loop.extent})")

    def _environment(self, used: Uses) -> str:
        """An array of the addresses and values that an outlined loop uses."""
        b = self.builder
        values = [f"ptr {self._pointer(buffer)}" for buffer in used.buffers]
        values += [f"i64 {self._variable(var)}" for var in used.variables]
        env = b.alloca("i64", len(values), 8)
        for index, value in enumerate(values):
            slot = b.pure(f"getelementptr i64, ptr {env}, i64 {index}")
            b.line(f"store {value}, ptr {slot}, align 8")
        return env


def load_pointer(builder: FunctionBuilder, array: str, index: int) -> str:
    """Element `index` of an array of addresses."""
    slot = builder.pure(f"getelementptr ptr, ptr {array}, i64 {index}")
    return builder.pure(f"load ptr, ptr {slot}, align 8")


def write_kernel(module: Module, func: Func) -> None:
    """Add the functions of a kernel to `module`."""
    KernelWriter(module, func).run()
