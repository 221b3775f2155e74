"""Pictures of chapter 2: the strip of products, a slope, and the film of a network learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PALE,
    PAPER,
    PINK,
    arrow,
    board,
    boxed,
    charts,
    save,
    say,
)

CELL = 0.62


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        strip(folder / "strip.svg"),
        slope(names, folder / "slope.svg"),
        film(names, folder / "film.svg"),
    ]


def strip(path: Path) -> Path:
    """Above the forward pass; below it, right to left, its derivatives; then the weights' own."""
    figure, axes = board(10, 6.7, (30, 20.1))

    def box(x: float, y: float, shape: tuple[int, int], name: str, axis: str, hue: str) -> None:
        boxed(axes, x, y, shape, hue, CELL, name=name, axis=("", axis))

    def title(y: float, text: str) -> None:
        say(axes, 0.6, y, text, weight="bold", ha="left")

    title(19.4, "forward, from left to right")
    box(2.2, 16.4, (4, 2), "x", "B, I", GREEN)
    say(axes, 4.6, 16.4, "@")
    box(7.0, 16.4, (2, 3), "W1", "I, H", BLUE)
    arrow(axes, (9.0, 16.4), (11.6, 16.4))
    say(axes, 10.2, 17.0, "clip", FAINT)
    box(13.4, 16.4, (4, 3), "h", "B, H", GREEN)
    say(axes, 15.9, 16.4, "@")
    box(18.0, 16.4, (3, 2), "W2", "H, O", BLUE)
    arrow(axes, (19.8, 16.4), (22.2, 16.4))
    box(23.6, 16.4, (4, 2), "z", "B, O", GREEN)
    arrow(axes, (25.0, 16.4), (27.6, 16.4))
    box(28.3, 16.4, (1, 1), "loss", "", PINK)

    axes.plot([0.6, 29.4], [13.2, 13.2], color=HAIR, linewidth=1)
    title(12.5, "backward, from right to left: what the layer below hears")
    arrow(axes, (28.3, 15.6), (25.1, 9.7), bend=-0.25)
    say(axes, 28.2, 10.3, "p - right", FAINT)
    box(23.6, 9.5, (4, 2), "dz", "B, O", ORANGE)
    arrow(axes, (22.2, 9.5), (15.0, 9.5))
    say(axes, 18.6, 10.1, "@ W2ᵀ", BLUE, weight="bold")
    say(axes, 18.6, 8.9, "(B, O) @ (O, H)", FAINT)
    box(13.4, 9.5, (4, 3), "dh", "B, H", ORANGE)
    arrow(axes, (11.8, 9.5), (8.8, 9.5))
    say(axes, 10.3, 10.1, "where h > 0", FAINT)
    box(7.0, 9.5, (4, 3), "da", "B, H", ORANGE)

    axes.plot([0.6, 29.4], [6.4, 6.4], color=HAIR, linewidth=1)
    title(5.7, "and each weight's own slope")
    box(2.2, 2.7, (2, 4), "xᵀ", "I, B", GREEN)
    say(axes, 4.5, 2.7, "@")
    box(6.5, 2.7, (4, 3), "da", "B, H", ORANGE)
    say(axes, 8.6, 2.7, "=")
    box(10.7, 2.7, (2, 3), "dW1", "I, H", PINK)
    box(18.0, 2.7, (3, 4), "hᵀ", "H, B", GREEN)
    say(axes, 20.4, 2.7, "@")
    box(22.2, 2.7, (4, 2), "dz", "B, O", ORANGE)
    say(axes, 24.2, 2.7, "=")
    box(26.1, 2.7, (3, 2), "dW2", "H, O", PINK)
    return save(figure, path, "Forward and backward as one strip of products")


def slope(names: dict[str, Any], path: Path) -> Path:
    """The loss over one number of the network, and the tangent that backward found."""
    _, weights = names["film"][0]
    x, y = names["x"], names["y"]
    now = weights["b2"][0]
    found = names["backward"](x, y, **weights)["b2"][0] / len(x)

    def loss(value: float) -> float:
        changed = np.array([value, weights["b2"][1]])
        return float(names["loss_of"](x, y, **(weights | {"b2": changed}))) / len(x)

    values = np.linspace(now - 3, now + 2, 121)
    near = np.array([now - 1.2, now + 1.6])
    figure, (axes,) = charts(7, 3)
    axes.plot(values, [loss(value) for value in values], linewidth=2, label="the loss")
    tangent = loss(now) + found * (near - now)
    axes.plot(near, tangent, "--", linewidth=2, label=f"slope {found:.3f}, by backward")
    axes.plot(now, loss(now), "o", color=INK, zorder=3, label="here we are")
    axes.annotate(
        "downhill",
        (now - 0.75, loss(now) - 0.33),
        (now - 0.05, loss(now) - 0.33),
        color=INK,
        va="center",
        arrowprops={"arrowstyle": "-|>", "color": FAINT},
    )
    axes.set(xlabel="the bias b2[0]", ylabel="loss a point", ylim=(0.4, 1.75))
    axes.margins(x=0.02)
    axes.grid(alpha=0.5)
    axes.legend(loc="upper left")
    return save(figure, path, "The loss as one number of the network changes")


def film(names: dict[str, Any], path: Path) -> Path:
    """What the network says of every point of the plane, at six moments."""
    figure, panels = charts(10, 6.9, 3, rows=2, sharex=True, sharey=True)
    hues = LinearSegmentedColormap.from_list("arms", [BLUE, PALE[INK], ORANGE])
    side = np.linspace(-1.25, 1.25, 61)
    plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    x, y = names["x"], names["y"]
    for axes, (step, weights) in zip(panels, names["film"], strict=True):
        sure = names["softmax"](names["forward"](plane, **weights)[1])[:, 1].reshape(61, 61)
        levels = np.linspace(0, 1, 11)
        axes.contourf(side, side, sure, levels, cmap=hues, alpha=0.55)
        axes.contour(side, side, sure, [0.5], colors=[INK], linewidths=1.4)
        for arm, hue in ((0, BLUE), (1, ORANGE)):
            axes.scatter(*x[y == arm].T, s=9, color=hue, edgecolor=PAPER, linewidth=0.4)
        loss = names["loss_of"](x, y, **weights) / len(x)
        axes.set_title(f"step {step:,}   loss {loss:.3f}", color=INK)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(False)
    return save(figure, path, "Six moments of a network that learns two arms of a spiral")
