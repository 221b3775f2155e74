"""Convolution and pooling of images x (B, H, W, C), and of sequences as images of height 1.

K, L the kernel's height and width, O filters, G groups, C' and O' a group's channels and filters.
A convolution is a matrix product of x's windows (B H' W', K L C') and the kernel (K L C', O'). Its
dx is one too: of dy, spread by the strides and padded, with the kernel turned round. Windows are
laid out for a few images at a time, so that they never leave the cache.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from dpnn.nn.backend import Array, blocks
from dpnn.nn.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views, expect
from dpnn.nn.params import Param

Pair = int | tuple[int, int]


class Conv2D(Layer):
    """Images x (B, H, W, C) -> y (B, H', W', O); "same" padding gives H' = ⌈H / stride⌉.

    With groups, each group of filters sees its own share of the channels; groups=C is depthwise.
    """

    filters: int
    kernel_size: Pair
    strides: Pair = 1
    padding: str = "valid"
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True
    initializer: str = "auto"

    def __post_init__(self) -> None:
        if self.padding not in ("valid", "same"):
            raise ValueError(f"padding is 'valid' or 'same', not {self.padding!r}")

    def pair(self, size: Pair) -> np.ndarray:
        return np.array(size if isinstance(size, tuple) else (size, size))

    def grid(self, size: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For images of `size` (H, W): (H', W'), the zeros before, and a window's reach."""
        strides = self.pair(self.strides)
        reach = self.pair(self.dilation) * (self.pair(self.kernel_size) - 1)
        if self.padding == "valid":
            return (size - reach - 1) // strides + 1, 0 * reach, reach
        counts = -(-np.array(size) // strides)
        missing = (counts - 1) * strides + reach + 1 - size
        return counts, np.maximum(missing, 0) // 2, reach

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        *size, channels = expect(x, "H, W, C")
        counts = self.grid(size)[0].tolist()
        if min(counts) < 1 or channels % self.groups or self.filters % self.groups:
            raise ShapeError(f"expected x that fits the kernel and the groups, got rows of {x}")
        kernel = (*self.pair(self.kernel_size).tolist(), channels // self.groups, self.filters)
        bias = {"b": Param((self.filters,))} if self.bias else {}
        return {"W": Param(kernel, self.initializer), **bias}, (*counts, self.filters)

    def grouped(self, x: Array) -> Array:
        return x.reshape(*x.shape[:3], self.groups, -1)  # of the last axis: (G, C')

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        parts, kernel = self.grouped(ctx.floats(x)), self.grouped(p["W"])
        counts, before, _ = self.grid(x.shape[1:3])
        y, strides = (
            ctx.empty("y", (len(x), *counts.tolist(), self.filters)),
            self.pair(self.strides),
        )
        windows = self.correlate(parts, kernel, self.grouped(y), before, self.pair(1), strides, ctx)
        if self.bias:
            y += p["b"]
        return y, (x.shape, windows)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        (shape, windows), parts = cache, self.grouped(dy)
        dw = g["W"].reshape(-1, *parts.shape[3:])  # (K L C', G, O')
        dw.fill(0)
        for some, k, columns in _columns(windows, ctx):
            dw[:, k] += ctx.xp.dot(columns.T, parts[some, :, :, k].reshape(len(columns), -1))
        if self.bias:
            dy.reshape(-1, self.filters).sum(axis=0, out=g["b"])
        if not ctx.needs_dx:
            return None
        _, before, reach = self.grid(shape[1:3])
        dx, spread = ctx.empty("dx", shape), self.pair(self.strides)
        turned = self.grouped(p["W"])[::-1, ::-1].swapaxes(2, 4)  # (K, L, O', G, C')
        self.correlate(parts, turned, self.grouped(dx), reach - before, spread, self.pair(1), ctx)
        return dx

    def correlate(
        self,
        x: Array,
        kernel: Array,
        y: Array,
        before: Any,
        spread: Any,
        strides: Any,
        ctx: Context,
    ) -> Array:
        """y (B, H', W', G, O') = windows of x · kernel (K, L, C', G, O'); returns the windows.

        x begins after `before` zeros, and its pixels are `spread` apart.
        """
        dilation, counts = self.pair(self.dilation), np.array(y.shape[1:3])
        room = (counts - 1) * strides + dilation * (np.array(kernel.shape[:2]) - 1) + 1
        if (before + spread > 1).any() or (room > x.shape[1:3]).any():
            x = _spread(x, before, spread, room, ctx)
        b, h, w, *c = x.strides
        steps = (b, *(strides * (h, w)), *(dilation * (h, w)), *c)
        shape = (len(x), *y.shape[1:3], *kernel.shape[:2], *x.shape[3:])
        windows = ctx.xp.lib.stride_tricks.as_strided(x, shape, steps)  # (B, H', W', K, L, G, C')
        kernels = kernel.reshape(-1, *kernel.shape[3:])  # (K L C', G, O')
        for some, k, columns in _columns(windows, ctx):
            y[some, :, :, k] = ctx.xp.dot(columns, kernels[:, k]).reshape(
                -1, *y.shape[1:3], y.shape[4]
            )
        return windows


class Conv1D(Conv2D):
    """Sequences x (B, T, C) -> y (B, T', O)."""

    def pair(self, size: Pair) -> np.ndarray:
        return np.array((1, size))

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        params, y = super().shapes((1, *expect(x, "T, C")), ctx)
        return params, y[1:]

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        y, cache = super().forward(p, x[:, None], ctx)
        return y[:, 0], cache

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        dx = super().backward(p, g, cache, dy[:, None], ctx)
        return None if dx is None else dx[:, 0]


def _spread(x: Array, before: Any, spread: Any, room: Any, ctx: Context) -> Array:
    """x in a frame of zeros of size `room`, its pixels `spread` apart."""
    wide = ctx.empty(f"frame {before} {spread}", (len(x), *room.tolist(), *x.shape[3:]))
    wide.fill(0)
    (top, left), (down, right) = before.tolist(), spread.tolist()
    inside = wide[:, top::down, left::right][:, : x.shape[1], : x.shape[2]]
    inside[...] = x[:, : inside.shape[1], : inside.shape[2]]
    return wide


def _columns(windows: Array, ctx: Context) -> Iterator[tuple[slice, int, Array]]:
    """A few images, a group, and their windows as a matrix (N, K L C')."""
    *_, kernel, width, groups, channels = windows.shape
    for some in blocks(ctx.xp, len(windows), prod(windows.shape[1:]) // groups):
        for k in range(groups):
            part = windows[some, ..., k, :]
            columns = ctx.empty("columns", part.shape)
            ctx.xp.copyto(columns, part)
            yield some, k, columns.reshape(-1, kernel * width * channels)


class MaxPool2D(Layer):
    """The largest of each window:  x (B, H, W, C) -> y (B, H', W', C)."""

    pool_size: Pair = 2
    strides: Pair | None = None

    def views(self, x: Array) -> list[Array]:
        """For each place in a window, what lies there in all windows: (B, H', W', C)."""
        kernel = self.pool_size if isinstance(self.pool_size, tuple) else (self.pool_size,) * 2
        strides = self.strides or kernel
        s, t = strides if isinstance(strides, tuple) else (strides, strides)
        h, w = x.shape[1] - kernel[0] + 1, x.shape[2] - kernel[1] + 1
        places = [(i, j) for i in range(kernel[0]) for j in range(kernel[1])]
        return [x[:, i : i + h : s, j : j + w : t] for i, j in places]

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        y = self.views(np.empty((0, *expect(x, "H, W, C"))))[0].shape[1:]
        if 0 in y:
            raise ShapeError(f"expected x no smaller than the pool, got rows of {x}")
        return {}, y

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        first, *others = self.views(ctx.floats(x))
        y = ctx.empty("y", first.shape)
        ctx.xp.copyto(y, first)
        for view in others:
            ctx.xp.maximum(y, view, out=y)
        return y, (x, y)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        x, y = cache
        dx, rest, part = (
            ctx.empty("dx", x.shape),
            ctx.empty("rest", y.shape),
            ctx.empty("part", y.shape),
        )
        dx.fill(0)
        ctx.xp.copyto(rest, dy)
        for view, below in zip(self.views(x), self.views(dx), strict=True):
            ctx.xp.multiply(rest, view == y, out=part)  # the first of equals takes all
            below += part
            rest -= part
        return dx


class AveragePool2D(MaxPool2D):
    """The mean of each window:  x (B, H, W, C) -> y (B, H', W', C)."""

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        first, *others = self.views(ctx.floats(x))
        y = ctx.empty("y", first.shape)
        ctx.xp.copyto(y, first)
        for view in others:
            y += view
        y *= 1 / (1 + len(others))
        return y, x.shape

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        dx = ctx.empty("dx", cache)
        dx.fill(0)
        views = self.views(dx)
        part = ctx.xp.multiply(dy, 1 / len(views), out=ctx.empty("part", dy.shape))
        for below in views:
            below += part
        return dx


class GlobalAveragePool(Layer):
    """The mean over all positions:  x (B, …, C) -> y (B, C)."""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {}, expect(x, "…, C")[-1:]

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        y = ctx.empty("y", (len(x), x.shape[-1]))
        x.reshape(len(x), -1, x.shape[-1]).mean(axis=1, out=y)
        return y, x.shape

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        dx = ctx.empty("dx", cache)
        positions = dx.reshape(len(dy), -1, dy.shape[-1])
        ctx.xp.multiply(dy[:, None], 1 / positions.shape[1], out=positions)
        return dx
