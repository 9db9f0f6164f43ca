import os
import shutil
import subprocess

import pytest
from corpora_fixtures import error, own_data_folder

from minigrid.data.corpora import load_file

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


@pytest.fixture
def books(tmp_path):
    """A folder with a blank in its name and two texts in it."""
    (tmp_path / "my books").mkdir()
    (tmp_path / "my books" / "a.txt").write_text("one\n")
    (tmp_path / "my books" / "b.txt").write_text("two\n")
    return tmp_path / "my books"


def run_advice(message):
    """Run the command in a message, as a user would."""
    subprocess.run(message.split("`")[-2], shell=True, check=True)


def test_a_folder_with_input_txt(books):
    (books / "input.txt").write_text("abc")
    corpus = load_file("my books")
    assert (corpus.name, corpus.source) == ("my books", str(books / "input.txt"))
    assert corpus.vocabulary.tokens == "chars"


def test_a_folder_of_texts(books):
    message = error(load_file, "my books")
    assert message == (
        "the folder my books contains no input.txt: join its texts into one file "
        "(`cat 'my books'/*.txt > all.txt`), and "
        "name that."
    )
    run_advice(message)
    corpus = load_file("all.txt")
    assert corpus.vocabulary.decode(corpus.ids) == "one\ntwo\n"


def test_the_advice_overwrites_nothing(books, tmp_path):
    (tmp_path / "all.txt").write_text("mine")
    assert "> all-2.txt`" in error(load_file, "my books")


def test_a_folder_of_other_files(books):
    (books / "b.txt").rename(books / "b.pdf")
    assert error(load_file, "my books").endswith("no input.txt: name the text file itself, such as my books/a.txt.")
    (books / "a.txt").rename(books / ".hidden.txt")
    assert error(load_file, "my books") == "the folder my books contains no input.txt: name the text file itself."


@pytest.mark.parametrize("given", ["my books/*.txt", "my books/a.txt,my books/b.txt"])
def test_several_files(books, given):
    message = error(load_file, given)
    assert message.startswith(f"`data` is one text, but {given} names 2: join them into one file (`cat ")
    run_advice(message)
    assert len(load_file("all.txt").ids) == 8


def test_many_files_are_not_listed(books):
    for number in range(9):
        shutil.copy(books / "a.txt", books / f"{number}.txt")
    run_advice(error(load_file, "my books/*"))
    assert len(load_file("all.txt").ids) == 44
    books.rename("books")
    assert "(`cat books/* > all-2.txt`)" in error(load_file, "books/*")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_an_input_txt_that_is_no_file(books, kind):
    name = books / "input.txt"
    {"pipe": os.mkfifo, "device": lambda name: name.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](name)
    assert f"input.txt is a {'folder' if kind == 'folder' else 'pipe or a device'}" in error(load_file, books)


def test_names_of_no_file(tmp_path):
    assert error(load_file, "missing.txt") == "there is no file missing.txt: check the path."
    assert "cannot be standard input, because a text is read twice: save the text to a file" in error(load_file, "-")
    assert error(load_file, "enwik8").endswith("the corpus of this name is chosen with `corpus`.")
    assert "cannot be read (File name too long)" in error(load_file, "a" * 300)
    os.mkfifo(tmp_path / "pipe")
    assert "pipe is a pipe or a device, but a text is read twice" in error(load_file, "pipe")
    (tmp_path / "-").write_text("abc")
    assert len(load_file("-").ids) == 3
