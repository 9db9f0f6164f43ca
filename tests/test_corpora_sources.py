import zipfile

from minigrid.data.corpora import CORPORA
from minigrid.data.corpora.sources import SOURCES, Digest, Wheel


def test_every_address_is_https_and_every_digest_whole():
    for entry in SOURCES.values():
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert isinstance(entry, Wheel) or entry.url.startswith("https://")
    assert set(SOURCES) | {"pydoc", "toywiki"} == set(CORPORA)


def test_a_zip_may_lie_unpacked_where_the_md5_of_its_text_is_known():
    enwik8, text8 = SOURCES["enwik8"], SOURCES["text8"]
    assert enwik8.copies == {"enwik8.zip": Digest("sha256", enwik8.sha256), "enwik8": Digest("md5", enwik8.inside_md5)}
    assert text8.copies == {"text8.zip": Digest("sha256", text8.sha256)}


def test_the_excerpt_is_found_in_its_wheel(tmp_path):
    folder = "gensim/test/test_data/"
    with zipfile.ZipFile(tmp_path / "gensim.whl", "w") as wheel:
        wheel.writestr(folder + "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", b"this one")
        wheel.writestr(folder + "enwiki-latest-pages-articles.xml.bz2", b"not this one")
    with zipfile.ZipFile(tmp_path / "gensim.whl") as wheel:
        assert SOURCES["wiki-excerpt"].extract(wheel) == b"this one"
