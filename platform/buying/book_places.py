"""Which label book a run shares with others: what its recipe says, and the command line."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.planning.plan import load_plan
from forgefield.platform.planning.recipe import DEFAULT_BOOK, LabelSettings, Recipe, describe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError


@dataclass(frozen=True, slots=True)
class BookPlace:
    """Which book a run shares: URL or path, and the cheapest label worth keeping, core-seconds.

    Where it is not `required`, a book that can't be opened is gone without.
    """

    place: str
    folder: Path
    least_core_seconds: float
    required: bool


def book_place(folder: RunFolder, settings: LabelSettings) -> BookPlace | None:
    """The book of a run, or `None`: beside its folder, unless the settings name another place."""
    if not settings.book:
        return None
    place = settings.book
    if "://" not in place:
        place = str(folder.root.parent / Path(place).expanduser())
    required = settings.book != DEFAULT_BOOK
    return BookPlace(place, folder.root, settings.book_least, required)


def place_of_run(folder: RunFolder) -> BookPlace | None:
    """The book that a run was planned with, as far as it is known."""
    planned = folder.plan.exists()
    return book_place(folder, load_plan(folder.plan).recipe.labels if planned else LabelSettings())


def with_book(recipe: Recipe, place: str | None, *, none: bool) -> Recipe:
    """The recipe with the book that the command line names; raises `InputError` for a bad one."""
    if place is None and not none:
        return recipe
    if place is not None and none:
        raise InputError("Give --labels or --no-labels, not both.")
    if place is not None and "://" not in place:
        place = str(Path(place).expanduser().resolve())
    try:
        labels = LabelSettings.model_validate(recipe.labels.model_dump() | {"book": place or ""})
    except ValidationError as error:
        raise InputError(f"--labels has {describe(error)}") from error
    return recipe.model_copy(update={"labels": labels})
