"""What `chartpost check` sees of this machine: the data directory, the keys, the ports."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from chartpost.adapter.doctor import machine
from chartpost.adapter.keys import data_keys

NOBODY = "127.0.0.1:1"


def states(findings):
    return [str(one.state) for one in findings]


@pytest.fixture
def taken():
    """An address that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def free(taken):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    return f"127.0.0.1:{port}"


def test_a_data_directory_that_is_yet_to_come_is_well_where_it_can_be_made(tmp_path):
    (found,) = machine.data(tmp_path / "none" / "yet")
    assert (str(found.state), "made at the first start" in found.text) == ("ok", True)
    assert not (tmp_path / "none").exists(), "looked at, not made"


def test_one_that_cannot_be_made_is_a_problem(tmp_path):
    """A file in its way stops root too, who may write anywhere."""
    (tmp_path / "file").write_text("")
    assert states(machine.data(tmp_path / "file" / "none")) == ["problem"]


def test_keys_that_others_may_read_or_that_are_missing_are_each_a_problem_with_its_remedy(tmp_path):
    data_keys(tmp_path / "data")
    assert states(machine.data(tmp_path / "data")) == ["ok"]
    (tmp_path / "data" / "link.key").chmod(0o644)
    (tmp_path / "data" / "searching.key").unlink()
    first, second = machine.data(tmp_path / "data")
    assert [str(first.state), str(second.state)] == ["problem"] * 2
    assert first.fix.startswith("run `chmod 600")
    assert "restore it from your backup" in second.fix


def test_a_directory_that_others_may_look_into_is_a_warning(tmp_path):
    data_keys(tmp_path / "data")
    (tmp_path / "data").chmod(0o755)
    assert states(machine.data(tmp_path / "data")) == ["warning", "ok"]


def test_a_free_port_is_well_and_stays_free(free):
    assert states(machine.port("ports.web", free, NOBODY, running=False)) == ["ok"]
    host, _, port = free.partition(":")
    socket.create_server((host, int(port))).close()


def test_port_0_is_any_free_one():
    assert states(machine.port("ports.web", "127.0.0.1:0", NOBODY, running=False)) == ["ok"]


def test_a_taken_port_is_a_problem_unless_it_is_our_own_serve_that_has_it(taken):
    (found,) = machine.port("ports.web", taken, NOBODY, running=False)
    assert (str(found.state), "another program" in found.text) == ("problem", True)
    assert "ss -ltnp" in found.fix
    assert states(machine.port("ports.web", taken, NOBODY, running=True)) == ["ok"]


def test_another_chartpost_says_so_itself(taken):
    class Home(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>Chartpost, inside</title>")

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Home)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    internal = f"127.0.0.1:{server.server_address[1]}"
    (found,) = machine.port("ports.web", taken, internal, running=False)
    server.shutdown()
    server.server_close()
    assert "chartpost, with another data directory" in found.text


def test_a_free_port_while_serve_runs_means_that_it_runs_with_another_configuration(free):
    (found,) = machine.port("ports.web", free, NOBODY, running=True)
    assert (str(found.state), "restart `serve`" in found.fix) == ("warning", True)


@pytest.mark.parametrize(
    ("address", "said"),
    [("203.0.113.7:8080", "no such address"), ("no.such.host.example.org:8080", "no such address")],
)
def test_an_address_that_this_machine_does_not_have_is_a_problem(address, said):
    (found,) = machine.port("ports.web", address, NOBODY, running=False)
    assert (str(found.state), said in found.text) == ("problem", True)


def test_what_is_no_address_was_told_by_the_configuration():
    assert states(machine.port("ports.web", 8080, NOBODY, running=False)) == ["skipped"]
