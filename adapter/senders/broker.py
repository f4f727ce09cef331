"""An engine that consumes its postings from the broker itself, and answers there. Nothing is sent (flow/receipt.py)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PositiveInt


class Options(BaseModel):
    """A destination of `type: broker` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    map: str  #: the map that writes its postings: HL7 or FHIR
    alert_after_minutes: PositiveInt = 60  #: without a receipt, a person is told
    sending_application: str = ""  #: MSH-3, in HL7
    sending_facility: str = ""  #: MSH-4
    receiving_application: str = ""  #: MSH-5
    receiving_facility: str = ""  #: MSH-6


def from_settings(options: Options) -> None:
    """Make no sender: such a destination has none."""
