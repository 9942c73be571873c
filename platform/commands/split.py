"""`platform split`: training, validation and test frames that anybody can agree on."""

from typing import Annotated

import typer

from forgefield.platform.commands.shared import Json, RunPath, print_json, screen


def split(
    folder: RunPath,
    validation: Annotated[
        float, typer.Option(help="Share of the frames to choose models by.")
    ] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the frames for the final error.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed draws other frames.")] = 0,
    threshold: Annotated[
        float,
        typer.Option(help="Å: frames whose distances differ by less stay in one split."),
    ] = 0.01,
    as_json: Json = False,
) -> None:
    """Split the frames of a run or data set, near-duplicates kept together, and record it.

    The split of a frame follows from its geometry and the seed alone. Frames bought for validation
    or as the hold-out stay what they are, and so does what an earlier call decided. It is the
    column `split` of the frame store, and goes with every release.
    """
    from forgefield.platform.data_sets.splitting import split_folder
    from forgefield.platform.run_folder import RunFolder
    from forgefield.storage.splitting import SplitSettings

    settings = SplitSettings(validation=validation, test=test, seed=seed, threshold=threshold)
    found = split_folder(RunFolder.existing(folder), settings)
    if as_json:
        print_json(found)
        return
    shares = ", ".join(f"{count} {name}" for name, count in found.frames.items() if count)
    screen.print(f"{shares} ({found.new} new; {found.groups} groups of alike frames)")
    if found.holdout_twins:
        screen.print(
            f"{found.holdout_twins} hold-out frames have twins in training, which were there "
            "first: leave those twins out of the final evaluation, or train on a new split"
        )
