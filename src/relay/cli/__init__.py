"""The command line: ``relay run``, ``bench``, ``profile``, ``show`` and ``compile``."""
