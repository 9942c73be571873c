"""What every JSON document of the platform is: frozen, and strict about its keys."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A frozen JSON document that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FiniteDocument(Document):
    """One whose numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)
