"""Plugins are found by name, ours and other people's through one door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.plugins import SENDERS, load, options_model

GOOD = """
import pydantic

class Options(pydantic.BaseModel):
    type: str

def from_settings(options):
    return ("made", options.type)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution with entry points, as pip would lay it out."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package: str, source: str, **points: str) -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        lines = "".join(f"{name} = {target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[{SENDERS}]\n{lines}")

    return install


def test_an_installed_plugin_brings_its_options_and_its_factory(install: Callable[..., None]) -> None:
    install("pigeon_good", GOOD, pigeon="pigeon_good")
    options = options_model(SENDERS, "pigeon").model_validate({"type": "pigeon"})
    assert load(SENDERS, "pigeon")(options) == ("made", "pigeon")


def test_an_unknown_type_is_told_which_there_are(install: Callable[..., None]) -> None:
    install("pigeon_listed", GOOD, pigeon="pigeon_listed", owl="pigeon_listed")
    with pytest.raises(ConfigurationError, match=r"unknown type 'raven'; installed: .*owl.*pigeon"):
        load(SENDERS, "raven")


def test_a_type_that_two_packages_claim_is_refused(install: Callable[..., None]) -> None:
    install("pigeon_one", GOOD, pigeon="pigeon_one")
    install("pigeon_two", GOOD, pigeon="pigeon_two")
    with pytest.raises(ConfigurationError, match="pigeon_one, pigeon_two"):
        load(SENDERS, "pigeon")


@pytest.mark.parametrize(
    ("package", "source", "target", "problem"),
    [
        ("pigeon_broken", "import a_module_that_is_not_there", "", "does not load: ModuleNotFoundError"),
        ("pigeon_bare", "", "", "no "),
        ("pigeon_value", "thing = 7", ":thing", "names no module"),
        ("pigeon_loose", "Options = dict\nfrom_settings = None", "", "no "),
    ],
)
def test_a_plugin_that_is_broken_is_named(
    install: Callable[..., None], package: str, source: str, target: str, problem: str
) -> None:
    install(package, source, pigeon=package + target)
    for find in (load, options_model):
        with pytest.raises(ConfigurationError, match=f"type 'pigeon': {package}.*{problem}"):
            find(SENDERS, "pigeon")
