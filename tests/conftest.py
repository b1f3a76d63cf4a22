"""What every test may use: a seeded generator, the Hypothesis profiles and the `--bless` option."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed, so that a deadline per example would only make tests flaky. Continuous
# integration tries the same examples every time: a red build has to mean a broken change.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=50,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "here")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bless",
        action="store_true",
        help="rewrite the expected part of the text tests with what they give now",
    )


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator that gives every test the same numbers every time."""
    return np.random.default_rng(0)
