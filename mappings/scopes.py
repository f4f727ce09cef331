"""Which segments a row may see: those of the whole message, or those that belong to one FT1.

    DFT^P03   … { FT1 [PR1 …] } … {GT1} {IN1 …}     GT1 and IN1 come after all FT1 and speak for the message
    DFT^P11   … {GT1} {IN1 …} { FT1 [PR1 …] {GT1} {IN1 …} }    after an FT1 they speak for that FT1 only

HL7 v2.5.1 §6.3.1 and §6.3.2. A reader that hangs GT1 on the last FT1 is right for P11 and wrong for P03.
"""

from __future__ import annotations

from chartpost.mappings import er7

#: Segments that P03 has once, for all lines, and P11 may repeat within a line's group.
SHARED = frozenset({"GT1", "IN1", "IN2", "IN3", "ACC"})


class MessageScope:
    """The message as rows under `message:` see it."""

    __slots__ = ("_first", "_message", "codec", "delimiters")

    def __init__(self, message: er7.Message, grouped: bool) -> None:
        lines = message.all("FT1")
        self._message = message
        self._first = lines[0].ordinal if grouped and lines else 0
        self.delimiters = message.delimiters
        self.codec = message.codec

    def segment(self, name: str, occurrence: int = 1) -> er7.Segment | None:
        """Return a segment; in a P11, GT1 and IN1 only from before the first FT1."""
        found = self._message.segment(name, occurrence)
        if found is not None and self._first and name in SHARED and found.ordinal > self._first:
            return None
        return found


class LineScope:
    """One FT1 and what belongs to it, as rows under `charge:` see it."""

    __slots__ = ("_around", "_grouped", "_header_end", "_own", "codec", "delimiters", "line")

    def __init__(self, message: er7.Message, line: er7.Segment, around: MessageScope, grouped: bool) -> None:
        self.line = line
        self.delimiters = message.delimiters
        self.codec = message.codec
        self._around = around
        self._grouped = grouped
        self._header_end = message.all("FT1")[0].ordinal
        self._own: dict[str, list[er7.Segment]] = {}
        for segment in message.segments[line.ordinal :]:
            if segment.name == "FT1" or (segment.name in SHARED and not grouped):
                break  # in a P03 what follows GT1 or IN1 is the message's again
            self._own.setdefault(segment.name, []).append(segment)

    def segment(self, name: str, occurrence: int = 1) -> er7.Segment | None:
        """Return the FT1, else a segment of its group, else one from before the first FT1; never another line's."""
        if name == "FT1":
            return self.line if occurrence == 1 else None
        own = self.own(name, occurrence)
        if own is not None:
            return own
        found = self._around.segment(name, occurrence)
        if found is None or (name in SHARED and not self._grouped):
            return found
        return found if found.ordinal < self._header_end else None

    def own(self, name: str, occurrence: int = 1) -> er7.Segment | None:
        """Return a segment of this line's own group only."""
        same = self._own.get(name)
        return same[occurrence - 1] if same and occurrence <= len(same) else None


class OwnScope:
    """Only what stands inside one FT1's group: for a guarantor that overrides the message's."""

    __slots__ = ("_line", "codec", "delimiters")

    def __init__(self, line: LineScope) -> None:
        self._line = line
        self.delimiters = line.delimiters
        self.codec = line.codec

    def segment(self, name: str, occurrence: int = 1) -> er7.Segment | None:
        """Return a segment of the group."""
        return self._line.own(name, occurrence)
