"""Which label books a run shares with others: what its recipe says, and what it has used so far."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.problems import describe
from forgefield.platform.planning.recipe import DEFAULT_BOOK, LabelSettings, Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.label_book.runs import SILENCE_S
from forgefield.storage.ledger import Ledger

FACT = "label books"


@dataclass(frozen=True, slots=True)
class BookPlace:
    """Which book a run shares: URL or path, and the cheapest label worth keeping, core-seconds.

    Where it is not `required`, a book that can't be used is gone without. `patience_s`: a run that
    the book hasn't heard of for so long is waited for no longer.
    """

    place: str
    folder: Path
    least_core_seconds: float
    required: bool
    patience_s: float = SILENCE_S

    @property
    def may_exist(self) -> bool:
        """Whether there is such a file; a server is not asked."""
        return "://" in self.place or Path(self.place).exists()


def book_place(folder: RunFolder, settings: LabelSettings) -> BookPlace | None:
    """The book of a run, or `None`: beside its folder, unless the settings name another place."""
    if not settings.book:
        return None
    place = settings.book
    if "://" not in place:
        place = str(folder.root.parent / Path(place).expanduser())
    required = settings.book != DEFAULT_BOOK
    return BookPlace(
        place, folder.root, settings.book_least, required, patience_s=settings.book_patience
    )


def remember_place(ledger: Ledger, place: BookPlace) -> None:
    """Note in the ledger that the run shares this book, before anything of it is there."""
    known = ledger.get_fact(FACT) or []
    if place.place not in known:
        ledger.put_fact(FACT, [*known, place.place])


def places_of_run(ledger: Ledger, folder: RunFolder) -> list[BookPlace]:
    """The books that a run has shared, and the one that it was planned with, if they are there."""
    settings = load_plan(folder.plan).recipe.labels if folder.plan.exists() else LabelSettings()
    planned = book_place(folder, settings)
    used = [
        BookPlace(place, folder.root, settings.book_least, required=True)
        for place in ledger.get_fact(FACT) or []
    ]
    places = {each.place: each for each in (*used, *([planned] if planned else []))}
    return [each for each in places.values() if each.may_exist]


def with_book(recipe: Recipe, place: str | None, *, none: bool) -> Recipe:
    """The recipe with the book that the command line names; raises `InputError` for a bad one."""
    if place is None and not none:
        return recipe
    if place is not None and none:
        raise InputError("Give --labels or --no-labels, not both.")
    if place is not None and recipe.has_stand_ins:
        raise InputError(
            f"--labels {place}: replayed and posing labels enter no label book. Leave it out."
        )
    if place is not None and "://" not in place:
        place = str(Path(place).expanduser().resolve())
    try:
        labels = LabelSettings.model_validate(recipe.labels.model_dump() | {"book": place or ""})
    except ValidationError as error:
        raise InputError(f"--labels has {describe(error)}") from error
    return recipe.model_copy(update={"labels": labels})
