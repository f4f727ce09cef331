"""The people of the clinic. All of them are invented, and so are their numbers (555-01xx)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .chart import Chart
from .wire import escape


@dataclass(frozen=True, slots=True)
class Service:
    """One line of a visit: FT1-6, code, text and the amount as it goes on the wire."""

    kind: str
    code: str
    text: str
    amount: str


@dataclass(frozen=True, slots=True)
class Patient:
    """An invented person with one visit. `phone` is the seven digits after area code 608; the guarantor pays."""

    account: str
    mrn: str
    family: str
    given: str
    birth_date: str
    sex: str
    phone: str
    services: tuple[Service, ...]
    guarantor: tuple[str, str, str] | None = None  #: family, given, phone; None: the patient

    def chart(self) -> Chart:
        name = f"{self.given} {self.family}"
        born = f"{self.birth_date[:4]}-{self.birth_date[4:6]}-{self.birth_date[6:]}"
        return Chart(self.account, name, self.mrn, born, self.sex)

    def charges(self, control_id: str, now: dt.datetime) -> bytes:
        """Write the visit as DFT^P03, version 2.5.1."""
        stamp, day = now.strftime("%Y%m%d%H%M%S+0000"), now.strftime("%Y%m%d")
        name = f"{escape(self.family)}^{escape(self.given)}"
        family, given, phone = self.guarantor or (self.family, self.given, self.phone)
        relation = "SEL^Self" if self.guarantor is None else "PAR^Parent"
        lines = [
            f"MSH|^~\\&|CLINIC|LAKESIDE|CHARTPOST|LAKESIDE|{stamp}||DFT^P03^DFT_P03|{control_id}|P|2.5.1"
            "||||||UNICODE UTF-8",
            f"EVN|P03|{stamp}",
            f"PID|1||{self.mrn}^^^LAKESIDE^MR||{name}||{self.birth_date}|{self.sex}|||||^PRN^CP^^1^608^{self.phone}"
            f"|||||{self.account}^^^LAKESIDE^AN",
            f"PV1|1|O|MAIN^ROOM 4^^LAKESIDE||||||||||||||||V{self.account}^^^LAKESIDE^VN",
        ]
        for number, service in enumerate(self.services, start=1):
            lines.append(
                f"FT1|{number}|{control_id[-10:]}{number}||{day}|{day}|{service.kind}"
                f"|{service.code}^{escape(service.text)}^L|||1|{service.amount}&USD"
            )
        lines.append(f"GT1|1||{escape(family)}^{escape(given)}|||^PRN^CP^^1^608^{phone}|||||{relation}")
        return ("\r".join(lines) + "\r").encode()


PATIENTS = {
    patient.account: patient
    for patient in (
        Patient("L-20481", "M100231", "Abernathy", "Rosalind", "19790314", "F", "5550121", (
            Service("CG", "99213", "Office visit, established patient", "148.00"),
            Service("CO", "COPAY", "Co-payment office visit", "30.00"),
        )),
        Patient("L-20482", "M100478", "Vasquez-O'Dell", "Tomás", "19861102", "M", "5550134", (
            Service("CG", "97110", "Therapeutic exercise, 30 minutes", "92.50"),
            Service("CG", "97140", "Manual therapy", "68.00"),
            Service("CO", "COPAY", "Co-payment therapy", "45.00"),
        )),
        Patient("L-20483", "M100502", "Lindqvist", "Elin", "20170608", "F", "5550147", (
            Service("CG", "92551", "Hearing screening", "55.00"),
            Service("CO", "COPAY", "Co-payment paediatrics", "20.00"),
        ), ("Lindqvist", "Åke", "5550156")),
        Patient("L-20484", "M100619", "Okafor", "Benedict", "19550923", "M", "5550163", (
            Service("CG", "80053", "Metabolic panel", "61.00"),
            Service("CG", "85025", "Blood count", "24.75"),
            Service("CO", "COPAY", "Co-payment laboratory", "12.50"),
        )),
    )
}  # fmt: skip
