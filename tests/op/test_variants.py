"""Calls derived from the records, see `variants.py`: a sample of them in every run, or all.

``RELAY_VARIANTS=1`` runs every one (half an hour on one core), ``RELAY_VARIANTS=n`` one of n. Which
ones depends on their names only, so that a failure is there again in the next run.
"""

import os
import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from op import test_matrix
from op.record import In, Record
from op.test_matrix import EXEMPT, RECORDS
from op.variant_checks import Problem, expect, problems
from op.variants import DIFFERENT, Derived, Variant, derive, flat, shape_of
from relay import dtypes
from relay.op import list_names
from relay.support.errors import TypeInferenceError

SHARE = int(os.environ.get("RELAY_VARIANTS", "12"))
#: Operators that are tested together: as many as share a compilation.
GROUPS = 48


def number_of(name: str) -> int:
    """A number that is always the same for a name."""
    return zlib.crc32(name.encode())


@cache
def derived() -> Derived:
    return derive(RECORDS)


@pytest.mark.parametrize("group", range(GROUPS))
def test_variants(group: int) -> None:
    records = [r for r in RECORDS if number_of(r.op) % GROUPS == group]
    chosen = [v for v in derive(records).variants if number_of(str(v)) % SHARE == 0]
    assert [str(p) for p in problems(chosen)] == []


def smooth(variant: Variant) -> bool:
    """Whether finite differences say anything: results are numbers, and not of large ones."""
    if variant.kind not in ("shape", "axis") or "special" in variant.origin.note:
        return False
    found = expect(variant)
    if isinstance(found, Problem) or not found.results:
        return False
    arrays = [a.numpy() for a in (*found.arguments, *found.results)]
    floats = [a for a in arrays if a.dtype.kind == "f"]
    return all(bool(np.all(np.abs(a) < 1e6)) for a in floats)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("group", range(GROUPS))
def test_gradients(group: int) -> None:
    """The gradients where a size is 0 or 1, or an axis counts from the other end."""
    records = [r for r in test_matrix.SMOOTH if number_of(r.op) % GROUPS == group]
    wrong: list[str] = []
    for variant in derive(records).variants:
        if number_of(str(variant)) % SHARE or not smooth(variant):
            continue
        try:
            test_matrix.test_gradient(replace(variant.record, skip=variant.origin.skip))
        except pytest.skip.Exception:
            continue
        except (AssertionError, TypeInferenceError) as error:
            # A gradient is of operators that refuse what has no elements.
            empty = any(0 in shape_of(s) for s in flat(variant.record.inputs))
            if not (empty and isinstance(error, TypeInferenceError)):
                wrong.append(f"{variant}: {error}")
    assert wrong == []


def test_every_data_type_is_tested_or_refused() -> None:
    found = derived()
    cells = {*found.tested, *found.refused}
    names = {r.op for r in RECORDS} - EXEMPT.keys()
    lacking = [(n, d) for n in sorted(names) for d in dtypes.NAMES if (n, d) not in cells]
    assert lacking == []
    assert all(found.refused.values())


def test_axes_count_from_both_ends() -> None:
    # Relay's operator takes 0 or 1 only.
    assert derived().refused_axes == {"sequence_mask"}


def test_differences_are_of_operators_that_there_are() -> None:
    kinds = {f"{v.record.op} {v.kind}" for v in derived().variants}
    assert sorted(DIFFERENT.keys() - kinds) == []
    assert {key.split()[0] for key in DIFFERENT} <= set(list_names())


def test_a_wrong_result_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks notice a reference that says something else."""
    record = Record("nn.relu", (In(values=np.array([-1.0, 2.0])),))
    variant = Variant(record, "dtype", "none", record)
    assert list(problems([variant])) == []
    monkeypatch.setattr(type(variant.declaration), "reference", lambda _, data: data)
    stages = {p.stage for p in problems([variant])}
    assert stages == {"compute", "compiled"}


def test_a_wrong_type_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record("nn.relu", (In((2, 3)),))
    variant = Variant(record, "dtype", "none", record)
    monkeypatch.setattr(
        type(variant.declaration), "reference", lambda _, data: data.astype("float64")
    )
    found = expect(variant)
    assert isinstance(found, Problem)
    assert found.stage == "infer"
