"""The report for people: ``README.md`` with its plots, and the table in the project's README."""

from pathlib import Path

from benchmarks import plots
from benchmarks.parts import PARTS
from benchmarks.record import Section, from_json, to_json
from benchmarks.tables import cost_table, detail_table, latency_table, series_tables

BEGIN, END = "<!-- benchmark table -->", "<!-- /benchmark table -->"
DATA, PAGE = "latest.json", "README.md"

METHOD = """Latency is of one inference in ms, `minimum / median` over all calls; the smallest
median is bold. The engines take short turns in one process, in an order that is reversed every
round, so that whatever else the machine does meets all of them; inputs and outputs are NumPy
arrays. A factor above 1 means that relay is faster than the faster of the other engines on that
model, by the median and beside it by the minimum. The error is the largest absolute difference to
the outputs that ONNX Runtime gave when the model was exported, over the largest of these outputs;
the RMS error is the same of root mean squares.

Load is from the ONNX file to a session that can run, compilation included, in a fresh process; for
relay first with an empty cache of compiled kernels and then with a filled one, when LLVM is not
loaded at all. The other engines run as they are by default, without a cache of models. Memory is
the growth of the resident set over loading and the first run, at its peak, of a process that holds
this engine alone.

All is float32 unless said otherwise. Weights are random; larger batches and other lengths of
sequences are exported anew from the same modules.
"""

ABOUT = {
    "bf16": '`ToMixedPrecision("bfloat16")` beside OpenVINO\'s `INFERENCE_PRECISION_HINT=bf16`, '
    "and both in float32. Inputs and outputs stay float32, and errors are against float32. "
    "ONNX Runtime's CPU provider has no such mode on x86-64.\n",
    "scaling": "Calls that were expected to take too long are left out; the remarks name them.\n",
}


def section_text(section: Section) -> str:
    """One part of the page."""
    about = [ABOUT[section.name]] if section.name in ABOUT else []
    pieces = [f"## {section.title}\n", f"{section.conditions()}\n", *about]
    if any(row.series for row in section.rows):
        pieces += [f"![time against work]({section.name}.svg)\n", series_tables(section)]
    else:
        pieces.append(latency_table(section))
        if has_bars(section):
            pieces.append(f"![time relative to the faster peer]({section.name}.svg)\n")
        pieces.append(f"Seconds to load and peak memory in MB:\n\n{cost_table(section)}")
        pieces.append(f"Everything measured:\n\n{detail_table(section)}")
    if remarks := section.remarks():
        pieces.append("Remarks:\n\n" + "".join(f"- {line}\n" for line in remarks))
    settings = ", ".join(f"{key} {value}" for key, value in section.settings.items())
    pieces.append(f"Settings: {settings}.\n")
    return "\n".join(pieces)


def has_bars(section: Section) -> bool:
    """Whether the part has a plot of bars: its float32 engines over all models."""
    return section.name in ("main", "one-thread", "batch") and bool(section.speedups())


def page(sections: dict[str, Section]) -> str:
    """The page of results."""
    parts = "\n".join(section_text(sections[name]) for name in PARTS if name in sections)
    return f"""# Results

{METHOD}
Measured by `make bench`, which is `python -m benchmarks`; the numbers are in [{DATA}]({DATA}).

{parts}"""


def replace_text(path: Path, text: str) -> None:
    """Writes ``path`` in one step: a reader sees the old text or the new one."""
    partial = path.with_suffix(path.suffix + ".tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write(measured: Section, folder: Path) -> list[Path]:
    """Writes ``measured`` to ``latest.json``, beside the parts that are there already, its plot,
    and ``README.md`` over all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text, image = (folder / name for name in (DATA, PAGE, f"{measured.name}.svg"))
    sections = from_json(data.read_text(encoding="utf-8")) if data.is_file() else {}
    sections[measured.name] = measured
    replace_text(data, to_json({name: sections[name] for name in PARTS if name in sections}))
    replace_text(text, page(sections))
    if has_bars(measured):
        plots.save(plots.relative(measured), image)
    elif any(row.series for row in measured.rows):
        plots.save(plots.scaling(measured), image)
    else:
        return [data, text]
    return [data, text, image]


def update_readme(measured: Section, path: Path) -> list[Path]:
    """Rewrites the part of ``path`` between the two marks; nothing when the marks are not there."""
    if not path.is_file():
        return []
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return []
    table = (
        f"{latency_table(measured)}\nLatency in ms, minimum / median. {measured.conditions()}\n"
        + "".join(f"\n- {line}" for line in measured.remarks())
    )
    replace_text(path, f"{before}{BEGIN}\n\n{table.rstrip()}\n\n{END}{after}")
    return [path]
