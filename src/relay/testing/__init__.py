"""Independent meanings to test against."""

from relay.testing.te_eval import evaluate_operator, evaluate_te

__all__ = ["evaluate_operator", "evaluate_te"]
