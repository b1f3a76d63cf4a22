import numpy as np
import pytest

from onnx_models import check, floats, operators, single

T, B, N, H = 4, 2, 3, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(kind, direction="forward", bias=True, states=False, outputs=None, **attributes):
    gates = GATES[kind]
    d = 2 if direction == "bidirectional" else 1
    values = [
        floats(T, B, N),
        floats(d, gates * H, N, seed=1, low=-0.5, high=0.5),
        floats(d, gates * H, H, seed=2, low=-0.5, high=0.5),
        floats(d, 2 * gates * H, seed=3) if bias else None,
        None,
    ]
    count = 2 if kind == "LSTM" else 1
    values += [floats(d, B, H, seed=4 + i) if states else None for i in range(count)]
    while values[-1] is None:
        values.pop()
    return single(
        kind,
        values,
        fixed=[i for i in (1, 2, 3) if i < len(values) and values[i] is not None],
        outputs=outputs or count + 1,
        hidden_size=H,
        direction=direction,
        **attributes,
    )


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("states", [False, True])
def test_layer(kind, direction, bias, states):
    check(*layer(kind, direction, bias, states))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("states", [False, True])
def test_gru_that_resets_after_its_product(bias, states):
    check(*layer("GRU", bias=bias, states=states, linear_before_reset=1))


def test_coupled_gates():
    check(*layer("LSTM", input_forget=1))


def test_other_activations():
    check(*layer("LSTM", activations=["HardSigmoid", "Relu", "Softsign"], activation_alpha=[0.3]))
    check(*layer("RNN", activations=["ScaledTanh"], activation_alpha=[1.5], activation_beta=[0.5]))
    check(*layer("GRU", activations=["Sigmoid", "Elu"], activation_alpha=[0.7]))


def test_one_product_for_all_inputs_and_one_for_each_later_step():
    main = check(*layer("LSTM", outputs=1))
    assert operators(main).count("nn.dense") == 1 + (T - 1)


def test_batch_first():
    values = [floats(B, T, N), floats(1, H, N, seed=1), floats(1, H, H, seed=2)]
    model, inputs = single("RNN", values, fixed=[1, 2], outputs=2, hidden_size=H, layout=1)
    states, state = [], np.zeros((B, H), np.float32)
    for t in range(T):
        state = np.tanh(values[0][:, t] @ values[1][0].T + state @ values[2][0].T)
        states.append(state)
    expected = [np.stack(states, 1)[:, :, None], state[:, None]]
    check(model, inputs, expected=expected)
