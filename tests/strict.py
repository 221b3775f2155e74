"""A stand-in for CuPy on a machine without a GPU: arrays that NumPy may not touch.

`strict.asarray(x)` wraps a NumPy array. NumPy functions refuse it, it refuses NumPy arrays beside
it, and `array_module` finds this module's `strict` through its type. The functions and arguments
offered are those that NumPy and CuPy 13 share, so code that runs here names no array library and
asks for nothing that CuPy lacks. Each operation is NumPy's own: results are equal bit for bit.
"""

from __future__ import annotations

import operator
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

METHODS = {  # name -> the arguments that CuPy knows
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "argmax": "axis dtype out keepdims",
    "argmin": "axis dtype out keepdims",
    "argsort": "axis kind",
    "astype": "dtype order casting subok copy",
    "clip": "min max out",
    "copy": "order",
    "cumsum": "axis dtype out",
    "dot": "b out",
    "fill": "value",
    "flatten": "order",
    "item": "",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "nonzero": "",
    "prod": "axis dtype out keepdims",
    "ravel": "order",
    "repeat": "repeats axis",
    "sort": "axis kind",
    "squeeze": "axis",
    "std": "axis dtype out ddof keepdims",
    "sum": "axis dtype out keepdims",
    "swapaxes": "axis1 axis2",
    "take": "indices axis out",
    "tolist": "",
    "var": "axis dtype out ddof keepdims",
    "view": "dtype",
}
FUNCTIONS = {
    "amax": "a axis out keepdims",
    "amin": "a axis out keepdims",
    "arange": "start stop step dtype",
    "argmax": "a axis dtype out keepdims",
    "argsort": "a axis kind",
    "array": "obj dtype copy order subok ndmin",
    "asarray": "a dtype order copy",
    "ascontiguousarray": "a dtype",
    "bincount": "x weights minlength",
    "broadcast_to": "array shape",
    "clip": "a a_min a_max out",
    "concatenate": "tup axis out dtype casting",
    "copyto": "dst src casting where",
    "count_nonzero": "a axis",
    "cumsum": "a axis dtype out",
    "diff": "a n axis prepend append",
    "dot": "a b out",
    "einsum": "subscripts a b dtype optimize",
    "empty": "shape dtype order",
    "empty_like": "prototype dtype order subok shape",
    "expand_dims": "a axis",
    "flatnonzero": "a",
    "flip": "a axis",
    "full": "shape fill_value dtype order",
    "full_like": "a fill_value dtype order subok shape",
    "matmul": "x1 x2 out dtype casting axes axis",
    "max": "a axis out keepdims",
    "mean": "a axis dtype out keepdims",
    "min": "a axis out keepdims",
    "moveaxis": "a source destination",
    "nonzero": "a",
    "ones": "shape dtype order",
    "ones_like": "a dtype order subok shape",
    "outer": "a b out",
    "pad": "array pad_width mode constant_values",
    "put_along_axis": "arr indices values axis",
    "repeat": "a repeats axis",
    "reshape": "a newshape order",
    "searchsorted": "a v side sorter",
    "sort": "a axis kind",
    "squeeze": "a axis",
    "stack": "tup axis out dtype casting",
    "std": "a axis dtype out ddof keepdims",
    "sum": "a axis dtype out keepdims",
    "swapaxes": "a axis1 axis2",
    "take": "a indices axis out",
    "take_along_axis": "a indices axis",
    "tensordot": "a b axes",
    "tile": "A reps",
    "transpose": "a axes",
    "tril": "m k",
    "triu": "m k",
    "unique": "ar return_index return_inverse return_counts axis",
    "var": "a axis dtype out ddof keepdims",
    "where": "condition x y",
    "zeros": "shape dtype order",
    "zeros_like": "a dtype order subok shape",
}
UFUNCS = (
    "abs absolute add arctan cbrt ceil copysign cos cosh divide equal exp exp2 expm1 floor "
    "floor_divide fmax fmin greater greater_equal hypot invert isfinite isinf isnan less "
    "less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or maximum minimum "
    "multiply negative not_equal power reciprocal remainder rint sign signbit sin sinh sqrt square "
    "subtract tan tanh true_divide trunc"
)
CONSTANTS = (
    "bool_ e float16 float32 float64 inf int8 int16 int32 int64 intp nan newaxis pi uint8 uint16 "
    "uint32 uint64"
)
BINARY = "add and floordiv mod mul or pow sub truediv xor"
COMPARISONS = "eq ge gt le lt ne"


class Array:
    """An array on the imaginary device."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array: use .get()")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"numpy.{ufunc.__name__} on a device array: use ctx.xp")

    def __array_function__(self, function: Any, *args: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} on a device array: use ctx.xp")

    def get(self) -> np.ndarray:
        """A copy on the host."""
        return self._values.copy()

    def set(self, values: np.ndarray) -> None:
        """Copied from the host; shape and dtype must be equal, as CuPy asks."""
        if (values.shape, values.dtype) != (self.shape, self.dtype):
            raise ValueError(f"set: {values.shape} {values.dtype} to {self.shape} {self.dtype}")
        self._values[...] = values

    @property
    def flags(self) -> SimpleNamespace:
        f = self._values.flags
        return SimpleNamespace(c_contiguous=f.c_contiguous, f_contiguous=f.f_contiguous)

    @property
    def T(self) -> Array:
        return Array(self._values.T)

    def reshape(self, *shape: Any, order: str = "C") -> Array:
        return Array(self._values.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> Array:
        return Array(self._values.transpose(*axes))

    def __getitem__(self, index: Any) -> Array:
        return _wrap(self._values[_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[_index(index)] = _unwrap(value)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        return map(_wrap, self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __float__(self) -> float:
        return float(self._values)

    def __int__(self) -> int:
        return int(self._values)

    def __neg__(self) -> Array:
        return _wrap(-self._values)

    def __abs__(self) -> Array:
        return _wrap(abs(self._values))

    def __invert__(self) -> Array:
        return _wrap(~self._values)

    def __matmul__(self, other: Any) -> Array:
        return _wrap(self._values @ _unwrap(other))

    def __repr__(self) -> str:
        return f"strict.{self._values!r}"


def _wrap(result: Any) -> Any:
    if isinstance(result, np.ndarray | np.generic):
        return Array(np.asarray(result))
    if isinstance(result, tuple | list):
        return type(result)(map(_wrap, result))
    return result


def _unwrap(value: Any) -> Any:
    """The NumPy array inside; NumPy's own arrays are refused, numbers pass."""
    if isinstance(value, Array):
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError(f"NumPy array of shape {value.shape} on the device: use xp.asarray")
    if isinstance(value, tuple | list):
        return type(value)(map(_unwrap, value))
    return value


def _index(index: Any) -> Any:
    if isinstance(index, list):
        raise TypeError("a list as an index is copied to the device each time")
    return tuple(map(_index, index)) if isinstance(index, tuple) else _unwrap(index)


def _limited(name: str, function: Any, known: str) -> Any:
    """`function` with the arguments `known` alone, unwrapping and wrapping."""
    names = known.split()

    def call(*args: Any, **kwargs: Any) -> Any:
        extra = [k for k in kwargs if k not in names]
        if extra or len(args) > len(names):
            raise TypeError(f"CuPy's {name} takes {names}, not {extra or len(args)}")
        given = dict(zip(names, args, strict=False)) | kwargs
        out = given.get("out")
        if name == "dot" and out is not None and not out.flags.c_contiguous:
            raise ValueError("CuPy's dot needs a C-contiguous out")
        plain = {k: _unwrap(v) for k, v in kwargs.items()}
        result = _wrap(function(*map(_unwrap, args), **plain))
        return result if out is None else out

    call.__name__ = name
    return call


def _method(name: str, known: str) -> Any:
    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        return _limited(name, getattr(self._values, name), known)(*args, **kwargs)

    return method


def _operator(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Array, other: Any) -> Any:
        return _wrap(function(self._values, _unwrap(other)))

    return method


def _reflected(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Array, other: Any) -> Any:
        return _wrap(function(_unwrap(other), self._values))

    return method


def _in_place(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Array, other: Any) -> Array:
        function(self._values, _unwrap(other))
        return self

    return method


class UFunc:
    """A ufunc as CuPy has it: no `where`, `initial` or `axis`."""

    def __init__(self, name: str) -> None:
        ufunc = getattr(np, name)
        inputs = " ".join(f"x{i}" for i in range(ufunc.nin))
        self._call = _limited(name, ufunc, f"{inputs} out dtype casting")
        if name in ("add", "maximum", "minimum"):
            self.at = _limited(f"{name}.at", ufunc.at, "a indices b")
        if name in ("add", "multiply"):
            self.reduce = _limited("reduce", ufunc.reduce, "array axis dtype out keepdims")
        if name == "add":
            self.reduceat = _limited("reduceat", ufunc.reduceat, "array indices axis dtype out")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


def _asarray(a: Any, dtype: Any = None, order: Any = None, copy: Any = None) -> Array:
    """From the host (copied, as to a device) or from the device (as it is where it can be)."""
    if isinstance(a, Array):
        return Array(np.asarray(a._values, dtype=dtype, order=order))
    return Array(np.array(a, dtype=dtype, order=order or "K"))


def _make_module() -> ModuleType:
    module = ModuleType("strict", __doc__)
    for name in UFUNCS.split():
        setattr(module, name, UFunc(name))
    for name, known in FUNCTIONS.items():
        setattr(module, name, _limited(name, getattr(np, name), known))
    for name in CONSTANTS.split():
        setattr(module, name, getattr(np, name))
    tricks = SimpleNamespace(
        as_strided=_limited("as_strided", np.lib.stride_tricks.as_strided, "x shape strides"),
        sliding_window_view=_limited(
            "sliding_window_view", np.lib.stride_tricks.sliding_window_view, "x window_shape axis"
        ),
    )
    members = {"asarray": _asarray, "array": _asarray, "ndarray": Array, "dtype": np.dtype}
    module.__dict__.update(members, lib=SimpleNamespace(stride_tricks=tricks))
    return module


for _name, _known in METHODS.items():
    setattr(Array, _name, _method(_name, _known))
for _name in ("dtype", "itemsize", "nbytes", "ndim", "shape", "size", "strides"):
    setattr(Array, _name, property(operator.attrgetter(f"_values.{_name}")))
for _name in COMPARISONS.split():
    setattr(Array, f"__{_name}__", _operator(_name))
for _name in BINARY.split():
    setattr(Array, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(Array, f"__r{_name}__", _reflected(f"__{_name}__"))
    setattr(Array, f"__i{_name}__", _in_place(f"__i{_name}__"))

Array.__module__ = "strict"
strict = sys.modules["strict"] = _make_module()
