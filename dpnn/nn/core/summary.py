"""A table of a network's layers: output shapes, parameters, multiply-adds per row."""

from math import prod

from dpnn.nn.core.attention import Attention
from dpnn.nn.core.dense import Embedding
from dpnn.nn.core.layer import Context
from dpnn.nn.core.model import Network
from dpnn.nn.more.layers import PositionalEmbedding
from dpnn.nn.more.recurrent import Recurrent


def table(network: Network) -> str:
    """One line for each layer that has none below it, and the total."""
    rows = [("layer", "output", "parameters", "multiply-adds")]
    leaves = [place for place in network.context.walk() if not place.children]
    sizes = [sum(prod(p.shape) for p in place.params.values()) for place in leaves]
    work = [multiply_adds(place) for place in leaves]
    for place, size, adds in zip(leaves, sizes, work, strict=True):
        name = place.name or type(place.layer).__name__
        rows.append((name, str(place.y), f"{size:,}", f"{adds:,}"))
    rows.append(("total", str(network.output_shape), f"{sum(sizes):,}", f"{sum(work):,}"))
    left, middle = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{a:{left}}  {b:>{middle}}{c:>14}{d:>16}" for a, b, c, d in rows)


def multiply_adds(place: Context) -> int:
    """How many a row takes in matrix products, forward: each position times each matrix."""
    if isinstance(place.layer, Attention):
        return 2 * place.y[0] * place.y[0] * place.y[1]
    if not place.params or isinstance(place.layer, Embedding | PositionalEmbedding):
        return 0
    positions = place.x[:-1] if isinstance(place.layer, Recurrent) else place.y[:-1]
    return prod(positions) * sum(prod(p.shape) for p in place.params.values() if len(p.shape) > 1)
