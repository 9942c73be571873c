"""Labels of others into a run or a data set, at no cost: compared with what is there, and booked.

The whole file is judged before anything is written. Booking goes by the keys of jobs, a few
thousand in one transaction each: killed midway, the same command books what is left. A label that
is there already is left out; one that contradicts it refuses the file.
"""

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import Field

from forgefield.platform.data_sets.judging_frames import judging_frames, left_to_train_on
from forgefield.platform.foreign_labels.judging import (
    Judged,
    Question,
    check_against,
    judge,
    labels_of,
)
from forgefield.platform.ledger_place import writing_ledger
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.formats.sameness import Labelled, Repeat, find_repeats
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Outcome, Purpose
from forgefield.storage.run_lock import RunLock

LABELS_A_BATCH = 5000
BAR = "labels booked"
OURS = re.compile(r"(ledger\.sqlite.*|\.?frames\.zarr.*|.*\.lock)")
_COST = re.compile(r"([0-9]*\.?[0-9]+) *(s|min|h)?")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, None: 1.0}


class ImportReport(Document):
    """What came of an import; counts are of frames."""

    file: Path
    folder: Path
    sha256: str
    frames: int
    imported: int
    already_there: int
    judging: int = Field(0, description="left out: the run is judged or chosen by their geometry")
    duplicates: int
    near_duplicates: int
    methods: list[str]
    energy_unit: str
    length_unit: str
    seconds: float


def import_file(
    question: Question, folder: RunFolder, reporter: Reporter, *, skip_duplicates: bool = True
) -> ImportReport:
    """Book the labels of a file in `folder`, a run or a data set, made where it is absent.

    Raises `InputError` where the file can't be believed, `RunBusy` where a campaign runs in the
    folder; then nothing has been booked.
    """
    started = time.monotonic()
    _check_folder(folder)
    judged = judge(question)
    labels = judged.labels()
    if not folder.has_ledger:
        _compare(labels, [], question.file, skip=skip_duplicates)
    with ExitStack() as stack:
        ledger, store = _opened(folder, stack)
        known = load_frames(folder.frames, purposes=tuple(Purpose))
        check_against(judged, known)
        repeats, near = _compare(labels, labels_of(known), question.file, skip=skip_duplicates)
        again = {repeat.again - len(known) for repeat in repeats}
        first = [each for place, each in enumerate(labels) if place not in again]
        new = left_to_train_on(first, judging_frames(folder, known))
        _refuse_in_flight(ledger, new)
        _book(ledger, store, new, _source(judged), reporter)
    in_store = sum(repeat.first < len(known) for repeat in repeats)
    return ImportReport(
        file=question.file,
        folder=folder.root,
        sha256=judged.sha256,
        frames=len(labels),
        imported=len(new),
        already_there=in_store,
        judging=len(first) - len(new),
        duplicates=len(repeats) - in_store,
        near_duplicates=near,
        methods=sorted({method.name for method in judged.methods}),
        energy_unit=judged.units.energy,
        length_unit=judged.units.length,
        seconds=round(time.monotonic() - started, 3),
    )


def parse_cost(text: str) -> float:
    """Core-seconds meant by `12.5s`, `2min`, `0.3h`; raises `InputError` for anything else."""
    found = _COST.fullmatch(text.strip().lower())
    if found is None:
        raise InputError(f"{text!r} is no cost of a label; write it as 12.5s, 2min or 0.3h.")
    return float(found[1]) * _SECONDS[found[2]]


def _check_folder(folder: RunFolder) -> None:
    if folder.root.exists() and not folder.root.is_dir():
        raise InputError(f"{folder.root} is a file; --into needs a folder.")
    if folder.has_ledger or not folder.root.exists():
        return
    strangers = [each.name for each in folder.root.iterdir() if not OURS.fullmatch(each.name)]
    if strangers:
        raise InputError(
            f"{folder.root} holds other things, such as {strangers[0]}, and no ledger. Name a run "
            "folder, a data set, or a new folder."
        )


def _opened(folder: RunFolder, stack: ExitStack) -> tuple[Ledger, FrameStore]:
    """Ledger and store of a folder that nobody else drives, everything settled packed."""
    try:
        stack.enter_context(RunLock(folder.root))
    except OSError as error:
        raise InputError(
            f"Can't make the folder {folder.root}: {error.strerror}. Choose another with --into."
        ) from error
    ledger = stack.enter_context(writing_ledger(folder))
    store = stack.enter_context(FrameStore.open_for_writing(folder.frames))
    pack(ledger, store)
    return ledger, store


def _compare(
    labels: Sequence[Labelled], known: Sequence[Labelled], file: Path, *, skip: bool
) -> tuple[list[Repeat], int]:
    """Labels of the file that repeat known or earlier ones, their places counted behind `known`."""
    found = find_repeats([*known, *labels])
    repeats = [repeat for repeat in found.repeats if repeat.again >= len(known)]
    for repeat in repeats:
        again = f"Frame {repeat.again - len(known)} of {file}"
        inside = repeat.first >= len(known)
        first = f"frame {repeat.first - len(known)}" if inside else "a frame that is there already"
        if repeat.conflict:
            raise InputError(
                f"{again} has the geometry and method of {first}, and {repeat.conflict}. One of "
                "them isn't what it says; nothing was imported."
            )
        if not skip:
            raise InputError(f"{again} repeats {first}. --skip-duplicates leaves such frames out.")
    return repeats, sum(place >= len(known) for place in found.alike - _places(repeats))


def _places(repeats: Sequence[Repeat]) -> set[int]:
    return {repeat.again for repeat in repeats}


def _refuse_in_flight(ledger: Ledger, new: Sequence[Labelled]) -> None:
    states = ledger.job_states([each.job.key() for each in new])
    busy = [key for key, state in states.items() if state.state is State.RESERVED]
    if busy:
        raise InputError(
            f"{len(busy)} of these labels were being computed when the run stopped. Let "
            "`platform run` go on with it first; nothing was imported."
        )


def _book(
    ledger: Ledger, store: FrameStore, new: Sequence[Labelled], source: str, reporter: Reporter
) -> None:
    for first in range(0, len(new), LABELS_A_BATCH):
        batch = new[first : first + LABELS_A_BATCH]
        ledger.adopt([Outcome(each.job, each.label) for each in batch], source)
        pack(ledger, store)
        reporter.bar(BAR, first + len(batch), len(new))
    reporter.end(BAR)


def _source(judged: Judged) -> str:
    return f"{judged.question.file.name} (sha256 {judged.sha256[:16]})"
