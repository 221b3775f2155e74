"""Ensembles in one network: what members share, what they say together, how they are trained."""

import numpy as np
import pytest

from dpnn import Trainer, nn

LOSSES = {
    "values": (nn.MeanSquaredError(), 1),
    "binary": (nn.BinaryCrossEntropy(), 1),
    "classes": (nn.SoftmaxCrossEntropy(), 3),
}


def table(task: str, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((rows, 4)).astype(np.float32)
    signal = x[:, 0] * x[:, 1] + x[:, 2]
    if task == "values":
        return x, signal
    return x, np.digitize(signal, [0.0] if task == "binary" else [-0.5, 0.5])


def model(task: str) -> nn.Sequential:
    outputs = LOSSES[task][1]
    trunk = (nn.Members(4), nn.Dense(16), nn.MemberScale(), nn.ReLU())
    return nn.Sequential(*trunk, nn.MemberDense(outputs), nn.MeanOfMembers(task))


@pytest.mark.parametrize("task", LOSSES)
def test_an_ensemble_trains_and_predicts_as_one_network(task: str) -> None:
    x, y = table(task)
    loss, outputs = LOSSES[task]
    trainer = Trainer(
        model(task),
        loss=nn.EachMember(loss),
        optimizer=nn.Adam(0.02),
        batch_size=40,
        epochs=12,
        engine="local",
        progress=False,
    )
    result = trainer.fit((x, y), validation=(x, y), num_shards=2)
    z = result.model.predict(x)
    assert z.shape == (400, outputs)
    name = "rmse" if task == "values" else "accuracy"
    figures, judged = result.history[f"val_{name}"][-1], result.history[name][-1]
    if task == "values":
        right = float(np.sqrt(np.mean((z[:, 0] - y) ** 2)))
        assert right < 0.5 * y.std()
    else:
        found = z.argmax(axis=1) if task == "classes" else z[:, 0] > 0
        right = float(np.mean(found == y))
        assert right > 0.85
    assert figures == pytest.approx(right, rel=1e-5)
    assert judged == pytest.approx(right, rel=0.2)  # of the ensemble too, an epoch's mean


def test_a_loss_in_training_is_the_mean_of_the_members_and_afterwards_of_all_together() -> None:
    x, y = table("values")
    net = model("values").build((4,))
    loss = nn.EachMember(nn.MeanSquaredError())
    members = net.forward(x, training=True).copy()
    assert members.shape == (400, 4, 1)
    value, _ = net.loss(members, y, loss)
    alone = [((members[:, m, 0] - y) ** 2).sum() for m in range(4)]
    assert value == pytest.approx(np.mean(alone), rel=1e-5)
    together = net.predict(x)
    np.testing.assert_allclose(together, members.mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(loss.joint(together), together)
    assert ((together[:, 0] - y) ** 2).sum() < value  # a mean is nearer than its terms


def test_probabilities_far_from_a_half_are_exact_to_rounding() -> None:
    z = np.array([[[90.0], [95.0]], [[-90.0], [-95.0]], [[30.0], [-30.0]]])
    net = nn.Network(nn.MeanOfMembers("binary"), (2, 1), dtype=np.float64)
    found = net.predict(z)[:, 0]
    middle = np.log(2 / (1 + np.exp(-5.0)))  # odds of (e^-90 + e^-95) / 2
    np.testing.assert_allclose(found, [90 + middle, -90 - middle, 0], rtol=1e-12, atol=1e-12)


def test_members_begin_apart() -> None:
    net = nn.Members(5).build((3,))
    assert len(np.unique(net.parameters["R"])) == 15
    signs = nn.Members(50, "signs").build((3,)).parameters["R"]
    assert set(signs.ravel().tolist()) == {-1.0, 1.0}
