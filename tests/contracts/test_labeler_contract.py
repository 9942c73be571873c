"""What every labelling method promises, checked the same way for all of them."""

# ruff: noqa: D101, D102  (the names of tests say it)

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_info

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import BadConfiguration, InputError
from forgefield.storage.records import Array, Configuration, Label, Molecule


def distorted(molecule: Molecule, seed: int = 0, amplitude: float = 0.05) -> Configuration:
    """The molecule's geometry with random displacements (standard deviation in Å)."""
    noise_A3 = np.random.default_rng(seed).normal(0, amplitude, molecule.positions_A3.shape)
    return Configuration(
        molecule.name,
        molecule.numbers,
        molecule.positions_A3 + noise_A3,
        molecule.charge,
        molecule.multiplicity,
    )


def moved(configuration: Configuration, positions_A3: Array) -> Configuration:
    return replace(configuration, positions_A3=positions_A3)


class LabelerContract:
    """Subclass with a method and a molecule; tolerances in eV/Å and eV.

    `turned_tolerance` is for forces after a rotation, `repeated_tolerance` for those of a label
    that may start from the solution of the first.
    """

    method: str
    molecule_name = "formaldehyde"
    step = 0.01
    force_tolerance = 2e-5
    turned_tolerance = 2e-5
    repeated_tolerance = 1e-9
    energy_tolerance = 1e-7
    diagnostics: frozenset[str] = frozenset({"residual_force", "residual_torque"})

    @pytest.fixture(scope="class")
    @classmethod
    def labeler(cls) -> Labeler:
        return labeler_for(cls.method)

    @pytest.fixture(scope="class")
    @classmethod
    def molecule(cls) -> Molecule:
        return find_molecule(cls.molecule_name)

    @pytest.fixture(scope="class")
    @classmethod
    def configuration(cls, molecule: Molecule) -> Configuration:
        return distorted(molecule)

    @pytest.fixture(scope="class")
    @classmethod
    def label(cls, labeler: Labeler, molecule: Molecule, configuration: Configuration) -> Label:
        labeler.prepare(molecule)
        return labeler.label(configuration, 1)

    def test_name_is_its_own_spelling(self, labeler: Labeler) -> None:
        assert labeler.method.name == self.method
        assert labeler_for(self.method.lower()).method == labeler.method

    def test_forces_are_minus_the_slope_of_the_energy(
        self, molecule: Molecule, configuration: Configuration, label: Label
    ) -> None:
        """Five-point differences along a random direction, every energy from a cold start."""
        direction_A3 = np.random.default_rng(1).normal(size=configuration.positions_A3.shape)
        direction_A3 /= np.linalg.norm(direction_A3)

        def energy(steps: int) -> float:
            shift_A3 = steps * self.step * direction_A3
            cold = labeler_for(self.method)
            cold.prepare(molecule)
            return cold.label(moved(configuration, configuration.positions_A3 + shift_A3)).energy

        slope = (8 * (energy(1) - energy(-1)) - (energy(2) - energy(-2))) / (12 * self.step)
        assert -slope == pytest.approx(
            np.vdot(label.forces_A3, direction_A3), abs=self.force_tolerance
        )
        assert abs(slope) > 20 * self.force_tolerance

    def test_energy_and_forces_turn_with_the_molecule(
        self, labeler: Labeler, configuration: Configuration, label: Label
    ) -> None:
        turn = Rotation.from_rotvec([0.3, -1.1, 0.7])
        positions_A3 = turn.apply(configuration.positions_A3) + np.array([1.5, -2.0, 0.5])
        turned = labeler.label(moved(configuration, positions_A3))
        assert turned.energy == pytest.approx(label.energy, abs=self.energy_tolerance)
        np.testing.assert_allclose(
            turned.forces_A3, turn.apply(label.forces_A3), atol=self.turned_tolerance
        )

    def test_the_same_configuration_gives_the_same_label(
        self, labeler: Labeler, configuration: Configuration, label: Label
    ) -> None:
        again = labeler.label(configuration, 1)
        assert again.energy == pytest.approx(label.energy, abs=self.repeated_tolerance)
        np.testing.assert_allclose(again.forces_A3, label.forces_A3, atol=self.repeated_tolerance)

    def test_provenance_is_complete(self, label: Label) -> None:
        provenance = label.provenance
        assert provenance.program
        assert provenance.version[0].isdigit()
        assert provenance.host
        assert provenance.threads == 1
        assert provenance.wall_s > 0
        assert provenance.cpu_s > 0
        assert self.diagnostics <= set(provenance.diagnostics)
        assert all(math.isfinite(value) for value in provenance.diagnostics.values())

    def test_forces_sum_to_nothing(self, label: Label) -> None:
        assert label.provenance.diagnostics["residual_force"] < 2 * self.force_tolerance
        assert label.provenance.diagnostics["residual_torque"] < 2 * self.turned_tolerance

    def test_overlapping_atoms_are_a_bad_configuration(
        self, labeler: Labeler, configuration: Configuration
    ) -> None:
        positions_A3 = configuration.positions_A3.copy()
        positions_A3[1] = positions_A3[0] + 0.1
        with pytest.raises(BadConfiguration, match="Å apart"):
            labeler.label(moved(configuration, positions_A3))

    def test_a_coordinate_that_is_no_number_is_a_bad_configuration(
        self, labeler: Labeler, configuration: Configuration
    ) -> None:
        positions_A3 = configuration.positions_A3.copy()
        positions_A3[0, 0] = np.nan
        with pytest.raises(BadConfiguration, match="finite"):
            labeler.label(moved(configuration, positions_A3))

    def test_thread_counts_are_put_back(
        self, labeler: Labeler, configuration: Configuration, label: Label
    ) -> None:
        assert label is not None
        before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
        with labeler.threads_set(3 if len(before) == 0 else before[0][1] + 1):
            pass
        positions_A3 = np.zeros_like(configuration.positions_A3)
        with pytest.raises(BadConfiguration):
            labeler.label(moved(configuration, positions_A3), 1)
        after = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
        assert after == before

    def test_estimate_is_about_right(self, labeler: Labeler, molecule: Molecule) -> None:
        estimate = labeler.estimate(molecule, 1)
        assert 0 < estimate.low < estimate.core_seconds < estimate.high
        assert estimate.memory_bytes > 10_000_000

    def test_energy_only_is_the_same_energy_for_less(
        self, labeler: Labeler, molecule: Molecule, configuration: Configuration, label: Label
    ) -> None:
        bare = labeler_for(f"{self.method}, energy only")
        assert bare.method.name == f"{self.method}, energy only"
        assert bare.method.tier == labeler.method.tier
        bare.prepare(molecule)
        found = bare.label(configuration, 1)
        assert found.forces_A3 is None
        assert found.energy == pytest.approx(label.energy, abs=self.energy_tolerance)
        assert "residual_force" not in found.provenance.diagnostics
        price, full = bare.estimate(molecule, 1), labeler.estimate(molecule, 1)
        assert price.core_seconds <= full.core_seconds


class TestMmff94(LabelerContract):
    method = "MMFF94"

    def test_a_molecule_without_bonds_is_refused(self, labeler: Labeler) -> None:
        bare = replace(find_molecule("water"), mol_block="")
        with pytest.raises(InputError, match="bonds"):
            labeler.check(bare)

    def test_hydrogen_has_no_mmff_type(self, labeler: Labeler) -> None:
        with pytest.raises(InputError, match="atom type"):
            labeler.check(find_molecule("[H][H]"))


class TestUff(TestMmff94):
    method = "UFF"

    def test_hydrogen_has_no_mmff_type(self, labeler: Labeler) -> None:
        """UFF has one, and types for boron and silicon too."""
        for text in ("[H][H]", "B(O)(O)O", "C[SiH3]"):
            labeler.check(find_molecule(text))

    def test_an_element_out_of_its_usual_state_is_refused(self, labeler: Labeler) -> None:
        with pytest.raises(InputError, match="atom type"):
            labeler.check(find_molecule("FS(F)(F)(F)(F)F"))


class TestAmber14(LabelerContract):
    method = "amber14"
    molecule_name = "CC(=O)N[CH](C)C(=O)NC"


class TestSpcFw(LabelerContract):
    method = "SPC/Fw"
    molecule_name = "water"


class TestGfn2(LabelerContract):
    method = "GFN2-xTB"
    diagnostics = LabelerContract.diagnostics | {"gap_eV", "scf_remedy"}

    def test_elements_beyond_radon_are_refused(self, labeler: Labeler) -> None:
        with pytest.raises(InputError, match="1 to 86"):
            labeler.check(Molecule("thorium", (90,), np.zeros((1, 3))))


class MeanFieldContract(LabelerContract):
    """A second label starts from the first, and ends within 1e-3 kcal/mol/Å of it."""

    molecule_name = "water"
    turned_tolerance = 5e-5
    repeated_tolerance = 4e-5
    energy_tolerance = 1e-6
    diagnostics = LabelerContract.diagnostics | {"gap_eV", "scf_iterations", "scf_remedy"}


class TestHartreeFock(MeanFieldContract):
    method = "HF/cc-pVDZ"


class TestMp2FrozenCore(MeanFieldContract):
    method = "MP2/cc-pVDZ, frozen core"

    def test_forces_of_radicals_are_refused_with_the_way_out(self, labeler: Labeler) -> None:
        with pytest.raises(InputError, match="frozen core, energy only"):
            labeler.check(find_molecule("[OH]"))


class TestMp2AllElectrons(MeanFieldContract):
    method = "MP2/6-31G, all electrons"
    molecule_name = "ammonia"


class DftContract(MeanFieldContract):
    """Forces are the slope of the energy on its grid; only a rotation shows that there is one."""

    turned_tolerance = 1e-3
    energy_tolerance = 2e-5


class TestDft(DftContract):
    method = "PBE/def2-SVP"

    def test_radicals_are_labelled_unrestricted(self) -> None:
        labeler = labeler_for("PBE/STO-3G")
        radical = find_molecule("[OH]")
        labeler.check(radical)
        label = labeler.label(distorted(radical))
        assert label.provenance.diagnostics["residual_force"] < self.force_tolerance
        assert 0 <= label.provenance.diagnostics["spin_contamination"] < 0.02


class TestDftD3(DftContract):
    method = "PBE-D3(BJ)/STO-3G, grid 2"
    molecule_name = "formaldehyde"
    turned_tolerance = 5e-3
    energy_tolerance = 5e-4
    diagnostics = DftContract.diagnostics | {"dispersion_eV"}


class TestHybridMetaGgaD4(DftContract):
    method = "TPSSH-D4/STO-3G, grid 3"
    turned_tolerance = 5e-3
    energy_tolerance = 5e-4


class TestCcsdTFrozenCore(LabelerContract):
    method = "CCSD(T)/cc-pVDZ, frozen core"
    molecule_name = "water"
    force_tolerance = 5e-5
    turned_tolerance = 5e-5
    repeated_tolerance = 4e-5
    energy_tolerance = 1e-5
    diagnostics = MeanFieldContract.diagnostics | {"t1", "cc_iterations"}

    def test_radicals_are_refused(self, labeler: Labeler) -> None:
        with pytest.raises(InputError, match="closed shells"):
            labeler.check(find_molecule("[OH]"))


class TestCcsdTAllElectrons(LabelerContract):
    method = "CCSD(T)/6-31G, all electrons"
    molecule_name = "ammonia"
    force_tolerance = 5e-5
    turned_tolerance = 5e-5
    repeated_tolerance = 4e-5
    energy_tolerance = 1e-5
    diagnostics = TestCcsdTFrozenCore.diagnostics


class TestCcsd(TestCcsdTAllElectrons):
    method = "CCSD/6-31G, frozen core"


class TestFittedCcsdT(TestCcsdTAllElectrons):
    method = "DF-CCSD(T)/6-31G, frozen core"
