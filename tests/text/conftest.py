"""Every `.relay` and `.loop` file below this folder is a test: see `text_tests`."""

from text_tests import pytest_collect_file

__all__ = ["pytest_collect_file"]
