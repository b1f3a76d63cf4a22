"""The command line: ``relay run``, ``bench``, ``show`` and ``compile``."""
