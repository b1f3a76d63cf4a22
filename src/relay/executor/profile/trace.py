"""Traces in the Trace Event Format, which Perfetto and ``chrome://tracing`` show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that took `seconds` from `start` on, in seconds from the start of the trace."""

    name: str
    start: float
    seconds: float
    details: Mapping[str, object]


def trace_text(events: Sequence[Event], process: str = "relay") -> str:
    """`events` of one thread as JSON; events inside of others are shown below them."""
    records: list[dict[str, object]] = [
        {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": process}}
    ]
    records += [
        {
            "name": event.name,
            "cat": "kernel",
            "ph": "X",
            "ts": event.start * 1e6,
            "dur": event.seconds * 1e6,
            "pid": 1,
            "tid": 1,
            "args": dict(event.details),
        }
        for event in events
    ]
    return json.dumps({"traceEvents": records, "displayTimeUnit": "ns"}) + "\n"
