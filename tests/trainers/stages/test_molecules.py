"""Several molecules in one pre-training, then each fine-tuned."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import Method, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import reference_energies
from forgefield.trainers.stages.data import chosen, graphs_of
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Selection, StageTask

MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]
MODEL = EGNNSettings(layers=2, channels=8)
ATOMS = {"springs": (1, 1, 6, 8), "bent": (1, 1, 8)}


def mean_error(folder: Path, frames: Frames) -> float:
    return float(np.abs(ForceField.load(folder).predict(frames)[1] - frames.forces_A3).mean())


def test_a_selection_names_molecules(two_molecules: Path) -> None:
    frames = load_frames(two_molecules)
    both = chosen(frames, Selection(tiers=(Tier.DFT, Tier.XTB)))
    bent = chosen(frames, Selection(tiers=(Tier.DFT, Tier.XTB), molecules=("bent",)))
    assert (len(both), len(bent)) == (240, 120)
    assert {bent.molecules[place] for place in bent.molecule_F} == {"bent"}
    with pytest.raises(InputError, match=r"no frames of round here; the molecules are: bent, spr"):
        chosen(frames, Selection(tiers=(Tier.DFT,), molecules=("bent", "round")))


def test_energies_of_several_molecules_and_methods_are_near_zero(two_molecules: Path) -> None:
    """Constants of 1000 eV that depend on method and molecule are gone, to digits of float32."""
    frames = chosen(load_frames(two_molecules), Selection(tiers=(Tier.DFT, Tier.XTB)))
    energy_F = graphs_of(frames, 5.0, 1.0).batch(np.arange(len(frames))).energy_F.numpy()
    for method in (0, 1):
        for molecule in (0, 1):
            group = (frames.method_F == method) & (frames.molecule_F == molecule)
            assert np.ptp(frames.energy_F[group]) < 10
            assert abs(energy_F[group].mean()) < 1e-4
            lifted = frames.energy_F[group] - frames.energy_F[group].mean()
            np.testing.assert_allclose(energy_F[group], lifted, atol=1e-4)


def test_one_pretraining_serves_every_molecule(
    make_task: MakeTask, make_frames: MakeFrames
) -> None:
    """Weights for all, references for all; fine-tuned on 8 frames each is better than those."""
    together = run_stage(make_task("together", Tier.DFT, fit={"steps": 200}))
    metadata = ForceField.load(together.output).metadata
    assert set(metadata.compositions) == set(ATOMS.values())
    assert metadata.method == "springs ccsd"
    for name, atoms in ATOMS.items():
        unseen = from_stored(make_frames(Tier.CCSD, 40, 77, molecule=name))
        own = {"molecules": (name,), "fit": {"steps": 80, "rate": 1e-3}}
        tuned = run_stage(make_task(f"tuned-{name}", Tier.CCSD, start=together.output, **own))
        alone = run_stage(make_task(f"alone-{name}", Tier.CCSD, **own))
        assert tuned.phases[0].frames == 8
        assert ForceField.load(tuned.output).metadata.compositions == (atoms,)
        errors = [mean_error(result.output, unseen) for result in (tuned, together, alone)]
        assert errors[0] < errors[1] < errors[2]
        energy_F = ForceField.load(tuned.output).predict(unseen)[0]
        assert np.abs(energy_F - unseen.energy_F).mean() < 0.2


def test_elements_that_the_model_leaves_out_are_named(
    make_task: MakeTask, make_frames: MakeFrames
) -> None:
    narrow = MODEL.model_copy(update={"elements": (1, 8)})
    with pytest.raises(InputError, match=r"names the elements \[1, 8\], but frames have \[6\] too"):
        run_stage(make_task("bad", Tier.DFT, model=narrow, fit={"steps": 2}))
    about = Metadata(method="m", scale=1.0, references={1: 0.0, 6: 0.0, 8: 0.0}, model=narrow)
    field = ForceField.fresh(about)
    assert len(field.predict(from_stored(make_frames(Tier.DFT, 2, 1, molecule="bent")))[0]) == 2
    with pytest.raises(InputError, match=r"elements \(1, 8\); train one for \[6\] too"):
        field.predict(from_stored(make_frames(Tier.DFT, 2, 1)))


def test_fine_tuning_in_another_store_needs_no_element_that_pretraining_had_not(
    make_task: MakeTask, make_frames: MakeFrames, tmp_path: Path
) -> None:
    for name, molecule, tier in (("water", "bent", Tier.CCSD), ("all", "springs", Tier.CCSD)):
        with FrameStore.open_for_writing(tmp_path / name) as store:
            store.append(make_frames(tier, 8, 5, Purpose.TRAIN, molecule=molecule))
    few = {"fit": {"steps": 2}}
    wide = run_stage(make_task("wide", Tier.DFT, **few))
    tuned = run_stage(
        make_task("tuned", Tier.CCSD, start=wide.output, frames=tmp_path / "water", **few)
    )
    assert ForceField.load(tuned.output).network.elements == (1, 6, 8)
    narrow = run_stage(make_task("narrow", Tier.CCSD, frames=tmp_path / "water", **few))
    with pytest.raises(InputError, match=r"no weights for the elements \[6\]"):
        run_stage(make_task("bad", Tier.CCSD, start=narrow.output, frames=tmp_path / "all", **few))


def test_references_are_of_a_tier_and_a_name(two_molecules: Path) -> None:
    """Two files may both be called `labels of ethanol.npz`."""
    frames = chosen(load_frames(two_molecules), Selection(tiers=(Tier.DFT, Tier.CCSD)))
    frames = replace(frames, methods=tuple(Method(m.tier, "one name") for m in frames.methods))
    accurate = frames.of_tier(Tier.CCSD)
    known = {Method(Tier.CCSD, "one name"): reference_energies(accurate)}
    every = np.arange(len(frames))
    sets = [graphs_of(frames, 5.0, 1.0, references) for references in ({}, known)]
    own, given = (each.batch(every).energy_F for each in sets)
    np.testing.assert_allclose(own.numpy(), given.numpy(), atol=1e-4)
