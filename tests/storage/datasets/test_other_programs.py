"""Datasets of other libraries: PyTorch, PyTorch Geometric, ASE, and plain dicts."""

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader as PygLoader
from torch_geometric.nn import SchNet

from forgefield.storage.datasets import BlockShuffle, PlainFrames, Shard, SharedBatches
from forgefield.storage.datasets.ase_data import AseFrames
from forgefield.storage.datasets.pyg_data import PygFrames
from forgefield.storage.datasets.torch_data import TorchBatch, TorchFrames, TorchStream, collate
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Tier
from forgefield.storage.testing import CCSD, expected_energy

BOX = np.diag([9.0, 8.0, 0.0])


def check(batch: TorchBatch) -> list[float]:
    """Labels follow from geometries; the energies, as names of the frames."""
    for frame in range(len(batch.energy)):
        atoms = slice(int(batch.ptr[frame]), int(batch.ptr[frame + 1]))
        positions = batch.positions[atoms].double().numpy()
        assert abs(float(batch.energy[frame]) - expected_energy(positions)) < 1e-5
        assert bool((batch.batch[atoms] == frame).all())
    return batch.energy.tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_torch_loads_whole_batches_from_memory(path: Path, workers: int) -> None:
    frames = load_frames(path)
    data = TorchFrames(frames, several_methods=True)
    loader = DataLoader(
        data, batch_sampler=SharedBatches(len(data), 16), collate_fn=collate, num_workers=workers
    )
    batches = list(loader)
    assert len(batches) == len(loader)
    assert sorted(e for b in batches for e in check(b)) == sorted(frames.energy_F.tolist())
    assert batches[0].positions.dtype == torch.float32
    assert batches[0].energy.dtype == torch.float64
    plain = next(iter(DataLoader(data, batch_size=5, collate_fn=collate)))
    assert plain.energy.tolist() == frames.energy_F[:5].tolist()
    assert data[-1].energy.tolist() == [frames.energy_F[-1]]
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.parametrize("workers", [0, 2])
def test_torch_streams_every_frame_once_with_any_workers(path: Path, workers: int) -> None:
    energies = sorted(load_frames(path).energy_F.tolist())
    ranks = [
        TorchStream(BlockShuffle(path, 8, window=2, shard=Shard(r, 2), several_methods=True))
        for r in range(2)
    ]
    seen = []
    for stream in ranks:
        batches = list(DataLoader(stream, batch_size=None, num_workers=workers))
        assert len(batches) == stream.batches(workers)
        seen += [energy for batch in batches for energy in check(batch)]
    assert sorted(seen) == energies


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_resumes_in_the_middle_of_an_epoch(path: Path, workers: int) -> None:
    def loader(stream: TorchStream) -> DataLoader[TorchBatch]:
        return DataLoader(stream, batch_size=None, num_workers=workers)

    stream = TorchStream(BlockShuffle(path, 8, window=2, several_methods=True))
    stream.set_epoch(4)
    whole = [batch.energy.tolist() for batch in loader(stream)]
    before = [batch.energy.tolist() for batch in itertools.islice(loader(stream), 5)]
    state = stream.state_dict(5, workers)
    resumed = TorchStream(BlockShuffle(path, 8, window=2, several_methods=True))
    resumed.load_state_dict(state, workers)
    assert before + [batch.energy.tolist() for batch in loader(resumed)] == whole
    with pytest.raises(InputError, match="workers"):
        resumed.load_state_dict(state, 5)
    resumed.load_state_dict(state, workers)
    resumed.set_epoch(4)
    assert before + [batch.energy.tolist() for batch in loader(resumed)] == whole
    resumed.set_epoch(5)
    assert [batch.energy.tolist() for batch in loader(resumed)] != whole


def test_several_methods_come_only_if_asked_for_and_batches_say_which(path: Path) -> None:
    frames = load_frames(path)
    for dataset in (TorchFrames, PygFrames):
        with pytest.raises(InputError, match=r"2 methods \('.*', '.*'\).*several_methods"):
            dataset(frames)
        assert len(dataset(frames.of_tier(Tier.CCSD))) < len(frames)
    index = [4, 9, 2, 30]
    batch = TorchFrames(frames, several_methods=True).__getitems__(index)
    graphs = PygFrames(frames, several_methods=True)[index]
    for found in (batch, graphs):
        assert found.method.tolist() == frames.method_F[index].tolist()
        assert found.charge.tolist() == frames.charge_F[index].tolist()
        assert found.multiplicity.tolist() == frames.multiplicity_F[index].tolist()
    with pytest.raises(InputError, match="methods"):
        TorchStream(BlockShuffle(path, 8))
    for streamed in TorchStream(BlockShuffle(path, 8, method=CCSD)):
        assert {frames.methods[place] for place in streamed.method.tolist()} == {CCSD}


def test_workers_that_are_spawned_can_have_the_data(path: Path) -> None:
    stream = pickle.loads(pickle.dumps(TorchStream(BlockShuffle(path, 8, several_methods=True))))  # noqa: S301
    assert len(list(stream)) == stream.batches()


def test_pyg_batches_equal_its_own(path: Path) -> None:
    data = PygFrames(load_frames(path), np.float64, several_methods=True)
    index = [4, 9, 2, 30]
    ours, theirs = data[index], Batch.from_data_list([data[i] for i in index])
    assert ours.keys() == theirs.keys()
    for key in theirs.keys():  # noqa: SIM118
        assert torch.equal(torch.nan_to_num(ours[key]), torch.nan_to_num(theirs[key])), key
        assert ours[key].dtype == theirs[key].dtype, key
    assert ours.num_graphs == theirs.num_graphs == 4
    for mine, yours in zip(ours.to_data_list(), theirs.to_data_list(), strict=True):
        assert mine.keys() == yours.keys()
        assert torch.equal(mine.pos, yours.pos)
        assert torch.equal(mine.energy, yours.energy)
    assert torch.equal(ours[1].z, data[9].z)


def test_pyg_loaders_and_models_take_the_data(path: Path) -> None:
    data = PygFrames(load_frames(path), several_methods=True)
    fast = DataLoader(data, sampler=SharedBatches(len(data), 16), batch_size=None)
    batches = list(fast)
    assert sum(batch.num_graphs for batch in batches) == len(data)
    slow = next(iter(PygLoader(data, batch_size=16)))
    assert torch.equal(slow.pos, data[list(range(16))].pos)
    torch.manual_seed(0)
    model = SchNet(8, 8, 1, interaction_graph=_all_pairs)
    batch = batches[0]
    assert model(batch.z, batch.pos, batch.batch).shape == (batch.num_graphs, 1)


def _all_pairs(positions: torch.Tensor, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    same = batch[:, None] == batch[None, :]
    edges = (same & ~torch.eye(len(batch), dtype=torch.bool)).nonzero().T
    return edges, (positions[edges[0]] - positions[edges[1]]).norm(dim=1)


def test_ase_reads_labels_boxes_and_methods(path: Path) -> None:
    frames = load_frames(path)
    data = AseFrames(frames)
    assert len(data) == len(frames)
    for row, atoms in enumerate(data):
        where, seq = frames.atoms_of(row), int(frames.seq_F[row])
        np.testing.assert_array_equal(atoms.positions, frames.positions_A3[where])
        assert atoms.get_potential_energy() == frames.energy_F[row]
        assert ("forces" in atoms.calc.results) == (seq % 5 != 0)
        if seq % 5:
            np.testing.assert_array_equal(atoms.get_forces(), frames.forces_A3[where])
        assert atoms.pbc.tolist() == ([True, True, False] if seq % 3 == 0 else [False] * 3)
        if seq % 3 == 0:
            np.testing.assert_array_equal(atoms.cell[:], BOX)
            np.testing.assert_array_equal(atoms.get_stress(voigt=False), np.full((3, 3), seq))
        assert atoms.info["tier"] == ("ccsd" if seq % 2 else "xtb")
        assert atoms.info["method"] == frames.methods[frames.method_F[row]].name
    part = data[10:20:3]
    assert [a.get_potential_energy() for a in part] == frames.energy_F[10:20:3].tolist()
    with pytest.raises(IndexError):
        data[len(data)]


def test_plain_frames_are_dicts_and_slices_are_lists(path: Path) -> None:
    frames = load_frames(path)
    data = PlainFrames(frames)
    assert [frame["energy"] for frame in data] == frames.energy_F.tolist()
    assert [frame["energy"] for frame in data[5:50:7]] == frames.energy_F[5:50:7].tolist()
    row = int(np.flatnonzero(frames.seq_F == 15)[0])
    assert "forces" not in data[row]
    np.testing.assert_array_equal(data[row]["cell"], BOX)
    assert data[row]["tier"] == "ccsd"
    other = data[int(np.flatnonzero(frames.seq_F == 4)[0])]
    assert "cell" not in other
    np.testing.assert_array_equal(other["forces"], np.sin(other["positions"]))
    assert data[-1]["energy"] == frames.energy_F[-1]
    with pytest.raises(IndexError):
        data[len(data)]
