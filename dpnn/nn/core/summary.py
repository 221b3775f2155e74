"""A table of a network's layers: output shapes, parameters, multiply-adds per row."""

from math import prod

from dpnn.nn.core.layer import Context
from dpnn.nn.core.network import Network


def table(network: Network) -> str:
    """One line for each layer that has none below it, and the total."""
    leaves = [place for place in network.places if not place.children]
    sizes = [_size(place) for place in leaves]
    work = [place.layer.multiply_adds(place) for place in leaves]
    lines = [("layer", "output", "parameters", "multiply-adds")]
    for place, size, adds in zip(leaves, sizes, work, strict=True):
        name = place.name or type(place.layer).__name__
        lines.append((name, str(place.y), f"{size:,}", f"{adds:,}"))
    lines.append(("total", str(network.output_shape), f"{sum(sizes):,}", f"{sum(work):,}"))
    left = max(len(line[0]) for line in lines)
    middle = max(len(line[1]) for line in lines)
    return "\n".join(f"{a:{left}}  {b:>{middle}}{c:>14}{d:>16}" for a, b, c, d in lines)


def _size(place: Context) -> int:
    return sum(prod(param.shape) for param in place.params.values())
