"""What a facility's policy and its users must be: each mistake at its own line, in words for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import load
from chartpost.adapter.users import User

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"
TOKEN = "0123456789abcdef" * 2


def problems(path: Path, policy: str = "", users: str = "") -> list[str]:
    """Return what is wrong with the sample once this policy is its facility's, and these are its users."""
    text = SAMPLE.read_text("utf-8").replace("    quiet: none\n", f"    {policy}\n" if policy else "")
    path.joinpath("words").mkdir(exist_ok=True)
    path.joinpath("site.yaml").write_text(text + (f"users:\n{users}" if users else ""), "utf-8")
    try:
        load(path / "site.yaml", {})
    except ConfigurationError as error:
        return error.problems
    return []


def at(path: Path, text: str) -> str:
    lines = path.joinpath("site.yaml").read_text("utf-8").splitlines()
    return f"{path}/site.yaml:{next(n for n, line in enumerate(lines, 1) if text in line)}: "


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("amounts: {minimum: 5.001}", "amounts.minimum: 5.001 has more decimals than USD has"),
        ("amounts: {minimum: abc}", "amounts.minimum: must be an amount, as in 5.00"),
        ("amounts: {minimum: 50, maximum: 10}", "amounts.minimum: is more than maximum: nothing could be asked for"),
        ("amounts: 5", "amounts: must have keys of its own: higher, lower, maximum, minimum, part_minimum, parts, "),
        ("amounts: {lower: maybe}", "amounts.lower: must be true or false"),
        ("plans: {most: two}", "plans.most: must be a whole number"),
        ("plans: {most: [6]}", "plans.most: must be a whole number"),
        ("plans: {most: 61}", "plans.most: a plan has 2 to 60 instalments"),
        ("reminders: {before: 3}", "reminders.before: must be a list, in brackets: [a, b]"),
        ("quiet: off", "quiet: must have keys of its own: days, holidays, hours"),
        ("quiet: {holidays: [25.12.2026]}", "quiet.holidays.0: must be a date, as in 2026-12-25"),
        ("quiet: {holidays: [yes-terday]}", "quiet.holidays.0: must be a date, as in 2026-12-25"),
        ("languages: []", "languages: must name one at least"),
        ("contacts: [mother]", "contacts.0: must be 'patient', 'guarantor', 'household', 'bill_to' or 'insured'"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_told_once_and_at_its_own_line(tmp_path, policy, said):
    [problem] = problems(tmp_path, policy)
    assert problem.startswith(f"{at(tmp_path, policy)}facilities.lakeside.{said}")


def test_a_day_that_no_calendar_has_is_told_and_no_crash(tmp_path):
    [problem] = problems(tmp_path, "quiet: {holidays: [2026-02-30]}")
    assert problem == f"{tmp_path}/site.yaml:1: a date stands here that no calendar has; write it as in 2026-12-25"
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"CHARTPOST_FACILITIES__LAKESIDE__QUIET": "{holidays: [2026-02-30]}"})
    assert caught.value.problems[0].startswith("CHARTPOST_FACILITIES__LAKESIDE__QUIET: ")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("{role: billing, tell: [holds]}", "email: is missing, and `tell` says that this user is told by e-mail"),
        ("{role: auditor, scopes: [requests:write]}", "scopes: the role auditor may not requests:write; take it out"),
        (f"{{role: auditor, token: {TOKEN}}}", "token: is ana's too; everybody needs one of their own"),
        (
            f"{{role: auditor, token_previous: {TOKEN}}}",
            "token_previous: is ana's too; everybody needs one of their own",
        ),
    ],
)
def test_a_user_who_cannot_be_meant_is_told(tmp_path, user, said):
    [problem] = problems(tmp_path, users=f"  ana: {{role: billing, token: {TOKEN}}}\n  ben: {user}\n")
    assert problem == f"{at(tmp_path, '  ben:')}users.ben.{said}"


def test_an_administrator_may_all_that_any_other_role_may():
    everything = {scope for role in ("billing", "integrator", "auditor") for scope in User(role=role).allowed}
    assert User(role="administrator").allowed == everything


def test_a_file_whose_name_means_nothing_hides_no_other_mistake_in_the_words(tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "request.sms.fr.txt").write_text("bonjour")
    (tmp_path / "words" / "request.sms.en.txt").write_text("Dear {patient}: {link} {stop}")
    found = problems(tmp_path, "templates: words")
    assert any("request.sms.fr.txt: is the name of no template" in one for one in found)
    assert any("request.sms.en.txt:1: {patient} is no field" in one for one in found)
