"""What holds for every message, every map and every text: nothing is lost or guessed, and nothing else is raised."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from chartpost.mappings import edits, er7, mapfile
from chartpost.mappings.chain import Context, Rejected
from chartpost.mappings.conditions import CHARGE, charge_values, compile_condition
from chartpost.mappings.escapes import STANDARD, Delimiters, escape, recode, unescape
from chartpost.mappings.mapfile import Map, MapError
from chartpost.mappings.model import Charge, Kind, Money, Party, Reading
from chartpost.mappings.paths import compile_path
from chartpost.mappings.read import Unreadable, read
from chartpost.mappings.texts import TEXTS

LIBRARY = Path(mapfile.__file__).parent / "library"
HL7_MAPS = sorted(path.stem for path in LIBRARY.glob("hl7v2-dft*.yaml") if "payment" not in path.stem)
WHERE = {"currency": "USD", "region": "US", "timezone": "America/Chicago"}
CONTEXT = Context(**WHERE)
#: The first example loads the map, and the numbering plans of all telephones.
FIRST = settings(deadline=None, max_examples=50)

# ---------------------------------------------------------------------------------------------------------- messages

#: Any characters that MSH-1 and MSH-2 may name, all different.
MARKS = st.lists(
    st.sampled_from("|^~\\&#$!?%*:;,/@=<>[]{}()_`§¦"), min_size=5, max_size=6, unique=True
).map(lambda marks: Delimiters(*marks))  # fmt: skip
VALUE = st.text(st.characters(blacklist_categories=["Cs"], max_codepoint=0x2FFF), max_size=12)
#: What stands in fields of real messages, and what should not.
FIELD = st.one_of(
    st.sampled_from(
        ["", "", '""', "CG", "CO", "PY", "XX", "10.00", "100.00&USD", "-5", "1,5", "1e9", "99213^VISIT", "20260504",
         "20269999", "^PRN^CP^^1^608^5550142", "s@example.org", "A-1^^^LAKE^AN", "a~b~c", "\\F\\", "\\X4", "Y"]
    ),
    st.text(max_size=8),
)  # fmt: skip
SEGMENT = st.builds(
    lambda name, fields: "|".join([name, *fields]),
    st.sampled_from(["PID", "PV1", "PV2", "FT1", "FT1", "FT1", "GT1", "IN1", "ZPR", "EVN", "MSH", "MRG", "NK1"]),
    st.lists(FIELD, max_size=32),
)
TYPE = st.sampled_from(["DFT^P03", "DFT^P03", "DFT^P11", "DFT", "ADT^A08", "ADT^A40", "^P03", ""])
MESSAGE = st.builds(
    lambda type, version, segments: "\r".join(
        [f"MSH|^~\\&|HIS|LAKE|CP|DOOR|20260504||{type}|1|P|{version}", *segments]
    ),
    TYPE,
    st.sampled_from(["2.1", "2.3", "2.5.1", "2.8", "", "two"]),
    st.lists(SEGMENT, max_size=9),
)


@FIRST
@given(raw=MESSAGE.map(str.encode) | st.binary(max_size=200), map=st.sampled_from(HL7_MAPS))
def test_no_message_makes_a_shipped_map_raise_anything_but_its_own_errors(raw: bytes, map: str) -> None:
    with contextlib.suppress(er7.Er7Error, Unreadable):
        found = read(er7.parse(raw), mapfile.load(map), **WHERE)
        assert all(abs(line.amount.minor) < 10**15 for line in found.charges)


@FIRST
@given(MESSAGE)
def test_reading_a_message_leaves_every_byte_of_it_as_it_was(text: str) -> None:
    message = er7.parse(text.encode())
    with contextlib.suppress(Unreadable):
        read(message, mapfile.load("hl7v2-dft"), **WHERE)
    assert message.encode() == text.encode()


@given(MESSAGE, VALUE, st.sampled_from(["PID-5.1", "PID-18", "FT1[2]-11.1.2", "FT1-6", "PID-13[2].4", "MSH-11"]))
def test_one_corrected_field_is_the_only_one_that_changes(text: str, value: str, place: str) -> None:
    message, path = er7.parse(text.encode()), compile_path(place)
    try:
        made = edits.put(message, path, value)
    except ValueError:
        return
    where = path.located(message).split(".")[0].split("[2].")[0].removesuffix("[2]")
    assert {found.path for found in edits.differences(message, made)} <= {where}
    before, after = text.encode().split(b"\r"), made.encode().split(b"\r")
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) <= 1


# ------------------------------------------------------------------------------------------------------------ escapes


@given(VALUE, MARKS)
def test_a_value_comes_back_from_its_escaped_form_whatever_the_delimiters(text: str, marks: Delimiters) -> None:
    safe = escape(text, marks)
    assert unescape(safe, marks) == text
    apart = {marks.field, marks.component, marks.repetition, marks.subcomponent}
    assert not set(safe) & (apart | set("\r\n\x0b\x1c"))


@given(st.lists(st.lists(VALUE, min_size=1, max_size=3), min_size=1, max_size=3), MARKS)
def test_a_field_moved_to_other_delimiters_says_the_same(repetitions: list[list[str]], marks: Delimiters) -> None:
    def written(to: Delimiters) -> str:
        return to.repetition.join(to.component.join(escape(one, to) for one in parts) for parts in repetitions)

    assert recode(written(marks), marks, STANDARD) == written(STANDARD)
    assert recode(written(STANDARD), STANDARD, marks) == written(marks)


# --------------------------------------------------------------------------------------------------------------- maps

ROW = st.fixed_dictionaries(
    {
        "target": st.sampled_from(
            ["kind", "amount", "reference", "insurance", "quantity", "my.a", "my.b", "code", "service_date"]
        ),
        "path": st.sampled_from(["FT1-6", "FT1-11", "FT1-11.2", "PID-13[3=Internet].4", "ZPR-2", "FT1[2]-7", "MSH-2"]),
    },
    optional={
        "transform": st.sampled_from(
            ["money", "money minor", "number", "date", "date %d.%m.%Y", "upper", "split / 2", "join -", "table kinds",
             "default x", "digits", "strip 0"]
        ),
        "default": st.sampled_from(["", "charge", "0", "x"]),
        "required": st.booleans(),
        "since": st.sampled_from(["2.2", "2.5.1"]),
    },
)  # fmt: skip
CEL = st.sampled_from(
    [
        "amount > 0",
        "my.a == 'x'",
        "insurance > 5",
        "code.matches('^9+$')",
        "amount / 0 > 1",
        "int(my.b) > 2",
        "size(my.a)",
    ]
)
MAP = st.fixed_dictionaries(
    {"extends": st.just("hl7v2-dft"), "charge": st.lists(ROW, max_size=5)},
    optional={
        "when": st.fixed_dictionaries({"charge": CEL}),
        "stop": st.lists(st.fixed_dictionaries({"when": CEL, "cause": st.just("mine")}), max_size=2),
        "tables": st.just({"kinds": {"unknown": "pass"}}),
        "without": st.lists(st.sampled_from(["unit_price", "quantity", "balance"]), max_size=2),
        "account": st.sampled_from(["PV1-19", "ZPR-1", "MSH-1"]),
    },
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # compiling is slow
@given(made=MAP, text=MESSAGE)
def test_any_map_is_refused_or_reads_any_message_or_holds_it(made: dict[str, object], text: str) -> None:
    try:
        map = mapfile.parse(json.dumps(made))
    except MapError:
        return
    with contextlib.suppress(Unreadable):
        read(er7.parse(text.encode()), map, **WHERE)


def outcome(map: Map, text: str) -> object:
    """Return all that a map makes of a message: the reading, or the problems."""
    try:
        return read(er7.parse(text.encode()), map, **WHERE)
    except Unreadable as error:
        return error.problems, error.trace


@FIRST
@given(text=MESSAGE, name=st.sampled_from(HL7_MAPS))
def test_a_map_with_nothing_of_its_own_reads_as_its_base_does(text: str, name: str) -> None:
    assert outcome(EMPTY[name], text) == outcome(mapfile.load(name), text)


@FIRST
@given(text=MESSAGE)
def test_a_map_that_repeats_rows_of_its_base_reads_as_the_base_does(text: str) -> None:
    assert outcome(REPEATED, text) == outcome(mapfile.load("hl7v2-dft"), text)


def _named(text: str, name: str) -> Map:
    """Return a map under the name of its base, which stands in problems."""
    return replace(mapfile.parse(text), name=name)


EMPTY = {name: _named(f"extends: {name}\n", name) for name in HL7_MAPS}
_BASE = (LIBRARY / "hl7v2-dft.yaml").read_text("utf-8")
REPEATED = _named(_BASE.replace("\nmessages:", "\nextends: hl7v2-dft\n\nmessages:", 1), "hl7v2-dft")

# ------------------------------------------------------------------------------------------------ tables, conditions


@given(
    code=st.text(st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters="|^~\\&"), max_size=6),
    unknown=st.sampled_from(["hold", "ignore", "pass", "value"]),
)
def test_an_unknown_code_is_held_ignored_passed_or_given_a_value_as_its_table_says(code: str, unknown: str) -> None:
    assume(code not in ("", '""', "CG"))
    lines = ["MSH|^~\\&|A|B|C|D|20260504||DFT^P03|1|P|2.5.1", f"FT1|1|T||20260504||CG|{code}|||1|5"]
    found = outcome(WARDS[unknown], "\r".join(lines))
    if unknown == "hold":
        assert isinstance(found, tuple)
        ((problem,), _) = found
        assert problem.path == "FT1[1]-7"
        return
    assert isinstance(found, Reading)
    assert found.charges[0].my["ward"] == {"ignore": "", "pass": code, "value": "other"}[unknown]


def _wards(unknown: str) -> Map:
    rows = "charge: [{target: my.ward, path: FT1-7, transform: table wards}]\n"
    return mapfile.parse(f"extends: hl7v2-dft\n{rows}tables: {{wards: {{unknown: {unknown}, codes: {{CG: x}}}}}}\n")


WARDS = {name: _wards("{value: other}" if name == "value" else name) for name in ("hold", "ignore", "pass", "value")}
MONEY = st.builds(lambda minor: Money(minor=minor, currency="USD"), st.integers(-(10**15), 10**15))
TOLD = st.sampled_from(["", "Y", "99213", "2026-05-04", "9" * 2000, "é", "\\", "'"]) | st.text(max_size=10)
CHARGES = st.builds(
    Charge, ordinal=st.just(1), kind=st.sampled_from(Kind), amount=MONEY, insurance=st.none() | MONEY, code=TOLD,
    reference=TOLD, my=st.dictionaries(st.sampled_from(["x", "y"]), TOLD),
)  # fmt: skip
READINGS = st.builds(
    Reading, type=TOLD, account=TOLD, patient=st.just(Party(role="patient")), financial_class=TOLD,
    balance=st.none() | MONEY, my=st.dictionaries(st.sampled_from(["x", "y"]), TOLD),
)  # fmt: skip
NAMES = ["amount", "insurance", "balance", "kind", "code", "my.x", "my.y", "my", "has_guarantor"]
VALUES = ["null", "true", "'a'", "''", "0", "1", "-1", "2.5", "b'x'", "9223372036854775807", "'a+'"]
SIGNS = ["==", "!=", "<", ">", "<=", ">=", "&&", "||", "!", *"+-*/%()[]{},:?.", "in"]
CALLS = ["size(", "int(", "string(", "code.startsWith(", "code.matches('a+')", "code.matches("]
WORD = st.sampled_from([*NAMES, *VALUES, *SIGNS, *CALLS])


@given(text=st.lists(WORD, max_size=10).map(" ".join) | st.text(max_size=20), reading=READINGS, charge=CHARGES)
def test_a_condition_that_loads_answers_any_reading_or_holds_it(text: str, reading: Reading, charge: Charge) -> None:
    try:
        condition = compile_condition(text, CHARGE, frozenset({"x", "y"}))
    except ValueError:
        return
    for ask in (condition.holds, condition.amount):
        with contextlib.suppress(Rejected):
            assert isinstance(ask(charge_values(reading, charge, ("x", "y"))), int)


@given(TOLD, TOLD)
def test_a_condition_sees_no_more_of_the_sites_own_values_than_it_names_and_all_of_those(x: str, y: str) -> None:
    charge = Charge(ordinal=1, kind=Kind.CHARGE, amount=Money(minor=1, currency="USD"), my={"x": x, "y": y})
    values = charge_values(Reading(patient=Party(role="patient")), charge)
    for text in ("my.x == my.y", "my . x == my.y", "{'a': my}.a.x == my.y", "!(my.x != my.y) && my.x in [my.y]"):
        assert compile_condition(text, CHARGE).holds(values) is (x == y), text


# ---------------------------------------------------------------------------------------------------------- transforms


@given(value=st.text(max_size=20), separator=st.text(min_size=1, max_size=2), part=st.integers(1, 9))
def test_split_gives_the_parts_from_either_end_and_nothing_beyond(value: str, separator: str, part: int) -> None:
    assume('"' not in separator)
    split = TEXTS["split"]
    assert split.parse is not None
    parts = value.split(separator)
    for number in (part, -part):
        found = split.run(value, CONTEXT, split.parse(f'"{separator}" {number}'))
        index = number - 1 if number > 0 else number
        assert found == (parts[index].strip() if part <= len(parts) else None)


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Z", "Cc"], blacklist_characters="/"), min_size=1)))
def test_what_join_put_together_split_takes_apart(values: list[str]) -> None:
    joined = TEXTS["join"].run(values, CONTEXT, "/")
    assume(len(joined) < 2_000)
    for number, value in enumerate(values, start=1):
        assert TEXTS["split"].run(joined, CONTEXT, TEXTS["split"].parse(f"/ {number}")) == value  # type: ignore[misc]


@given(value=st.text(max_size=8), other=st.text(min_size=1, max_size=8))
def test_default_speaks_only_where_nothing_was_found(value: str, other: str) -> None:
    for found in (value, None):
        assert TEXTS["default"].run(found, CONTEXT, other) == (found or other)
