"""Settings of exploring: data alone, so that recipes read them without loading torch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError

Kelvin = Annotated[float, Field(gt=0, le=3000)]


class ExploreSettings(Document):
    """How far the current model is let go, recipe section [explore].

    The alarm rings at `alarm_factor` times the disagreement that nine in ten validation frames
    stay below; from `hopeless_factor` times the alarm on a geometry isn't worth a label.
    """

    walkers: int = Field(16, ge=0, le=10_000)
    """All in one batch; 0: no dynamics."""
    length: float = Field(1000.0, gt=0)
    """fs"""
    timestep: float = Field(0.5, gt=0, le=2)
    """fs"""
    friction: float = Field(20.0, gt=0)
    """1/ps"""
    every: float = Field(20.0, gt=0)
    """fs between the frames of a walker, at which the committee is asked."""
    temperatures: Annotated[tuple[Kelvin, ...], Field(min_length=1)] | None = None
    """K; None: those that the run's pool is sampled at."""
    alarm_factor: float = Field(2.0, gt=0)
    hopeless_factor: float = Field(3.0, ge=1)
    stretch: float = Field(1.4, gt=1)
    """Times its length in labelled geometries, a bond counts as torn."""
    modes: int = Field(100, ge=0, le=1_000_000)
    """Geometries drawn along normal modes."""
    pool: int = Field(500, ge=0)
    """Most frames of the pool that become candidates."""

    def at(self, sampled: tuple[float, ...]) -> Self:
        """With temperatures (K), of the sampling where none were asked for."""
        return self.model_copy(update={"temperatures": self.temperatures or sampled})

    @property
    def kelvins(self) -> tuple[float, ...]:
        """Temperatures; raises `InputError` where there are none."""
        if self.temperatures is None:
            raise InputError("Nobody said how hot to explore. Give explore.temperatures.")
        return self.temperatures

    @model_validator(mode="after")
    def _frames_within_walks(self) -> Self:
        if not self.timestep <= self.every <= self.length:
            raise ValueError(
                f"frames every {self.every:g} fs must lie between the timestep of "
                f"{self.timestep:g} fs and the length of {self.length:g} fs"
            )
        return self
