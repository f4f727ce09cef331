"""A proposal for Invoices: the status, the total, the patient's part, who it is, and how they are reached."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from chartpost.mappings import contacts
from chartpost.mappings.fhir.read import STATUSES
from chartpost.mappings.fhir.references import Around, people
from chartpost.mappings.propose.elements import Element, table
from chartpost.mappings.propose.model import Code, Draft, Row
from chartpost.mappings.propose.people import CLASSES
from chartpost.mappings.specimens import Specimen, Specimens
from chartpost.mappings.valuekinds import is_phone

__all__ = ["draft"]

_PATIENTS = re.compile(r"patient|co-?pay|self|owed|responsib|zuzahlung|eigenanteil|out-?of-?pocket", re.IGNORECASE)
_INSURERS = re.compile(r"insur|cover|payer|payor|benefit|kasse|plan|third-?party", re.IGNORECASE)
_BALANCES = re.compile(r"balance|outstanding|amount-?due|open-?amount|remaining", re.IGNORECASE)
_TARGETS = {"balance": _BALANCES, "copay": _PATIENTS, "insurance": _INSURERS}
_TOTALS = ("Invoice.totalGross", "Invoice.totalNet")
#: What words of a server's own are likely to mean; never proposed, only told.
_LIKELY = {
    "posted": "issued", "open": "issued", "unpaid": "issued", "final": "issued", "active": "issued", "paid": "balanced",
    "closed": "balanced", "settled": "balanced", "void": "cancelled", "voided": "cancelled", "canceled": "cancelled",
    "pending": "draft", "new": "draft",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z0-9_ -]{1,24}")


def draft(found: Specimens, region: str = "US") -> Draft:
    """Return the proposal for the Invoices that were found. Never raises."""
    made = Draft(dialect="fhir", extends="fhir-invoice", table="statuses")
    invoices = [one.resource or {} for one in found.invoices]
    places = table(invoices, "Invoice")
    made.saw("messages", "Invoice", "standard", f"{len(invoices)} Invoices")
    _status(places, made, len(invoices))
    _account(places, made, len(invoices))
    _amounts(places, made, len(invoices))
    _people(found, places, made, region)
    _class(places, made)
    made.rows.sort(key=lambda row: row.section != "message")
    return made


def _of(element: Element | None, count: int) -> str:
    return f"{len(element.values) if element else 0} of {count} Invoices"


def _status(places: Mapping[str, Element], made: Draft, count: int) -> None:
    words = (
        Counter(str(value) for value in places["Invoice.status"].values.values())
        if "Invoice.status" in places
        else Counter()
    )
    if not words:
        made.saw("status", "Invoice.status", "standard", "no Invoice has a status, and every one is held")
        made.ask("No Invoice has a status: how does the server say that something is owed?")
        return
    if set(words) <= set(STATUSES):
        said = ", ".join(f"{word} {number}" for word, number in words.most_common())
        made.saw("status", "Invoice.status", "standard", said)
        return
    for word, number in words.most_common():
        same = word.strip().lower().replace("_", "-").replace(" ", "-")
        shown = word if _WORD.fullmatch(word) and word == word.strip() else ""
        if shown:
            made.codes.append(
                Code(shown, same if same in STATUSES else _LIKELY.get(same, ""), same in STATUSES, f"{number} Invoices")
            )
            if same not in STATUSES:
                made.ask(f"What does the status {shown} mean: {', '.join(STATUSES)}?")
    note = "the server has words of its own for the status"
    made.rows.append(Row("message", "status", ("Invoice.status",), ("table statuses",), note, required=True))
    made.saw("status", "Invoice.status", "proposed", note)


def _account(places: Mapping[str, Element], made: Draft, count: int) -> None:
    named, id = places.get("Invoice.identifier.value"), places.get("Invoice.id")
    for path, element in (("Invoice.identifier", named), ("Invoice.id", id)):
        if element:
            made.saw("account", path, "standard", f"filled in {_of(element, count)}")
    if named and len(named.values) > 2 and len(set(named.texts.values())) == 1:
        made.ask(
            "Every Invoice has the same identifier: is it a number of the site? Then let `account` name Invoice.id."
        )
        if id and len(set(id.texts.values())) == len(id.values):
            made.account, made.account_note = (
                ("Invoice.id",),
                "every Invoice has the same identifier, and an id of its own",
            )
            made.saw("account", "Invoice.id", "proposed", made.account_note)
    elif not named and not id:
        other = places.get("Invoice.account.identifier.value")
        if other:
            made.account = ("Invoice.account.identifier",)
            made.account_note = f"no Invoice has an identifier or an id; the account's is filled in {_of(other, count)}"
            made.saw("account", made.account[0], "proposed", made.account_note)
        else:
            made.ask(
                "No Invoice has an identifier or an id: it is known by the address to which it is sent, or not at all."
            )


# ------------------------------------------------------------------------------------------------------------ money


def _amounts(places: Mapping[str, Element], made: Draft, count: int) -> None:
    """Propose the total, the patient's part, what insurance covers, and the balance."""
    money = {path: element for path, element in places.items() if element.money and _is_money(path, element)}
    totals = [path for path in _TOTALS if path in money]
    whole = totals[0] if totals else ""
    for path in totals:
        made.saw("amount", path, "standard", f"an amount in {_of(money[path], count)}")
    if not whole:
        whole = _other_total(money, made, count)
        if not whole:
            made.saw("amount", "Invoice.totalGross", "standard", "no Invoice has a total, and issued ones are held")
            made.ask("No Invoice has a total, and none is made from lines: can the server send totalGross?")
            return
    elif any(set(money[whole].values) ^ set(money[path].values) for path in totals[1:]):
        made.ask("Some Invoices have totalGross, others only totalNet: are both what is billed in all?")
    _parts(
        {path: element for path, element in money.items() if path not in totals and path != whole},
        money[whole],
        made,
        count,
    )


def _is_money(path: str, element: Element) -> bool:
    """Say whether an element is money: a Money, or a decimal that an extension calls by one of our words."""
    if any(isinstance(value, dict) for value in element.values.values()):
        return True
    words = (_PATIENTS, _INSURERS, _BALANCES)
    return path.endswith(("valueDecimal", "valueInteger")) and any(word.search(path) for word in words)


def _other_total(money: Mapping[str, Element], made: Draft, count: int) -> str:
    fitting = [
        element for path, element in money.items()
        if not _PATIENTS.search(_last(path)) and not _INSURERS.search(_last(path)) and not _BALANCES.search(_last(path))
    ]  # fmt: skip
    if not fitting:
        return ""
    best = max(fitting, key=lambda one: (len(one.values), sum(one.money.values())))
    note = f"no Invoice has totalGross or totalNet; an amount stands here in {_of(best, count)}"
    made.rows.append(Row("charge", "amount", (best.path, *_TOTALS), ("money",), note))
    made.saw("amount", best.path, "proposed", note)
    made.ask(f"Is {best.path} what is billed in all?")
    return best.path


def _last(path: str) -> str:
    """Return what an element is called: the address of its extension, else its name."""
    urls = re.findall(r"(?:url|type) = '([^']*)'", path)
    return urls[-1].rpartition("/")[2] if urls else path.rpartition(".")[2]


def _parts(money: Mapping[str, Element], whole: Element, made: Draft, count: int) -> None:
    for path, element in money.items():
        name, amounts = _last(path), element.money
        if path.startswith(tuple(f"{total}.value" for total in _TOTALS)):
            continue
        target = next(
            (target for target, words in _TARGETS.items() if words.search(name)), ""
        )  # fmt: skip
        part = all(abs(amounts[at]) <= abs(one) for at, one in whole.money.items() if at in amounts)
        said = f"an amount in {_of(element, count)}, called {name}" + (", never more than the total" if part else "")
        if not target or (target != "balance" and not part) or any(row.target == target for row in made.rows):
            if ".extension.where(" in path:
                made.saw(target or "copay", path, "alternative", said)
                made.ask(f"What does {path} say: what the patient owes, what insurance pays, or something else?")
            continue
        section = "message" if target == "balance" else "charge"
        made.rows.append(Row(section, target, (path,), ("money",), said))  # type: ignore[arg-type]
        made.saw(target, path, "proposed", said)
        rule = {"copay": "copay", "insurance": "net_of_insurance", "balance": "balance"}[target]
        made.share.append(f"share: {rule}   # {name}")
        made.ask(f"Is {path} really the {_MEANS[target]}?")


_MEANS = {"copay": "patient's own part", "insurance": "part that insurance pays", "balance": "amount that is owed now"}


# ----------------------------------------------------------------------------------------------------------- people


def _people(found: Specimens, places: Mapping[str, Element], made: Draft, region: str) -> None:
    """Propose what the shipped map would not find of patient and payer."""
    beside = [one.resource for one in found.items if one not in found.invoices]
    concerned = [_concerned(one, beside) for one in found.invoices]
    count = len(concerned)
    for role in ("patient", "guarantor"):
        resources = [one.get(role) or {} for one in concerned]
        seen = table(resources, f"%{role}")
        names = sum(bool(one.get("name")) for one in resources)
        reached = sum(bool(one.get("telecom")) for one in resources)
        made.saw(f"{role}.family", f"%{role}.name", "standard", f"a name in {names} of {count} Invoices")
        made.saw(f"{role}.contacts", f"%{role}.telecom", "standard", f"contacts in {reached} of {count} Invoices")
        if role == "patient" and not any(resources):
            made.ask("No Invoice leads to a patient: does the server send them along, or can they be fetched from it?")
        elif role == "patient" and names < count:
            made.ask(f"{count - names} Invoices lead to no patient with a name: can they be fetched from the server?")
        here = (
            seen
            if role == "guarantor"
            else {**seen, **{path: one for path, one in places.items() if "extension" in path}}
        )
        more = [(path, how) for path, one in here.items() if (how := _calls(path, one, region))]
        if more:
            made.rows.append(Row("message", f"{role}.contacts", (f"%{role}.telecom",), (), "as the shipped map has it"))
            for how in ("phone", "email"):
                paths = tuple(path for path, one in more if one == how)
                if paths:
                    note = f"{'numbers' if how == 'phone' else 'addresses'} stand in {', '.join(paths)}"
                    made.rows.append(Row("message", f"{role}.contacts", paths, (how,), note))
                    made.saw(f"{role}.contacts", ", ".join(paths), "proposed", note)


def _concerned(one: Specimen, beside: list[Any]) -> Mapping[str, Any]:
    variables = people(Around([*one.around, *beside]), one.resource or {}).variables()
    return {name: value for name, value in variables.items() if isinstance(value, dict)}


def _calls(path: str, element: Element, region: str) -> str:
    """Return the transform that reads contacts there, "" where there are none."""
    texts = list(element.texts.values())
    if ".telecom" in path or ".contact." in path or "identifier" in path or not texts or ".value" not in path:
        return ""
    if all(contacts.email(text) for text in texts):
        return "email"
    return "phone" if all(is_phone(text) and contacts.e164(text, region) for text in texts) else ""


def _class(places: Mapping[str, Element], made: Draft) -> None:
    for path, element in places.items():
        words = list(element.texts.values())
        known = sum(word.upper() in CLASSES for word in words)
        if words and known >= 0.5 * len(words) and path.endswith((".code", "valueCode", "valueString", ".text")):
            note = f"holds words for classes of payers in {len(words)} Invoices"
            made.rows.append(Row("message", "financial_class", (path,), (), note))
            made.saw("financial_class", path, "proposed", note)
            made.share.append("share: self_pay   # with self_pay_classes: the classes that pay themselves")
            return
