"""Stand-ins are called what they are, in recipes, label books, cost files and imports."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError
from replays import FORMALDEHYDE, recipe, section

from forgefield.labelers.registry import labeler_for
from forgefield.platform.book_places import with_book
from forgefield.platform.buying.shared_labels import SharedLabels
from forgefield.platform.foreign_labels.methods import tier_of
from forgefield.platform.planning.cost_store import CostRecord, known_costs, remember_costs
from forgefield.platform.planning.recipe import Recipe, load_recipe
from forgefield.platform.stand_in_names import at_its_tier, is_real
from forgefield.platform.stand_ins.labelers import PosingLabeler, charge
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration, Job, Method, Purpose, Tier
from forgefield.storage.testing import make_job

TARGET = "CCSD(T)/cc-pVDZ, frozen core"
POSING = f"GFN2-xTB, posing as {TARGET}"


def refusal(given: dict[str, Any]) -> str:
    with pytest.raises((ValidationError, InputError)) as caught:
        Recipe.model_validate(given)
    return str(caught.value)


def test_names_have_one_spelling() -> None:
    assert at_its_tier("gfn2-xtb, posing as ccsd(t)/cc-pvdz", "ccsd") == POSING
    assert at_its_tier("Psi4:  CCSD(T),  cc-pVTZ, replayed", "dft") == (
        "Psi4: CCSD(T), cc-pVTZ, replayed"
    )
    assert [is_real(name) for name in (TARGET, POSING, f"{TARGET}, replayed")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GFN2-xTB", "GFN2-xTB is a method of the tier xtb"),
        ("GFN2-xTB, posing as PBE/def2-SVP", "PBE/def2-SVP is a method of the tier dft"),
        ("GFN2-xTB, energy only, posing as " + TARGET, "has none"),
        ("Foo, posing as " + TARGET, "'Foo'"),
        ("PBE/def2-SVP, replayed", "needs a file and a price, in replay.ccsd"),
    ],
)
def test_names_that_have_no_place_at_the_target_tier(name: str, said: str) -> None:
    assert said in refusal({"methods": {"ccsd": name}})


def test_a_replayed_tiers_method_follows_from_its_file() -> None:
    found = recipe({"ccsd": section(Path("a.npz"), method="PBE/def2-SVP")})
    assert found.methods.ccsd == "PBE/def2-SVP, replayed"
    assert found.methods.dft == "PBE/def2-SVP"
    assert found.labels.book == ""
    assert Recipe.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"methods": {"ccsd": TARGET}, "replay": {"ccsd": section(Path("a.npz"))}},
            "leave methods.ccsd out",
        ),
        (
            {"labels": {"book": "own.sqlite"}, "replay": {"ccsd": section(Path("a.npz"))}},
            "leave labels.book out",
        ),
        ({"posing": {"ccsd": {"price": 3.0}}}, "poses as nothing"),
        ({"replay": {"ccsd": section(Path("a.npz"), price=0)}}, "greater than 0"),
        ({"replay": {"ccsd": section(Path("a.npz"), spread=0.5)}}, "less than or equal to 0.25"),
        ({"replay": {"ccsd": section(Path("a.npz"), method=POSING)}}, "pose as nothing"),
        ({"replay": {"dft": section(Path("a.npz")), "test_frames": 5}}, "give replay.ccsd"),
    ],
)
def test_recipes_that_contradict_themselves(given: dict[str, Any], said: str) -> None:
    assert said in refusal(given)


def test_files_count_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        '[replay.dft]\nfile = "sub/a.npz"\nmethod = "PBE/def2-SVP"\nprice = 7.5\n'
    )
    found = load_recipe(tmp_path / "r.toml").replay.of(Tier.DFT)
    assert found is not None
    assert found.file == tmp_path / "sub/a.npz"


def test_a_label_book_can_not_be_asked_for() -> None:
    replays = recipe({"ccsd": section(Path("a.npz"))})
    with pytest.raises(InputError, match="enter no label book"):
        with_book(replays, "book.sqlite", none=False)
    assert with_book(replays, None, none=True).labels.book == ""


def test_what_is_published_is_real() -> None:
    """Even where somebody opened a book: the last gate before it."""
    real = make_job(1)
    posing = Job(real.configuration, Method(Tier.CCSD, POSING), Purpose.TRAIN)
    published: list[Any] = []
    desk = SharedLabels(cast("Any", None), Path(), None)
    inbox = [SimpleNamespace(job=job) for job in (real, posing)]
    desk._ledger = cast("Any", SimpleNamespace(inbox_of=lambda *_: inbox))
    desk._book = cast("Any", SimpleNamespace(least_micro=0, publish=published.extend))
    desk.publish()
    assert [frame.job for frame in published] == [real]


def test_stated_prices_are_not_remembered_as_this_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platform

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    facts = {"host": platform.node(), "threads": 1, "molecule": "8 1 1", "predicted": 1.0}
    facts |= {"core_seconds": 300.0, "labels": 2, "scatter": 0.1, "at": 0.0}
    records = [CostRecord(method=name, **facts) for name in (TARGET, POSING)]  # type: ignore[arg-type]
    assert remember_costs(records) == ""
    assert [len(known_costs(name, "")) for name in (TARGET, POSING)] == [1, 0]


def test_an_export_of_a_rehearsal_is_of_its_actors_tier() -> None:
    assert tier_of(POSING) == "xtb"
    assert tier_of(TARGET) == "ccsd"


def test_a_posing_label_is_its_actors_at_the_stated_price() -> None:
    posing = {"methods": {"ccsd": POSING}, "posing": {"ccsd": {"price": 300.0}}}
    labeler = Recipe.model_validate(posing).labeler(Tier.CCSD)
    assert isinstance(labeler, PosingLabeler)
    assert (labeler.method.tier, labeler.method.name) == (Tier.CCSD, POSING)
    labeler.prepare(FORMALDEHYDE)
    shape = Configuration("formaldehyde", FORMALDEHYDE.numbers, FORMALDEHYDE.positions_A3)
    found, own = labeler.label(shape), labeler_for("GFN2-xTB").label(shape)
    assert found.energy == pytest.approx(own.energy, abs=1e-9)
    assert found.forces_A3 == pytest.approx(own.forces_A3, abs=1e-8)
    assert found.provenance.program == own.provenance.program
    assert labeler.estimate(FORMALDEHYDE).core_seconds == 300.0
    jobs = [Job(shape, labeler.method, Purpose.TRAIN)] * 3
    assert charge(labeler, jobs, 0.02) == 900.0
    free = Recipe.model_validate({"methods": {"ccsd": POSING}}).labeler(Tier.CCSD)
    assert charge(free, jobs, 0.02) == 0.02
    assert free.estimate(FORMALDEHYDE) == labeler_for("GFN2-xTB").estimate(FORMALDEHYDE)
