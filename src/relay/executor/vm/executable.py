"""A compiled program of the virtual machine: functions, constants, and graphs as machine code."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.calls import SYMBOL
from relay.codegen.llvm.link import link, support_object
from relay.executor.archive import check_runs_here
from relay.executor.graph import GraphFactory
from relay.executor.vm.artifact import GraphRecord, ProgramArtifact, ValueRecord, read, write
from relay.executor.vm.graphs import DynamicGraph, Graph, Specialising
from relay.executor.vm.host import HostCall
from relay.executor.vm.instructions import VMFunction
from relay.executor.vm.text import Program, parse, program_text
from relay.executor.vm.values import Tensor
from relay.executor.vm.verify import verify
from relay.infer.text import parse as parse_relay
from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Function, Tuple, Var
from relay.ir.module import IRModule
from relay.ir.types import GlobalTypeVar, Type, TypeVar
from relay.runtime.text import as_text, decode, encode
from relay.support.errors import ArtifactError, InputError, RelayError
from relay.target import Target


@dataclass(frozen=True)
class Signature:
    """Names and types of the parameters of a global function, and its type parameters."""

    names: tuple[str, ...]
    types: tuple[Type, ...]
    type_params: tuple[TypeVar, ...] = ()

    @staticmethod
    def of(function: Function) -> "Signature":
        """The signature of a typed function."""
        names = tuple(p.name_hint for p in function.params)
        types = tuple(p.checked_type for p in function.params)
        return Signature(names, types, tuple(function.type_params))

    def function(self) -> Function:
        """A function that has this signature and does nothing."""
        params = [Var(n, t) for n, t in zip(self.names, self.types, strict=True)]
        return Function(params, Tuple(()), None, self.type_params)


@dataclass
class VMExecutable:
    """What `relay.vm.compile` returns; `VirtualMachine` runs it, several at once if need be.

    `functions` are numbered; `entries` gives the numbers of the global ones by name. `constants`
    are arrays in aligned memory, `constant_dtypes` their data types. `constructors` are numbered
    as they occur in `type_definitions`. `specialising` is how graphs are compiled while the program
    runs.
    """

    functions: tuple[VMFunction, ...]
    entries: Mapping[str, int]
    signatures: Mapping[str, Signature]
    graphs: tuple[Graph | DynamicGraph, ...]
    operators: tuple[HostCall, ...]
    constants: tuple[npt.NDArray[np.generic], ...]
    constant_dtypes: tuple[str, ...]
    type_definitions: Mapping[GlobalTypeVar, TypeData]
    specialising: Specialising
    target: Target
    constructors: tuple[Constructor, ...] = field(init=False)
    constant_values: list[Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        definitions = self.type_definitions.values()
        self.constructors = tuple(c for data in definitions for c in data.constructors)
        verify(self.program)
        values = []
        for array, dtype in zip(self.constants, self.constant_dtypes, strict=True):
            tensor = Tensor.of(array.view(), dtype)
            tensor.numpy().flags.writeable = False  # a result may be a constant
            values.append(tensor)
        self.constant_values = values

    @property
    def program(self) -> Program:
        """The bytecode, and what it may refer to."""
        return Program(
            functions=self.functions,
            entries=dict(self.entries),
            graphs=tuple(g.arity for g in self.graphs),
            operators=tuple(o.arity for o in self.operators),
            constants=len(self.constants),
            constructors=tuple((c.name_hint, len(c.inputs)) for c in self.constructors),
        )

    @property
    def compilations(self) -> list[str]:
        """The shapes for which graphs were compiled while the program ran, in order."""
        return self.specialising.compilations

    @property
    def specialisation_limit(self) -> int:
        """For how many combinations of sizes each graph keeps its code, by default 64.

        Of more than that the one whose last use is longest ago is forgotten, and compiled again
        when it is met again. May be set at any time; what is too many then goes when the graph is
        compiled next. Is not saved. Setting raises `InputError` unless it is one at least.
        """
        return self.specialising.limit

    @specialisation_limit.setter
    def specialisation_limit(self, limit: int) -> None:
        if limit < 1:
            raise InputError(f"a limit of specialisations has to be one at least, found {limit}")
        self.specialising.limit = limit

    @property
    def globals(self) -> list[str]:
        """The names of the functions that can be invoked."""
        return list(self.entries)

    @property
    def bytecode(self) -> str:
        """The instructions as text; `relay.executor.vm.text.parse` reads it."""
        return program_text(self.program)

    def get_function_params(self, name: str) -> list[str]:
        """The names of the parameters of the function `name`."""
        return list(self.signature(name).names)

    def signature(self, name: str) -> Signature:
        """The parameters of the global function `name`; raises `InputError` for an unknown one."""
        found = self.signatures.get(name)
        if found is None:
            known = ", ".join(f"@{n}" for n in self.entries) or "none"
            raise InputError(
                f"there is no function @{name}; the functions are: {known}. Polymorphic functions, "
                "those that take or give functions, and those with operators that have no compiled "
                "form are there only where another function calls them"
            )
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this program to the file `path` (by custom ``model.rlyvm``), for `load`.

        What was compiled while it ran is not written. Raises `ArtifactError` when the file cannot
        be written; an old file is then left as it was.
        """
        write(_to_artifact(self), path)

    def __str__(self) -> str:
        return self.bytecode


def missing_arguments(names: Sequence[str], found: int, named: Sequence[str]) -> InputError:
    """The error for arguments that are not those called `names`."""
    return InputError(
        f"expected the arguments ({', '.join(names) or 'none'}), found {found} by "
        f"position and ({', '.join(named) or 'none'}) by name"
    )


# ---------------------------------------------------------------------- files


def _to_artifact(executable: VMExecutable) -> ProgramArtifact:
    objects: dict[bytes, int] = {}
    symbols: list[str] = []
    constants: dict[tuple[int, tuple[int, ...], str], int] = {}
    arrays: list[npt.NDArray[np.generic]] = []

    def placed_object(symbol: str, image: bytes) -> int:
        if image not in objects:
            objects[image] = len(objects)
            symbols.append(symbol)
        return objects[image]

    def placed_constant(array: npt.NDArray[np.generic]) -> int:
        key = (array.ctypes.data, array.shape, array.dtype.name)
        if key not in constants:
            constants[key] = len(constants)
            arrays.append(array)
        return constants[key]

    def record(graph: Graph | DynamicGraph) -> GraphRecord | None:
        if isinstance(graph, DynamicGraph):
            return None
        factory = graph.factory
        names = (*factory.kernel_names, SYMBOL)
        return GraphRecord(
            kernels=factory.kernel_names,
            objects=tuple(map(placed_object, names, factory.objects)),
            constants=tuple(map(placed_constant, factory.constants)),
            inputs=factory.inputs,
            outputs=factory.outputs,
            arena_bytes=factory.arena_bytes,
            steps=factory.steps,
        )

    graphs = tuple(record(graph) for graph in executable.graphs)
    values = []
    for tensor in executable.constant_values:
        array = tensor.numpy()
        if tensor.dtype == dtypes.STRING:
            array = np.frombuffer(encode(as_text(array)), np.uint8)
        values.append(ValueRecord(placed_constant(array), tensor.dtype, tensor.shape))
    return ProgramArtifact(
        target=executable.target,
        specialise=executable.specialising.allowed,
        bytecode=executable.bytecode,
        relay_text=_relay_text(executable),
        objects=tuple(zip(symbols, objects, strict=True)),
        support=support_object(executable.target),
        constants=tuple(arrays),
        values=tuple(values),
        graphs=graphs,
    )


def _relay_text(executable: VMExecutable) -> str:
    """The parts of a program that are Relay.

    These are types, signatures, graphs to compile at run time, and calls on the host.
    """
    module = IRModule(type_definitions=executable.type_definitions)
    for number, (name, _) in enumerate(executable.entries.items()):
        module[f"signature_{number}"] = executable.signatures[name].function()
    for number, graph in enumerate(executable.graphs):
        if isinstance(graph, DynamicGraph):
            body = graph.function.body
            module[f"graph_{number}"] = Function(graph.function.params, body, body.checked_type)
    for number, operator in enumerate(executable.operators):
        module[f"host_{number}"] = operator.function
    return module.astext()


def load(path: str | os.PathLike[str]) -> VMExecutable:
    """The program that `VMExecutable.save` wrote to the file `path`, ready to run.

    Nothing is compiled; constants are mapped from the file. A file holds machine code: load only
    what you would run. Raises `ArtifactError` for a file that is missing, foreign, cut off or
    changed, and for one compiled for another machine, saying which CPU features are missing here.
    """
    artifact = read(path)
    try:
        check_runs_here(artifact.target)
        return _from_artifact(artifact)
    except (RelayError, RuntimeError, ValueError) as error:
        reason = error.message if isinstance(error, RelayError) else str(error)
        raise ArtifactError(f"{os.fspath(path)} cannot be used: {reason}") from error


def _from_artifact(artifact: ProgramArtifact) -> VMExecutable:
    program = parse(artifact.bytecode)
    module = parse_relay(artifact.relay_text, "program.rly")
    specialising = Specialising(artifact.specialise)
    graphs: list[Graph | DynamicGraph] = []
    for number, record in enumerate(artifact.graphs):
        if record is None:
            function = module[f"graph_{number}"]
            graphs.append(DynamicGraph(function, artifact.target, specialising))
        else:
            graphs.append(_linked(record, artifact))
    definitions = module.type_definitions
    constructors = [c for data in definitions.values() for c in data.constructors]
    signatures = {}
    for number, (name, entry) in enumerate(program.entries.items()):
        # Text does not keep names that several functions use; the bytecode does.
        found = Signature.of(module[f"signature_{number}"])
        if not 0 <= entry < len(program.functions):
            raise ArtifactError(f"@{name} is function {entry}, which does not exist")
        signatures[name] = replace(found, names=program.functions[entry].params)
    executable = VMExecutable(
        functions=program.functions,
        entries=program.entries,
        signatures=signatures,
        graphs=tuple(graphs),
        operators=tuple(
            HostCall(module[f"host_{k}"], constructors) for k in range(len(program.operators))
        ),
        constants=tuple(_stored_as(artifact.constants[v.tensor], v) for v in artifact.values),
        constant_dtypes=tuple(v.dtype for v in artifact.values),
        type_definitions=definitions,
        specialising=specialising,
        target=artifact.target,
    )
    if executable.program != program:
        raise ArtifactError(
            "its bytecode does not go with its graphs, operators, constants or data types"
        )
    for name, signature in signatures.items():
        if len(signature.names) != len(signature.types):
            raise ArtifactError(f"the signature of @{name} does not go with its bytecode")
    return executable


def _linked(record: GraphRecord, artifact: ProgramArtifact) -> Graph:
    objects = tuple(artifact.objects[k][1] for k in record.objects)
    return Graph(
        GraphFactory(
            target=artifact.target,
            objects=objects,
            constants=tuple(artifact.constants[k] for k in record.constants),
            inputs=record.inputs,
            outputs=record.outputs,
            arena_bytes=record.arena_bytes,
            library=link(list(dict.fromkeys(objects)), [SYMBOL], support=artifact.support),
            kernel_names=record.kernels,
            steps=record.steps,
        )
    )


def _stored_as(array: npt.NDArray[np.generic], value: ValueRecord) -> npt.NDArray[np.generic]:
    if value.dtype == dtypes.STRING and array.dtype == np.uint8 and array.ndim == 1:
        return decode(array.data, value.shape)
    if dtypes.to_numpy(value.dtype) != array.dtype or value.shape != array.shape:
        raise ArtifactError(
            f"a constant of type {value.dtype} and shape {value.shape} is stored as "
            f"{array.dtype}{array.shape}"
        )
    return array
