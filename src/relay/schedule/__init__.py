"""Schedules: checked rewriting of loop programs."""

from relay.schedule.schedule import STEPS, Schedule, parse, replay, text
from relay.schedule.steps import Step

__all__ = ["STEPS", "Schedule", "Step", "parse", "replay", "text"]
