"""How fast we are, beside the other runtimes that are installed: ``python -m benchmarks``."""
