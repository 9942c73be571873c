"""Which frames each step sees: a fresh shuffle of all of them every epoch, by (seed, epoch)."""

import numpy as np
from numpy.typing import NDArray


class Batches:
    """Frames of any step, from `count` frames in batches of `size`; nothing has to be remembered.

    What is left of an epoch when no whole batch fits is skipped: all batches are of one size.
    """

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count, self.size, self.seed = count, min(size, count), seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def at(self, step: int) -> NDArray[np.int64]:
        """Places of the frames of this step."""
        epoch, place = divmod(step, self.count // self.size)
        if self._epoch != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            self._epoch, self._order = epoch, generator.permutation(self.count)
        return self._order[place * self.size : (place + 1) * self.size]
