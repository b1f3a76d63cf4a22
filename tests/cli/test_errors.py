"""What a user reads who has given something wrong: one message, exit code 2, no traceback."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cli_helpers import Relay, small_model
from onnx_models import floats, model_of
from relay.cli import main as entry


def message(relay_command: Relay, *arguments: object) -> str:
    """The message of a command that the user is to blame for."""
    found = relay_command(*arguments)
    assert found.code == 2
    assert found.out == ""
    assert "Traceback" not in found.err
    assert found.err.startswith("relay: ")
    return found.err.removeprefix("relay: ").rstrip("\n")


COMMANDS = ("run", "bench", "show", "compile")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_file(relay_command: Relay, tmp_path: Path, command: str) -> None:
    path = tmp_path / "absent.onnx"
    assert message(relay_command, command, path) == f"no such file: {path}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder(relay_command: Relay, tmp_path: Path, command: str) -> None:
    assert (
        message(relay_command, command, tmp_path)
        == f"{tmp_path} is a folder; expected an ONNX file"
    )


def test_not_onnx(relay_command: Relay, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("This is not a model at all.")
    assert message(relay_command, "run", path) == f"{path} is not an ONNX model"
    path.write_bytes(b"")
    assert message(relay_command, "run", path) == f"{path} is empty; expected an ONNX model"


def test_cut_off(relay_command: Relay, model: Path) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: len(data) // 2])
    text = message(relay_command, "run", model)
    assert text.startswith(f"{model} is cut off: it has {len(data) // 2} bytes")


def test_all_unsupported_operators_at_once(relay_command: Relay, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mystery", ["x"], ["a"], name="first", domain="org.example"),
        helper.make_node("Riddle", ["a"], ["b"], name="second", domain="org.example"),
        helper.make_node("Mystery", ["b"], ["y"], name="third", domain="org.example"),
    ]
    path = tmp_path / "odd.onnx"
    proto = model_of(nodes, {"x": floats(2)}, ["y"], domains={"org.example": 1})
    onnx.save(proto, path)
    assert message(relay_command, "run", path) == (
        "2 operators of the model cannot be imported:\n"
        "  Mystery (domain org.example, opset 1) in 'first', 'third'\n"
        "  Riddle (domain org.example, opset 1) in 'second'"
    )


def test_open_sizes(relay_command: Relay, open_model: Path) -> None:
    assert message(relay_command, "run", open_model) == (
        "the graph executor needs static shapes, but these sizes are open:\n"
        "  x: (batch, 4)\n"
        "give them where the program is made, for example: "
        "from_onnx(model, shape={'x': (1, 4)})\n"
        "on the command line: --shape x=1,4\n"
        "or run the program with the virtual machine: relay.vm.compile(mod) takes any sizes"
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("z=1,4", "the model has no input named 'z'; its inputs are 'x'"),
        ("x", "--shape expects NAME=SIZES such as x=1,3,224,224, not 'x'"),
        ("=1", "--shape expects NAME=SIZES such as x=1,3,224,224, not '=1'"),
        ("x=1,-4", "--shape expects NAME=SIZES such as x=1,3,224,224, not 'x=1,-4'"),
        ("x=1,9999999999999", "--shape x=1,9999999999999: the sizes are impossibly large"),
    ],
)
def test_shapes(relay_command: Relay, open_model: Path, shape: str, expected: str) -> None:
    assert message(relay_command, "run", open_model, "--shape", shape) == expected


def test_a_shape_twice_or_of_another_rank(relay_command: Relay, open_model: Path) -> None:
    found = message(relay_command, "run", open_model, "--shape", "x=1,4", "--shape", "x=2,4")
    assert found == "--shape gives the sizes of 'x' twice"
    assert "dimensions" in message(relay_command, "run", open_model, "--shape", "x=4")


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (
            {"z": floats(2, 4)},
            "{} has an array 'z', which is no input; the inputs are: x: float32[2, 4]",
        ),
        ({"x": floats(3, 4)}, "{}: input 'x' expects float32[2, 4], found float32[3, 4]"),
        (
            {"x": floats(2, 4).astype(np.float64)},
            "{}: input 'x' expects float32[2, 4], found float64[2, 4]",
        ),
        (
            {"x": np.array([[None] * 4] * 2)},
            "{}: the array 'x' holds pickled Python objects, which are not read",
        ),
    ],
)
def test_inputs(
    relay_command: Relay, model: Path, tmp_path: Path, arrays: dict[str, np.ndarray], expected: str
) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, **arrays)
    assert message(relay_command, "run", model, "--input", path) == expected.format(path)


def test_input_files_that_are_none(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    assert message(relay_command, "run", model, "--input", path) == f"no such file: {path}"
    found = message(relay_command, "run", model, "--input", tmp_path)
    assert found == f"{tmp_path} is a folder; expected an .npz file"
    path.write_bytes(pickle.dumps({"x": 1}))
    assert "is not an .npz file" in message(relay_command, "run", model, "--input", path)


def test_an_array_smaller_than_it_declares(
    relay_command: Relay, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "in.npz"
    np.savez(tmp_path / "good.npz", x=floats(2, 4))
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(path, "w") as bad:
        bad.writestr("x.npy", good.read("x.npy")[:-4])
    found = message(relay_command, "run", model, "--input", path)
    assert found == f"{path}: the array 'x' is damaged: its size is not that of float32[2, 4]"


def test_an_output_that_cannot_be_written(
    relay_command: Relay, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "out.npz"
    found = relay_command("run", model, "--output", path)
    assert found.code == 2
    assert f"relay: {path} cannot be written: No such file or directory\n" in found.err
    compiled = tmp_path / "nowhere" / "small.rly"
    found = relay_command("compile", model, "-o", compiled)
    assert found.code == 2
    assert f"relay: {compiled} cannot be written: No such file or directory\n" in found.err


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd"])
def test_data_outside_of_the_folder(relay_command: Relay, tmp_path: Path, location: str) -> None:
    proto = small_model()
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4 * 4 * 8))
    path = folder / "escaping.onnx"
    path.write_bytes(proto.SerializeToString())
    found = message(relay_command, "run", path)
    assert f"wants to read {location!r}; data must be in a file inside the folder" in found


@pytest.mark.parametrize("threads", ["0", "-3", "100000"])
def test_threads(relay_command: Relay, model: Path, threads: str) -> None:
    found = message(relay_command, "run", model, "--threads", threads)
    assert found == f"set_num_threads expects 1 to 4000 threads, not {threads}"


def test_options_that_are_none(relay_command: Relay, model: Path) -> None:
    found = message(relay_command, "run", model, "--threads", "many")
    assert found == (
        "Invalid value for '--threads': 'many' is not a valid integer.\n(see relay run --help)"
    )
    assert "'--opt-level': 7 is not in the range 0<=x<=3" in message(
        relay_command, "run", model, "--opt-level", "7"
    )
    assert "No such option" in message(relay_command, "run", model, "--fast")
    assert "No such command 'fly'" in message(relay_command, "fly")
    assert "Missing argument 'MODEL'" in message(relay_command, "run")


def test_kernels_and_stages(relay_command: Relay, model: Path) -> None:
    found = message(relay_command, "show", model, "--stage", "asm", "--kernel", "nope")
    assert found.startswith("there is no kernel 'nope'; the kernels are:\n  fused_")
    found = message(relay_command, "show", model, "--stage", "relay", "--kernel", "nope")
    assert found.startswith("--kernel does not go with --stage relay")
    assert "is not one of 'relay', 'fused'" in message(
        relay_command, "show", model, "--stage", "python"
    )


def test_engines(relay_command: Relay, model: Path) -> None:
    found = message(relay_command, "bench", model, "--vs", "abacus")
    assert found == "--vs knows no engine 'abacus'; it knows onnxruntime, openvino"


def test_compiled_models(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.rly"
    path.write_bytes(model.read_bytes())
    assert message(relay_command, "run", path) == (
        f"{path} cannot be used: it is not a compiled model, which `relay compile` writes"
    )
    np.savez(tmp_path / "arrays.npz", x=floats(2))
    (tmp_path / "arrays.npz").rename(path)
    assert message(relay_command, "run", path) == (
        f"{path} cannot be used: it is a zip archive, but not a compiled model as relay writes it"
    )
    found = message(relay_command, "show", path)
    assert found == f"{path} is compiled already; relay show needs the ONNX file"
    assert message(relay_command, "compile", path) == f"{path} is compiled already"
    assert "--vs needs the ONNX file" in message(relay_command, "bench", path, "--vs", "openvino")
    assert "its shapes are fixed" in message(relay_command, "run", path, "--shape", "x=1")
    found = message(relay_command, "compile", model, "-o", tmp_path / "small.bin")
    assert found == "--output must end in .rly, not 'small.bin'"


def test_a_fault_of_ours_asks_for_a_report(
    relay_command: Relay, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("relay.cli.run.open_model", broken)
    found = relay_command("run", model)
    assert found.code == entry.INTERNAL_ERROR == 3
    assert found.err == (
        "relay: internal error, please report it: KeyError: 'lost'\n"
        "run the command again with --debug for the traceback\n"
    )
    assert "Traceback" in relay_command("run", model, "--debug").err


def test_debug_shows_where_an_error_comes_from(relay_command: Relay, tmp_path: Path) -> None:
    found = relay_command("--debug", "run", tmp_path / "absent.onnx")
    assert found.code == 2
    assert "Traceback" in found.err
