"""Activations, elementwise: x (B, …) -> y (B, …)."""

from dpnn.nn.kernels import in_blocks, sigmoid

from .layer import Layer


class Elementwise(Layer, base=True):
    """y = f(x), number by number; dx = f'(x) dy."""

    def value(self, x, y, xp):
        """Fill y = f(x)."""

    def derivative(self, x, y, dx, xp):
        """Fill dx = f'(x), from x and y = f(x)."""

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        y = ctx.like(x, "y")
        for x_part, y_part in in_blocks(ctx.xp, x, y):
            self.value(x_part, y_part, ctx.xp)
        return y, (x, y)

    def backward(self, p, g, cache, dy, ctx):
        x, y = cache
        dx = ctx.like(dy, "dx")
        for x_part, y_part, dx_part, dy_part in in_blocks(ctx.xp, x, y, dx, dy):
            self.derivative(x_part, y_part, dx_part, ctx.xp)
            dx_part *= dy_part
        return dx


class ReLU(Elementwise):
    """y = max(x, 0);  dy/dx = 1 where x > 0, else 0."""

    activation = "relu"

    def value(self, x, y, xp):
        xp.maximum(x, 0, out=y)

    def derivative(self, x, y, dx, xp):
        xp.greater(x, 0, out=dx)


class Sigmoid(Elementwise):
    """y = σ(x) = 1 / (1 + exp(-x));  dy/dx = σ(x) σ(-x)."""

    probabilities = True

    def value(self, x, y, xp):
        sigmoid(x, y)

    def derivative(self, x, y, dx, xp):
        xp.negative(x, out=dx)
        sigmoid(dx, dx)
        dx *= y


class Tanh(Elementwise):
    """y = tanh(x);  dy/dx = 1 - y²."""

    def value(self, x, y, xp):
        xp.tanh(x, out=y)

    def derivative(self, x, y, dx, xp):
        xp.square(y, out=dx)
        xp.subtract(1, dx, out=dx)
