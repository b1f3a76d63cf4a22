import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_random_models_give_the_same_everywhere(tmp_path: Path) -> None:
    """`tools/fuzz.py` builds models, runs them on all executors and counts what it finds."""
    command = [sys.executable, ROOT / "tools" / "fuzz.py", "--models", "4", "--keep", tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "4 models: 4 same" in found.stdout
