"""Convolution of images x (B, H, W, C) -> y (B, H', W', O).

K, L the kernel's height and width, O filters, G groups, C' and O' a group's channels and filters.
A convolution is a matrix product of x's windows (B H' W', K L C') and the kernel (K L C', O'). Its
dx is one too, of dy's windows and the kernel turned round; with strides, one for each set of taps
that meet at the same places of x. Windows are laid out for a few images at a time, so that they
never leave the cache.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, Literal

import numpy as np

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views, expect
from dpnn.nn.core.params import Param
from dpnn.nn.core.spec import Pair
from dpnn.nn.kernels.arrays import Array, blocks, parts


class Conv2D(Layer):
    """Images x (B, H, W, C) -> y (B, H', W', O); "same" padding gives H' = ⌈H / stride⌉.

    With groups, each group of filters sees its own share of the channels; groups=C is depthwise.
    """

    filters: int
    kernel_size: Pair
    strides: Pair = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True
    initializer: str = "auto"

    def grid(self, size: Rows) -> tuple[np.ndarray, ...]:
        """For images of `size` (H, W): (H', W'), the zeros before, strides, a window's reach."""
        strides, reach = pair(self.strides), pair(self.dilation) * (pair(self.kernel_size) - 1)
        if self.padding == "valid":
            return (size - reach - 1) // strides + 1, 0 * reach, strides, reach
        counts = -(-np.array(size) // strides)
        missing = (counts - 1) * strides + reach + 1 - size
        return counts, np.maximum(missing, 0) // 2, strides, reach

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        *size, channels = expect(x, "H, W, C")
        counts = self.grid(size)[0].tolist()
        if min(counts) < 1 or channels % self.groups or self.filters % self.groups:
            raise ShapeError(f"expected x that fits {self}, got rows of {x}")
        kernel = (*pair(self.kernel_size).tolist(), channels // self.groups, self.filters)
        bias = {"b": Param((self.filters,))} if self.bias else {}
        return {"W": Param(kernel, self.initializer), **bias}, (*counts, self.filters)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        counts, before, strides, reach = self.grid(ctx.x[:2])
        wide = _framed(ctx.floats(x), "x", before, (counts - 1) * strides + reach + 1, ctx)
        y, kernel = ctx.empty("y", (len(x), *ctx.y)), self.grouped(p["W"])
        windows = self.windows(wide, kernel, y, strides, pair(self.dilation), ctx)
        _multiply(windows, kernel, self.grouped(y), ctx)
        if self.bias:
            y += p["b"]
        return y, windows

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        if self.bias:
            ctx.add_rows(dy.reshape(-1, self.filters), g["b"])
        rows = self.grouped(dy)
        dw = g["W"].reshape(-1, *rows.shape[3:])  # (K L C', G, O')
        dw.fill(0)
        for some, k, columns in _columns(cache, ctx):
            n = parts(ctx.xp, len(columns), dw[:, 0].size, 200)
            columns = columns.reshape(n, -1, len(dw)).swapaxes(1, 2)
            dw[:, k] += (columns @ rows[some, :, :, k].reshape(n, -1, dw.shape[2])).sum(axis=0)
        if not ctx.needs_dx:
            return None
        _, before, strides, reach = self.grid(ctx.x[:2])
        lead, dilation = (reach - before) // strides, pair(self.dilation)
        wide = _framed(dy, "dy", lead, lead + (before - 1 + ctx.x[:2]) // strides + 1, ctx)
        turned = self.grouped(p["W"])[::-1, ::-1].swapaxes(2, 4)  # (K, L, O', G, C')
        dx, (apart, firsts) = ctx.empty("dx", (len(dy), *ctx.x)), self.meetings()
        if (strides > 1).any():  # there may be places that no tap meets
            dx.fill(0)
        for first in firsts:
            at = before - reach + first * dilation
            part = _every(dx, -at % strides, strides)
            kernel = _every(turned[None], first, apart)[0]
            some = _every(wide, lead - -at // strides, pair(1))
            windows = self.windows(some, kernel, part, pair(1), dilation * apart // strides, ctx)
            _multiply(windows, kernel, self.grouped(part), ctx)
        return dx

    def meetings(self) -> tuple[np.ndarray, Any]:
        """Taps so far apart meet at the same places of x; and the first tap of each such set."""
        apart = pair(self.strides) // np.gcd(pair(self.strides), pair(self.dilation))
        return apart, np.ndindex(*np.minimum(apart, pair(self.kernel_size)).tolist())

    def grouped(self, x: Array) -> Array:
        """(…, C) as (…, G, C')."""
        return x.reshape(*x.shape[:-1], self.groups, x.shape[-1] // self.groups)

    def windows(
        self, x: Array, kernel: Array, y: Array, strides: Array, dilation: Array, ctx: Context
    ) -> Array:
        """(B, H', W', K, L, G, C'), a view of x (B, H, W, C), by the shapes of kernel and y."""
        x = self.grouped(x)
        b, h, w, *c = x.strides
        shape = (len(x), *y.shape[1:3], *kernel.shape[:2], *x.shape[3:])
        steps = (b, *(strides * (h, w)).tolist(), *(dilation * (h, w)).tolist(), *c)
        return ctx.xp.lib.stride_tricks.as_strided(x, shape, steps)


def pair(size: Pair) -> np.ndarray:
    down, right = size if isinstance(size, tuple) else (size, size)
    return np.array((down, right))


def _every(x: Array, start: Any, steps: Array) -> Array:
    """From x (B, H, W, …) the pixels from `start` on, `steps` apart."""
    (top, left), (down, right) = start, steps
    return x[:, top::down, left::right]


def _framed(x: Array, tag: str, before: Array, room: Array, ctx: Context) -> Array:
    """x (B, H, W, C) with `before` zeros before it, and cut or filled with zeros up to `room`."""
    if not before.any() and not (room > x.shape[1:3]).any():
        return x
    wide = ctx.empty(f"framed {tag}", (len(x), *room.tolist(), x.shape[3]))
    wide.fill(0)
    inside = _every(wide, before, pair(1))[:, : x.shape[1], : x.shape[2]]
    inside[...] = x[:, : inside.shape[1], : inside.shape[2]]
    return wide


def _columns(windows: Array, ctx: Context) -> Iterator[tuple[slice, int, Array]]:
    """A few images, a group, and their windows there as a matrix (N, K L C')."""
    *_, kernel, width, groups, channels = windows.shape
    size, alone = kernel * width * channels, channels == 1
    for some in blocks(ctx.xp, len(windows), prod(windows.shape[1:]) // groups // 4):
        for k in range(groups):
            part = windows[some, ..., k, :]
            if alone:  # an image's rows are longer than a kernel's: copy along them
                part = part.transpose(3, 4, 5, 0, 1, 2)
            columns = ctx.copy(part, "columns")
            yield some, k, columns.reshape(size, -1).T if alone else columns.reshape(-1, size)


def _multiply(windows: Array, kernel: Array, y: Array, ctx: Context) -> None:
    """y (B, H', W', G, O') = windows (B, H', W', K, L, G, C') · kernel (K, L, C', G, O')."""
    kernel = kernel.reshape(-1, *kernel.shape[3:])
    for some, k, columns in _columns(windows, ctx):
        out, weights = y[some, :, :, k], kernel[:, k]
        n = parts(ctx.xp, len(columns), weights.size, 8)
        product = ctx.empty("product", (n, len(columns) // n, weights.shape[1]))
        ctx.xp.matmul(columns.reshape(*product.shape[:2], len(weights)), weights, out=product)
        out[...] = product.reshape(out.shape)
