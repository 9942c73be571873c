"""A captured step is the eager step: the same loss, the same gradient, whatever is traced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.fx import GraphModule

from forgefield.storage.frames import Frames
from forgefield.trainers.fitting.captured import CapturedStep, compiler_for, pays
from forgefield.trainers.fitting.fit import FitResult, Watch, fit
from forgefield.trainers.fitting.flat import FlatParameters
from forgefield.trainers.fitting.objectives import Labels, Objective, Scores
from forgefield.trainers.fitting.processor_products import use_fastest_products
from forgefield.trainers.graphs import Batch, GraphSet
from forgefield.trainers.model_settings import (
    EGNNSettings,
    GemNetSettings,
    ModelSettings,
    NequIPSettings,
    PaiNNSettings,
    SchNetSettings,
)
from forgefield.trainers.models import Potential, build
from forgefield.trainers.settings import FitSettings, Progress

SMALL: dict[str, ModelSettings] = {
    "egnn": EGNNSettings(layers=2, channels=8, radial=6, elements=(1, 6, 8)),
    "nequip": NequIPSettings(
        layers=2, channels=(6, 4, 2), radial_width=5, species=3, elements=(1, 6, 8)
    ),
}
CPU, GPU = torch.device("cpu"), torch.device("cuda")
OTHERS: dict[str, ModelSettings] = {
    "schnet": SchNetSettings(layers=1, channels=8, filters=6, radial=6, elements=(1, 6, 8)),
    "painn": PaiNNSettings(layers=2, channels=8, radial=6, elements=(1, 6, 8)),
    "gemnet": GemNetSettings(blocks=1, elements=(1, 6, 8)),
}
OBJECTIVES: dict[str, Objective] = {"labels": Labels(rho=0.1), "scores": Scores(0.02)}


def model_of(kind: str) -> Potential:
    torch.manual_seed(3)
    return build(SMALL[kind]).double()


def first_batch(frames: Frames, count: int) -> Batch:
    energy_F = frames.energy_F - frames.energy_F.mean()
    graphs = GraphSet(frames, 5.0, energy_F=energy_F, dtype=torch.float64)
    return graphs.batch(np.arange(count))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_traced_operations_give_the_eager_loss_and_gradient(
    kind: str, objective: str, accurate: Frames
) -> None:
    model, batch = model_of(kind), first_batch(accurate, 3)
    flat, aim = FlatParameters(model), OBJECTIVES[objective]
    extra = aim.draw(batch.graph, torch.arange(3), 7)
    captured = CapturedStep(model, aim)
    captured._compile = captured.trace  # type: ignore[method-assign, assignment]
    moved = flat.values.detach() * 1.1
    for weights in (flat.values.detach().clone(), moved):
        flat.values.data.copy_(weights)
        flat.gradient.zero_()
        loss = aim(model, batch, extra)
        loss.backward()  # type: ignore[no-untyped-call]
        found = captured(weights, batch, extra)
        torch.testing.assert_close(found[0], loss.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found[1], flat.gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [*SMALL, *OTHERS])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_step_on_frames_of_one_size_adds_by_index(
    kind: str, objective: str, accurate: Frames
) -> None:
    """Such additions are made by atomics on a GPU, in any order."""
    torch.manual_seed(3)
    model, batch = build({**SMALL, **OTHERS}[kind]).double(), first_batch(accurate, 3)
    flat, aim = FlatParameters(model), OBJECTIVES[objective]
    captured = CapturedStep(model, aim)
    found: list[GraphModule] = []

    def trace(values: torch.Tensor, tensors: list[torch.Tensor], frames: int) -> GraphModule:
        found.append(captured.trace(values, tensors, frames))
        return found[0]

    captured._compile = trace  # type: ignore[method-assign, assignment]
    captured(flat.values.detach(), batch, aim.draw(batch.graph, torch.arange(3), 7))
    names = {str(node.target) for node in found[0].graph.nodes if node.op == "call_function"}
    scattering = ("index_add", "index_put", "scatter", "embedding_dense_backward", "bincount")
    assert not [name for name in names if any(word in name for word in scattering)]
    assert any("index_select" in name for name in names), "names are as they were"


def test_every_shape_is_traced_once(accurate: Frames) -> None:
    model = model_of("egnn")
    values = FlatParameters(model).values.detach()
    captured = CapturedStep(model, Labels())
    traced: list[int] = []

    def trace(values: torch.Tensor, tensors: list[torch.Tensor], frames: int) -> GraphModule:
        traced.append(frames)
        return captured.trace(values, tensors, frames)

    captured._compile = trace  # type: ignore[method-assign, assignment]
    for count in (1, 2, 1, 2):
        captured(values, first_batch(accurate, count), ())
    assert traced == [1, 2]


def test_products_are_the_same_by_either_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    from forgefield.trainers.fitting import processor_products

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.mm(a.t(), b)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    a, b = torch.randn(300, 200), torch.randn(300, 100)
    chosen: dict[str, bool] = {}
    traced = make_fx(product)(a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor_products, "_onednn_wins", lambda *_: True)
        exchanged = use_fastest_products(traced, chosen)
    targets = {str(node.target) for node in exchanged.graph.nodes if node.op == "call_function"}
    assert "forgefield.product.default" in targets
    torch.testing.assert_close(exchanged(a, b), product(a, b), rtol=1e-5, atol=1e-4)
    assert list(chosen.values()) == [True]
    again = use_fastest_products(make_fx(product)(a, b), dict.fromkeys(chosen, False))
    assert "forgefield.product.default" not in {str(node.target) for node in again.graph.nodes}


def test_only_long_fits_of_one_size_are_compiled_unless_settings_say(accurate: Frames) -> None:
    one = GraphSet(accurate, 5.0)
    assert not pays(FitSettings(steps=100), one, CPU)
    assert pays(FitSettings(steps=100, compiled=True), one, CPU)
    assert not pays(FitSettings(steps=10**6, compiled=False), one, CPU)
    pair = Frames.concatenate([accurate, accurate.select(np.arange(1))])
    smaller = replace(
        pair,
        ptr=np.append(pair.ptr[:-1], pair.ptr[-1] - 1),
        numbers=pair.numbers[:-1],
        positions_A3=pair.positions_A3[:-1],
        forces_A3=pair.forces_A3[:-1],
    )
    assert not pays(FitSettings(steps=100, compiled=True), GraphSet(smaller, 5.0), CPU)


def test_the_compiler_is_that_of_the_device(
    accurate: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that is only somewhere near, or its C compiler, are no help to a fit on the CPU."""
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    long, one = FitSettings(steps=10**6), GraphSet(accurate, 5.0)
    assert not pays(long, one, CPU)
    assert not pays(long, one, GPU)
    for name, device, other in (("gcc", GPU, CPU), ("g++", CPU, GPU)):
        program = tmp_path / name
        program.touch(mode=0o755)
        assert compiler_for(device) == str(program)
        assert pays(long, one, device)
        assert not pays(long, one, other)
        program.unlink()


def fitted(frames: Frames, *, compiled: bool) -> tuple[torch.Tensor, FitResult, list[str]]:
    model, said = model_of("egnn"), list[str]()
    energy_F = frames.energy_F - frames.energy_F.mean()
    train = GraphSet(frames, 5.0, energy_F=energy_F, dtype=torch.float64)
    settings = FitSettings(steps=6, batch=4, compiled=compiled, evaluate_every=3)
    result = fit(
        model, train, train, settings, scale=1.0, watch=lambda line: said.append(line.said)
    )
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()]), result, said


def test_without_a_working_compiler_a_fit_goes_on_eagerly_and_says_so(accurate: Frames) -> None:
    """The real failure of torch's compiler; the same bits as a fit that never compiles."""
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    eager, expected, nothing = fitted(accurate, compiled=False)
    with fresh_cache(), config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        found, result, said = fitted(accurate, compiled=True)
    assert torch.equal(found, eager)
    assert result.history == expected.history
    assert nothing == ["", ""]
    assert said == [result.said] * 2
    assert "no-such-compiler" in result.said
    assert "apt install g++" in result.said


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_a_compiled_fit_follows_the_eager_one(kind: str, accurate: Frames) -> None:
    outcomes = []
    for compiled in (False, True):
        model = model_of(kind)
        energy_F = accurate.energy_F - accurate.energy_F.mean()
        train = GraphSet(accurate, 5.0, energy_F=energy_F, dtype=torch.float64)
        settings = FitSettings(steps=30, batch=4, compiled=compiled, evaluate_every=10)
        outcomes.append(fit(model, train, train, settings, scale=1.0))
    eager, fused = outcomes
    assert not fused.said
    for ours, theirs in zip(fused.history, eager.history, strict=True):
        assert replace(ours, validation=0, best=0, loss=0) == replace(
            theirs, validation=0, best=0, loss=0
        )
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-8)
        assert ours.validation == pytest.approx(theirs.validation, rel=1e-8)


@pytest.mark.slow
def test_a_compiled_fit_that_was_interrupted_ends_with_the_same_bits(
    accurate: Frames, tmp_path: Path
) -> None:
    settings = FitSettings(
        steps=24, batch=4, compiled=True, optimiser="muon", evaluate_every=4, save_every=6
    )
    train = GraphSet(accurate, 5.0, energy_F=accurate.energy_F - accurate.energy_F.mean())

    def run(watch: Watch | None = None, checkpoint: Path | None = None) -> torch.Tensor:
        torch.manual_seed(3)
        model = build(SMALL["nequip"])
        done = fit(model, train, train, settings, scale=1.0, checkpoint=checkpoint, watch=watch)
        assert not done.said
        return torch.cat([p.detach().reshape(-1) for p in model.parameters()])

    def stop(line: Progress) -> None:
        if line.step == 16:
            raise KeyboardInterrupt

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(stop, tmp_path / "fit.safetensors")
    assert torch.equal(run(checkpoint=tmp_path / "fit.safetensors"), whole)
