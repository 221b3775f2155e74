"""Recurrence over time, h_t = cell(x_t W + b, h_{t-1} U + c): what a recurrent layer has beside its
cell's equations.

B batch, T time, I in, H units. Inside, time comes before the batch, and gates come before time, so
that a step works on whole blocks of memory: x W of all times and gates is one product, and each
step adds h U, (B, H) by (gates, H, H), in parts that BLAS multiplies where they lie.
"""

from types import ModuleType
from typing import Any, ClassVar, Protocol

from dpnn.nn.kernels.arrays import Array
from dpnn.nn.kernels.memory import Buffers
from dpnn.nn.kernels.products import parts
from dpnn.nn.kernels.sums import sum_rows

States = tuple[Array, Array]  # h (B, H), which goes out, and s (B, H), which a step keeps beside it
Views = dict[str, Array]  # W (I, gates H), U (H, gates H), b (gates H,), and c likewise or none


class Cell(Protocol):
    """What one step does, forward and backward, in place.

    z (gates, B, H) is x W + b of the step, then its gates; a is h U (+ c).
    """

    gates: ClassVar[int]

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        """From the states before a step, fill those after it; z becomes the gates."""

    def step_back(
        self, z: Array, old: States, new: States, d: States, dz: Array, da: Array, xp: ModuleType
    ) -> None:
        """Fill dz and da; d, of the states after, becomes that before (without what passes a)."""


def scan(cell: Cell, p: Views, x: Array, memory: Buffers) -> tuple[Array, Any]:
    """The states h (T, B, H) of x (B, T, I), from zeros on, and what `scan_back` needs."""
    xp, (batch, time, size), units = memory.xp, x.shape, len(p["U"])
    block = (cell.gates, batch, units)
    inputs, a = memory.copy(x.swapaxes(0, 1), "x"), memory.empty("a", block)
    z = memory.empty("z", (cell.gates, time, batch, units))
    flat = z.reshape(cell.gates, time * batch, units)
    xp.matmul(inputs.reshape(time * batch, size), _by_gates(p["W"], cell), out=flat)
    h, s = (memory.empty(tag, (time + 1, batch, units)) for tag in "hs")
    h[0] = s[0] = 0
    b, c = (_by_gates(row, cell) for row in (p["b"], p.get("c", p["b"])))
    b, c = (xp.broadcast_to(row, block).copy() for row in (b, c))  # whole blocks add quicker
    n = parts(xp, units, a[0].size, 32)
    u = p["U"].reshape(units, cell.gates, n, units // n).transpose(1, 2, 0, 3)
    products = a.reshape(cell.gates, batch, n, units // n).swapaxes(1, 2)
    for t in range(time):
        xp.matmul(h[t], u, out=products)
        now = z[:, t]
        now += b
        if "c" in p:
            a += c
        cell.step(now, a, (h[t], s[t]), (h[t + 1], s[t + 1]), xp)
    return h[1:], (inputs, z, h, s)


def scan_back(
    cell: Cell, p: Views, g: Views, cache: Any, dy: Array, needs_dx: bool, memory: Buffers
) -> Array | None:
    """dx (B, T, I), and the gradients into g; dy is of all states (B, T, H) or the last (B, H)."""
    xp, (inputs, z, h, s) = memory.xp, cache
    time, batch, units = z.shape[1:]
    dh, ds = (memory.empty(tag, (batch, units)) for tag in ("dh", "ds"))
    dh[...] = ds[...] = 0
    rows = (time * batch, cell.gates * units)
    dz = memory.empty("dz", rows)
    da = memory.empty("da", rows) if "c" in p else dz
    n = parts(xp, units, batch * rows[1], 32)
    transposed = p["U"].T.reshape(-1, n, units // n).swapaxes(0, 1).copy()  # quicker so
    passed = memory.empty("passed", dh.shape)  # dh by the way of a
    products = passed.reshape(batch, n, units // n).swapaxes(0, 1)
    for t in reversed(range(time)):
        if dy.ndim == 3 or t == time - 1:
            dh += dy[:, t] if dy.ndim == 3 else dy
        now = slice(t * batch, (t + 1) * batch)
        states = (h[t], s[t]), (h[t + 1], s[t + 1]), (dh, ds)
        cell.step_back(z[:, t], *states, _by_gates(dz[now], cell), _by_gates(da[now], cell), xp)
        xp.matmul(da[now], transposed, out=products)
        dh += passed
    xp.dot(inputs.reshape(-1, inputs.shape[2]).T, dz, out=g["W"])
    xp.dot(h[:-1].reshape(-1, units).T, da, out=g["U"])
    sum_rows(dz, g["b"])
    if "c" in p:
        sum_rows(da, g["c"])
    if not needs_dx:
        return None
    dx = memory.empty("dx of times", inputs.shape)
    xp.dot(dz, p["W"].T, out=dx.reshape(time * batch, inputs.shape[2]))
    return memory.copy(dx.swapaxes(0, 1), "dx")


def plain_scan(cell: Cell, p: Views, x: Array, memory: Buffers) -> Array:
    """One time after the other: the states (T, B, H)."""
    xp, states, h = memory.xp, [], memory.xp.zeros((len(x), len(p["U"])), x.dtype)
    s = h
    for t in range(x.shape[1]):
        z = xp.stack(xp.split(x[:, t] @ p["W"] + p["b"], cell.gates, axis=1))
        a = xp.stack(xp.split(h @ p["U"] + p.get("c", 0), cell.gates, axis=1))
        old, (h, s) = (h, s), (xp.empty_like(h), xp.empty_like(h))
        cell.step(z, a, old, (h, s), xp)
        states.append(h)
    return xp.stack(states)


def _by_gates(x: Array, cell: Cell) -> Array:
    """(N, gates H) as (gates, N, H)."""
    return x.reshape(-1, cell.gates, x.shape[-1] // cell.gates).swapaxes(0, 1)
