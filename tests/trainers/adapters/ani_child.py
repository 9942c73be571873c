"""Runs in an environment that has `torchani`: random weights, and energies by them.

`python ani_child.py WEIGHTS.pt IN.npz OUT.npz` makes weights of ANI-1ccx's shapes, hands them to
the package's own `ANI1ccx`, and writes the energies (hartree) of the frames in IN.
"""

import sys

import numpy as np
import torch
import torchani
from torchani.arch import Assembler


def random_weights():  # noqa: ANN201
    parts = Assembler(periodic_table_index=True)
    parts.set_symbols(("H", "C", "N", "O"))
    parts.set_global_cutoff_fn("cosine")
    parts.set_aev_computer(radial="ani1x", angular="ani1x", strategy="pyaev")
    parts.set_atomic_networks(ctor="ani1x")
    parts.set_neighborlist("all_pairs")
    parts.set_gsaes_as_self_energies("ccsd(t)star-cbs")
    torch.manual_seed(0)
    return parts.assemble(8).state_dict()


def main(weights, source, target):  # noqa: ANN001, ANN201
    found = random_weights()
    torch.save(found, weights)
    torchani.models._fetch_state_dict = lambda *_args, **_words: found
    model = torchani.models.ANI1ccx().double()
    with np.load(source) as frames:
        numbers = torch.tensor(frames["numbers_FA"])
        energy = model((numbers, torch.tensor(frames["positions_FA3"]))).energies
    np.savez(target, energy_F=energy.detach().numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
