"""What the cache on disk keeps of a kernel: its object code, and what a caller has to know of it.

The key is made of the fused function itself (`function_key`), so that a kernel that is found is
neither translated nor scheduled; of which of its tensors are constant, its name and the whole
target; and of a digest of every source that turns a function into loops. `cache_key` adds what
turns loops into machine code. A record is a line of JSON and the object file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import relay.support
from relay import dtypes
from relay.codegen.llvm.objects import cache_key, cache_read, cache_write, source_digest
from relay.runtime.work import Work
from relay.schedule.steps import Pack
from relay.target import Target

#: Packages that see kernels only from outside or make the functions that are compiled, and the code
#: generator, whose digest is in every key of the cache.
UNRELATED = frozenset("cli codegen compat drawing executor frontend testing transform".split())


@dataclass(frozen=True)
class Summary:
    """What a caller has to know of a kernel.

    `packs` says how to make the packed constants that it takes, by position of the parameter;
    `workspace_bytes` are the sizes of the scratch buffers that it is given. The nodes of `work`,
    which differ from call to call, are left open.
    """

    packs: Mapping[int, Pack]
    workspace_bytes: tuple[int, ...]
    work: Work


@dataclass(frozen=True)
class Record:
    """A kernel in the cache: its summary, and the image of its object file."""

    summary: Summary
    image: bytes


def record_key(name: str, function: str, constant: Sequence[bool], target: Target) -> str:
    """The key of the kernel `name` that computes what the key `function` says, for `target`."""
    return cache_key(repr((compiler_digest(), name, function, tuple(constant), target)), target)


@cache
def compiler_digest() -> str:
    """A digest of the sources that turn functions into loops; other sources, other kernels."""
    return source_digest(Path(relay.support.__file__).parents[1], UNRELATED).hex()


def read_record(key: str) -> Record | None:
    """The record under `key`; None where there is none, or one that `write_record` did not make."""
    data = cache_read(key)
    return None if data is None else _decode(data)


def write_record(key: str, record: Record) -> None:
    """Keep `record`."""
    cache_write(key, _encode(record))


def _encode(record: Record) -> bytes:
    summary, work = record.summary, record.summary.work
    fields = {
        "packs": [[position, asdict(pack)] for position, pack in summary.packs.items()],
        "workspaces": summary.workspace_bytes,
        "operators": work.operators,
        "dtype": work.dtype,
        "counts": [work.flops, work.bytes_read, work.bytes_written],
    }
    return json.dumps(fields).encode() + b"\n" + record.image


def _decode(data: bytes) -> Record | None:
    line, _, image = data.partition(b"\n")
    try:
        fields = json.loads(line)
        packs = {_size(position): _pack(**pack) for position, pack in fields["packs"]}
        workspaces = tuple(map(_size, fields["workspaces"]))
        operators = tuple(map(str, fields["operators"]))
        work = Work(operators, (), dtypes.check(fields["dtype"]), *map(_size, fields["counts"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Record(Summary(packs, workspaces, work), image) if image else None


def _pack(buffer: str, axis: int, factor: int, **numbers: int | None) -> Pack:
    """A step whose fields have the types that they must have."""
    others = {name: n if n is None else _size(n) for name, n in numbers.items()}
    return Pack(str(buffer), _size(axis), _size(factor), **others)


def _size(value: object) -> int:
    """`value`, which has to be an integer from 0 on."""
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a size, found {value!r}")
    return value
