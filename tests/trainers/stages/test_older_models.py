"""Stages and force fields of before NequIP had products are found again, or named."""

from collections.abc import Callable

import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier
from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageTask

KEY = "872be19b14c54175d75a17ab2cab3d02"
"""As version cbf4e03^ names the stage below."""
MakeTask = Callable[..., StageTask]
FEW = {"fit": {"steps": 3, "evaluate_every": 3}}


def test_a_stage_without_products_has_its_old_key(make_task: MakeTask) -> None:
    model = NequIPSettings(layers=2, products=0)
    task = make_task("old", Tier.DFT, model=model)
    assert task.key() == KEY
    assert task.model_copy(update={"model": NequIPSettings(layers=2)}).key() != KEY


def test_going_on_from_one_without_names_what_differs(make_task: MakeTask) -> None:
    small = NequIPSettings(layers=2, channels=(4, 2), products=0)
    first = run_stage(make_task("first", Tier.DFT, model=small, **FEW))
    now = small.model_copy(update={"products": 2})
    with pytest.raises(InputError, match=r"asks for: products 0 and not 2\. Ask for that one"):
        run_stage(make_task("next", Tier.CCSD, start=first.output, model=now, **FEW))
    with pytest.raises(InputError, match="asks for: kind nequip and not egnn"):
        run_stage(make_task("next", Tier.CCSD, start=first.output, **FEW))
