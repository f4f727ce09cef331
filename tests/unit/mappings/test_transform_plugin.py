"""A package of somebody else's brings a transform, and a map uses it by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import MapError
from chartpost.mappings.read import Unreadable, read

MODULE = '''
from chartpost.mappings.chain import Rejected, Transform

def checked(value, context, length):
    """Take the check digit off an account number."""
    digits = value.replace("-", "")
    if len(digits) != length:
        raise Rejected("not as long as an account number is", "ask the sender")
    return digits[:-1]

account = Transform(checked, parse=int)
nothing = "no transform"
'''
MESSAGE = "MSH|^~\\&|HIS|LAKE|CP|DOOR|20260504||DFT^P03|1|P|2.5.1\rPID|1||M-1|||||||||||||||A-1\rZAC|{}\r"
MAP = "extends: hl7v2-dft\nmessage:\n  - {{target: my.number, path: ZAC-1, transform: [strip, {}]}}\n"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution as pip leaves it behind."""
    (tmp_path / "acme_transforms.py").write_text(MODULE)
    info = tmp_path / "acme_transforms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-transforms\nVersion: 1.0\n")
    points = "[chartpost.transforms]\nacme_account = acme_transforms:account\nacme_nothing = acme_transforms:nothing\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))


def number(raw: str, step: str) -> str:
    map = mapfile.parse(MAP.format(step))
    message = er7.parse(MESSAGE.format(raw).encode())
    return read(message, map, currency="USD", region="US", timezone="UTC").my["number"]


def test_a_transform_of_another_package_is_used_by_its_name_with_its_words() -> None:
    assert number(" 40-1238 ", "acme_account 6") == "40123"


def test_what_it_refuses_holds_the_message_with_its_own_words() -> None:
    with pytest.raises(Unreadable, match="not as long as an account number is"):
        number("40-12", "acme_account 6")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("acme_account six", "transform acme_account invalid literal"),
        ("acme_nothing", "unknown transform 'acme_nothing'"),
        ("acme_other", "unknown transform 'acme_other'"),
    ],
)
def test_what_is_no_transform_or_has_the_wrong_words_is_told_when_the_map_is_loaded(step: str, said: str) -> None:
    with pytest.raises(MapError) as caught:
        number("1", step)
    assert said in caught.value.problems[0]
