"""CPU seconds and peak memory of one CCSD(T)/cc-pVDZ label with forces, side by side.

    .venv/bin/python tests/benchmarks/labels/compare.py [--molecules ethanol benzene] [--json F]

Ours cold, ours along a path of frames 0.02 Å apart (rms), PySCF's own path, and Psi4's density-
fitted gradient where `psi4` is installed (Debian package of that name). Frozen core, one thread,
one process a label, so that peaks of memory are its own; importing is not counted. PySCF runs with
blocks of the size that suits it best, and once more as it comes. On malonaldehyde it takes a
quarter of an hour and on benzene hours: `--slow` asks for them.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
HERE = Path(__file__).resolve()
MEMORY_BYTES = 8_000_000_000
PATH_STEP = 0.02
FRAMES = 6
PROGRAMS = ("ours", "fitted", "pyscf", "pyscf-as-it-comes", "psi4")
SLOW = {
    (program, molecule)
    for program in ("pyscf", "pyscf-as-it-comes")
    for molecule in ("malonaldehyde", "benzene")
}


def main() -> None:
    """Run what was asked for, each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--molecules", nargs="+", default=["ethanol", "malonaldehyde", "benzene"])
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(run_one(*asked.one)))
        return
    rows = []
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for molecule in asked.molecules:
        for program in asked.programs:
            if program == "psi4" and shutil.which("psi4") is None:
                continue
            if (program, molecule) in SLOW and not asked.slow:
                continue
            rows += separately(program, molecule)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


def separately(program: str, molecule: str) -> list[dict]:
    """One program on one molecule in a fresh process; prints as it goes."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    words = [sys.executable, str(HERE), "--one", program, molecule]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{molecule:14s} {program:14s} failed: {done.stderr.strip().splitlines()[-1]}")
        return []
    rows = json.loads(done.stdout.strip().splitlines()[-1])
    for row in rows:
        print("{molecule:14s} {kind:16s} {cpu_s:8.1f} CPU s {peak_gb:6.2f} GB".format(**row))
    return rows


def run_one(program: str, molecule: str) -> list[dict]:
    """Rows of one program on one molecule."""
    makers = (ours, fitted, pyscf, pyscf_as_it_comes, psi4)
    return dict(zip(PROGRAMS, makers, strict=True))[program](molecule)


def row(molecule: str, kind: str, cpu_s: float) -> dict:
    """One line of the table."""
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"molecule": molecule, "kind": kind, "cpu_s": cpu_s, "peak_gb": peak_gb}


def frames(molecule: str) -> list:
    """Configurations on a straight path, the first a little off the start geometry."""
    import numpy as np

    from forgefield.labelers.molecules import find_molecule
    from forgefield.storage.records import Configuration

    found = find_molecule(molecule)
    generator = np.random.default_rng(0)
    start_A3 = found.positions_A3 + generator.normal(0, 0.03, found.positions_A3.shape)
    step_A3 = generator.normal(size=start_A3.shape)
    step_A3 *= PATH_STEP / np.sqrt((step_A3**2).sum(axis=1).mean())
    return [Configuration(found.name, found.numbers, start_A3 + n * step_A3) for n in range(FRAMES)]


def ours(molecule: str, *, density_fit: bool = False) -> list[dict]:
    """Cold, then the mean of the last three labels of the path."""
    import numpy as np

    from forgefield.labelers.ccsd_t import CcsdTLabeler
    from forgefield.storage.records import Configuration

    water = np.array([(0, 0, 0.1), (0.03, 0.78, -0.5), (0.0, -0.74, -0.46)])
    warm_up = CcsdTLabeler("STO-3G", fitted=density_fit)
    warm_up.label(Configuration("water", (8, 1, 1), water))  # loads and compiles
    labeler = CcsdTLabeler("cc-pVDZ", MEMORY_BYTES, fitted=density_fit)
    name = "ours, fitted" if density_fit else "ours"
    path, rows, times = frames(molecule), [], []
    for configuration in path:
        times.append(labeler.label(configuration).provenance.cpu_s)
        if len(times) == 1:
            rows.append(row(molecule, f"{name}, cold", times[0]))
    return [*rows, row(molecule, f"{name}, warm", sum(times[-3:]) / 3)]


def fitted(molecule: str) -> list[dict]:
    """Ours with density fitting throughout."""
    return ours(molecule, density_fit=True)


def pyscf_as_it_comes(molecule: str) -> list[dict]:
    """PySCF's own path with blocks of its own choice, within the same memory."""
    return pyscf(molecule, small_blocks=False)


def pyscf(molecule: str, *, small_blocks: bool = True) -> list[dict]:
    """PySCF's own path with the blocks that make it fastest, see `pyscf_path`."""
    from pyscf import scf
    from pyscf.data.elements import chemcore
    from pyscf_path import pyscf_gradient

    from forgefield.labelers.self_consistent import pyscf_molecule

    mol = pyscf_molecule(frames(molecule)[0], "cc-pVDZ", MEMORY_BYTES)
    start = time.process_time()
    field = scf.RHF(mol)
    field.conv_tol, field.conv_tol_grad = 1e-9, 1e-6
    field.kernel()
    pyscf_gradient(field, chemcore(mol), 1e-5, small_blocks=small_blocks)
    kind = "PySCF" if small_blocks else "PySCF as it comes"
    return [row(molecule, kind, time.process_time() - start)]


def psi4(molecule: str) -> list[dict]:
    """Psi4's density-fitted CCSD(T) gradient, in a process of its own Python."""
    from ase.data import chemical_symbols

    configuration = frames(molecule)[0]
    atoms = "\n".join(
        f"{chemical_symbols[z]} {x:.10f} {y:.10f} {w:.10f}"
        for z, (x, y, w) in zip(configuration.numbers, configuration.positions_A3, strict=True)
    )
    text = f"""
memory {MEMORY_BYTES // 10**6} mb
molecule {{
{atoms}
symmetry c1
no_reorient
no_com
}}
set basis cc-pvdz
set cc_type df
set freeze_core true
set e_convergence 8
set d_convergence 7
set r_convergence 5
import time
start = time.process_time()
gradient('ccsd(t)')
open('seconds', 'w').write(str(time.process_time() - start))
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "input.dat").write_text(text)
        words = ["psi4", "-n", "1", "input.dat", "output.dat"]
        subprocess.run(words, cwd=folder, env=os.environ | {"PSI_SCRATCH": folder}, check=True)
        seconds = float(Path(folder, "seconds").read_text())
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    return [row(molecule, "Psi4, fitted", seconds) | {"peak_gb": peak_gb}]


if __name__ == "__main__":
    main()
