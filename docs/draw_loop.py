"""Draw the loop as SVG: one way round, the numbers of docs/walk.md, readable in light and dark, no fonts of its own."""

from __future__ import annotations

from html import escape

_STYLE = """
  .ground { fill: #f6f8f9 } .panel { fill: #e3f0ef; stroke: #b9d7d5 } .box { fill: #fff; stroke: #9cb6b8 }
  .book { fill: #0b6b74 } .ink { fill: #16242f } .soft { fill: #526470 } .pale { fill: #fff } .tint { fill: #cfe8e8 }
  .way { stroke: #0b6b74; fill: none; stroke-width: 2 } .back { stroke: #7d929b; fill: none; stroke-width: 1.5 }
  .thin { stroke: #7fb0b1; fill: none; stroke-width: 1.5; stroke-dasharray: 2 4 } .dot { fill: #0b6b74 }
  .tip { fill: #0b6b74 } .backtip { fill: #7d929b }
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #10181b } .panel { fill: #17292b; stroke: #2f4e50 } .box { fill: #1d282d; stroke: #50666d }
    .book { fill: #8fd6d3 } .ink { fill: #eaf1f3 } .soft { fill: #a9bbc3 } .pale { fill: #0c2022 }
    .tint { fill: #184042 } .way { stroke: #7fd0cd } .back { stroke: #8fa3ab } .thin { stroke: #4c7f80 }
    .dot { fill: #7fd0cd } .tip { fill: #7fd0cd } .backtip { fill: #8fa3ab }
  }
"""


def _text(x: float, y: float, words: str, size: float, kind: str = "ink", weight: int = 400, at: str = "middle") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{at}" class="{kind}">'
        f"{escape(words)}</text>"
    )


def _box(x: int, y: int, width: int, height: int, title: str, below: str, number: int = 0) -> str:
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" class="box"/>']
    middle = x + width / 2
    parts.append(_text(middle, y + height / 2 - 3, title, 16, weight=650))
    parts.append(_text(middle, y + height / 2 + 16, below, 12, "soft"))
    if number:
        parts.append(f'<circle cx="{x + 2}" cy="{y + 2}" r="11" class="dot"/>')
        parts.append(_text(x + 2, y + 6.5, str(number), 13, "pale", 700))
    return "".join(parts)


def _arrow(points: str, back: bool = False, both: bool = False) -> str:
    tip = "backtip" if back else "tip"
    start = f' marker-start="url(#{tip})"' if both else ""
    return f'<polyline points="{points}" class="{"back" if back else "way"}" marker-end="url(#{tip})"{start}/>'


def _tips() -> str:
    return "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" class="{name}"/></marker>'
        for name in ("tip", "backtip")
    )


def _thin(x: float, top: int, bottom: int) -> str:
    return f'<path d="M{x} {top}V{bottom}" class="thin"/>'


def loop() -> str:
    """Return the picture: the clinical system left, Chartpost in the middle, the services and the phone right."""
    parts = [
        '<rect width="1080" height="500" rx="16" class="ground"/>',
        '<rect x="290" y="34" width="500" height="432" rx="16" class="panel"/>',
        _text(540, 60, "Chartpost", 15, "ink", 700),
        # the clinical system
        '<rect x="30" y="82" width="150" height="344" rx="10" class="box"/>',
        _text(105, 246, "Clinical", 17, weight=650),
        _text(105, 267, "system", 17, weight=650),
        _text(105, 289, "EHR or engine", 12, "soft"),
        _text(105, 120, "charges", 13, "soft"),
        _text(105, 398, "the chart", 13, "soft"),
        # the way round
        _box(312, 82, 132, 62, "receive", "store, then ACK", 1),
        _box(474, 82, 132, 62, "translate", "the patient’s share", 2),
        _box(636, 82, 132, 62, "notify", "neutral words, link", 3),
        _box(636, 222, 132, 62, "pay page", "what is owed now", 4),
        _box(636, 364, 132, 62, "record", "once, verified", 5),
        _box(474, 364, 132, 62, "post", "DFT or FHIR", 6),
        _box(312, 364, 132, 62, "deliver", "believes the chart", 7),
        '<rect x="312" y="222" width="294" height="62" rx="10" class="book"/>',
        _text(459, 249, "ledger", 17, "pale", 700),
        _text(459, 268, "SQLite or PostgreSQL: the truth", 12, "tint"),
        # the world
        _box(880, 82, 160, 62, "SMS or mail", "Twilio, your server"),
        _box(880, 203, 160, 100, "patient’s phone", "or mailbox"),
        _box(880, 364, 160, 62, "card page", "Stripe"),
        # into the ledger and out of it
        _thin(378, 144, 222), _thin(540, 144, 222), _thin(378, 284, 364), _thin(540, 284, 364),
        '<path d="M606 253H636" class="thin"/>',
        '<path d="M652 144 600 222" class="thin"/>',
        '<path d="M652 364 600 284" class="thin"/>',
        # arrows, clockwise
        _arrow("180,104 310,104"), _text(235, 96, "DFT or Invoice", 12, "soft"),
        _arrow("312,126 182,126", back=True), _text(235, 143, "AA, 201: stored", 12, "soft"),
        _text(235, 172, "by MLLP, HTTP", 12, "soft"), _text(235, 187, "or a queue", 12, "soft"),
        _arrow("444,113 472,113"), _arrow("606,113 634,113"),
        _arrow("768,113 878,113"), _text(826, 105, "one message", 12, "soft"),
        _arrow("960,144 960,201"), _text(970, 178, "the link", 12, "soft", at="start"),
        _arrow("880,253 770,253", both=True), _text(834, 244, "our link", 12, "soft"),
        _arrow("960,303 960,362"), _text(970, 338, "card", 12, "soft", at="start"),
        _arrow("880,395 770,395"), _text(834, 387, "webhook", 12, "soft"),
        _arrow("636,395 608,395"), _arrow("474,395 446,395"),
        _text(459, 444, "through a queue: in the process, or in RabbitMQ,", 12, "soft"),
        _text(459, 459, "where your own engine may take it", 12, "soft"),
        _arrow("312,386 182,386"), _text(235, 378, "the payment", 12, "soft"),
        _arrow("180,408 310,408", back=True), _text(235, 425, "AA or 201", 12, "soft"),
    ]  # fmt: skip
    title = "The loop: a charge leaves the clinical system, a payment comes back into its chart"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1080 500" role="img" aria-labelledby="title">'
        f'<title id="title">{title}</title><style>{_STYLE}</style><defs>{_tips()}</defs>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
