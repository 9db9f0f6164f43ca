import csv
import io
import math
import os
import re

import pytest
from run_fixtures import TEXT, call, contents, done, save_model, write_text

from minigrid.data.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def here(small_runs):
    return small_runs


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("missing", "no such run or checkpoint"),
        ("bytes --part=test", "the run bytes held nothing out as test: choose another --part"),
        ("addition --data=text.txt", "was trained on addition and cannot be measured on a text: leave out --data"),
        ("chars --data=missing.txt", "there is no file missing.txt"),
        ("chars --part=all", "--part must be train, val or test, not 'all'"),
        ("chars --oov=skip", "--oov skip applies only to another text: give one with --data or --text, or leave it"),
        ("chars --oov=skip --part=val", "--oov skip applies only to another text"),
        ("chars --part=val --data=text.txt", "--part and --data name two texts to read: give only one of them"),
        ("chars --data=text.txt --text=ab", "--data and --text name two texts to read"),
        ("chars --text=", "--text has fewer than 2 characters that the model knows, and the first one is not"),
        ("chars --text=a", "--text has fewer than 2 characters"),
        ("chars --text=aQ --oov=skip", "--text has fewer than 2 characters"),
        ("chars --text=QØ", "of --text: 'Q' (U+0051), 'Ø' (U+00D8); remove them, or skip them (--oov skip)"),
        ("chars --text=a\\nb", "--text contains \\n, a backslash and an n"),
        ("chars --per-character", "--per-character needs a text to read in one piece"),
        ("chars --per-character --part=val", "name a text with --data or --text"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(capsys, here, arguments, words):
    before = contents(here)
    outcome = call(capsys, "eval", *arguments.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert contents(here) == before


def test_eval_reads_the_part_you_choose(capsys, here):
    lines = {part: done(capsys, "eval", "chars", f"--part={part}") for part in ("train", "val", "test")}
    counts = {part: int(line.split()[-2].replace(",", "")) for part, line in lines.items()}
    assert counts["train"] > 1500
    assert counts["val"] < counts["test"] < 220
    assert done(capsys, "eval", "chars") == lines["val"]
    write_text(here, TEXT[:101], "other.txt")
    assert done(capsys, "eval", "chars", "--data=other.txt").endswith(", over 100 characters\n")
    assert "bits per byte" in done(capsys, "eval", "bytes/last.npz")
    assert "answers right" in done(capsys, "eval", "addition")


LINE = r"text: loss (\S+) nats, (\S+) bits per (character|byte), perplexity (\S+), over (\d+) (character|byte)s?\n"


def test_eval_measures_your_text(capsys):
    loss, bits, unit, perplexity, count, _ = re.fullmatch(
        LINE, done(capsys, "eval", "chars", "--text=café 😀")
    ).groups()
    assert (unit, count) == ("character", "5")
    assert float(bits) == pytest.approx(float(loss) / math.log(2), abs=1e-4)
    assert float(perplexity) == pytest.approx(math.exp(float(loss)), rel=1e-3)
    assert done(capsys, "eval", "bytes", "--text=café").endswith("over 4 bytes\n")
    assert done(capsys, "eval", "chars", "--text=ca").endswith("over 1 character\n")
    assert done(capsys, "eval", "addition", "--text=3+4=07").endswith("over 5 characters\n")


def test_unknown_characters_of_your_text_can_be_skipped(capsys):
    found = call(capsys, "eval", "chars", "--text=Qcafé", "--oov=skip")
    assert found.err == "note: skipped in --text: 'Q' (U+0051)\n"
    assert found.out == done(capsys, "eval", "chars", "--text=café")


def table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_the_table_of_your_text(capsys):
    found = call(capsys, "eval", "chars", "--text=né 😀\na", "--per-character")
    rows = table(found.out)
    assert [row["position"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert [row["character"] for row in rows] == ["é", "U+0020", "😀", "U+000A", "a"]
    nats = [float(row["nats"]) for row in rows]
    assert [math.exp(-one) for one in nats] == pytest.approx([float(row["probability"]) for row in rows], rel=1e-4)
    assert f"loss {sum(nats) / 5:.4f} nats" in found.err
    assert found.err == done(capsys, "eval", "chars", "--text=né 😀\na")


def test_the_table_of_a_file_is_that_of_its_text(capsys, here):
    text = (TEXT * 2)[:600]
    write_text(here, text, "other.txt")
    file = call(capsys, "eval", "chars", "--data=other.txt", "--per-character")
    given = call(capsys, "eval", "chars", f"--text={text}", "--per-character")
    assert file.out == given.out
    assert file.err == given.err.replace("text:", "other.txt:")
    assert [row["position"] for row in table(file.out)] == [str(k) for k in range(2, 601)]


def test_the_table_of_bytes(capsys, here):
    save_model(here / "all.npz", Vocabulary("bytes", tuple(range(256))))
    text = os.fsdecode(b"aa\xc3\xa9\xff")
    rows = table(done(capsys, "eval", "all.npz", f"--text={text}", "--per-character"))
    assert [row["byte"] for row in rows] == ["a", "0xC3", "0xA9", "0xFF"]


def test_a_vocabulary_of_one_symbol(capsys, here):
    save_model(here / "a.npz", Vocabulary.from_text("a"))
    line = "text: loss 0.0000 nats, 0.0000 bits per character, perplexity 1, over 2 characters\n"
    assert done(capsys, "eval", "a.npz", "--text=aaa") == line
    write_text(here, "aaa", "a.txt")
    assert done(capsys, "eval", "a.npz", "--data=a.txt") == line.replace("text", "a.txt")
