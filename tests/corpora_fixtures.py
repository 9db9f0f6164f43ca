"""What the tests of minigrid.data.corpora share."""

import hashlib

import pytest

from minigrid.data.corpora import encoding, sources
from minigrid.errors import UserError

TEXT = b"<mediawiki>a tiny enwik8: \xe2\x82\xac</mediawiki>\n"


def own_data_folder(tmp_path, monkeypatch):
    """Keep a test away from the real data folder and from $MINIGRID_DATA; return the folder it has instead."""
    data = tmp_path / "data"
    for module in (sources, encoding):
        monkeypatch.setattr(module, "data_folder", lambda: data)
    monkeypatch.delenv("MINIGRID_DATA", raising=False)
    return data


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def source(monkeypatch, name, entry):
    """Put an entry into the table of addresses for one test."""
    monkeypatch.setitem(sources.SOURCES, name, entry)


def error(call, *args, **options):
    """Return the one sentence of the UserError that the call must end with."""
    with pytest.raises(UserError) as problem:
        call(*args, **options)
    message = str(problem.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message
