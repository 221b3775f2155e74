"""More of the same: layers, losses, optimizers and schedules beside the core of `dpnn.nn`.

Each is written against the methods that its base in `dpnn.nn` names, and is found as `nn.GRU`,
`nn.Lion`, … or by its name in a spec: the library extends without being touched. Some 700 lines of
code, not counted among the 1,000 of `dpnn.nn`.
"""

from dpnn.extras.gradcheck import gradient_check
from dpnn.extras.layers import GELU, Add, Conv1D, LeakyReLU, PositionalEmbedding, Reshape, SiLU
from dpnn.extras.layers import Softmax
from dpnn.extras.lbfgs import LBFGS
from dpnn.extras.losses import Huber, MeanAbsoluteError, Poisson, Quantile
from dpnn.extras.normalization import Normalization
from dpnn.extras.optimizers import LAMB, Adagrad, Lion, RMSProp
from dpnn.extras.pooling import AveragePool2D, GlobalAveragePool, MaxPool2D
from dpnn.extras.recurrent import GRU, LSTM
from dpnn.extras.schedules import CosineDecay, ExponentialDecay, OneCycle, ReduceOnPlateau
from dpnn.extras.schedules import StepDecay, Warmup
