"""Damaged models: imported and run, or refused with an error that is documented.

``RELAY_MUTATIONS=20000 pytest tests/frontend/onnx/test_mutations.py`` tries more than 300.
"""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from frontend.onnx.mutations import endless, mutated, standard_models

TESTS = Path(__file__).parents[2]
COUNT = int(os.environ.get("RELAY_MUTATIONS", "300"))
FIRST = int(os.environ.get("RELAY_FIRST_MUTATION", "0"))
CHUNKS = 4
#: Seconds that one mutation may take.
LIMIT = 10.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mutations")
    (made / "sound").mkdir()
    standard_models(made / "sound")
    return made


class Examiner:
    """A process that examines mutations, started again when one ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "frontend.onnx.mutations", str(self.folder)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=TESTS,
        )
        self.answer(-1, 120.0)

    def answer(self, number: int, limit: float) -> dict[str, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"%d\n" % number)
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        line = self.process.stdout.readline() if ready else b""
        if line:
            answer: dict[str, str] = json.loads(line)
            return answer
        self.stop()
        if not ready:
            return {"stage": "time", "error": f"it takes more than {limit} seconds"}
        return {"stage": "crash", "error": f"the process ended with {self.process.returncode}"}

    def examine(self, number: int) -> dict[str, str]:
        answer = self.answer(number, LIMIT)
        if self.process.poll() is not None:
            self.start()
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mutated_models(folder: Path, chunk: int, capsys: pytest.CaptureFixture[str]) -> None:
    examiner = Examiner(folder)
    files = sorted((folder / "sound").glob("*.onnx"))
    counts, faults = Counter[str](), []
    for number in range(FIRST + chunk, FIRST + COUNT, CHUNKS):
        answer = examiner.examine(number)
        if answer["stage"] == "time":  # perhaps the machine was busy
            answer = examiner.examine(number)
        if answer["stage"] == "time" and endless(mutated(number, files)):
            answer = {"stage": "endless loop"}
        counts["fault" if "error" in answer else answer["stage"]] += 1
        if "error" in answer:
            faults.append(f"mutation {number}, {answer['stage']}: {answer['error']}")
    examiner.stop()
    if COUNT > 1000:
        with capsys.disabled():
            print(f"\nfrom {FIRST + chunk}: {dict(counts)}")  # noqa: T201 - what a long run is for
    assert not faults, "\n".join(faults)
