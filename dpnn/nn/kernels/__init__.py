"""The array seam: what an array library must be good at, on NumPy or CuPy.

Each kernel does for speed or exactness what a plain definition beside it says in a few lines
(`plain_…`); tests compare the two. All names that the book uses are here.
"""

from dpnn.nn.kernels.arrays import Array, array_module
from dpnn.nn.kernels.attention import hide
from dpnn.nn.kernels.convolution import Grid, convolve, convolve_dw, convolve_dx
from dpnn.nn.kernels.memory import Buffers, PerThread, blocks, in_blocks, joined, spans
from dpnn.nn.kernels.probability import (
    cross_entropy,
    logistic_error,
    sigmoid,
    softmax,
    softmax_backward,
)
from dpnn.nn.kernels.products import matmul_transposed
from dpnn.nn.kernels.random import keep_mask, keyed, orthogonal
from dpnn.nn.kernels.recurrence import scan, scan_back
from dpnn.nn.kernels.sums import mean_columns, mean_rows, over_rows, sum_rows
from dpnn.nn.kernels.tables import numbered, scatter_add

__all__ = [
    "Array",
    "Buffers",
    "Grid",
    "PerThread",
    "array_module",
    "blocks",
    "convolve",
    "convolve_dw",
    "convolve_dx",
    "cross_entropy",
    "hide",
    "in_blocks",
    "joined",
    "keep_mask",
    "keyed",
    "logistic_error",
    "matmul_transposed",
    "mean_columns",
    "mean_rows",
    "numbered",
    "orthogonal",
    "over_rows",
    "scan",
    "scan_back",
    "scatter_add",
    "sigmoid",
    "softmax",
    "softmax_backward",
    "spans",
    "sum_rows",
]
