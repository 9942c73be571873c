"""What is wrong with settings that somebody wrote, in plainer words than the validator's."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

LIMITS = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
"""Words and the name of the limit, by pydantic's type of error."""
KINDS = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text in quotes",
    "missing": "is missing",
}


def describe(error: ValidationError, document: type[BaseModel] | None = None) -> str:
    """One line a problem; names like a wrong one are offered where the `document` is given."""
    found = [
        f"{_place(problem['loc'], problem['input'])}: {_words(problem, document)}"
        for problem in error.errors(include_url=False)
    ]
    return ("1 problem: " if len(found) == 1 else f"{len(found)} problems: ") + "; ".join(found)


def _place(location: tuple[int | str, ...], value: object) -> str:
    """The key, and what was written there; of the whole or a section that would be too much."""
    if not location:
        return "the whole"
    given = "" if isinstance(value, dict | BaseModel) else f" = {str(value)[:60]}"
    return ".".join(map(str, location)) + given


def _words(problem: Mapping[str, Any], document: type[BaseModel] | None) -> str:
    kind = problem["type"]
    if kind in LIMITS:
        words, name = LIMITS[kind]
        limit = problem["ctx"][name]
        return f"{words} {limit:,}" if isinstance(limit, int) else f"{words} {limit:g}"
    if kind == "extra_forbidden":
        return f"there is no such setting{_instead(problem['loc'], document)}"
    return KINDS.get(kind) or _as_middle(problem["msg"])


def _instead(location: tuple[int | str, ...], document: type[BaseModel] | None) -> str:
    """The names that are nearest to a wrong one, or all that its section has."""
    for part in location[:-1]:
        field = document.model_fields.get(str(part)) if document else None
        inside = field.annotation if field else None
        document = inside if isinstance(inside, type) and issubclass(inside, BaseModel) else None
    if document is None:
        return ""
    near = get_close_matches(str(location[-1]), document.model_fields, n=2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    section = ".".join(map(str, location[:-1])) or "a recipe"
    return f"; {section} has {', '.join(document.model_fields)}"


def _as_middle(message: str) -> str:
    """Pydantic's message as the middle of a sentence."""
    bare = message.removeprefix("Value error, ")
    return bare[:1].lower() + bare[1:] if bare[1:2].islower() else bare
