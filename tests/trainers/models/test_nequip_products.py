"""Products of an atom's features with themselves, against e3nn's tensor products."""

import pytest
import torch
from e3nn import o3
from torch import Tensor

from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.models.nequip import NequIP
from forgefield.trainers.models.nequip_maps import PRODUCT_GAIN, SelfProduct

ATOMS, WIDTH = 6, 3
CHANNELS = ((5, 4, 2), (4, 3), (4,))


def made(channels: tuple[int, ...]) -> tuple[SelfProduct, list[Tensor]]:
    """A product in float64, and features of some atoms."""
    torch.manual_seed(0)
    features = [
        torch.randn(ATOMS, 2 * l + 1, size, dtype=torch.float64) for l, size in enumerate(channels)
    ]
    return SelfProduct(channels, WIDTH).double(), features


def wide(order: int) -> o3.Irreps:
    """WIDTH channels of one order, natural parity."""
    return o3.Irreps([(WIDTH, (order, (-1) ** order))])


def by_e3nn(left: Tensor, right: Tensor, orders: tuple[int, int, int]) -> Tensor:
    """Channel by channel, features as (A, M, C)."""
    first, second, out = orders
    product = o3.TensorProduct(
        wide(first),
        wide(second),
        wide(out),
        [(0, 0, 0, "uuu", False)],
        irrep_normalization="component",
        path_normalization="none",
    ).double()
    flat = product(left.mT.flatten(1), right.mT.flatten(1))
    return flat.reshape(ATOMS, WIDTH, -1).mT


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_products_are_those_of_e3nn(channels: tuple[int, ...]) -> None:
    product, features = made(channels)
    left = [mix(x) for mix, x in zip(product.left, features, strict=True)]
    right = [mix(x) for mix, x in zip(product.right, features, strict=True)]
    for l, (before, after) in enumerate(zip(features, product(features), strict=True)):
        parts = [
            by_e3nn(left[path.l_in], right[path.l_edge], (path.l_in, path.l_edge, l))
            for path in product.paths
            if path.l_out == l
        ]
        flat = torch.cat(parts, dim=2)
        back = flat @ product.back[l].weight * PRODUCT_GAIN / flat.shape[2] ** 0.5
        torch.testing.assert_close(after, before + back, rtol=1e-6, atol=1e-6)


def test_what_an_atom_gets_is_its_own() -> None:
    product, features = made((5, 4, 2))
    changed = [x.clone() for x in features]
    for x in changed:
        x[2] += 1
    for one, other in zip(product(features), product(changed), strict=True):
        same = (one == other).flatten(1).all(dim=1)
        assert same.tolist() == [place != 2 for place in range(ATOMS)]


def test_the_last_interaction_and_a_model_without_products_have_none() -> None:
    settings = NequIPSettings(layers=3, channels=(4, 2), elements=(1, 8))
    assert len(NequIP(settings).products) == 2
    assert len(NequIP(settings.model_copy(update={"products": 0})).products) == 0
