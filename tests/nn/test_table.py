"""The tables are whole: a layer, loss, optimizer or schedule without a row fails here."""

from dpnn import nn
from tests.nn.cases import CASES, LOSSES, OPTIMIZERS
from tests.nn.test_schedules import SCHEDULES

WITHOUT_A_ROW = {"Layer", "Loss", "Optimizer"}


def offered(base: type) -> set[str]:
    """Every public subclass of `base` that a user can name."""
    found = vars(nn).items()
    return {n for n, v in found if isinstance(v, type) and issubclass(v, base)} - WITHOUT_A_ROW


def within(layer: nn.Layer) -> set[str]:
    names = (within(child) for child in getattr(layer, "layers", ()))
    return {type(layer).__name__}.union(*names)


def test_every_layer_has_a_row() -> None:
    assert set().union(*(within(case.layer) for case in CASES)) >= offered(nn.Layer)


def test_every_loss_has_a_row() -> None:
    assert {type(case.loss).__name__ for case in LOSSES} == offered(nn.Loss)


def test_every_optimizer_has_a_row() -> None:
    rows = {type(optimizer).__name__ for optimizer in OPTIMIZERS}
    assert rows == offered(nn.Optimizer) - {"LBFGS"}  # not called by `update`: test_lbfgs


def test_every_schedule_has_a_row() -> None:
    assert {type(schedule).__name__ for schedule in SCHEDULES} == offered(nn.Schedule)


def test_names_are_unique_and_known_to_specs() -> None:
    for base in (nn.Layer, nn.Loss, nn.Optimizer, nn.Schedule):
        for name in offered(base):
            assert getattr(nn, name) is nn.find(name)
