"""What a fit leaves behind epoch by epoch, as numbers, a sentence and a picture."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from dpnn.engines.protocol import Costs


class History(dict[str, list[Any]]):
    """{"epoch", "loss", "accuracy", "val_loss", …, "seconds", "costs"}: a list entry an epoch.

    An entry of "costs" is the ledger of that epoch, milliseconds per step: send, compute, wait,
    sum, update, rest; bytes per step; the slowest shard and its host.
    """

    def append(self, row: dict[str, Any]) -> None:
        """One epoch's figures; a key that is new is filled with None for the epochs before."""
        epochs = self.epochs
        for key in row:
            if key not in self:
                self[key] = [None] * epochs
        for key, values in self.items():
            values.append(row.get(key))

    @property
    def epochs(self) -> int:
        return len(self.get("epoch", ()))

    def to_json(self) -> str:
        return as_json(self)

    def plot(self, path: str | None = None) -> Any:
        """Loss and metrics over epochs, training and validation, drawn to `path` (png, svg, pdf).

        Without a path returns the matplotlib figure. Needs the extra `plot`.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            raise ModuleNotFoundError("history.plot needs: pip install 'dpnn[plot]'") from None
        names = [n for n in ("loss", "accuracy", "mae", "rmse", "r2") if n in self]
        figure = Figure(figsize=(4.5 * len(names), 3.5), layout="constrained")
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                if key in self:
                    axes.plot(self["epoch"], self[key], marker="o", markersize=3, label=label)
            axes.set(title=name, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        if path is None:
            return figure
        figure.savefig(path, dpi=150)
        return None


def as_json(content: Any) -> str:
    """JSON as the standard has it: numbers that are not finite become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def ledger(costs: Costs, update: float, wall: float) -> dict[str, Any]:
    """Milliseconds per step of an epoch whose steps took `wall` seconds, `update` on the driver."""
    steps = max(costs.steps, 1)
    parts = {
        "send": costs.send,
        "compute": costs.compute,
        "wait": costs.wait,
        "sum": costs.sum,
        "update": update,
    }
    rest = max(wall - sum(parts.values()), 0.0)
    row: dict[str, Any] = {
        k: round(1e3 * v / steps, 4) for k, v in (*parts.items(), ("rest", rest))
    }
    row["bytes"] = costs.bytes // steps
    if costs.seconds:
        slowest = max(costs.seconds, key=lambda shard: costs.seconds[shard])
        row["slowest_shard"], row["slowest_host"] = slowest, costs.hosts.get(slowest, "")
    return row


def advice(row: dict[str, Any]) -> str | None:
    """One sentence where the exchange outweighs the arithmetic, else None."""
    exchange = row["send"] + row["sum"] + row["rest"]
    step = exchange + row["compute"] + row["wait"] + row["update"]
    if step <= 0:
        return None
    if exchange > 0.5 * step:
        share = round(100 * exchange / step)
        return f"exchange is {share} % of a step: a larger batch would use the machines better"
    if row["wait"] > 0.3 * step:
        share, shard = round(100 * row["wait"] / step), row.get("slowest_shard")
        return f"waiting for shard {shard} is {share} % of a step: its host is slow or overloaded"
    return None
