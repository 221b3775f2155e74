"""Whether a loss can be a network's: what a fit asks before its first step."""

from dpnn.nn.core.layer import Context
from dpnn.nn.core.losses import Loss
from dpnn.nn.core.network import Network
from dpnn.nn.more.shaping import Flatten


def check(network: Network, loss: Loss) -> None:
    """ValueError where the outputs' shape does not fit, or where they are no logits."""
    loss.check(network.output_shape)
    last = squashed(network.context) if loss.logits else ""
    if last:
        what = f"{type(loss).__name__} takes logits and makes probabilities itself"
        raise ValueError(f"{what}, but the model ends in {last}: leave that layer out")


def squashed(place: Context) -> str:
    """The layer that makes probabilities of what a place gives out; "" where none does."""
    if place.layer.probabilities:
        return place.name or type(place.layer).__name__
    children = [child for child in place.children if not isinstance(child.layer, Flatten)]
    last = children[-1:] if place.layer.chained else children
    return next(filter(None, map(squashed, last)), "")
