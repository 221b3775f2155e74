"""One training step of a multilayer perceptron, written out for it alone: the reference for nn.py.

Every buffer is made once and every product has an `out`: what NumPy can do without a library.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


class Step:
    """Dense layers with ReLU between, softmax cross-entropy, Adam (1e-3, 0.9, 0.999, 1e-8)."""

    def __init__(self, sizes: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> None:
        rng, rows, self.y = np.random.default_rng(0), len(x), y
        shapes = list(pairwise(sizes))
        self.flat = np.zeros(sum(i * o + o for i, o in shapes), np.float32)
        self.gradient, self.m, self.v, self.a, self.b = (np.zeros_like(self.flat) for _ in range(5))
        self.weights, self.biases = self._views(self.flat, shapes)
        self.dweights, self.dbiases = self._views(self.gradient, shapes)
        for weights in self.weights:
            weights[...] = rng.standard_normal(weights.shape) * np.sqrt(2 / len(weights))
        self.z = [x, *(np.empty((rows, units), np.float32) for units in sizes[1:])]
        self.dz = [np.empty_like(z) for z in self.z]
        self.mask = [np.empty(z.shape, bool) for z in self.z]
        self.column, self.all = np.empty((rows, 1), np.float32), np.arange(rows)
        self.time = 0

    @staticmethod
    def _views(
        flat: np.ndarray, shapes: list[tuple[int, int]]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        weights, biases, start = [], [], 0
        for i, o in shapes:
            weights.append(flat[start : start + i * o].reshape(i, o))
            biases.append(flat[start + i * o : start + i * o + o])
            start += i * o + o
        return weights, biases

    def __call__(self) -> None:
        z, dz, last = self.z, self.dz, len(self.weights)
        for k in range(last):
            np.dot(z[k], self.weights[k], out=z[k + 1])
            z[k + 1] += self.biases[k]
            if k + 1 < last:
                np.maximum(z[k + 1], 0, out=z[k + 1])
        p = dz[last]
        np.subtract(z[last], z[last].max(1, keepdims=True, out=self.column), out=p)
        np.exp(p, out=p)
        p /= p.sum(1, keepdims=True, out=self.column)
        p[self.all, self.y] -= 1
        p /= len(p)
        for k in reversed(range(last)):
            np.dot(z[k].T, dz[k + 1], out=self.dweights[k])
            np.sum(dz[k + 1], 0, out=self.dbiases[k])
            if k:
                np.dot(dz[k + 1], self.weights[k].T, out=dz[k])
                np.greater(z[k], 0, out=self.mask[k])
                dz[k] *= self.mask[k]
        self._adam()

    def _adam(self) -> None:
        self.time += 1
        g, m, v, a, b = self.gradient, self.m, self.v, self.a, self.b
        m *= 0.9
        m += np.multiply(g, 0.1, out=a)
        v *= 0.999
        np.multiply(g, g, out=a)
        a *= 0.001
        v += a
        np.sqrt(v, out=b)
        b *= 1 / np.sqrt(1 - 0.999**self.time)
        b += 1e-8
        np.divide(m, b, out=a)
        a *= 1e-3 / (1 - 0.9**self.time)
        self.flat -= a
