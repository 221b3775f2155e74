"""The peer of scripts/bench/data.py: rows by pyarrow, the same network by torch, 2 threads."""

from __future__ import annotations

import time

from _table import BATCH, COLUMNS, EPOCHS, HIDDEN, matrix


def warmed() -> None:
    import torch

    torch.set_num_threads(2)


def whole(path: str) -> float:
    """Read, train, evaluate: seconds."""
    import torch
    from torch import nn

    warmed()
    start = time.perf_counter()
    read = matrix(path)
    x = torch.from_numpy(read[:, : len(COLUMNS)].copy())
    y = torch.from_numpy(read[:, len(COLUMNS)].astype("int64"))
    model = nn.Sequential(nn.Linear(len(COLUMNS), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for i in range(0, len(x), BATCH):
            rows = order[i : i + BATCH]
            optimizer.zero_grad()
            loss_of(model(x[rows]), y[rows]).backward()
            optimizer.step()
    right, loss = 0, 0.0
    with torch.no_grad():
        for i in range(0, len(x), 1 << 16):
            z, labels = model(x[i : i + (1 << 16)]), y[i : i + (1 << 16)]
            right += int((z.argmax(1) == labels).sum())
            loss += float(loss_of(z, labels)) * len(labels)
    if not right > 0.8 * len(x):
        raise RuntimeError(f"torch found {right} of {len(x)} rows")
    return time.perf_counter() - start
