"""A chart that comes for its postings: it reads and searches them on our FHIR face (web/fhir.py). Nothing is sent."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A destination of `type: pull` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    map: str  #: a map that writes FHIR, such as fhir-payment-reconciliation


def from_settings(options: Options) -> None:
    """Make no sender: such a destination has none."""
