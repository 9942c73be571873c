"""Plans in files."""

from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.planning.plan import FORMAT, Plan
from forgefield.platform.planning.plan_checks import refuse_inconsistency
from forgefield.platform.planning.problems import describe
from forgefield.storage.errors import InputError


def load_plan(path: str | Path) -> Plan:
    """Read a plan file; raises `InputError` naming what is wrong with it."""
    try:
        plan = Plan.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"Can't read the plan {path}: {error.strerror}. Make one with `platform plan`."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        said = describe(error, Plan) if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"{path} is not a plan; it has {said.rstrip('.')}. Mend that, or make another with "
            "`platform plan`."
        ) from error
    if plan.format != FORMAT:
        raise InputError(f"{path} has plan format {plan.format}; this version reads {FORMAT}.")
    refuse_inconsistency(plan, path)
    return plan
