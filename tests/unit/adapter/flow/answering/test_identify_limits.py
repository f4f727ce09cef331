"""Whatever is tried in whatever order, nobody guesses more often than allowed, and only what is right enters."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from workbench import LINK_KEY, MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.flow.answering import codes, identify
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.store import Store

BORN = dt.date(1980, 1, 31)
PATIENT = {
    "role": "patient", "family": "Sample", "given": "Silvia", "birth_date": BORN.isoformat(), "language": "",
    "contacts": [{"kind": "phone", "value": f"+160855501{number}", "mobile": True} for number in ("01", "02")],
}  # fmt: skip
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
STEPS = st.lists(
    st.one_of(
        st.sampled_from(["birth wrong", "birth right", "send", "code wrong", "code right", "code before"]),
        st.sampled_from([1, 60, 600, 1800, 3601, 40_000]),  # seconds
    ),
    max_size=40,
)


def within(times: list[dt.datetime], span: dt.timedelta) -> int:
    """Return the most of these that lie within any such span."""
    return max((sum(first <= one < first + span for one in times) for first in times), default=0)


@given(STEPS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_tries_gets_around_a_limit(migrated: Path, steps: list[str | int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chartpost.db"
        shutil.copy(migrated, path)
        clock = Clock(MAY)
        store = Store.open(f"sqlite:///{path}", clock=clock, migrate=False)
        bench = Workbench(store, clock, configuration())
        bench.flow = replace(
            bench.flow, world=replace(bench.flow.world, notifiers={"sms": SimpleNamespace(channel="sms")})
        )
        bench.take(dft(line("CO", "45.00")))
        with store.write() as tx:
            tx.run(update(tables.account).values(patient=PATIENT))
        token, right = bench.token(), 0
        for step in steps:
            if isinstance(step, int):
                clock.advance(seconds=step)
            else:
                right += tried(bench, token, step)
        tries = bench.rows(tables.identity_try)
        births = [one.at for one in tries if one.kind == "birth_answer" and not one.good]
        sent = [one for one in tries if one.kind == "code"]
        assert within(births, DAY) <= identify.BIRTH_ANSWERS_A_DAY
        assert within([one.at for one in sent], HOUR) <= identify.CODES_AN_HOUR
        answers = [one for one in tries if one.kind == "code_answer"]
        most = identify.ANSWERS_A_CODE
        for answer in answers:
            live = [one for one in sent if one.id < answer.id and one.expires_at > answer.at]
            before = [sum(one.id < other.id < answer.id for other in answers) for one in live]
            assert min(before) < most, "an answer was compared with a code that was answered often enough"
        assert len(bench.rows(tables.visit)) == right
        assert len(bench.rows(tables.notice, purpose="code")) == len(sent)
        store.close()


def tried(bench: Workbench, token: str, step: str) -> bool:
    """Do a step; return whether it must have entered."""
    if step == "send":
        identify.send_code(bench.flow, token)
        return False
    if step.startswith("birth"):
        answered = identify.by_birth_date(bench.flow, token, BORN if step == "birth right" else dt.date(1980, 1, 30))
        assert not (step == "birth wrong" and answered.cookie)
        return bool(answered.cookie)
    made = bench.rows(tables.identity_try, kind="code")
    number = -2 if step == "code before" else -1
    if len(made) < -number:
        return bool(identify.by_code(bench.flow, token, "00000000").cookie)
    code = codes.code(LINK_KEY, made[number].public_id)
    if step == "code wrong":
        waiting = {codes.code(LINK_KEY, one.public_id) for one in made}
        code = next(other for other in map("{:08d}".format, range(10**8)) if other not in waiting)
    answered = identify.by_code(bench.flow, token, code)
    fresh = bench.clock() - made[number].at < identify.CODE and not made[number].used
    assert not answered.cookie or (fresh and step != "code wrong"), "only a fresh code that is right enters"
    return bool(answered.cookie)
