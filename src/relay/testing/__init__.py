"""Networks to try things on, helpers for tests, and independent meanings to test against.

``relay.testing.resnet.get_workload(num_layers=50)`` gives a typed module and its parameters; so do
the other networks.
"""

from relay.testing import (
    config,
    dcgan,
    densenet,
    dqn,
    inception_v3,
    init,
    layers,
    lstm,
    mlp,
    mobilenet,
    py_converter,
    resnet,
    resnet_3d,
    squeezenet,
    synthetic,
    vgg,
)
from relay.testing.config import ctx_list, enabled_targets
from relay.testing.gradient import check_grad
from relay.testing.helpers import count_ops, rand, run_infer_type, run_opt_pass
from relay.testing.init import create_workload
from relay.testing.py_converter import run_as_python, to_python
from relay.testing.te_eval import evaluate_operator, evaluate_te

__all__ = [
    "check_grad",
    "config",
    "count_ops",
    "create_workload",
    "ctx_list",
    "dcgan",
    "densenet",
    "dqn",
    "enabled_targets",
    "evaluate_operator",
    "evaluate_te",
    "inception_v3",
    "init",
    "layers",
    "lstm",
    "mlp",
    "mobilenet",
    "py_converter",
    "rand",
    "resnet",
    "resnet_3d",
    "run_as_python",
    "run_infer_type",
    "run_opt_pass",
    "squeezenet",
    "synthetic",
    "to_python",
    "vgg",
]
