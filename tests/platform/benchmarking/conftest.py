"""What tests of benchmarks share: the ASTEROID table on small files."""

import numpy as np
import pytest
import spring_files as springs
from spring_benchmark import ACCURATE_FRAMES, CHEAP_FRAMES, TERMS, asked_in
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.results import Results


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """80 accurate frames, all of them with a cheap label too, turned; 60 other cheap frames."""
    folder = tmp_path_factory.mktemp("files")
    own = springs.distortions(ACCURATE_FRAMES, 1)
    cheap = np.concatenate([springs.distortions(CHEAP_FRAMES, 2), springs.turned(own)])
    return asked_in(folder, own, cheap)


@pytest.fixture(scope="session")
def results(asked: Asked) -> Results:
    """Every row of two seeds; takes ten seconds."""
    return benchmark_asteroid(asked, TERMS, Listener())
