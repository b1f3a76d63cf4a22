"""Operators on lists, whose arguments are no tensors: their checks are in ``test_lists.py``."""

_WHY = "it takes or gives lists; see test_lists.py"
EXEMPT: dict[str, str] = {
    f"list.{name}": _WHY
    for name in (
        "at",
        "box",
        "concatenate",
        "erase",
        "insert",
        "length",
        "split",
        "stack",
        "unstack",
    )
}
