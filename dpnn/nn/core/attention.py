"""Self-attention: every time looks at every other one.

B batch, T time, C channels, H heads, D = C / H channels of a head.
"""

from dpnn.nn.kernels import blocks, hide, matmul_transposed, softmax, softmax_backward

from .dense import Dense
from .fields import Count
from .layer import Layer, ShapeError, expect


class MultiHeadAttention(Layer):
    """y = [A v of each head] Wo + bo,  A = softmax(q kᵀ / √D),  q, k, v = x W + b.

    With da the gradient of A v:  dv = Aᵀ da,  dS = A (da vᵀ - Σ A da vᵀ) / √D,  dq = dS k,
    dk = dSᵀ q.  x (B, T, C) -> y (B, T, C). causal: a time sees itself and those before it. mask:
    the name of an input (B, T), such as the tokens themselves, that is 0 where there is only
    padding. Vaswani et al. 2017.
    """

    heads: Count
    causal: bool = False
    mask: str = ""
    chained = True

    def shapes(self, x, ctx):
        _, channels = expect(x, "T, C")
        inputs = ctx.run.inputs if isinstance(ctx.run.inputs, dict) else {}
        masked = not self.mask or inputs.get(self.mask) == x[:1]
        if channels % self.heads or not masked:
            what = f"rows of {x}, inputs {inputs}"
            raise ShapeError(f"expected {self.heads} heads and mask {self.mask!r} to fit {what}")
        ctx.add("in", Dense(3 * channels, initializer="glorot"), x)
        return {}, ctx.add("out", Dense(channels, initializer="glorot"), x)

    def forward(self, p, x, ctx):
        inward, outward = ctx.children
        q, k, v = ctx.copy(self.split(inward.forward(x)), "heads")  # (B, H, T, D)
        weights = ctx.empty("weights", (*q.shape[:3], q.shape[2]))  # A (B, H, T, T)
        seen = ctx.empty("seen", x.shape)
        (out,) = self.split(seen, 1)
        tokens = ctx.run.inputs[self.mask] if self.mask else None
        for some in blocks(ctx.xp, len(x), weights[:1].size):
            part = matmul_transposed(q[some], k[some], weights[some], ctx)
            part *= q.shape[3] ** -0.5
            shown = hide(part, self.causal, tokens, some)
            softmax(part)
            if self.mask:  # who sees nothing but padding sees nothing
                part *= shown
            ctx.xp.matmul(part, v[some], out=out[some])
        return outward.forward(seen), (q, k, v, weights)

    def backward(self, p, g, cache, dy, ctx):
        inward, outward = ctx.children
        q, k, v, weights = cache
        (da,) = ctx.copy(self.split(outward.backward(dy), 1), "da")
        time, channels = ctx.y
        dqkv = ctx.empty("dqkv", (len(dy), time, 3 * channels))
        dq, dk, dv = self.split(dqkv)
        for some in blocks(ctx.xp, len(dy), weights[:1].size):
            part = weights[some]
            ctx.xp.matmul(part.swapaxes(2, 3), da[some], out=dv[some])
            scores = ctx.empty("scores", part.shape)
            matmul_transposed(da[some], v[some], scores, ctx)
            softmax_backward(part, scores)
            scores *= q.shape[3] ** -0.5
            ctx.xp.matmul(scores, k[some], out=dq[some])
            ctx.xp.matmul(scores.swapaxes(2, 3), q[some], out=dk[some])
        return inward.backward(dqkv)

    def split(self, x, parts=3):
        """(B, T, parts C) as views (parts, B, H, T, D)."""
        depth = x.shape[2] // parts // self.heads
        heads = x.reshape(*x.shape[:2], parts, self.heads, depth)
        return heads.transpose(2, 0, 3, 1, 4)

    def multiply_adds(self, ctx):
        time, channels = ctx.y
        return 2 * time * time * channels
