"""The fit whose pictures are kept here, as a user would write it."""

import numpy as np

from dpnn import Trainer, nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30_000, 20)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] + 0.5 * RNG.standard_normal(len(X)) > 0).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(64), nn.ReLU(), nn.Dense(2))


def budget(event):
    if getattr(event, "figures", None) and event.epoch == 5:
        event.stop("the budget is spent")


def fit():
    trainer = Trainer(
        MODEL,
        nn.SoftmaxCrossEntropy(),
        nn.Adam(3e-3),
        batch_size=64,
        epochs=12,
        patience=9,
        callbacks=[budget],
        engine="local",
    )
    held = (X[:5000], Y[:5000])
    return trainer.fit((X[5000:], Y[5000:]), validation=held, num_shards=2)


if __name__ == "__main__":
    print(repr(fit()))
