import pytest

from pass_helpers import names, positive, run_pass, tensor, weights
from relay.ir.expr import TupleGetItem
from relay.transform.calls import make
from relay.transform.fold_constant import FoldConstant
from relay.transform.simplify_inference import SimplifyInference

X = tensor("x", 2, 4, 3, 3)
AFFINE = (positive(4), weights(4, seed=3))


def batch_norm(**attributes: object):
    return make("nn.batch_norm", X, *AFFINE, weights(4, seed=4), positive(4, seed=5), **attributes)


@pytest.mark.parametrize("attributes", [{}, {"center": False}, {"scale": False}, {"epsilon": 0.1}])
def test_batch_norm_becomes_one_multiplication_and_one_addition(attributes):
    body = run_pass(SimplifyInference(), TupleGetItem(batch_norm(**attributes), 0))
    assert names(run_pass(FoldConstant(), body)) == ["multiply", "add"]


def test_batch_norm_of_the_last_axis():
    x = tensor("x", 2, 3, 4)
    call = make("nn.batch_norm", x, *AFFINE, weights(4, seed=4), positive(4, seed=5), axis=-1)
    body = run_pass(SimplifyInference(), TupleGetItem(call, 0))
    assert names(run_pass(FoldConstant(), body)) == ["multiply", "add"]


def test_statistics_of_batch_norm_keep_it_whole():
    body = TupleGetItem(batch_norm(), 1)
    assert "nn.batch_norm" in names(run_pass(SimplifyInference(), body, (X,)))


def test_dropout_is_dropped():
    assert run_pass(SimplifyInference(), TupleGetItem(make("nn.dropout", X), 0)) is X


NORMS = {
    "nn.layer_norm": make("nn.layer_norm", tensor("x", 2, 3, 4), *AFFINE),
    "nn.instance_norm": make("nn.instance_norm", X, *AFFINE),
    "nn.group_norm": make("nn.group_norm", X, *AFFINE, num_groups=2),
    "nn.l2_normalize": make("nn.l2_normalize", X, eps=1e-4, axis=(1,)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_expanded_unless_asked_not_to(name):
    assert name not in names(run_pass(SimplifyInference(), NORMS[name]))
    assert names(run_pass(SimplifyInference(expand_norms=False), NORMS[name])) == [name]
