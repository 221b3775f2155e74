"""A small neural-network library: no circles and arrows, a clever sequence of matrix products.

NumPy or CuPy only. Three rooms: `core` is the book, complete by itself and under 1,000 lines of
code; `kernels` is the array seam, where everything is done for speed; `more` has further layers,
losses, optimizers and schedules, written the book's own way. All public names are here.
"""

from typing import TYPE_CHECKING, Any

from dpnn.nn.core.activations import ReLU, Sigmoid, Tanh
from dpnn.nn.core.attention import MultiHeadAttention
from dpnn.nn.core.compose import Sequential
from dpnn.nn.core.conv import Conv2D
from dpnn.nn.core.dense import Dense
from dpnn.nn.core.gradcheck import gradient_check
from dpnn.nn.core.layer import Context, Layer, ShapeError
from dpnn.nn.core.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from dpnn.nn.core.network import Network
from dpnn.nn.core.norm import BatchNorm, LayerNorm
from dpnn.nn.core.optim import SGD, Adam, Evaluation, Optimizer, Schedule
from dpnn.nn.core.params import Layout, Param
from dpnn.nn.core.recurrent import LSTM
from dpnn.nn.core.spec import find, from_spec, nearest, to_spec
from dpnn.nn.kernels.arrays import array_module
from dpnn.nn.more.branches import Add, Concatenate, Input, Residual
from dpnn.nn.more.ensemble import EachMember, MeanOfMembers, MemberDense, Members, MemberScale
from dpnn.nn.more.layers import GELU, Conv1D, LeakyReLU, SiLU
from dpnn.nn.more.layers import Softmax
from dpnn.nn.more import elsewhere as _elsewhere
from dpnn.nn.more.embedding import Embedding, PositionalEmbedding
from dpnn.nn.more.lbfgs import LBFGS
from dpnn.nn.more.losses import Huber, MeanAbsoluteError, Poisson, Quantile, Scaled
from dpnn.nn.more.normalization import Normalization
from dpnn.nn.more.numbers import PeriodicEmbedding, PiecewiseLinear
from dpnn.nn.more.optimizers import LAMB, Adagrad, AdamW, Lion, RMSProp, clip_by_global_norm
from dpnn.nn.more.pooling import AveragePool2D, GlobalAveragePool, MaxPool2D
from dpnn.nn.more.recurrent import GRU
from dpnn.nn.more.schedules import (
    CosineDecay,
    CosineLog,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
)
from dpnn.nn.more.schedules import StepDecay, Warmup
from dpnn.nn.more.shaping import Dropout, Flatten, Rescale, Reshape
from dpnn.nn.more.tabular import SELU, Blend, Mish, NTKDense, OneHot, Scale, Select, SmoothClip

__all__ = [
    "GELU",
    "GRU",
    "LAMB",
    "LBFGS",
    "LSTM",
    "SELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "AveragePool2D",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Blend",
    "Concatenate",
    "Context",
    "Conv1D",
    "Conv2D",
    "CosineDecay",
    "CosineLog",
    "Dense",
    "Dropout",
    "EachMember",
    "Embedding",
    "Evaluation",
    "ExponentialDecay",
    "Flatten",
    "GlobalAveragePool",
    "Huber",
    "Input",
    "Layer",
    "LayerNorm",
    "Layout",
    "LeakyReLU",
    "Lion",
    "Loss",
    "MaxPool2D",
    "MeanAbsoluteError",
    "MeanOfMembers",
    "MeanSquaredError",
    "MemberDense",
    "MemberScale",
    "Members",
    "Mish",
    "MultiHeadAttention",
    "NTKDense",
    "Network",
    "Normalization",
    "OneCycle",
    "OneHot",
    "Optimizer",
    "Param",
    "PeriodicEmbedding",
    "PiecewiseLinear",
    "Poisson",
    "PositionalEmbedding",
    "Quantile",
    "RMSProp",
    "ReLU",
    "ReduceOnPlateau",
    "Rescale",
    "Reshape",
    "Residual",
    "Scale",
    "Scaled",
    "Schedule",
    "Select",
    "Sequential",
    "ShapeError",
    "SiLU",
    "Sigmoid",
    "SmoothClip",
    "Softmax",
    "SoftmaxCrossEntropy",
    "StepDecay",
    "Tanh",
    "Warmup",
    "array_module",
    "clip_by_global_norm",
    "find",
    "from_spec",
    "gradient_check",
    "nearest",
    "to_spec",
]

if not TYPE_CHECKING:  # a type checker that saw it would let every name pass

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"dpnn.nn: no {name!r}{nearest(name, __all__)}")
