"""Convolution of images x (B, H, W, C) with a kernel w (K, L, C', O) to y (B, H', W', O).

G groups of channels C' = C / G and filters O' = O / G; groups = C is depthwise. Plainly, tap by
tap: y += x[the pixels that the tap meets] · w[tap].

For speed it is one matrix product ("im2col"): x's windows (B H' W', K L C') by the kernel
(K L C', O'). Its dx is one too, of dy's windows and the kernel turned round; with strides, one for
each set of taps that meet at the same places of x. Windows are laid out for a few images at a time,
so that they never leave the cache.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from dpnn.nn.kernels.arrays import Array
from dpnn.nn.kernels.memory import Buffers, blocks
from dpnn.nn.kernels.products import add_matmul_over_rows, matmul_by_rows

ONE = np.ones(2, int)


class Grid(NamedTuple):
    """Where windows lie on images; all but `groups` are pairs (down, right)."""

    counts: np.ndarray  # (H', W')
    kernel: np.ndarray  # (K, L)
    strides: np.ndarray
    dilation: np.ndarray
    before: np.ndarray  # zeros before the first pixel
    groups: int = 1

    @classmethod
    def of(
        cls, size: Any, kernel: Any, strides: Any, dilation: Any, padding: str, groups: int
    ) -> "Grid":
        """On images of `size` (H, W); what is no pair counts for both. "same" padding gives
        H' = ⌈H / stride⌉; an odd zero goes behind.
        """
        kernel, strides, dilation = map(pair, (kernel, strides, dilation))
        reach = dilation * (kernel - 1)
        if padding == "valid":
            counts = (np.array(size) - reach - 1) // strides + 1
            return cls(counts, kernel, strides, dilation, 0 * reach, groups)
        counts = -(-np.array(size) // strides)
        missing = (counts - 1) * strides + reach + 1 - size
        return cls(counts, kernel, strides, dilation, np.maximum(missing, 0) // 2, groups)

    @property
    def reach(self) -> np.ndarray:
        """From a window's first pixel to its last."""
        return self.dilation * (self.kernel - 1)

    @property
    def room(self) -> np.ndarray:
        """Pixels, with the zeros, that the windows lie on."""
        return (self.counts - 1) * self.strides + self.reach + 1


def pair(size: Any) -> np.ndarray:
    """(down, right)."""
    return np.array(size if isinstance(size, tuple) else (size, size))


def convolve(x: Array, w: Array, grid: Grid, y: Array, memory: Buffers) -> Array:
    """Fill y; returns x's windows (B, H', W', K, L, G, C'), a view of x padded."""
    wide = pad(x, grid.before, grid.room, "x", memory)
    windows = _windows(wide, y, grid.kernel, grid.strides, grid.dilation, grid.groups, memory)
    _multiply(windows, _grouped(w, grid), _grouped(y, grid), memory)
    return windows


def convolve_dw(windows: Array, dy: Array, dw: Array, memory: Buffers) -> None:
    """Fill dw, the kernel's gradient, from what `convolve` returned."""
    groups = windows.shape[5]
    rows = dy.reshape(*dy.shape[:3], groups, dy.shape[3] // groups)
    dw = dw.reshape(-1, groups, rows.shape[4])  # (K L C', G, O')
    dw.fill(0)
    for some, k, columns in _columns(windows, memory):
        add_matmul_over_rows(columns, rows[some, :, :, k], dw[:, k], memory)


def convolve_dx(dy: Array, w: Array, grid: Grid, dx: Array, memory: Buffers) -> None:
    """Fill dx, the input's gradient."""
    strides, dilation, reach = grid.strides, grid.dilation, grid.reach
    lead = (reach - grid.before) // strides
    room = lead + (grid.before - 1 + dx.shape[1:3]) // strides + 1
    wide = pad(dy, lead, room, "dy", memory)
    turned = _grouped(w, grid)[::-1, ::-1].swapaxes(2, 4)  # (K, L, O', G, C')
    apart = strides // np.gcd(strides, dilation)  # taps so far apart meet at the same places of x
    if (strides > 1).any():  # there may be places that no tap meets
        dx.fill(0)
    for first in np.ndindex(*np.minimum(apart, grid.kernel).tolist()):
        at = grid.before - reach + first * dilation
        part = _every(dx, -at % strides, strides)
        kernel = _every(turned[None], first, apart)[0]
        some = _every(wide, lead - -at // strides, ONE)
        size, step = np.array(kernel.shape[:2]), dilation * apart // strides
        windows = _windows(some, part, size, ONE, step, grid.groups, memory)
        _multiply(windows, kernel, _grouped(part, grid), memory)


def plain_convolve(x: Array, w: Array, grid: Grid, y: Array, memory: Buffers) -> None:
    """Tap by tap."""
    y[...] = 0
    wide, y = _grouped(pad(x, grid.before, grid.room, "x", memory), grid), _grouped(y, grid)
    for tap in np.ndindex(*grid.kernel.tolist()):
        for k in range(grid.groups):
            y[..., k, :] += _met(wide, tap, grid)[..., k, :] @ _grouped(w, grid)[tap][:, k]


def plain_convolve_dw(x: Array, dy: Array, grid: Grid, dw: Array, memory: Buffers) -> None:
    wide, dy = _grouped(pad(x, grid.before, grid.room, "x", memory), grid), _grouped(dy, grid)
    for tap in np.ndindex(*grid.kernel.tolist()):
        met = _met(wide, tap, grid)
        _grouped(dw, grid)[tap] = memory.xp.einsum("bhwgc,bhwgo->cgo", met, dy)


def plain_convolve_dx(dy: Array, w: Array, grid: Grid, dx: Array, memory: Buffers) -> None:
    wide = memory.xp.zeros(
        (len(dx), *np.maximum(grid.room, grid.before + dx.shape[1:3]), w.shape[2], grid.groups)
    )
    for tap in np.ndindex(*grid.kernel.tolist()):
        met = _met(wide, tap, grid)
        met += memory.xp.einsum("bhwgo,cgo->bhwcg", _grouped(dy, grid), _grouped(w, grid)[tap])
    (top, left), (high, width) = grid.before, dx.shape[1:3]
    inside = wide[:, top : top + high, left : left + width]
    dx[...] = inside.swapaxes(3, 4).reshape(dx.shape)


def _met(x: Array, tap: tuple[int, ...], grid: Grid) -> Array:
    """The pixels (B, H', W', …) that a tap of the windows meets."""
    some = _every(x, tap * grid.dilation, grid.strides)
    return some[:, : grid.counts[0], : grid.counts[1]]


def pad(x: Array, before: np.ndarray, room: np.ndarray, tag: str, memory: Buffers) -> Array:
    """x (B, H, W, C) with `before` zeros before it, and cut or filled with zeros up to `room`."""
    if not before.any() and not (room > x.shape[1:3]).any():
        return x
    wide = memory.empty(f"padded {tag}", (len(x), *room.tolist(), x.shape[3]))
    wide.fill(0)
    inside = _every(wide, before, ONE)[:, : x.shape[1], : x.shape[2]]
    inside[...] = x[:, : inside.shape[1], : inside.shape[2]]
    return wide


def _every(x: Array, start: Any, steps: Any) -> Array:
    """From x (B, H, W, …) the pixels from `start` on, `steps` apart."""
    (top, left), (down, right) = start, steps
    return x[:, top::down, left::right]


def _grouped(x: Array, grid: Grid) -> Array:
    """(…, C) as (…, G, C')."""
    return x.reshape(*x.shape[:-1], grid.groups, x.shape[-1] // grid.groups)


def _windows(
    x: Array,
    y: Array,
    kernel: np.ndarray,
    strides: np.ndarray,
    dilation: np.ndarray,
    groups: int,
    memory: Buffers,
) -> Array:
    """(B, H', W', K, L, G, C'), a view of x (B, H, W, C), for each pixel of y."""
    x = x.reshape(*x.shape[:3], groups, x.shape[3] // groups)
    b, h, w, *c = x.strides
    shape = (len(x), *y.shape[1:3], *kernel.tolist(), *x.shape[3:])
    steps = (b, *(strides * (h, w)).tolist(), *(dilation * (h, w)).tolist(), *c)
    return memory.xp.lib.stride_tricks.as_strided(x, shape, steps)


def _columns(windows: Array, memory: Buffers) -> Iterator[tuple[slice, int, Array]]:
    """A few images, a group, and their windows there as a matrix (N, K L C')."""
    *_, kernel, width, groups, channels = windows.shape
    size, alone = kernel * width * channels, channels == 1
    # Four blocks' worth of windows: they stay in the second cache while BLAS reads them once.
    for some in blocks(memory.xp, len(windows), prod(windows.shape[1:]) // groups // 4):
        for k in range(groups):
            part = windows[some, ..., k, :]
            if alone:  # an image's rows are longer than a kernel's: copy along them
                part = part.transpose(3, 4, 5, 0, 1, 2)
            columns = memory.copy(part, "columns")
            yield some, k, columns.reshape(size, -1).T if alone else columns.reshape(-1, size)


def _multiply(windows: Array, kernel: Array, y: Array, memory: Buffers) -> None:
    """y (B, H', W', G, O') = windows (B, H', W', K, L, G, C') · kernel (K, L, C', G, O')."""
    kernel = kernel.reshape(-1, *kernel.shape[3:])
    for some, k, columns in _columns(windows, memory):
        matmul_by_rows(columns, kernel[:, k], y[some, :, :, k], memory)
