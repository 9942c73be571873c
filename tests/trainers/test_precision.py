"""Mixed precision: rounded products of matrices in training steps, and nowhere else."""

import pytest
import torch

from forgefield.storage.frames import Frames
from forgefield.trainers.fitting import fit as fitting
from forgefield.trainers.fitting import precision
from forgefield.trainers.fitting.fit import FitResult, fit
from forgefield.trainers.fitting.precision import possible, products_in
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import force_scale, reference_energies
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.data import graphs_of

CPU = torch.device("cpu")
MODEL = EGNNSettings(layers=2, channels=64, radial=16, elements=(1, 6, 8))
STEPS = FitSettings(steps=60, batch=16, rate=3e-3, warm_up=10, evaluate_every=20)
MIXED = STEPS.model_copy(update={"precision": "mixed"})
units = pytest.mark.skipif(
    possible("mixed", CPU) == "single", reason="this processor has no units for bfloat16"
)


def trained(frames: Frames, settings: FitSettings) -> tuple[ForceField, FitResult]:
    scale = force_scale(frames)
    references = reference_energies(frames)
    about = Metadata(method="m", scale=scale, references=references, model=MODEL, seed=0)
    force_field = ForceField.fresh(about)
    graphs = graphs_of(frames, MODEL.cutoff, scale)
    return force_field, fit(force_field.network, graphs, graphs, settings, scale=scale)


@units
def test_products_are_rounded_inside_alone() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(256, 256), torch.randn(256, 256)
    exact = a @ b
    with products_in("mixed"):
        rounded = a @ b
    off = float((rounded - exact).norm() / exact.norm())
    assert 5e-4 < off < 1e-2
    assert rounded.dtype == torch.float32
    assert torch.equal(a @ b, exact)


def test_full_precision_comes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), products_in("mixed"):
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "highest"


@units
def test_a_mixed_fit_learns_as_well_and_ends_in_full_precision(accurate: Frames) -> None:
    _, single = trained(accurate, STEPS)
    force_field, mixed = trained(accurate, MIXED)
    assert mixed.history != single.history
    assert mixed.validation == pytest.approx(single.validation, rel=0.03)
    assert single.validation < 0.8 * single.history[0].validation
    assert {value.dtype for value in force_field.network.parameters()} == {torch.float32}
    graphs = graphs_of(accurate, MODEL.cutoff, force_field.metadata.scale)
    exact = fitting.force_error(force_field.network, graphs, 16) * force_field.metadata.scale
    assert mixed.validation == pytest.approx(exact, rel=1e-6)


def test_without_units_mixed_is_single_to_the_bit(
    accurate: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, single = trained(accurate, STEPS)
    monkeypatch.setattr(precision, "_cpu_has_units", lambda: False)
    assert possible("mixed", CPU) == "single"
    assert trained(accurate, MIXED)[1] == single


def test_unsaid_it_is_not_written_down() -> None:
    """Stages trained before there was a choice are found by what was written."""
    assert "precision" not in STEPS.model_dump_json()
    assert FitSettings.model_validate_json(MIXED.model_dump_json()) == MIXED
