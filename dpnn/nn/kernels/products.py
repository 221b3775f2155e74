"""Matrix products that BLAS multiplies where they lie.

Above about a million multiply-adds OpenBLAS packs both factors first, and gives several threads a
part. Cut into smaller ones, a long thin product is up to a third quicker.
"""

from types import ModuleType

import numpy as np

from dpnn.nn.kernels.arrays import Array
from dpnn.nn.kernels.memory import Buffers

PRODUCT = 10**6  # multiply-adds of a product that OpenBLAS does without packing its factors


def parts(xp: ModuleType, size: int, work: int, least: int) -> int:
    """Into how many equal parts, of at least `least`, to cut a product of size x work numbers."""
    if xp is not np:
        return 1
    fit = (n for n in range(1, size // least + 1) if size % n == 0 and size // n * work <= PRODUCT)
    return next(fit, 1)


def matmul_by_rows(a: Array, b: Array, out: Array, memory: Buffers) -> None:
    """out (…, M) = a (N, K) · b (K, M), some rows at a time; out may have any strides."""
    n = parts(memory.xp, len(a), b.size, 8)
    product = memory.empty("product", (n, len(a) // n, b.shape[1]))
    memory.xp.matmul(a.reshape(*product.shape[:2], len(b)), b, out=product)
    out[...] = product.reshape(out.shape)


def add_matmul_over_rows(a: Array, b: Array, out: Array, memory: Buffers) -> None:
    """out (K, M) += aᵀ · b of a (N, K), b (N, M), some rows at a time."""
    n = parts(memory.xp, len(a), out.size, 200)
    turned = a.reshape(n, -1, len(out)).swapaxes(1, 2)
    out += (turned @ b.reshape(n, -1, out.shape[1])).sum(axis=0)


def matmul_transposed(a: Array, b: Array, out: Array, memory: Buffers) -> Array:
    """out = a · bᵀ over the last two axes; many small products are quicker with bᵀ laid out."""
    return memory.xp.matmul(a, memory.copy(b.swapaxes(-1, -2), "transposed"), out=out)
