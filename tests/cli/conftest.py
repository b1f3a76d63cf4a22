"""Small models in files, and the command line called as a function."""

from pathlib import Path

import onnx
import pytest

from cli_helpers import Relay, Result, small_model
from relay.cli.main import main


@pytest.fixture
def relay_command(capsys: pytest.CaptureFixture[str]) -> Relay:
    """``relay_command("run", path)``: the command line, in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        found = capsys.readouterr()
        return Result(code, found.out, found.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The file of `small_model`."""
    path = tmp_path / "small.onnx"
    onnx.save(small_model(), path)
    return path


@pytest.fixture
def open_model(tmp_path: Path) -> Path:
    """The file of `small_model` with a batch size that the model leaves open."""
    proto = small_model()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "open.onnx"
    onnx.save(proto, path)
    return path
