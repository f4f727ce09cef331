"""A map is data: it opens no file but its own, runs no code, and neither loops nor grows; what it costs is bounded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chartpost.mappings import mapfile
from chartpost.mappings.chain import Rejected
from chartpost.mappings.conditions import CHARGE, compile_condition
from chartpost.mappings.mapfile import MapError

BASE = "extends: hl7v2-dft\n"


def problems(text: str, file: str = "map.yaml") -> list[str]:
    with pytest.raises(MapError) as caught:
        mapfile.parse(text, file)
    return caught.value.problems


_WATCHED = ("open", "subprocess.Popen", "os.system", "socket.connect", "socket.getaddrinfo")
_watching: list[set[str]] = []


def _watch(event: str, given: tuple[object, ...]) -> None:
    if _watching and event in _WATCHED and not str(given[0]).endswith((".py", ".pyc")):
        _watching[-1].add(str(given[0]))


sys.addaudithook(_watch)  # it stays for as long as the process


def opened(work: Callable[[], object]) -> set[str]:
    """Return the files that were opened, and the programs and addresses that were called, while `work` ran."""
    _watching.append(set())
    try:
        work()
    finally:
        seen = _watching.pop()
    return seen


def test_loading_a_map_opens_its_own_files_and_those_of_its_bases_and_nothing_else(tmp_path: Path) -> None:
    mapfile.parse(BASE)  # what is imported late is imported now
    (tmp_path / "codes.csv").write_text("code,meaning\nXX,copay\n")
    (tmp_path / "site.yaml").write_text(BASE + "tables: {kinds: {file: codes.csv}}\n")
    seen = opened(lambda: mapfile.load(str(tmp_path / "site.yaml")))
    assert {Path(name).name for name in seen} == {"site.yaml", "hl7v2-dft.yaml", "codes.csv"}


@pytest.mark.parametrize(
    "name", ["../codes.csv", "/etc/hostname", "sub/codes.csv", "..", ".hidden", "http://127.0.0.1:1/codes.csv", "a\\b"]
)
@pytest.mark.parametrize("text", [BASE + "tables: {{kinds: {{file: '{}'}}}}\n", "extends: '{}'\n"])
def test_a_map_cannot_name_a_file_outside_its_folder(tmp_path: Path, text: str, name: str) -> None:
    mapfile.parse(BASE)
    found: list[str] = []
    seen = opened(lambda: found.extend(problems(text.format(name), str(tmp_path / "site.yaml"))))
    assert "only files in its own folder" in found[0]
    assert {Path(one).suffix for one in seen} <= {".yaml"}


def test_a_link_beside_the_map_is_the_file_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "group.yaml").write_text(BASE + "tables: {kinds: {codes: {XX: copay}}}\n")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "group.yaml").symlink_to(tmp_path / "elsewhere" / "group.yaml")
    (tmp_path / "maps" / "site.yaml").write_text("extends: group.yaml\n")
    assert mapfile.load(str(tmp_path / "maps" / "site.yaml")).tables["kinds"].codes["XX"] == "copay"


def test_a_pipe_or_device_beside_the_map_is_refused_instead_of_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    said = problems("extends: pipe.yaml\n", str(tmp_path / "site.yaml"))
    said += problems(BASE + "tables: {kinds: {file: zero.csv}}\n", str(tmp_path / "site.yaml"))
    assert ["not a plain file" in problem for problem in said] == [True, True]


@pytest.mark.parametrize(
    "text",
    [
        "note: !!python/object/apply:os.system ['exit 1']\n",
        "note: !!python/name:os.system\n",
        "note: !!python/object/new:subprocess.Popen [[true]]\n",
        "!!python/object/apply:os.system\n- exit 1\n",
    ],
)
def test_a_tag_of_yaml_makes_no_object_and_calls_nothing(text: str) -> None:
    seen = opened(lambda: problems(text))
    assert not seen


def test_ten_lines_of_aliases_cannot_stand_for_a_thousand_million_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert any(problem.endswith("more than 100000 values") for problem in problems("\n".join(lines)))


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "[" * 900 + "]" * 900, "{a: " * 900, "a: &a\n  b: *a\n"])
def test_what_is_nested_too_deeply_is_refused_where_it_begins_to_be(text: str) -> None:
    (problem,) = problems(text)
    assert "nested too deeply" in problem


def test_a_file_of_ten_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(BASE + "# " + "x" * 10_000_000)
    with pytest.raises(MapError, match="larger than 1000000 bytes"):
        mapfile.load(str(path))
    (tmp_path / "codes.csv").write_text("code,meaning\n" + "X,copay\n" * 150_000)
    (tmp_path / "small.yaml").write_text(BASE + "tables: {kinds: {file: codes.csv}}\n")
    with pytest.raises(MapError, match="larger than 1000000 bytes"):
        mapfile.load(str(tmp_path / "small.yaml"))


def test_a_table_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "codes.csv").write_text("code,meaning\n" + "".join(f"C{n},copay\n" for n in range(20_001)))
    (problem,) = problems(BASE + "tables: {kinds: {file: codes.csv}}\n", str(tmp_path / "site.yaml"))
    assert "more than 20000 codes" in problem


@pytest.mark.parametrize("text", ["(" * 240 + "true" + ")" * 240, "[" * 200 + "]" * 200 + " == []", "true ? " * 70])
def test_a_condition_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not CEL"):
        compile_condition(text, CHARGE)


@pytest.mark.parametrize(
    "text", ["code.matches(code)", "code.matches('a' + my.x)", "matches(code, my.x)", "'a'.matches (code)"]
)
def test_a_message_cannot_bring_the_pattern_that_it_is_compared_with(text: str) -> None:
    with pytest.raises(ValueError, match="write the pattern of matches"):
        compile_condition(text, CHARGE)


def test_no_pattern_is_tried_again_and_again_on_the_same_text() -> None:
    # A backtracking matcher would need 2^100,000 steps: this test would never end.
    values = dict.fromkeys(CHARGE, "a" * 100_000 + "!")
    assert not compile_condition("code.matches('^(a+)+$') || code.matches('^(a|aa)*$')", CHARGE).holds(values)
    with pytest.raises(Rejected):
        compile_condition("code.matches('((a{1,100}){1,100}){1,100}')", CHARGE).holds(values)


@pytest.mark.parametrize("pattern", ["%d%m%c", "%d.%m.%j", "%d%m%Z", "%m/%d/%100Y", "%d%m%"])
def test_a_date_pattern_has_only_parts_of_a_date(pattern: str) -> None:
    row = f"charge: [{{target: service_date, path: FT1-4, transform: 'date {pattern}'}}]\n"
    (problem,) = problems(BASE + row)
    assert "takes a pattern of" in problem
