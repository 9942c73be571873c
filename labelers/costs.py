"""What a label costs, predicted before it is bought; every constant here is a fit.

Core-seconds were measured with one thread of a shared server core, on water to ethanol for
CCSD(T), to aspirin for the others; a calibration on the machine at hand replaces them. Beyond
ethanol the o³v⁴ of CCSD(T) is an extrapolation. Memory is the resident size of the whole process,
meant as an upper bound. Frozen cores are PySCF's: none up to beryllium, 1s from boron on.

Legend: `n` basis functions, `o`/`v` correlated occupied and virtual orbitals.
"""

from forgefield.labelers.basis_sets import core_potentials, count_functions
from forgefield.labelers.labeler import Estimate
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

PROCESS_BYTES = 250_000_000
"""A Python process with the programs loaded."""
SPREAD = 2.5
"""Another machine, another geometry: the factor by which a true cost may differ either way."""
THREAD_LOSS = 0.1
"""Share of its time that every thread after the first wastes (assumed, not measured)."""
GRID_STEP = 1.6
"""Cost of one grid level over the one below it."""
HYBRID_FACTOR = 1.2
"""Exact exchange over none."""
DFT_ENERGY_SHARE = 0.62
"""Of a DFT label's cost, what is left without the gradient."""
GRID_BYTES_PER_FUNCTION = 9_500_000
CORRELATED_PROCESS_BYTES = 500_000_000
"""A Python process with PySCF, torch and Numba loaded."""


def mmff_estimate(molecule: Molecule) -> Estimate:
    """0.12 ms for methanol, 0.19 ms for aspirin, most of it bookkeeping."""
    return _spread(1.1e-4 + 2e-7 * len(molecule.numbers) ** 2, PROCESS_BYTES)


def xtb_estimate(molecule: Molecule, threads: int) -> Estimate:
    """1.2 ms for methanol, 14 ms for aspirin; a second thread saved no time up to 40 atoms."""
    seconds = 6e-4 + 6.8e-6 * len(molecule.numbers) ** 2.5
    return _spread(threads * seconds, PROCESS_BYTES)


def dft_estimate(
    molecule: Molecule, basis: str, *, grid: int, hybrid: bool, threads: int, forces: bool = True
) -> Estimate:
    """2.7 s for methanol in PBE/def2-SVP, 6.8 s for ethanol, 32 s for toluene; 0.6 of it bare.

    Hybrids up to toluene cost the same to a tenth; exchange grows faster with the molecule.

    Memory: orbitals on blocks of the grid (1.2 GB seen for benzene), and fitted integrals,
    some 3.5 n auxiliary functions for n²/2 pairs.
    """
    n = count_functions(molecule.numbers, basis)
    seconds = 0.2 + 1.45e-4 * n**2.5 * GRID_STEP ** (grid - 4) * (HYBRID_FACTOR if hybrid else 1)
    seconds *= 1 if forces else DFT_ENERGY_SHARE
    memory_bytes = PROCESS_BYTES + GRID_BYTES_PER_FUNCTION * n + 14 * n**3
    return _spread(_wasteful(seconds, threads), memory_bytes)


def coupled_cluster_estimate(
    molecule: Molecule,
    basis: str,
    *,
    frozen_core: bool,
    triples: bool,
    forces: bool,
    threads: int,
) -> Estimate:
    """Water/cc-pVDZ 0.14 s, ethanol 10 s, malonaldehyde 40 s, benzene 120 s; open shells by PySCF.

    Memory: integrals over atomic orbitals and the two-particle density (n⁴), (ac|bd), (ia|bc) with
    their adjoints, and a few dozen arrays of the size of the amplitudes.
    """
    if molecule.multiplicity != 1:
        return open_shell_ccsd_t_estimate(molecule, basis, frozen_core=frozen_core, threads=threads)
    o, v = correlated_orbitals(molecule, basis, frozen_core=frozen_core)
    n = count_functions(molecule.numbers, basis)
    seconds = 0.08 + n**4 * (1.6e-7 if forces else 5e-8)
    seconds += o**3 * v**3 * (1.3e-8 if forces else 6e-9)
    if triples:
        seconds += o**3 * v**4 * (2.2e-10 if forces else 8e-11)
    numbers = n**4 // 2 + v**4 // 2 + 6 * o * v**3 + 40 * o**2 * v**2 + 8 * v**3
    if not forces:
        numbers = 3 * n**4 // 8 + v**4 // 2 + 2 * o * v**3 + 20 * o**2 * v**2
    arrays_bytes = 10 * numbers
    return _spread(_wasteful(seconds, threads), CORRELATED_PROCESS_BYTES + arrays_bytes)


def hartree_fock_estimate(
    molecule: Molecule, basis: str, *, threads: int, forces: bool
) -> Estimate:
    """Methanol/def2-SVP 0.4 s, ethanol 1.9 s, toluene 21 s; a quarter of it without forces."""
    n = count_functions(molecule.numbers, basis)
    seconds = 0.05 + (5.7e-8 if forces else 1.43e-8) * n**4
    return _spread(_wasteful(seconds, threads), PROCESS_BYTES + 2 * n**4 + 200 * n**2)


def mp2_estimate(
    molecule: Molecule, basis: str, *, frozen_core: bool, threads: int, forces: bool
) -> Estimate:
    """Methanol/cc-pVDZ 0.9 s, ethanol 4.3 s, toluene 69 s; a ninth of it without forces.

    Memory: atomic integrals and their halves in transformation; 1.6 GB seen for toluene.
    """
    o = max(spin_orbitals(molecule, basis, frozen_core=frozen_core)[:2])
    n = count_functions(molecule.numbers, basis)
    seconds = 0.05 + (1.8e-7 if forces else 1.96e-8) * n**4
    memory_bytes = PROCESS_BYTES + (4 if forces else 2) * n**4 + 48 * o**2 * n**2
    return _spread(_wasteful(seconds, threads), memory_bytes)


def open_shell_ccsd_t_estimate(
    molecule: Molecule, basis: str, *, frozen_core: bool, threads: int
) -> Estimate:
    """Methyl/cc-pVDZ 0.3 s, ethyl 5 s and 0.46 GB; beyond that an extrapolation."""
    oa, ob, va, vb = spin_orbitals(molecule, basis, frozen_core=frozen_core)
    o, v = (oa + ob) / 2, (va + vb) / 2
    seconds = 0.12 + 2.4e-8 * o**2 * v**4 + 1e-9 * o**3 * v**4
    arrays_bytes = int(12 * (6 * 3 * o * v**3 + 3 * v**4 / 2 + 20 * o**2 * v**2))
    return _spread(_wasteful(seconds, threads), PROCESS_BYTES + arrays_bytes)


def spin_orbitals(
    molecule: Molecule, basis: str, *, frozen_core: bool
) -> tuple[int, int, int, int]:
    """Correlated orbitals of any spin: α and β occupied, α and β virtual.

    Raises `InputError` where there is nothing to correlate, the charge and the multiplicity don't
    fit, or cores are potentials.
    """
    from pyscf.data.elements import chemcore_atm

    electrons, unpaired = sum(molecule.numbers) - molecule.charge, molecule.multiplicity - 1
    if (electrons - unpaired) % 2 or core_potentials(molecule.numbers, basis):
        raise InputError(
            f"{molecule.name} has {electrons} electrons and multiplicity {molecule.multiplicity}, "
            "which don't fit, or elements that need core potentials; correlated labels are for "
            "elements up to krypton"
        )
    core = sum(int(chemcore_atm[z]) for z in molecule.numbers) if frozen_core else 0
    n = count_functions(molecule.numbers, basis)
    alpha, beta = (electrons + unpaired) // 2, (electrons - unpaired) // 2
    if alpha - core < 1 or n - beta < 1 or n <= alpha or beta < core:
        raise InputError(
            f"{molecule.name} has {alpha - core} occupied and {n - beta} empty orbitals to "
            f"correlate in {basis}; take a larger basis or all electrons"
        )
    return alpha - core, beta - core, n - alpha, n - beta


def correlated_orbitals(molecule: Molecule, basis: str, *, frozen_core: bool) -> tuple[int, int]:
    """(o, v) of a closed shell; `InputError` for an open one, or where cores are potentials."""
    from pyscf.data.elements import chemcore_atm

    electrons = sum(molecule.numbers) - molecule.charge
    if electrons % 2 or core_potentials(molecule.numbers, basis):
        raise InputError(
            f"{molecule.name} has {electrons} electrons, or elements that need core potentials; "
            "CCSD(T) labels are for closed shells of elements up to krypton"
        )
    core = sum(int(chemcore_atm[z]) for z in molecule.numbers) if frozen_core else 0
    n = count_functions(molecule.numbers, basis)
    return electrons // 2 - core, n - electrons // 2


def _wasteful(core_seconds: float, threads: int) -> float:
    return core_seconds * (1 + THREAD_LOSS * (threads - 1))


def _spread(core_seconds: float, memory_bytes: int) -> Estimate:
    return Estimate(core_seconds, core_seconds / SPREAD, core_seconds * SPREAD, memory_bytes)
