"""Layers made of layers, one after the other."""

from .layer import Layer


class Chain(Layer, base=True):
    """Base of the layers that run their context's children one after the other."""

    chained = True

    def forward(self, p, x, ctx):
        for child in ctx.children:
            x = child.forward(x)
        return x, None

    def backward(self, p, g, cache, dy, ctx):
        for child in reversed(ctx.children):
            dy = child.backward(dy)
            if dy is None:  # nothing below is trained
                break
        return dy


class Sequential(Chain, init=False):
    """One layer after the other, y = f_n(… f_2(f_1(x)))."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"{type(self).__name__} takes layers (a, b, …), got {layer!r}")
        object.__setattr__(self, "layers", layers)

    def children(self) -> dict[str, Layer]:
        """Name -> layer, in order. The names are part of the parameters' names."""
        return {f"{type(layer).__name__}[{i}]": layer for i, layer in enumerate(self.layers)}

    def shapes(self, x, ctx):
        for name, layer in self.children().items():
            x = ctx.add(name, layer, x)
        return {}, x
