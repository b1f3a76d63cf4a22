"""Kernels kept on disk: what is found is not made again, and nothing is found by mistake."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import relay
import relay.lower.kernel
from relay import te
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.objects import cache_read, cache_write, directory, source_digest
from relay.executor.build import lower_module
from relay.ir.op import Operator, Pattern, operator
from relay.ir.types import TensorType
from relay.lower.kernel import Kernel
from relay.lower.record import UNRELATED, Record, Summary, read_record, record_key, write_record
from relay.lower.translate import function_key
from relay.runtime.work import Work
from relay.schedule.steps import Pack
from relay.transform.base import PassContext

SOURCES = Path(relay.__file__).parent

#: A program with packed weights, a workspace and a control flow for the virtual machine.
PROGRAM = """
import sys
import numpy as np
import relay
import relay.codegen.llvm.link
import relay.lower.kernel

if "warm" in sys.argv:
    def refuse(*_):
        raise AssertionError("a kernel that is kept is made again")
    relay.lower.kernel.translate = refuse
    relay.lower.kernel.plan = refuse
    relay.lower.kernel.llvm_text = refuse
    relay.codegen.llvm.link.object_code = refuse

rng = np.random.default_rng(0)
x = relay.var("x", shape=(1, 16, 14, 14))
weight = relay.const(rng.standard_normal((32, 16, 3, 3)).astype("float32"))
dense = relay.const(rng.standard_normal((10, 32), dtype="float32"))
y = relay.nn.relu(relay.nn.conv2d(x, weight, padding=(1, 1), channels=32, kernel_size=(3, 3)))
y = relay.nn.softmax(relay.nn.dense(relay.nn.batch_flatten(relay.nn.global_avg_pool2d(y)), dense))
func = relay.Function([x], y)
image = rng.standard_normal((1, 16, 14, 14)).astype("float32")
exe = relay.build(func)
found = exe["default"](relay.cpu(0))(image)
if "warm" in sys.argv:
    assert exe.timings["scheduling"] == 0
loose = relay.parse('''#[version = "0.0.5"]
def @main(%c: bool, %x: Tensor[(?, 8), float32]) {
  if (%c) { nn.softmax(exp(%x)) } else { add(%x, 1f) }
}''')
run = relay.create_executor("vm", mod=loose).evaluate()
rows = rng.standard_normal((5, 8)).astype("float32")
found = found[0] if isinstance(found, list | tuple) else found
results = [found, run(True, rows), run(False, rows)]
sys.stdout.buffer.write(b"".join(np.asarray(r.numpy()).tobytes() for r in results))
"""

X = relay.var("x", shape=(4, 6))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELAY_CACHE", raising=False)
    return tmp_path


def in_new_process(*arguments: str) -> bytes:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, check=False
    )
    assert found.returncode == 0, found.stderr.decode()
    return found.stdout


def kernel_of(body: relay.Expr, name: str = "k", constant: tuple[bool, ...] = (False,)) -> Kernel:
    return Kernel(name, relay.Function([X], body), constant, host_target())


def code_of(kernel: Kernel) -> bytes:
    with ThreadPoolExecutor(1) as worker:
        return kernel.object_code(worker).result()


def sample() -> Record:
    work = Work(("exp", "add"), (), "float32", 48, 96, 96)
    return Record(Summary({1: Pack("p1", 0, 16)}, (64, 128), work), b"an object\nwith a line")


def test_a_new_process_finds_every_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    cold = in_new_process()
    assert len(cold) == 4 * (10 + 2 * 5 * 8)
    assert in_new_process("warm") == cold
    monkeypatch.setenv("RELAY_CACHE", "off")
    assert in_new_process() == cold


def test_a_kernel_found_has_loops_when_asked() -> None:
    body = relay.nn.softmax(relay.exp(X))
    first = kernel_of(body)
    image = code_of(first)
    again = kernel_of(body)
    assert code_of(again) == image
    assert (again.work, again.workspace_bytes) == (first.work, first.workspace_bytes)
    assert dict(again.packs) == dict(first.packs)
    assert "loops" not in vars(again)
    assert str(again.scheduled) == str(first.scheduled)
    assert str(again.schedule) == str(first.schedule)


def test_records_are_read_as_written() -> None:
    write_record("key", sample())
    assert read_record("key") == sample()
    assert read_record("other") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"object\ncode",
        b"{}\nimage",
        b"[]\nimage",
        b"[" * 100_000,
        b'{"packs": [[1, {"buffer": "p1", "axis": -1, "factor": 16}]], "workspaces": [], '
        b'"operators": [], "dtype": "float32", "counts": [1, 2, 3]}\nimage',
        b'{"packs": [[1, {"file": "p1"}]], "workspaces": [], "operators": [], '
        b'"dtype": "float32", "counts": [1, 2, 3]}\nimage',
        b'{"packs": [], "workspaces": ["64"], "operators": [], "dtype": "float32", '
        b'"counts": [1, 2, 3]}\nimage',
        b'{"packs": [], "workspaces": [], "operators": [], "dtype": "float33", '
        b'"counts": [1, 2, 3]}\nimage',
        b'{"packs": [], "workspaces": [], "operators": [], "dtype": "float32", '
        b'"counts": [1, 2]}\nimage',
        b'{"packs": [], "workspaces": [], "operators": [], "dtype": "float32", '
        b'"counts": [1, 2, 3]}\n',
    ],
)
def test_foreign_records_are_ignored(data: bytes) -> None:
    cache_write("key", data)
    assert read_record("key") is None


def test_a_damaged_record_is_written_anew() -> None:
    image = code_of(kernel_of(relay.exp(X)))
    folder = directory()
    assert folder is not None
    [path] = folder.glob("*/*.o")
    kept = path.read_bytes()
    for damaged in (kept[:-1], kept[:40], b"", kept[:50] + b"?" + kept[51:]):
        path.write_bytes(damaged)
        assert code_of(kernel_of(relay.exp(X))) == image
        assert path.read_bytes() == kept


def test_nothing_is_kept_where_the_cache_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_CACHE", "off")
    image = code_of(kernel_of(relay.exp(X)))
    monkeypatch.delenv("RELAY_CACHE")
    folder = directory()
    assert folder is not None
    assert not folder.exists()
    assert code_of(kernel_of(relay.exp(X))) == image


def test_what_makes_another_kernel() -> None:
    target = host_target()
    basic = ("k", "function", (True, False), target)
    keys = {
        record_key(*basic),
        record_key("l", *basic[1:]),
        record_key("k", "another", *basic[2:]),
        record_key("k", "function", (False, False), target),
        *(
            record_key(*basic[:3], replace(target, **{f.name: change(getattr(target, f.name))}))
            for f in fields(target)
        ),
    }
    assert len(keys) == 4 + len(fields(target))
    assert record_key(*basic) in keys


def change(value: object) -> object:
    """Another value for a field of a target."""
    if isinstance(value, int):
        return value + 1
    return f"{value}-" if isinstance(value, str) else ("f",)


def test_keys_tell_functions_apart() -> None:
    y = relay.var("y", shape=(4, 6))
    z = relay.var("z", shape=(4, 7))
    narrow = relay.var("n", shape=(4, 6), dtype="float16")
    two = relay.split(X, 2, axis=1)
    functions = [
        relay.Function([X], relay.nn.softmax(X, axis=0)),
        relay.Function([X], relay.nn.softmax(X, axis=1)),
        relay.Function([z], relay.nn.softmax(z, axis=1)),
        relay.Function([narrow], relay.nn.softmax(narrow, axis=1)),
        relay.Function([X, y], relay.subtract(X, y)),
        relay.Function([y, X], relay.subtract(X, y)),
        relay.Function([X], relay.add(X, relay.const(1.0))),
        relay.Function([X], relay.add(X, relay.const(2.0))),
        relay.Function([X], relay.add(X, relay.const(np.float16(1)))),
        relay.Function([X], relay.add(X, relay.const(np.zeros(6, "float32")))),
        relay.Function([X], relay.add(X, relay.const(np.zeros((4, 1), "float32")))),
        relay.Function([X], two[0]),
        relay.Function([X], two[1]),
        relay.Function([X], relay.Tuple([X, relay.exp(X)])),
        relay.Function([X], relay.Tuple([relay.exp(X), X])),
        relay.Function([X], relay.nn.leaky_relu(X, 0.1)),
        relay.Function([X], relay.nn.leaky_relu(X, float(np.nextafter(0.1, 1)))),
    ]
    assert len({function_key(f) for f in functions}) == len(functions)


def test_keys_do_not_depend_on_names_and_identity() -> None:
    def made(name: str) -> relay.Function:
        x = relay.var(name, shape=(4, 6))
        bias = relay.const(np.random.default_rng(len(name)).standard_normal(6).astype("float32"))
        return relay.Function([x], relay.add(relay.exp(x), bias))

    assert function_key(made("x")) == function_key(made("yy"))


def primitive(values: list[float]) -> relay.Function:
    """A fused function that holds an array."""
    p = relay.var("p", shape=(4, 6))
    held = relay.const(np.array(values, "float32"))
    return relay.Function([p], relay.add(relay.exp(p), held)).with_attr("Primitive", 1)


def test_functions_that_hold_other_arrays_share_a_kernel(rng: np.random.Generator) -> None:
    first, second = [0.0, 1, 2, 3, 4, 5], [9.0, 8, 7, 6, 5, 4]
    x = rng.standard_normal((4, 6)).astype(np.float32)
    for _ in range(2):
        calls = [relay.Call(primitive(v), [X]) for v in (first, second)]
        func = relay.Function([X], relay.Tuple(calls))
        with PassContext(opt_level=0):
            assert len(lower_module(func).kernels) == 1
            found = relay.build(func)["default"](relay.cpu(0))(x)
        for value, held in zip(found, (first, second), strict=True):
            expected = np.exp(x) + np.array(held, np.float32)
            np.testing.assert_allclose(value.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("order", [(0, 3), (3, 0)])
def test_levels_do_not_mix(order: tuple[int, int], rng: np.random.Generator) -> None:
    weight = relay.const(rng.standard_normal((8, 6)).astype(np.float32))
    func = relay.Function([X], relay.nn.relu(relay.nn.dense(X, weight)))
    x = rng.standard_normal((4, 6)).astype(np.float32)
    expected = np.maximum(x @ weight.data.numpy().T, 0)
    for level in order:
        with PassContext(opt_level=level):
            found = relay.build(func)["default"](relay.cpu(0))(x)
        value = found[0] if isinstance(found, list | tuple) else found
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-5)


@operator("test.scaled", inputs=("data",), pattern=Pattern.ELEMWISE)
class Scaled(Operator):
    """An operator of somebody else's, whose source may change unseen."""

    factor = 2.0

    def infer(self, data: TensorType) -> TensorType:
        return data

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: data[i] * self.factor, "scaled")


def test_operators_of_others_are_translated_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    func = relay.Function([X], Scaled.call(X))
    x = np.ones((4, 6), np.float32)
    for factor in (2.0, 3.0):
        monkeypatch.setattr(Scaled, "factor", factor)
        found = relay.build(func)["default"](relay.cpu(0))(x)
        value = found[0] if isinstance(found, list | tuple) else found
        assert (value.numpy() == factor).all()


def test_other_sources_have_another_digest(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").write_text("A = 1\n")
    (tmp_path / "b.py").write_text("B = 1\n")
    digests = [source_digest(tmp_path)]
    (tmp_path / "inner" / "a.py").write_text("A = 2\n")
    digests.append(source_digest(tmp_path))
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    digests.append(source_digest(tmp_path))
    digests.append(source_digest(tmp_path, frozenset({"inner"})))
    assert len(set(digests)) == 4
    (tmp_path / "inner" / "a.py").write_text("A = 3\n")
    (tmp_path / "inner" / "__pycache__").mkdir()
    (tmp_path / "inner" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"A")
    assert source_digest(tmp_path, frozenset({"inner"})) == digests[-1]


def imported(path: Path) -> set[Path]:
    """The modules of the package that the module at `path` imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            place = SOURCES.parent / name.replace(".", "/")
            found |= {p for p in (place.with_suffix(".py"), place / "__init__.py") if p.exists()}
    return found - {SOURCES / "__init__.py"}


def test_the_digest_covers_all_that_makes_kernels() -> None:
    """What kernels and operators import, directly or not, is in no package that is left out."""
    pending = {SOURCES / "lower" / "kernel.py", *(SOURCES / "op").rglob("*.py")}
    known: set[Path] = set()
    while pending:
        path = pending.pop()
        known.add(path)
        pending |= imported(path) - known
    assert len(known) > 100
    left_out = {
        p.relative_to(SOURCES) for p in known if p.relative_to(SOURCES).parts[0] in UNRELATED
    }
    # The code generator has a digest of its own in every key.
    assert not [p for p in left_out if p.parts[0] != "codegen"]


def test_attributes_have_exact_texts() -> None:
    """A key says what a function's attributes are by their `repr`."""
    plain = {int, float, bool, str, type(None), tuple, Ellipsis}
    pending = list(Operator.__subclasses__())
    while pending:
        cls = pending.pop()
        pending.extend(cls.__subclasses__())
        if "compute" in cls.missing or cls is Scaled:
            continue
        for name, hint in get_type_hints(cls).items():
            if name in {f.name for f in fields(cls)}:
                assert parts_of(hint) <= plain, (cls, name)


def parts_of(hint: object) -> set[object]:
    """The types that a type is made of."""
    inner = get_args(hint)
    origin = get_origin(hint)
    outer = set() if origin in (Union, UnionType) else {origin or hint}
    return outer.union(*map(parts_of, inner))


def test_kept_images_are_those_of_the_key() -> None:
    kernel = kernel_of(relay.exp(X))
    code_of(kernel)
    key = record_key("k", function_key(kernel.source), (False,), kernel.target)
    data = cache_read(key)
    assert data is not None
    assert data.endswith(code_of(kernel))
