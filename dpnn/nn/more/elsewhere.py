"""What other libraries call what is here: PyTorch's and Keras's names, so that an error knows ours.

Where ours is spelt alike, `nearest` finds it without this table.
"""

from dpnn.nn.core.spec import ELSEWHERE

ELSEWHERE.update(
    {
        "Linear": "Dense",
        "LazyLinear": "Dense",
        "FullyConnected": "Dense",
        "Conv1d": "Conv1D",
        "Conv2d": "Conv2D",
        "Convolution1D": "Conv1D",
        "Convolution2D": "Conv2D",
        "DepthwiseConv2D": "Conv2D",
        "MaxPool2d": "MaxPool2D",
        "MaxPooling2D": "MaxPool2D",
        "AvgPool2d": "AveragePool2D",
        "AveragePooling2D": "AveragePool2D",
        "AdaptiveAvgPool2d": "GlobalAveragePool",
        "GlobalAveragePooling1D": "GlobalAveragePool",
        "GlobalAveragePooling2D": "GlobalAveragePool",
        "BatchNorm1d": "BatchNorm",
        "BatchNorm2d": "BatchNorm",
        "BatchNormalization": "BatchNorm",
        "LayerNormalization": "LayerNorm",
        "StandardScaler": "Normalization",
        "Rescaling": "Rescale",
        "MultiheadAttention": "MultiHeadAttention",
        "Swish": "SiLU",
        "CrossEntropyLoss": "SoftmaxCrossEntropy",
        "NLLLoss": "SoftmaxCrossEntropy",
        "CategoricalCrossentropy": "SoftmaxCrossEntropy",
        "SparseCategoricalCrossentropy": "SoftmaxCrossEntropy",
        "BCELoss": "BinaryCrossEntropy",
        "BCEWithLogitsLoss": "BinaryCrossEntropy",
        "BinaryCrossentropy": "BinaryCrossEntropy",
        "MSELoss": "MeanSquaredError",
        "L1Loss": "MeanAbsoluteError",
        "SmoothL1Loss": "Huber",
        "HuberLoss": "Huber",
        "PoissonNLLLoss": "Poisson",
        "PinballLoss": "Quantile",
        "StepLR": "StepDecay",
        "ExponentialLR": "ExponentialDecay",
        "CosineAnnealingLR": "CosineDecay",
        "OneCycleLR": "OneCycle",
        "ReduceLROnPlateau": "ReduceOnPlateau",
        "LinearLR": "Warmup",
        "AdaGrad": "Adagrad",
        "RMSprop": "RMSProp",
        "clip_grad_norm_": "clip_by_global_norm",
    }
)
