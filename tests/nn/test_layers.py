"""Every layer of the table: value, gradient, dtype, buffers, determinism, specs, small batches."""

import json
import tomllib

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import CASES, Case, by_name, network, rows_of

pytestmark = pytest.mark.parametrize("case", CASES, ids=by_name)
KEY = (1, 2, 3)


def step(net: nn.Network, x: object) -> dict[str, np.ndarray]:
    """Output, gradient, and dx of each input that has one: a training pass with a fixed dy."""
    z = net.forward(x, True, KEY)
    dz = np.random.default_rng(9).standard_normal((64, *z.shape[1:]))[: len(z)].astype(z.dtype)
    net.gradient[...] = np.nan
    z, dx = z.copy(), net.backward(dz)
    found = {"output": z, "gradient": net.gradient.copy()}
    for name, values in dx.items() if isinstance(dx, dict) else [("x", dx)]:
        if values is not None:
            found[name] = np.array(values)
    return found


def test_value_and_shape(case: Case) -> None:
    net, x = network(case, np.float64), case.inputs(4, dtype=np.float64)
    z = net.predict(x)
    assert z.shape == (4, *net.output_shape)
    if case.value is not None:
        named = {k: v.copy() for k, v in net.parameters.items()}
        np.testing.assert_allclose(z, case.value(named, x), rtol=1e-8, atol=1e-10)


def test_gradient(case: Case) -> None:
    assert nn.gradient_check(case.layer, case.inputs(3, seed=4), **case.options) < 1e-6


def test_dtype_stays(case: Case) -> None:
    for dtype in (np.float32, np.float64):
        net = network(case, dtype)
        x = case.inputs(3, dtype=dtype)
        kinds = {name: values.dtype for name, values in step(net, x).items()}
        assert set(kinds.values()) == {np.dtype(dtype)}, kinds
        assert net.predict(x).dtype == dtype


def test_float32_is_float64_to_rounding(case: Case) -> None:
    x = case.inputs(5)
    found = step(network(case), x)
    expected = step(network(case, np.float64), case.inputs(5, dtype=np.float64))
    for name, values in expected.items():
        scale = np.abs(values).max(initial=1.0)
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5 * scale, err_msg=name)


def test_inputs_are_left_alone(case: Case) -> None:
    net, x = network(case), case.inputs(4)
    for values in x.values() if isinstance(x, dict) else [x]:
        values.flags.writeable = False
    weights = net.weights.copy()
    net.weights.flags.writeable = False
    z = net.forward(x, True, KEY)
    dz = np.ones_like(z)
    dz.flags.writeable = False
    net.backward(dz)
    assert np.array_equal(net.weights, weights)


def test_buffers_are_reused_and_changing_batch_sizes_do_not_show(case: Case) -> None:
    net, x = network(case), case.inputs(9)
    for rows in (2, 9, 3, 5, 9):
        some = rows_of(x, slice(0, rows))
        found, fresh = step(net, some), step(network(case), some)
        assert found.keys() == fresh.keys()
        for name in found:
            np.testing.assert_array_equal(found[name], fresh[name], err_msg=f"{name}, {rows} rows")


def test_same_bits_twice(case: Case) -> None:
    first, second = (step(network(case), case.inputs(6)) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    a, b = (nn.Network(case.layer, case.shape).init(5).weights for _ in range(2))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("rows", [0, 1])
def test_smallest_batches(case: Case, rows: int) -> None:
    net = network(case)
    if 0 < rows < net.least_rows:
        with pytest.raises(ValueError, match="needs 2 rows"):
            step(net, case.inputs(rows))
        return
    found = step(net, case.inputs(rows))
    assert found["output"].shape == (rows, *(case.trains or net.output_shape))
    assert all(np.isfinite(values).all() for values in found.values())
    if rows == 0:
        assert not found["gradient"].any()


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_predict_takes_any_number_of_rows(case: Case, rows: int) -> None:
    """In parts, too: they do not show."""
    net, x = network(case), case.inputs(rows)
    whole, parts = net.predict(x), net.predict(x, batch_size=3)
    assert whole.shape == (rows, *net.output_shape)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_spec_round_trip(case: Case) -> None:
    spec = nn.to_spec(case.layer)
    assert nn.from_spec(json.loads(json.dumps(spec))) == case.layer
    assert nn.from_spec(tomllib.loads(f"layer = {inline(spec)}")["layer"]) == case.layer


def inline(value: object) -> str:
    """`value` as an inline TOML table, array or number."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)
