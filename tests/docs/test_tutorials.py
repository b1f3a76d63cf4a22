"""The tutorials run: every cell of every notebook, in a process of its own.

``tools/notebooks.py`` runs them, as the documentation's build does, so that what is tested is what
readers see.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def stored(notebook: Path) -> dict[str, object]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_there_are_tutorials_and_all_are_listed() -> None:
    listed = re.findall(r"\]\((\w+)\.ipynb\)", (FOLDER / "index.md").read_text(encoding="utf-8"))
    assert listed == [n.stem for n in NOTEBOOKS]
    assert listed


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.stem)
def test_runs_from_top_to_bottom(notebook: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(ROOT / "tools" / "notebooks.py"), str(notebook)],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# ")
    assert done.stdout.count("\n```python\n") == sum(
        cell["cell_type"] == "code"
        for cell in stored(notebook)["cells"]  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.stem)
def test_is_stored_small_and_without_outputs(notebook: Path) -> None:
    content = stored(notebook)
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert notebook.stat().st_size < 20_000
    cells = content["cells"]
    assert isinstance(cells, list)
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
