"""A small neural-network library: no circles and arrows, a clever sequence of matrix products.

NumPy or CuPy only. Read it in this order: backend, params, layer, dense, activations, compose,
losses, model, optim; then the other layers as you like.
"""

from dpnn.nn.activations import ReLU, Sigmoid, Tanh
from dpnn.nn.backend import array_module
from dpnn.nn.compose import Sequential
from dpnn.nn.dense import Dense
from dpnn.nn.gradcheck import gradient_check
from dpnn.nn.layer import Context, Layer
from dpnn.nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from dpnn.nn.model import Network
from dpnn.nn.optim import SGD, Adam, AdamW, Optimizer, clip_by_global_norm
from dpnn.nn.params import Layout
from dpnn.nn.shaping import Dropout, Flatten, Rescale
from dpnn.nn.spec import from_spec, register, to_spec

register(Dense, ReLU, Sigmoid, Tanh, Dropout, Flatten, Rescale, Sequential)
register(SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)
register(SGD, Adam, AdamW)

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Context",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "Layout",
    "Loss",
    "MeanSquaredError",
    "Network",
    "Optimizer",
    "ReLU",
    "Rescale",
    "Sequential",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Tanh",
    "array_module",
    "clip_by_global_norm",
    "from_spec",
    "gradient_check",
    "register",
    "to_spec",
]
