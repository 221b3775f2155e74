"""A small neural-network library: no circles and arrows, a clever sequence of matrix products.

NumPy or CuPy only, and less than 1,000 lines of code. Read it in this order: backend, params,
layer, dense, activations, compose, losses, model, optim; then the other layers as you like. More
layers, losses, optimizers and schedules, some 700 lines written against the same methods, live in
`dpnn.extras` and are found here by their names too: `nn.LSTM`, `nn.Lion`.
"""

from importlib import import_module
from typing import Any

from dpnn.nn.activations import ReLU, Sigmoid, Tanh
from dpnn.nn.attention import MultiHeadAttention
from dpnn.nn.backend import array_module
from dpnn.nn.compose import Concatenate, Input, Residual, Sequential
from dpnn.nn.conv import Conv2D
from dpnn.nn.dense import Dense, Embedding
from dpnn.nn.layer import Context, Layer, ShapeError
from dpnn.nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from dpnn.nn.model import Network
from dpnn.nn.norm import BatchNorm, LayerNorm
from dpnn.nn.optim import SGD, Adam, AdamW, Optimizer, Schedule, clip_by_global_norm
from dpnn.nn.params import Layout, Param
from dpnn.nn.shaping import Dropout, Flatten, Rescale
from dpnn.nn.spec import find, from_spec, nearest, to_spec


def __getattr__(name: str) -> Any:
    extra = getattr(import_module("dpnn.extras"), name, None)
    try:
        return extra if callable(extra) else find(name)
    except ValueError as error:
        raise AttributeError(f"dpnn.nn: {error}") from None
