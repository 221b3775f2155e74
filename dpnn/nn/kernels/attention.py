"""Scores of attention that are hidden: B batch, H heads, T time."""

from typing import Any

from dpnn.nn.kernels.arrays import Array, array_module


def hide(scores: Array, causal: bool, tokens: Array | None, some: slice) -> Any:
    """Take 1e30 from the scores (B, H, T, T) of padding, and more from those of times to come.

    tokens (…, T) are 0 where there is padding; scores are those of the rows `some` of them. Returns
    1 for tokens and 0 for padding, (B, 1, 1, T): who sees nothing but padding sees nothing.
    """
    xp = array_module(scores)
    if causal:
        later = xp.full(scores.shape[2:], -2e30, scores.dtype)
        scores += xp.triu(later, 1)
    if tokens is None:
        return 1
    shown = (tokens[some] != 0)[:, None, None].astype(scores.dtype)
    scores -= 1e30 * (1 - shown)
    return shown


def plain_attention(q: Array, k: Array, v: Array, causal: bool, shown: Array) -> Array:
    """Head by head and row by row of q, k, v (B, H, T, D); shown (B, T) of 0 and 1."""
    xp, y = array_module(q), array_module(q).zeros(q.shape)
    for b, h in xp.ndindex(*q.shape[:2]):
        seen = xp.exp(q[b, h] @ k[b, h].T * q.shape[3] ** -0.5) * shown[b]
        if causal:
            seen = xp.tril(seen)
        y[b, h] = seen / xp.maximum(seen.sum(axis=1, keepdims=True), 1e-300) @ v[b, h]
    return y
