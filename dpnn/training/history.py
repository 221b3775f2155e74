"""What a fit leaves behind epoch by epoch: numbers, a table, a picture, a sentence."""

from __future__ import annotations

import json
from math import ceil, isfinite
from statistics import median
from typing import Any, NamedTuple

from dpnn.engines.protocol import Costs
from dpnn.training import tables

SHARE = 0.1  # of a round's time that its exchange should take


class Choice(NamedTuple):
    """Which engine steps, why, and from which step of which epoch on (both from 0)."""

    engine: str
    reason: str
    epoch: int
    step: int


class History(dict[str, list[Any]]):
    """{"epoch", "loss", "accuracy", "val_loss", …, "seconds", "costs", "engine"}: lists by epoch.

    An entry of "costs" is the ledger of that epoch, milliseconds per step, or per round of local
    steps: send, compute, wait, sum, update, rest; bytes of one; how many exchanges there were, and
    how many local steps a round has; the slowest shard and its host.

    kept_epoch  the best epoch, where `patience` has looked for it
    engines     which engine took over when, and why
    local_steps how many a round has, as told or as found by "auto"; None where steps are common
    wire        what the shards' sums were rounded to, if anything but float32; also in "costs"
    """

    def __init__(self, figures: dict[str, list[Any]] | None = None) -> None:
        super().__init__(figures or {})
        self.kept_epoch: int | None = None
        self.engines: list[Choice] = []
        self.local_steps: int | None = None
        self.wire = "float32"

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

    def figures(self, epoch: int) -> dict[str, Any]:
        """Those of one epoch (from 1); {} where there is no such epoch."""
        epochs = self.get("epoch", [])
        if epoch not in epochs:
            return {}
        return {name: values[epochs.index(epoch)] for name, values in self.items()}

    def to_json(self) -> str:
        return as_json(self)

    def plot(self, path: str | None = None) -> Any:
        """Loss and metrics over epochs, training and validation; the kept epoch is marked.

        Returns a matplotlib figure, which a notebook shows, and draws it to `path` (png, svg, pdf).
        Needs the extra `plot`.
        """
        from dpnn.training import picture

        figure = picture.draw(self)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def __repr__(self) -> str:
        return tables.text(self, self.kept_epoch)

    def _repr_html_(self) -> str:
        return tables.html(self, self.kept_epoch)


def as_json(content: Any) -> str:
    """JSON as the standard has it: numbers that are not finite become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def ledger(
    costs: Costs,
    update: float,
    wall: float,
    local_steps: int | None = None,
    wire: str = "float32",
) -> dict[str, Any]:
    """Milliseconds per step of an epoch whose steps took `wall` seconds, `update` on the driver;
    per round, where that has `local_steps`. `bytes` are those of the `wire`.
    """
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
    row["bytes"], row["exchanges"] = costs.bytes // steps, costs.steps
    if local_steps is not None:
        row["local_steps"] = local_steps
    if wire != "float32":
        row["wire"] = wire
    if costs.seconds:
        slowest = max(costs.seconds, key=lambda shard: costs.seconds[shard])
        row["slowest_shard"], row["slowest_host"] = slowest, costs.hosts.get(slowest, "")
    return row


def enough(exchange: float, arithmetic: float) -> int:
    """How many steps, each so long, make a round in which the exchange is a tenth."""
    if arithmetic <= 0:
        return 1
    return max(1, ceil(round((1 / SHARE - 1) * exchange / arithmetic, 6)))


def advice(row: dict[str, Any]) -> str | None:
    """One sentence where the exchange outweighs the arithmetic, else None."""
    exchange = row["send"] + row["sum"] + row["rest"]
    step = exchange + row["compute"] + row["wait"] + row["update"]
    if step <= 0:
        return None
    if exchange > 0.5 * step:
        share = round(100 * exchange / step)
        count = enough(exchange, (row["compute"] + row["wait"]) / row.get("local_steps", 1))
        if "local_steps" in row:
            return f"exchange is {share} % of a round: local_steps={count} would make it 10 %"
        return (
            f"exchange is {share} % of a step: a larger batch or local_steps={count} would use the "
            "machines better"
        )
    if row["wait"] > 0.3 * step:
        share, shard = round(100 * row["wait"] / step), row.get("slowest_shard")
        return f"waiting for shard {shard} is {share} % of a step: its host is slow or overloaded"
    return None


def overall(costs: list[dict[str, Any]]) -> dict[str, Any]:
    """The ledger of many epochs: medians of the milliseconds, the last one's slowest shard."""
    times = ("send", "compute", "wait", "sum", "update", "rest")
    return {**costs[-1], **{name: median(row[name] for row in costs) for name in times}}
