"""Promises of the house as a whole: what is written is what is installed, and nothing was left for later."""

from __future__ import annotations

import importlib
import re
import tomllib
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUP = PROJECT["tool"]["setuptools"]
TOPS = ("adapter", "mappings", "queues")
GROUPS = ("chartpost.providers", "chartpost.notifiers", "chartpost.senders")


def files(*patterns: str) -> list[Path]:
    """Return the product's files, without what Python leaves behind."""
    found = [path for top in TOPS for pattern in patterns for path in (ROOT / top).rglob(pattern)]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def package(path: Path) -> str:
    return ".".join(("chartpost", *path.relative_to(ROOT).parts))


def test_every_folder_with_code_is_a_package_of_the_wheel_and_no_package_is_missing():
    assert {package(path.parent) for path in files("*.py")} == set(SETUP["packages"])


def test_every_file_that_is_no_code_travels_in_the_wheel():
    left = []
    for path in files("*"):
        if path.suffix == ".py" or path.name == "script.py.mako":
            continue
        inside = [
            name
            for name, patterns in SETUP["package-data"].items()
            if package(path).startswith(name + ".")
            and any(
                fnmatch(str(path.relative_to(ROOT / Path(*name.split(".")[1:]))), pattern)
                and pattern.count("/") == len(path.relative_to(ROOT / Path(*name.split(".")[1:])).parts) - 1
                for pattern in patterns
            )
        ]
        if not inside:
            left.append(str(path.relative_to(ROOT)))
    assert left == []


def test_every_entry_point_is_installed_loads_and_keeps_the_contract_of_plugins():
    for group in GROUPS:
        written = PROJECT["project"]["entry-points"][group]
        installed = {point.name: point for point in entry_points(group=group)}
        assert set(written) <= set(installed), f"{group}: install the project again"
        for name in written:
            module = installed[name].load()
            assert callable(module.from_settings)
            assert "type" in module.Options.model_fields


@pytest.mark.parametrize("path", files("*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for_and_stays_readable(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400, "one noun, one file"
    if path.name != "__init__.py":
        assert text.startswith('"""'), "the first line says what the module is for"


def test_every_module_can_be_imported_under_its_installed_name():
    for path in files("*.py"):
        if path.stem == "__main__" or "migrations" in path.parts:
            continue
        name = package(path.with_suffix("")).removesuffix(".__init__")
        importlib.import_module(name)


def test_nothing_was_left_for_later_and_no_machine_is_named():
    later = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    here = re.compile("/" + r"(work|home|root|Users)/\w")
    wrong = []
    for path in (*files("*.py", "*.yaml", "*.html", "*.css", "*.js"), *(ROOT / "samples").rglob("*.*")):
        text = path.read_text("utf-8", "replace")
        wrong += [f"{path.relative_to(ROOT)}: {found[0]}" for found in (*later.finditer(text), *here.finditer(text))]
    assert wrong == []


def test_pages_load_nothing_from_elsewhere():
    outside = re.compile(r"""(?:src|href|action)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import""")
    wrong = [str(path) for path in files("*.html", "*.css", "*.js") if outside.search(path.read_text("utf-8"))]
    assert wrong == []


def test_the_sample_configuration_is_the_embedded_one():
    """`chartpost serve` without a file uses the copy inside the package; people read the one in samples/."""
    sample = ROOT / "samples" / "config" / "embedded.yaml"
    assert sample.read_bytes() == (ROOT / "adapter" / "embedded.yaml").read_bytes()
