"""Who is to be cited for what a run used: plain data, in the order of a paper's reference list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Citation:
    """One entry of the reference list; `link` is a DOI's or an archive's address, or ""."""

    text: str
    link: str = ""


CITATIONS: dict[str, Citation] = {
    "MMFF94": Citation(
        "T. A. Halgren, Merck molecular force field. I, J. Comput. Chem. 17, 490–519 (1996)",
        "https://doi.org/10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P",
    ),
    "RDKit MMFF94": Citation(
        "P. Tosco, N. Stiefl, G. Landrum, Bringing the MMFF force field to the RDKit, "
        "J. Cheminform. 6, 37 (2014)",
        "https://doi.org/10.1186/s13321-014-0037-3",
    ),
    "UFF": Citation(
        "A. K. Rappé et al., UFF, a full periodic table force field, J. Am. Chem. Soc. 114, "
        "10024–10035 (1992)",
        "https://doi.org/10.1021/ja00051a040",
    ),
    "amber14": Citation(
        "J. A. Maier et al., ff14SB, J. Chem. Theory Comput. 11, 3696–3713 (2015)",
        "https://doi.org/10.1021/acs.jctc.5b00255",
    ),
    "SPC/Fw": Citation(
        "Y. Wu, H. L. Tepper, G. A. Voth, Flexible simple point-charge water model with improved "
        "liquid-state properties, J. Chem. Phys. 124, 024503 (2006)",
        "https://doi.org/10.1063/1.2136877",
    ),
    "RDKit": Citation(
        "RDKit: open-source cheminformatics, www.rdkit.org", "https://doi.org/10.5281/zenodo.591637"
    ),
    "OpenMM": Citation(
        "P. Eastman et al., OpenMM 8: molecular dynamics simulation with machine learning "
        "potentials, J. Phys. Chem. B 128, 109–116 (2024)",
        "https://doi.org/10.1021/acs.jpcb.3c06662",
    ),
    "GFN2-xTB": Citation(
        "C. Bannwarth, S. Ehlert, S. Grimme, GFN2-xTB, J. Chem. Theory Comput. 15, 1652–1671 "
        "(2019)",
        "https://doi.org/10.1021/acs.jctc.8b01176",
    ),
    "GFN1-xTB": Citation(
        "S. Grimme, C. Bannwarth, P. Shushkov, GFN-xTB, J. Chem. Theory Comput. 13, 1989–2009 "
        "(2017)",
        "https://doi.org/10.1021/acs.jctc.7b00118",
    ),
    "tblite": Citation(
        "S. Ehlert et al., tblite, light-weight tight-binding framework",
        "https://github.com/tblite/tblite",
    ),
    "PBE": Citation(
        "J. P. Perdew, K. Burke, M. Ernzerhof, Generalized gradient approximation made simple, "
        "Phys. Rev. Lett. 77, 3865–3868 (1996)",
        "https://doi.org/10.1103/PhysRevLett.77.3865",
    ),
    "PBE0": Citation(
        "C. Adamo, V. Barone, Toward reliable density functional methods without adjustable "
        "parameters: the PBE0 model, J. Chem. Phys. 110, 6158–6170 (1999)",
        "https://doi.org/10.1063/1.478522",
    ),
    "B3LYP": Citation(
        "A. D. Becke, Density-functional thermochemistry. III. The role of exact exchange, "
        "J. Chem. Phys. 98, 5648–5652 (1993)",
        "https://doi.org/10.1063/1.464913",
    ),
    "D3": Citation(
        "S. Grimme, J. Antony, S. Ehrlich, H. Krieg, A consistent and accurate ab initio "
        "parametrization of density functional dispersion correction (DFT-D), J. Chem. Phys. 132, "
        "154104 (2010)",
        "https://doi.org/10.1063/1.3382344",
    ),
    "D3(BJ)": Citation(
        "S. Grimme, S. Ehrlich, L. Goerigk, Effect of the damping function in dispersion corrected "
        "density functional theory, J. Comput. Chem. 32, 1456–1465 (2011)",
        "https://doi.org/10.1002/jcc.21759",
    ),
    "D4": Citation(
        "E. Caldeweyher et al., A generally applicable atomic-charge dependent London dispersion "
        "correction, J. Chem. Phys. 150, 154122 (2019)",
        "https://doi.org/10.1063/1.5090222",
    ),
    "MP2": Citation(
        "C. Møller, M. S. Plesset, Note on an approximation treatment for many-electron systems, "
        "Phys. Rev. 46, 618–622 (1934)",
        "https://doi.org/10.1103/PhysRev.46.618",
    ),
    "CCSD": Citation(
        "G. D. Purvis III, R. J. Bartlett, A full coupled-cluster singles and doubles model, "
        "J. Chem. Phys. 76, 1910–1918 (1982)",
        "https://doi.org/10.1063/1.443164",
    ),
    "def2": Citation(
        "F. Weigend, R. Ahlrichs, Balanced basis sets of split valence, triple zeta valence and "
        "quadruple zeta valence quality, Phys. Chem. Chem. Phys. 7, 3297–3305 (2005)",
        "https://doi.org/10.1039/B508541A",
    ),
    "cc-pV": Citation(
        "T. H. Dunning Jr., Gaussian basis sets for use in correlated molecular calculations. I, "
        "J. Chem. Phys. 90, 1007–1023 (1989)",
        "https://doi.org/10.1063/1.456153",
    ),
    "CCSD(T)": Citation(
        "K. Raghavachari, G. W. Trucks, J. A. Pople, M. Head-Gordon, A fifth-order perturbation "
        "comparison of electron correlation theories, Chem. Phys. Lett. 157, 479–483 (1989)",
        "https://doi.org/10.1016/S0009-2614(89)87395-6",
    ),
    "PySCF": Citation(
        "Q. Sun et al., Recent developments in the PySCF program package, J. Chem. Phys. 153, "
        "024109 (2020)",
        "https://doi.org/10.1063/5.0006074",
    ),
    "Ray": Citation(
        "P. Moritz et al., Ray: a distributed framework for emerging AI applications, Proc. 13th "
        "USENIX OSDI, 561–577 (2018)",
        "https://arxiv.org/abs/1712.05889",
    ),
    "ASTEROID": Citation(
        "A. Bukharin et al., Machine learning force fields with data cost aware training, "
        "Proc. 40th ICML (2023), arXiv:2306.03109",
        "https://arxiv.org/abs/2306.03109",
    ),
    "EGNN": Citation(
        "V. G. Satorras, E. Hoogeboom, M. Welling, E(n) equivariant graph neural networks, "
        "Proc. 38th ICML (2021), arXiv:2102.09844",
        "https://arxiv.org/abs/2102.09844",
    ),
    "SchNet": Citation(
        "K. T. Schütt, P.-J. Kindermans, H. E. Sauceda, S. Chmiela, A. Tkatchenko, K.-R. Müller, "
        "SchNet: a continuous-filter convolutional neural network for modeling quantum "
        "interactions, NeurIPS 30 (2017), arXiv:1706.08566",
        "https://arxiv.org/abs/1706.08566",
    ),
    "PaiNN": Citation(
        "K. T. Schütt, O. T. Unke, M. Gastegger, Equivariant message passing for the prediction "
        "of tensorial properties and molecular spectra, Proc. 38th ICML (2021), arXiv:2102.03150",
        "https://arxiv.org/abs/2102.03150",
    ),
    "NequIP": Citation(
        "S. Batzner, A. Musaelian, L. Sun, M. Geiger, J. P. Mailoa, M. Kornbluth, N. Molinari, "
        "T. E. Smidt, B. Kozinsky, E(3)-equivariant graph neural networks for data-efficient and "
        "accurate interatomic potentials, Nat. Commun. 13, 2453 (2022)",
        "https://doi.org/10.1038/s41467-022-29939-5",
    ),
    "MACE": Citation(
        "I. Batatia, D. P. Kovács, G. N. C. Simm, C. Ortner, G. Csányi, MACE: higher order "
        "equivariant message passing neural networks for fast and accurate force fields, NeurIPS "
        "35 (2022), arXiv:2206.07697",
        "https://arxiv.org/abs/2206.07697",
    ),
    "GemNet-T": Citation(
        "J. Gasteiger, F. Becker, S. Günnemann, GemNet: universal directional graph neural "
        "networks for molecules, NeurIPS 34 (2021), arXiv:2106.08903",
        "https://arxiv.org/abs/2106.08903",
    ),
    "PyTorch": Citation(
        "A. Paszke et al., PyTorch: an imperative style, high-performance deep learning library, "
        "NeurIPS 32 (2019)",
        "https://arxiv.org/abs/1912.01703",
    ),
    "bootstrap": Citation(
        "B. Efron, Bootstrap methods: another look at the jackknife, Ann. Statist. 7, 1–26 (1979)",
        "https://doi.org/10.1214/aos/1176344552",
    ),
    "Student": Citation(
        "Student, The probable error of a mean, Biometrika 6, 1–25 (1908)",
        "https://doi.org/10.1093/biomet/6.1.1",
    ),
    "expanded bootstrap": Citation(
        "T. C. Hesterberg, What teachers should know about the bootstrap, Am. Stat. 69, 371–386 "
        "(2015)",
        "https://doi.org/10.1080/00031305.2015.1089789",
    ),
    "ASE": Citation(
        "A. Hjorth Larsen et al., The atomic simulation environment, J. Phys.: Condens. Matter "
        "29, 273002 (2017)",
        "https://doi.org/10.1088/1361-648X/aa680e",
    ),
}


class References:
    """Numbers citations in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def __call__(self, *keys: str) -> str:
        """`[1]` or `[2,3]`; a key that nothing is known of gives no number."""
        known = [key for key in keys if key in CITATIONS]
        self.used += [key for key in dict.fromkeys(known) if key not in self.used]
        numbers = sorted({self.used.index(key) + 1 for key in known})
        return f" [{','.join(map(str, numbers))}]" if numbers else ""

    @property
    def entries(self) -> list[Citation]:
        """The reference list."""
        return [CITATIONS[key] for key in self.used]


def keys_of_method(name: str) -> tuple[str, ...]:
    """What to cite for a method by its full name, such as `PBE-D4/def2-SVP, grid 5`."""
    bare = name.partition(",")[0]
    level, _, basis = bare.removeprefix("DF-").partition("/")
    functional, _, dispersion = level.partition("-D")
    found = [key for key in (bare, level, functional) if key in CITATIONS][:1]
    found += {"3(BJ)": ["D3", "D3(BJ)"], "4": ["D4"]}.get(dispersion, [])
    found += [prefix for prefix in ("def2", "cc-pV") if basis.startswith(prefix)]
    return tuple(found)
