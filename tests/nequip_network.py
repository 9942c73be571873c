"""The `nequip` package's network at the settings of ours, for processes that have that package.

Imported by children that find it on PYTHONPATH. It is the only file of the project that sees the
package, which wants its own versions of others and so lives in an environment of its own.
"""

from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state


def build(settings, **more):  # noqa: ANN001, ANN003, ANN201
    """`settings` are those of our network as plain data; `more` goes to the package as it is."""
    set_global_state()
    return NequIPGNNModel(
        seed=0,
        r_max=settings["cutoff"],
        type_names=[f"z{number}" for number in settings["elements"]],
        num_layers=settings["layers"],
        l_max=len(settings["channels"]) - 1,
        parity=False,
        num_features=list(settings["channels"]),
        type_embed_num_features=settings["species"],
        radial_mlp_depth=1,
        radial_mlp_width=settings["radial_width"],
        num_bessels=settings["radial"],
        avg_num_neighbors=settings["neighbours"],
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
        **more,
    )
