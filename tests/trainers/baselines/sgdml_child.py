"""Runs in an environment of its own that has the `sgdml` package: a model solved by it.

`python sgdml_child.py IN.npz OUT.npz`. IN holds `z`, `R`, `E`, `F`, `sig`, `lam`, `perms` and
`R_new`; OUT gets `E` and `F` of `R_new`, and the `perms` that the package finds by itself.
"""

import sys

import numpy as np
from sgdml.predict import GDMLPredict
from sgdml.train import GDMLTrain
from sgdml.utils.perm import find_perms


def quiet(*_args, **_words):  # noqa: ANN002, ANN003, ANN201
    """Hear about progress and say nothing."""


def main(source, target):  # noqa: ANN001, ANN201
    given = dict(np.load(source))
    task = {
        "type": "t",
        "code_version": "1.0.3",
        "dataset_name": "test",
        "dataset_theory": "test",
        "z": given["z"],
        "R_train": given["R"],
        "E_train": given["E"],
        "F_train": given["F"],
        "idxs_train": np.arange(len(given["R"])),
        "md5_train": "",
        "idxs_valid": np.arange(0),
        "md5_valid": "",
        "sig": int(given["sig"]),
        "lam": float(given["lam"]),
        "use_E": True,
        "use_E_cstr": False,
        "use_sym": True,
        "perms": given["perms"],
    }
    model = GDMLTrain(max_processes=1).train(task, callback=quiet)
    energy, forces = GDMLPredict(model, max_processes=1).predict(
        given["R_new"].reshape(len(given["R_new"]), -1)
    )
    found = find_perms(given["R"], given["z"], callback=quiet, max_processes=1)
    np.savez(target, E=energy, F=forces.reshape(given["R_new"].shape), perms=found)


if __name__ == "__main__":
    main(*sys.argv[1:])
