"""Self-attention: every time looks at every other one.

B batch, T time, C channels, H heads, D = C / H channels of a head.
"""

from dpnn.nn.core.compose import Chain
from dpnn.nn.core.dense import Dense
from dpnn.nn.core.fields import Count
from dpnn.nn.core.layer import Layer, ShapeError, expect
from dpnn.nn.kernels import blocks, matmul_transposed, softmax, softmax_backward


class MultiHeadAttention(Chain):
    """Each time looks at the others, heads side by side:  x (B, T, C) -> y (B, T, C).

    y = concat(softmax(q kᵀ / √D) v) Wo + bo,  q, k, v = x W + b. causal: a time sees itself and
    those before it. mask: the name of an input (B, T), such as the tokens themselves, that is 0
    where there is only padding. Vaswani et al. 2017.
    """

    heads: Count
    causal: bool = False
    mask: str = ""

    def shapes(self, x, ctx):
        _, channels = expect(x, "T, C")
        inputs = ctx.run.inputs if isinstance(ctx.run.inputs, dict) else {}
        if channels % self.heads or (self.mask and inputs.get(self.mask) != x[:1]):
            what = f"rows of {x}, inputs {inputs}"
            raise ShapeError(f"expected {self.heads} heads and mask {self.mask!r} to fit {what}")
        core = Attention(self.heads, self.causal, self.mask)
        y = ctx.add("in", Dense(3 * channels, initializer="glorot"), x)
        y = ctx.add("core", core, y)
        return {}, ctx.add("out", Dense(channels, initializer="glorot"), y)


class Attention(Layer, base=True):
    """y = A v, A = softmax(q kᵀ / √D), of each head:  q, k, v (B, T, 3 C) -> y (B, T, C).

    dv = Aᵀ dy,  dS = A (dA - Σ A dA) / √D with dA = dy vᵀ,  dq = dS k,  dk = dSᵀ q.
    """

    heads: Count
    causal: bool = False
    mask: str = ""

    def shapes(self, x, ctx):
        return {}, (x[0], x[1] // 3)

    def forward(self, p, x, ctx):
        y = ctx.empty("y", (len(x), *ctx.y))
        (out,) = self.split(y, ctx)
        q, k, v = ctx.copy(self.split(x, ctx), "heads")
        weights = ctx.empty("weights", (*q.shape[:3], q.shape[2]))  # A (B, H, T, T)
        for some in blocks(ctx.xp, len(x), weights[:1].size):
            part = matmul_transposed(q[some], k[some], weights[some], ctx)
            part *= q.shape[3] ** -0.5
            tokens = self.hide(part, some, ctx)
            softmax(part)
            if tokens is not None:  # who sees nothing but padding sees nothing
                part *= tokens
            ctx.xp.matmul(part, v[some], out=out[some])
        return y, (q, k, v, weights)

    def backward(self, p, g, cache, dy, ctx):
        q, k, v, weights = cache
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        dq, dk, dv = self.split(dx, ctx)
        (dout,) = ctx.copy(self.split(dy, ctx), "dout")
        for some in blocks(ctx.xp, len(dy), weights[:1].size):
            part = weights[some]
            ctx.xp.matmul(part.swapaxes(2, 3), dout[some], out=dv[some])
            scores = ctx.empty("scores", part.shape)
            matmul_transposed(dout[some], v[some], scores, ctx)
            softmax_backward(part, scores)
            scores *= q.shape[3] ** -0.5
            ctx.xp.matmul(scores, k[some], out=dq[some])
            ctx.xp.matmul(scores.swapaxes(2, 3), q[some], out=dk[some])
        return dx

    def split(self, x, ctx):
        """(B, T, n C) as views (n, B, H, T, D)."""
        time, channels = ctx.y
        heads = (x.shape[2] // channels, self.heads, channels // self.heads)
        return x.reshape(len(x), time, *heads).transpose(2, 0, 3, 1, 4)

    def hide(self, scores, some, ctx):
        """Take 1e30 from the scores of padding, and more from those of times to come.

        Returns 1 for tokens and 0 for padding, (B, 1, 1, T), where there is a mask.
        """
        if self.causal:
            later = ctx.xp.full(scores.shape[2:], -2e30, scores.dtype)
            scores += ctx.xp.triu(later, 1)
        if not self.mask:
            return None
        tokens = ctx.run.inputs[self.mask][some] != 0
        tokens = tokens[:, None, None].astype(ctx.dtype)
        scores -= 1e30 * (1 - tokens)
        return tokens

    def multiply_adds(self, ctx):
        time, channels = ctx.y
        return 2 * time * time * channels
