"""What settings, plans and results of all rooms are: frozen documents, strict about their keys."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A frozen document, in JSON or TOML, that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FiniteDocument(Document):
    """One whose numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)
