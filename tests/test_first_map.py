"""docs/admin/first-map.md, done as it stands: every command is run, and says what the page shows of it.

What a person does in an editor is done with the pieces of YAML that the page gives. `serve` is a process of its own.
"""

from __future__ import annotations

import re
import resource
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from chartpost.adapter import cli
from chartpost.adapter.demo.child import DOORS, environment
from chartpost.mappings import layers, mapfile

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/admin/first-map.md").read_text("utf-8")
#: Commands that a person gives again until they see it.
LOOKS = re.compile(r"chartpost (status|requests|holds --|map shadow)")
#: Seconds that the page claims for the machine, of its ten minutes; counted in work, since other tests run beside.
CLAIMED = 60


@dataclass
class Block:
    language: str
    text: str
    section: str


def blocks() -> list[Block]:
    found, section = [], ""
    for heading, language, text in re.findall(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        section = heading or section
        if not heading:
            found.append(Block(language, text, section))
    return found


def plain(text: str) -> str:
    return " ".join(text.split())


@dataclass
class Desk:
    """Where the person of the page works."""

    here: Path
    doors: dict[str, str] = field(default_factory=dict)
    serving: subprocess.Popen[str] | None = None

    def run(self, block: str, shown: str) -> None:
        """Run the commands of one block; the last one must come to say what is shown."""
        *before, last = block.splitlines()
        for command in before:
            self.do(command)
        if not shown or " serve " in last:
            self.do(last)
            return
        shown = shown.replace("lakeside@…", self.label()) if "lakeside@…" in shown else shown
        said = self.do(last)
        tries = 60 if LOOKS.match(last) else 1  # another process works meanwhile
        while not says(said, shown) and (tries := tries - 1):
            threading.Event().wait(0.5)
            said = self.do(last)
        assert says(said, shown), f"{last}\n{said}"

    def do(self, command: str) -> str:
        if " serve " in command:
            self.serve(command)
            return ""
        if command.startswith("chartpost "):
            said = self.chartpost(command)
        elif command.startswith("cd "):
            self.here = self.here / command[3:]
            said = ""
        else:
            command = command.replace("http://127.0.0.1:8090", self.doors.get("sandbox", ""))
            done = subprocess.run(["bash", "-euc", command], cwd=self.here, capture_output=True, text=True, check=True)
            said = done.stdout
        return said

    def chartpost(self, command: str) -> str:
        """Run one of our own in this process: the same code, without starting Python each time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.here)
            result = CliRunner().invoke(cli.app, shlex.split(command)[1:], env=self.variables())
        assert result.exit_code in (0, 1), f"{command}: {result.output}"
        return str(result.output)

    def label(self) -> str:
        """Return name and version of the map as it lies on the disk."""
        return mapfile.compile_map(layers.read(str(self.here / "lakeside.yaml"))).label

    def variables(self) -> Mapping[str, str]:
        return {f"CHARTPOST_{door}": address for door, address in DOORS.items()}

    def serve(self, command: str) -> None:
        self.stop()
        argv = [sys.executable, "-m", "chartpost.adapter.cli", *command.split()[1:]]
        with (self.here / "serve.log").open("a") as log:
            self.serving = subprocess.Popen(
                argv, cwd=self.here, env=environment(DOORS), stdout=subprocess.PIPE, stderr=log, text=True
            )
        for line in self.serving.stdout or ():
            word, *parts = line.split()
            named = dict(part.split("=", 1) for part in parts if "=" in part)
            if word == "sandbox":
                self.doors["sandbox"] = named["http"]
            if word == "ready":
                return
        pytest.fail(f"serve did not start: {(self.here / 'serve.log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.serving is not None:
            self.serving.send_signal(signal.SIGTERM)
            assert self.serving.wait(60) == 0
            self.serving = None


def worked() -> float:
    """Return the seconds that a processor has worked for us and for the processes that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def says(output: str, shown: str) -> bool:
    """Say whether the lines that are shown stand in an output, in their order."""
    rest = plain(output)
    for line in shown.splitlines():
        _, found, rest = rest.partition(plain(line))
        if not found:
            return False
    return True


def edit(desk: Desk, block: Block) -> None:
    """Do in an editor what the page says."""
    data = YAML(typ="safe").load(block.text)
    if "sources" in data:
        file = desk.here / "clinic.yaml"
        written: dict[str, Any] = YAML(typ="safe").load(file.read_text())
        source = written["sources"]["his"]
        source.pop("shadow", None)
        source |= data["sources"]["his"]
        YAML(typ="safe").dump(written, file)
    else:
        file = desk.here / "lakeside.yaml"
        text = file.read_text()
        if "unknown" in data["tables"]["kinds"]:
            head, _, rest = text.partition("\ntables:\n")
            assert rest, "the proposal has no tables"
            file.write_text(f"{head}\n{block.text}")
        else:
            [line] = [line for line in block.text.splitlines() if '"05"' in line]
            file.write_text(f"{text.rstrip()}\n{line}\n")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    made = Desk(tmp_path)
    yield made
    if made.serving is not None:
        made.serving.kill()
        made.serving.wait()


@pytest.mark.timeout(300)  # it starts `serve` twice
def test_a_person_gets_from_a_folder_of_messages_to_a_live_map(desk: Desk) -> None:
    told, before = blocks(), worked()
    assert {block.section[:2] for block in told} >= {f"{number}." for number in range(1, 10)}
    for block, after in zip(told, [*told[1:], Block("", "", "")], strict=True):
        if block.language == "yaml":
            edit(desk, block)
        elif block.language == "sh":
            desk.run(block.text, after.text if after.language == "text" else "")
    desk.stop()
    assert worked() - before < CLAIMED


def test_the_proposal_leaves_only_the_codes_to_a_person(tmp_path: Path) -> None:
    """What the page has its reader write is all that is missing: the rows are right as they are proposed."""
    out = tmp_path / "lakeside.yaml"
    result = CliRunner().invoke(cli.app, ["map", "new", str(ROOT / "samples/site/messages"), "--out", str(out)])
    assert result.exit_code in (0, 1), result.output
    data = layers.read(str(out)).top.data
    assert data["extends"] == "hl7v2-dft"
    assert [(row["target"], row["path"]) for row in data["charge"]] == [("unit_price", "FT1-22")]
    assert not data.get("message")
    assert not data["tables"]["kinds"]["codes"]
