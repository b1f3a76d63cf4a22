"""Stages that are timed."""

import threading
import time

import pytest

from relay.support.timing import Timings, stage


def test_a_stage_counts_without_those_inside_of_it():
    start = time.perf_counter()
    with Timings() as timings, stage("outer"):
        time.sleep(0.002)
        for _ in range(2):
            with stage("inner"):
                time.sleep(0.005)
    elapsed = time.perf_counter() - start
    assert list(timings.seconds) == ["outer", "inner"]
    assert timings.seconds["inner"] >= 0.01
    assert 0.002 <= timings.seconds["outer"] <= elapsed - timings.seconds["inner"]
    assert timings.total <= elapsed


def test_outside_of_timings_nothing_is_kept():
    with stage("lost"):
        pass
    with Timings() as timings:
        pass
    with stage("late"):
        pass
    assert timings.seconds == {}


def test_inner_timings_take_over_and_give_back():
    with Timings() as outer:
        with Timings() as inner, stage("a"):
            pass
        with stage("b"):
            pass
    assert (list(inner.seconds), list(outer.seconds)) == (["a"], ["b"])


def test_other_threads_are_not_watched():
    def work():
        with stage("elsewhere"):
            pass

    with Timings() as timings:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert timings.seconds == {}


def test_an_error_ends_its_stage():
    with Timings() as timings:
        with pytest.raises(ValueError, match="no"), stage("a"):
            raise ValueError("no")
        with stage("b"):
            pass
    assert list(timings.seconds) == ["a", "b"]
