"""Self-attention: every time looks at every other one.

B batch, T time, C channels, H heads, D = C / H channels of a head.
"""

from dpnn.nn.activations import softmax, softmax_backward
from dpnn.nn.backend import Array, blocks
from dpnn.nn.layer import Cache, Context, Layer, Rows, ShapeError, expect
from dpnn.nn.params import Param, Tree


class MultiHeadAttention(Layer):
    """y = softmax(q kᵀ / √D) v of each head, joined and mixed:  x (B, T, C) -> y (B, T, C).

    causal: a time sees itself and those before it. mask: the name of an input (B, T), such as the
    tokens themselves, that is 0 where there is only padding. Vaswani et al. 2017.
    """

    heads: int
    causal: bool = False
    mask: str = ""

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        _, channels = expect(x, "T, C")
        if channels % self.heads:
            raise ShapeError(f"expected channels for {self.heads} heads, got rows of {x}")
        square, bias = (channels, channels), Param((channels,))
        inward = {"W": Param((channels, 3 * channels), "glorot"), "b": Param((3 * channels,))}
        return {**inward, "V": Param(square, "glorot"), "c": bias}, x

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Cache]:
        xp, x, (batch, time, channels) = ctx.xp, ctx.floats(x), x.shape
        qkv, seen = ctx.empty("qkv", (batch, time, 3 * channels)), ctx.empty("seen", x.shape)
        chances = ctx.empty("chances", (batch, self.heads, time, time))
        xp.dot(x.reshape(-1, channels), p["W"], out=qkv.reshape(-1, 3 * channels))
        qkv += p["b"]
        qkv[..., :channels] *= (channels // self.heads) ** -0.5
        (q, k, v), (o,) = self.split(qkv, channels), self.split(seen, channels)
        for some in blocks(xp, batch, self.heads * time * time):
            part = xp.matmul(q[some], k[some].swapaxes(2, 3), out=chances[some])
            self.hide(part, some, ctx)
            softmax(part, xp)
            xp.matmul(part, v[some], out=o[some])
        y = ctx.empty("y", x.shape)
        xp.dot(seen.reshape(-1, channels), p["V"], out=y.reshape(-1, channels))
        y += p["c"]
        return y, (x, qkv, chances, seen)

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        xp, (x, qkv, chances, seen) = ctx.xp, cache
        channels = x.shape[-1]
        x, out, rows = (array.reshape(-1, channels) for array in (x, seen, dy))  # (B T, C)
        xp.dot(out.T, rows, out=g["V"])
        rows.sum(axis=0, out=g["c"])
        dseen, dqkv = (
            xp.dot(rows, p["V"].T, out=ctx.empty("dseen", x.shape)),
            ctx.empty("dqkv", qkv.shape),
        )
        (q, k, v), (dq, dk, dv) = self.split(qkv, channels), self.split(dqkv, channels)
        (do,) = self.split(dseen.reshape(seen.shape), channels)
        for some in blocks(xp, len(dy), chances[:1].size):
            part = chances[some]
            xp.matmul(part.swapaxes(2, 3), do[some], out=dv[some])
            scores = xp.matmul(
                do[some], v[some].swapaxes(2, 3), out=ctx.empty("scores", part.shape)
            )
            softmax_backward(part, scores, xp)
            xp.matmul(scores, k[some], out=dq[some])
            xp.matmul(scores.swapaxes(2, 3), q[some], out=dk[some])
        dqkv[..., :channels] *= (channels // self.heads) ** -0.5
        flat = dqkv.reshape(-1, 3 * channels)
        xp.dot(x.T, flat, out=g["W"])
        flat.sum(axis=0, out=g["b"])
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", dy.shape)
        xp.dot(flat, p["W"].T, out=dx.reshape(-1, channels))
        return dx

    def split(self, x: Array, channels: int) -> Array:
        """(B, T, n C) as views (n, B, H, T, D)."""
        depth = channels // self.heads
        return x.reshape(*x.shape[:2], -1, self.heads, depth).transpose(2, 0, 3, 1, 4)

    def hide(self, scores: Array, some: slice, ctx: Context) -> None:
        """-1e30 to what a time must not see."""
        if self.causal:
            scores += ctx.xp.triu(ctx.xp.full(scores.shape[2:], -1e30, scores.dtype), 1)
        if self.mask:
            padding = ctx.run.inputs[self.mask][some] == 0  # (B, T)
            scores += (-1e30 * padding.astype(scores.dtype))[:, None, None]
