"""Tables whose rows are taken and added to by number: W numbers of rows, C columns."""

from dpnn.nn.kernels.arrays import Array, array_module
from dpnn.nn.kernels.memory import blocks


def numbered(x: Array, count: int, name: str) -> Array:
    """x (…) as integers (N,); ValueError where one is not a whole number from 0 to count - 1."""
    given = x.reshape(-1)
    numbers = given.astype(int)
    wrong = (numbers != given) | (numbers < 0) | (numbers >= count)
    if wrong.any():
        raise ValueError(f"{name} takes whole numbers from 0 to {count - 1}, not {given[wrong][0]}")
    return numbers


def scatter_add(table: Array, ids: Array, rows: Array) -> None:
    """table[ids[n]] += rows[n] for table (W, C), ids (N,), rows (N, C); ids may repeat.

    `add.at` of whole rows is four times slower in NumPy than that of single numbers.
    """
    xp, flat, width = array_module(table), table.reshape(-1), table.shape[1]
    for some in blocks(xp, *rows.shape):
        places = ids[some, None] * width + xp.arange(width)
        xp.add.at(flat, places.reshape(-1), rows[some].reshape(-1))


def plain_scatter_add(table: Array, ids: Array, rows: Array) -> None:
    for number, row in zip(ids.tolist(), rows, strict=True):
        table[number] += row
