"""Make the tables of docs/mapping-dft-fhir.md again: `make mapping`. The prose between them is written by hand.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. What corresponds to what is in mapping.yaml; names,
types and cardinalities are those of the standards; what Chartpost reads and writes is what the shipped maps say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from chartpost.mappings import layers
from chartpost.mappings.fhir.versions import elements, root
from chartpost.mappings.hl7.structure import VERSIONS, Place, place_of
from chartpost.mappings.paths import compile_path

HERE = Path(__file__).parent
PAGE = HERE / "mapping-dft-fhir.md"
SIDE: dict[str, Any] = YAML(typ="safe").load((HERE / "mapping.yaml").read_text("utf-8"))
SEGMENTS = ("MSH", "PID", "PV1", "PV2", "GT1", "IN1", "IN2", "FT1")
BASE = "2.5.1"
LEFT = "Identifier | Name | Type, table | Card. | Condition"
_FUNCTION = re.compile(r"\.[a-z]\w*\((?:[^()]|\([^()]*\))*\)")
_TYPED = re.compile(r"^.*\.where\(resourceType = '(\w+)'\)")
_ROOTS = {
    "%patient": "Patient",
    "%guarantor": "RelatedPerson",
    "%bill_to": "RelatedPerson",
    "%account": "Account",
    "%payer": "Patient",
}
Cells = tuple[str, ...]


def table(head: str, rows: Iterable[Cells]) -> str:
    """Return a table in Markdown. Raises ValueError for a row that does not fit its head."""
    names = [name.strip() for name in head.split("|")]
    lines = [names, ["---"] * len(names), *rows]
    if any(len(line) != len(names) or "|" in "".join(line) for line in lines):
        raise ValueError("a row does not fit its head")
    return "\n".join("| " + " | ".join(cell or "" for cell in line) + " |" for line in lines)


def shipped(name: str) -> Any:
    """Return a shipped map as it is written."""
    return layers.read(name).top.data


# ---------------------------------------------------------------------------------------------------- the standards


def v2(path: str, condition: str = "") -> Cells:
    """Return identifier, name, data type and cardinality of a field or a part of one, and the condition."""
    known = [version for version in VERSIONS[VERSIONS.index(BASE) :] if place_of(path, version)]
    place: Place | None = place_of(path, known[0]) if known else None
    if place is None:
        raise ValueError(f"{path} is not in HL7 v2")
    most = "*" if place.most == 0 else str(place.most)
    coded = f"{place.datatype}, {place.table}" if place.table else place.datatype
    parts = [condition] if condition else []
    parts += [f"from {known[0]}"] if known[0] != BASE and "from" not in condition else []
    return path, place.name, coded, f"{int(place.required)}..{most}", ", ".join(parts)


def attribute(path: str) -> str:
    """Return a FHIRPath, or a target of a map, as the plain name of an element: Patient.name.family."""
    path = _TYPED.sub(r"\1", path)
    first, _, rest = re.sub(r"\[\d+\]", "", _FUNCTION.sub("", path)).partition(".")
    return ".".join(filter(None, (_ROOTS.get(first, first), rest)))


def fhir(name: str, versions: Iterable[str] = ("R4B", "R5")) -> list[Cells]:
    """Return the versions, data type and cardinality of an element; one line where the versions agree.

    Raises ValueError for an element that no version has.
    """
    found: dict[Cells, list[str]] = {}
    for version in versions:
        resource, *rest = name.split(".")
        model, element = root(version, resource), None
        for step in rest:
            element = elements(model).get(step) if model else None
            if element is None:
                break
            model = element.model
        if element is not None:
            cardinality = f"{int(element.required)}..{'*' if element.listed else '1'}"
            found.setdefault((element.datatype, cardinality), []).append(version.removesuffix("B"))
    if not found:
        raise ValueError(f"{name} is an element of no version of FHIR")
    return [(", ".join(having), *what) for what, having in found.items()]


# ----------------------------------------------------------------------------------------------------------- charges


def readers() -> dict[str, list[str]]:
    """Return by field what hl7v2-dft reads from it."""
    data = shipped("hl7v2-dft")
    found: dict[str, list[str]] = {}
    rows = [{"target": "account", "path": data["account"]}, *data["message"], *data["charge"]]
    for row in rows:
        paths = _listed(row["path"])
        for path in paths:
            compiled = compile_path(path)
            words = f"`{row['target']}`" + (f" from {path}" if compiled.component else "")
            words += f" from version {row['since']}" if "since" in row else ""
            words += f" up to version {row['until']}" if "until" in row else ""
            if len(paths) > 1 and not row["target"].endswith("contacts") and path != paths[0]:
                words += f", where {paths[0]} is empty"
            found.setdefault(f"{compiled.name}-{compiled.field}", []).append(words)
    return found


def segment(name: str) -> str:
    """Return the table of one segment."""
    read, rows = readers(), []
    for field, said in SIDE[name].items():
        ours = "; ".join(read.get(field, []))
        comment = said.get("comment", "")
        for index, to in enumerate(said["to"]):
            one = {"attribute": to} if isinstance(to, str) else to
            beside = "; ".join(filter(None, (comment if not index else "", one.get("comment", ""))))
            for line in fhir(one["attribute"]):
                left = v2(field, one.get("when", ""))
                rows.append((*left, f"`{one['attribute']}`", *line, one.get("code", ""), ours, beside))
        if not said["to"]:
            rows.append((*v2(field), "none", "", "", "", "", ours, comment))
    return table(f"{LEFT} | FHIR attribute | FHIR | Type | Card. | Vocabulary | Chartpost | Comments", rows)


def resource(name: str) -> str:
    """Return the table of what a map of FHIR reads, with the field that hl7v2-dft has for the same."""
    data, rows = shipped(name), []
    fields: dict[str, list[str]] = {}
    for row in [{"target": "account", "path": shipped("hl7v2-dft")["account"]}, *_rows(shipped("hl7v2-dft"))]:
        have = fields.setdefault(row["target"], [])
        have += [path for path in _listed(row["path"]) if path not in have]
    for row in [{"target": "account", "path": data["account"]}, *_rows(data)]:
        for path in _listed(row["path"]):
            for line in fhir(attribute(path)):
                transform = f"`{row['transform']}`" if "transform" in row else ""
                other = ", ".join(fields.get(row["target"], [])) or "none"
                rows.append((f"`{path}`", *line, f"`{row['target']}`", transform, other, row.get("note", "")))
    head = "FHIRPath | FHIR | Type | Card. | Chartpost | Transform | HL7 v2 | Comments"
    return table(head, rows)


def _rows(data: Any) -> list[Any]:
    return [*data["message"], *data["charge"]]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


# ---------------------------------------------------------------------------------------------------------- payments


def postings(name: str) -> str:
    """Return the table of DFT^P03 with PY and of one FHIR map for postings: rows of the same value stand together."""
    data = shipped(name)
    written = list(_written(data))
    rows: list[Cells] = []
    joined = set()
    for row in shipped("hl7v2-dft-payment")["rows"]:
        left = v2(row["target"], _condition(row))
        ours = _value(row)
        partners = [one for one in written if ours and _same(one[1]) == _same(row) and "value" in row]
        beside = "; ".join(filter(None, (SIDE["written"].get(row["target"], ""), row.get("note", ""))))
        for attr, one, assigned in partners:
            joined.add(attr)
            rows.append(_pair(left, ours, attr, one, assigned, beside, data))
            beside = ""
        if not partners:
            rows.append((*left, ours, "none", "", "", "", beside))
    for attr, one, assigned in written:
        if attr not in joined:
            rows.append(_pair(("none", "", "", "", ""), _value(one), attr, one, assigned, "", data))
    return table(f"{LEFT} | Chartpost | FHIR attribute | Type | Card. | Vocabulary | Comments", rows)


def _pair(left: Cells, ours: str, attr: str, row: Any, assigned: str, beside: str, data: Any) -> Cells:
    [(_, *place)] = fhir(attr, ["R5" if data["version"] == "R5" else "R4B"])
    only = left[-1] or _condition(row)
    notes = list(dict.fromkeys(filter(None, (beside, SIDE["written"].get(attr, ""), row.get("note", "")))))
    return (*left[:-1], only, ours, f"`{attr}`", *place, assigned, "; ".join(notes))


def _written(data: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield the rows of a FHIR map as (element, row, what is assigned beside it): the system of a code is no row."""
    rows = data["rows"]
    main = {}
    for row in rows:
        parent, _, leaf = row["target"].rpartition(".")
        if parent and ("value" in row or leaf == "code") and parent not in main:
            main[parent] = row
    for row in rows:
        parent, _, leaf = row["target"].rpartition(".")
        if "constant" in row and parent in main and main[parent] is not row:
            continue  # stands beside its sibling
        beside = [
            one for one in rows if "constant" in one and one is not row and main.get(parent) is row
            and one["target"].rpartition(".")[0] == parent
        ]  # fmt: skip
        words = [f"{one['target'].rpartition('.')[2]} = `{one['constant']}`" for one in beside]
        yield attribute(f"{data['writes']}.{row['target']}"), row, ", ".join(words)


def _value(row: Any) -> str:
    return f"`{row['value']}`" if "value" in row else f"constant `{row['constant']}`"


def _same(row: Any) -> str:
    value = row.get("value", "")
    return str(SIDE["same"].get(value, value))


def _condition(row: Any) -> str:
    parts = [" or ".join(row["kinds"])] if "kinds" in row else []
    parts += [f"from {row['since']}"] if "since" in row else []
    parts += [f"up to {row['until']}"] if "until" in row else []
    parts += [f"at most {row['longest']} characters"] if "longest" in row else []
    return ", ".join(parts)


def tables() -> dict[str, str]:
    """Return every table of the page by name. Raises ValueError where mapping.yaml leaves out what a map reads."""
    known = {field for name in SEGMENTS for field in SIDE[name]}
    missing = readers().keys() - known
    if missing:
        raise ValueError(f"docs/mapping.yaml says nothing of {', '.join(sorted(missing))}, which hl7v2-dft reads")
    maps = ("fhir-payment-reconciliation", "fhir-payment-reconciliation-r5", "fhir-payment-notice")
    made = {name: segment(name) for name in SEGMENTS}
    made |= {name: resource(name) for name in ("fhir-invoice", "fhir-chargeitem")}
    return made | {name: postings(name) for name in maps}


def page() -> str:
    """Return the page as it should be."""
    made = tables()
    text = PAGE.read_text("utf-8")

    def replace(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n\n{made.pop(found[1])}\n\n<!-- end -->"

    text = re.sub(r"<!-- table: (\S+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)
    if made:
        raise ValueError(f"{PAGE.name} has no place for {', '.join(made)}")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
