"""A small neural-network library: no circles and arrows, a clever sequence of matrix products.

NumPy or CuPy only. Read it in this order: backend, params, layer, dense, activations, compose,
losses, model, optim; then the other layers as you like.
"""

from dpnn.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from dpnn.nn.attention import MultiHeadAttention
from dpnn.nn.backend import array_module
from dpnn.nn.compose import Add, Concatenate, Input, Residual, Sequential
from dpnn.nn.conv import AveragePool2D, Conv1D, Conv2D, GlobalAveragePool, MaxPool2D
from dpnn.nn.dense import Dense, Embedding, PositionalEmbedding
from dpnn.nn.gradcheck import gradient_check
from dpnn.nn.layer import Context, Layer, ShapeError
from dpnn.nn.losses import (
    BinaryCrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
)
from dpnn.nn.model import Network
from dpnn.nn.norm import BatchNorm, LayerNorm, Normalization
from dpnn.nn.optim import (
    LAMB,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    Optimizer,
    RMSProp,
    clip_by_global_norm,
)
from dpnn.nn.params import Layout
from dpnn.nn.recurrent import GRU, LSTM
from dpnn.nn.schedules import (
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)
from dpnn.nn.shaping import Dropout, Flatten, Rescale, Reshape
from dpnn.nn.spec import from_spec, nearest, to_spec
