"""Another program: an environment of its own, folders that are called like ours, Kombu, and the wheel of this project.

What it runs is what the documents show (docs/integration/queues.md).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from feeds import Collector, Feed
from workbench import dft, line

from chartpost.adapter.ledger.store import Store
from chartpost.queues.envelope import Envelope
from chartpost.queues.publisher import Publisher, connect
from chartpost.queues.topology import Topology

pytestmark = pytest.mark.rabbitmq

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
SHOWN = "amqp://guest:guest@127.0.0.1//"
#: Folders of the host project: whoever imports them by mistake falls over.
OWN = ("adapter", "mappings", "queues", "chartpost_host")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with this project as a wheel; third parties come from ours."""
    folder = tmp_path_factory.mktemp("host")
    source, environment = folder / "source", folder / "env"
    for name in ("adapter", "mappings", "queues"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr[-2000:]
    wheel = folder / built.stdout.splitlines()[-1]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    uv = Path(sys.executable).with_name("uv")
    install = ["pip", "install", "-q", "--offline", "--no-deps", "--python", environment, wheel]
    subprocess.run([uv, *install], check=True, timeout=60)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "third_parties.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return str(environment / "bin" / "python")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a host project."""
    for name in OWN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('this is the host project')\n")
    return tmp_path


@pytest.fixture
def url() -> Iterator[str]:
    with services.rabbitmq_vhost() as url:
        yield url


def shown(number: int, url: str, project: Path) -> Path:
    """Write a program of the documents into the project; only where the broker is differs."""
    text = (ROOT / "docs/integration/queues.md").read_text("utf-8")
    program = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[number]
    lines = [line for line in program.splitlines() if line.strip()]
    assert len(lines) <= 14, "ten lines, and what they import"
    assert SHOWN in program
    path = project / "program.py"
    path.write_text(program.replace(SHOWN, url))
    return path


def test_the_environment_has_its_own_copy_and_kombu_finds_both_serializers(python: str, project: Path) -> None:
    program = project / "look.py"
    program.write_text(
        "import json, kombu, chartpost.queues.envelope as ours\n"
        "from kombu.serialization import registry\n"
        "print(json.dumps([ours.__file__, registry.name_to_type['hl7v2'], registry.name_to_type['fhir']]))\n"
    )
    run = [python, program]
    told = json.loads(subprocess.run(run, cwd=project, capture_output=True, check=True, timeout=60).stdout)
    assert told[0].startswith(str(Path(python).parents[1]))
    assert told[1:] == ["application/hl7-v2", "application/fhir+json"]


def test_the_consumer_of_the_documents_takes_a_posting_and_says_that_it_has_it(
    python: str, project: Path, url: str
) -> None:
    names = Topology(postings=(("engine", "hl7v2"),), receipts=("engine",))
    body = b"MSH|^~\\&|CHARTPOST||||20260504||DFT^P03|PXYZ|P|2.5.1\rFT1|1|PXYZ||20260504||PY||||1|45.00&USD\r"
    with Publisher(url, names) as publisher:
        publisher.publish(Envelope(names.posting("engine", "hl7v2"), body, "application/hl7-v2", {}, "PXYZ", "PXYZ"))
    receipts = Collector(url, names, names.receipt("engine"))
    program = shown(0, url, project)
    with subprocess.Popen([python, "-u", program], cwd=project, stdout=subprocess.PIPE, text=True) as process:
        try:
            receipt = receipts.take()
            assert process.stdout is not None
            printed = process.stdout.readline().split()
        finally:
            process.terminate()
            receipts.consumer.stop()
    assert json.loads(receipt.body) == {"control_id": "PXYZ", "state": "received"}
    assert printed == ["PXYZ", "45.00", str(len(body))]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_producer_of_the_documents_sends_a_charge_and_prints_its_acknowledgement(
    python: str, project: Path, url: str, store: Store
) -> None:
    feed = Feed(store, url, name="feed", prefix="chartpost")
    feed.listener.start()
    body = dft(line("CO", "45.00"), control_id="77")
    (project / "charge.hl7").write_bytes(body)
    program = shown(1, url, project)
    with connect(url) as connection:
        feed.topology.declare(connection)
    try:
        run = subprocess.run([python, program], cwd=project, capture_output=True, text=True, timeout=60, check=False)
    finally:
        feed.close()
    assert (run.stdout.split(), run.stderr) == (["1", "AA", "77"], "")
    assert [(row.raw, row.state) for row in feed.rows()] == [(body, "received")]
