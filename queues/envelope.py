"""What travels: bytes with a content type and an address. What they mean is nobody's business here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message of a queue. Delivery is at least once: the reader knows a repetition by `message_id`."""

    routing_key: str  #: where it goes; of a delivery, where it was sent
    body: bytes  #: never decoded, whatever the content type says
    content_type: str  #: "application/hl7-v2", "text/plain" …; "" when a stranger gave none
    headers: Mapping[str, str] = field(default_factory=dict)
    message_id: str = ""
    correlation_id: str = ""
    reply_to: str = ""  #: the queue in which the publisher awaits an answer; "" for none
