"""Self-attention: every time looks at every other one.

B batch, T time, C channels, H heads, D = C / H channels of a head.
"""

from dpnn.nn.core.activations import softmax, softmax_backward
from dpnn.nn.core.compose import Chain
from dpnn.nn.core.dense import Dense
from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views, expect
from dpnn.nn.kernels.arrays import Array, blocks


class MultiHeadAttention(Chain):
    """Each time looks at the others, heads side by side:  x (B, T, C) -> y (B, T, C).

    causal: a time sees itself and those before it. mask: the name of an input (B, T), such as the
    tokens themselves, that is 0 where there is only padding. Vaswani et al. 2017.
    """

    heads: int
    causal: bool = False
    mask: str = ""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        _, channels = expect(x, "T, C")
        inputs = ctx.run.inputs if isinstance(ctx.run.inputs, dict) else {}
        if channels % self.heads or (self.mask and inputs.get(self.mask) != x[:1]):
            what = f"rows of {x}, inputs {inputs}"
            raise ShapeError(f"expected {self.heads} heads and mask {self.mask!r} to fit {what}")
        qkv = ctx.add("in", Dense(3 * channels, initializer="glorot"), x)
        seen = ctx.add("core", Attention(self.heads, self.causal, self.mask), qkv)
        return {}, ctx.add("out", Dense(channels, initializer="glorot"), seen)


class Attention(Layer, base=True):
    """softmax(q kᵀ / √D) v of each head:  q, k, v side by side (B, T, 3 C) -> y (B, T, C)."""

    heads: int
    causal: bool = False
    mask: str = ""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {}, (x[0], x[1] // 3)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        xp, y = ctx.xp, ctx.empty("y", (len(x), *ctx.y))
        (out,), (q, k, v) = self.views(y, ctx), ctx.copy(self.views(x, ctx), "heads")
        chances = ctx.empty("chances", (*q.shape[:3], q.shape[2]))  # (B, H, T, T)
        for some in blocks(xp, len(x), chances[:1].size):
            turned = ctx.copy(k[some].swapaxes(2, 3), "turned")  # the product is quicker so
            part = xp.matmul(q[some], turned, out=chances[some])
            part *= q.shape[3] ** -0.5
            tokens = self.hide(part, some, ctx)
            softmax(part, xp)
            if tokens is not None:  # who sees nothing but padding sees nothing
                part *= tokens
            xp.matmul(part, v[some], out=out[some])
        return y, (q, k, v, chances)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        xp, (q, k, v, chances) = ctx.xp, cache
        dx = ctx.empty("dx", (*dy.shape[:2], 3 * dy.shape[2]))
        (dq, dk, dv), (dout,) = self.views(dx, ctx), ctx.copy(self.views(dy, ctx), "dout")
        for some in blocks(xp, len(dy), chances[:1].size):
            part = chances[some]
            xp.matmul(part.swapaxes(2, 3), dout[some], out=dv[some])
            scores = ctx.empty("scores", part.shape)
            turned = ctx.copy(v[some].swapaxes(2, 3), "turned")
            xp.matmul(dout[some], turned, out=scores)
            softmax_backward(part, scores, xp)
            scores *= q.shape[3] ** -0.5
            xp.matmul(scores, k[some], out=dq[some])
            xp.matmul(scores.swapaxes(2, 3), q[some], out=dk[some])
        return dx

    def views(self, x: Array, ctx: Context) -> Array:
        """(B, T, n C) as views (n, B, H, T, D)."""
        shape = (*x.shape[:2], x.shape[2] // ctx.y[1], self.heads, ctx.y[1] // self.heads)
        return x.reshape(shape).transpose(2, 0, 3, 1, 4)

    def hide(self, scores: Array, some: slice, ctx: Context) -> Array | None:
        """Take 1e30 from the scores of padding, and more from those of times to come.

        Returns 1 for tokens and 0 for padding, (B, 1, 1, T), where there is a mask.
        """
        if self.causal:
            scores += ctx.xp.triu(ctx.xp.full(scores.shape[2:], -2e30, scores.dtype), 1)
        if not self.mask:
            return None
        tokens = (ctx.run.inputs[self.mask][some] != 0)[:, None, None].astype(ctx.dtype)
        scores -= 1e30 * (1 - tokens)
        return tokens
