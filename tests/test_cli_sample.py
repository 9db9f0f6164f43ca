import os
import re
import signal
import sys

import pytest
from run_fixtures import TEXT, call, contents, done, no_space, outcome, python, refused, save_model, write_text

from minigrid.data.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def here(small_runs):
    return small_runs


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("missing", "no such run or checkpoint: missing"),
        (".", "the folder . contains no checkpoint"),
        ("text.txt", "text.txt is not a minigrid checkpoint"),
        ("toywiki-grid-1", "checkpoint: toywiki-grid-1 (did you mean pretrained:toywiki-grid-1?)"),
        ("chars --temperature=0", "greater than 0, not 0.0: use a small one such as 0.1, or --argmax.\n"),
        ("chars --temperature=-1", "--temperature must be greater than 0, not -1.0"),
        ("chars --temperature=nan", "--temperature must be a finite number, not nan"),
        ("chars --top-k=0", "--top-k must be at least 1"),
        ("chars --length=-5", "--length must be at least 0, not -5"),
        ("chars --seed=-5", "--seed must be at least 0, not -5"),
        ("chars --num-samples=0", "--num-samples must be at least 1, not 0"),
        ("chars --prime=QØ%", "of --prime: 'Q' (U+0051), 'Ø' (U+00D8), '%' (U+0025); remove them, or skip them (--oov"),
        ("chars --prime=a --prime-file=text.txt", "--prime and --prime-file name two texts to continue: give only one"),
        ("chars --prime-file=missing", "cannot read --prime-file missing: No such file or directory"),
        ("chars --prime-file=.", "cannot read --prime-file .: Is a directory"),
        ("chars --oov=skip", "--oov skip applies only to a prime: give one with --prime or --prime-file"),
        ("chars --stop=", "--stop is empty: give the text to stop after, or leave it out"),
        ("chars --stop=aQ", "some characters of --stop: 'Q' (U+0051); it would never stop there, so give another text"),
        ("chars --argmax --temperature=1", "--temperature has no effect with --argmax, which always chooses"),
        ("chars --argmax --top-k=3", "--top-k has no effect with --argmax"),
        ("chars --argmax --num-samples=2", "--num-samples with --argmax would write the same text every time"),
        ("chars --top-k=1 --num-samples=2", "--num-samples with --top-k 1 would write the same text every time"),
        ("chars --out=new.NPZ", "--out new.NPZ would be taken for a checkpoint: choose another ending than .npz"),
        ("chars --out=chars/config.json", "--out chars/config.json would overwrite a file of a run"),
        ("chars --out=missing/a.txt", "cannot write missing/a.txt: there is no folder missing"),
        ("chars --out=.", "cannot write .: Is a directory"),
        ("chars --out=a.txt --length=-5", "--length must be at least 0"),
        ("chars --backend=gpu", "--backend must be auto, numpy or cupy, not 'gpu'"),
        ("chars --length=1" + "0" * 400, "--length must be at most 1,000,000,000,000, not 1000"),
        ("chars --oov=ignore", "--oov must be error or skip, not 'ignore'"),
        ("", "the following arguments are required: RUN"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_writes_nothing(capsys, here, arguments, words):
    before = contents(here)
    assert words in refused(capsys, "sample", *arguments.split())
    assert contents(here) == before


def test_sample_follows_its_options(capsys):
    texts = [done(capsys, "sample", "chars", "--length=40", option) for option in ("--seed=1", "--seed=2", "--argmax")]
    assert len(set(texts)) == 3
    assert texts[0] == done(capsys, "sample", "chars", "--length=40", "--seed=1")
    assert texts[2] == done(capsys, "sample", "chars", "--length=40", "--top-k=1", "--seed=3")
    assert done(capsys, "sample", "chars", "--length=0", "--prime=café") == "café\n"
    assert len(done(capsys, "sample", "chars")) == 1001
    done(capsys, "sample", "addition", "--prime=3+4=", "--length=2", "--argmax")


# -- priming


def test_unknown_characters_of_the_prime_can_be_skipped(capsys):
    assert call(capsys, "sample", "chars", "--length=0", "--prime=Qca%fé", "--oov=skip") == (
        0,
        "café\n",
        "note: skipped in --prime: 'Q' (U+0051), '%' (U+0025)\n",
    )


def test_a_file_is_continued_as_it_is(capsys, here):
    (here / "prime.txt").write_bytes(b"\xef\xbb\xbf" + "café\n".encode())
    text = done(capsys, "sample", "chars", "--prime-file=prime.txt", "--length=20")
    assert text == done(capsys, "sample", "chars", "--prime=café\n", "--length=20")
    assert text.startswith("café\n")


def test_a_file_in_another_encoding(capsys, here):
    (here / "prime.txt").write_bytes("a café".encode("cp1252"))
    message = refused(capsys, "sample", "chars", "--prime-file=prime.txt")
    assert "prime.txt is not UTF-8 at byte 5 (line 1): " in message


def test_a_backslash_and_an_n_get_a_hint(capsys, here):
    hint = "contains \\n, a backslash and an n: for a line break, write $'\\n' in bash or zsh, or \"`n\" in PowerShell"
    for option in ("--prime", "--stop"):
        message = refused(capsys, "sample", "chars", f"{option}=a\\nb")
        assert message.endswith(f"of {option}: '\\\\' (U+005C); {option} {hint}.\n")
    skipped = call(capsys, "sample", "chars", "--prime=a\\nb", "--oov=skip", "--length=0")
    assert skipped.err.startswith(f"note: --prime {hint}\nnote: skipped in --prime: '\\\\'")
    save_model(here / "all.npz", Vocabulary("bytes", tuple(range(256))))
    assert call(capsys, "sample", "all.npz", "--prime=a\\nb", "--length=0") == (0, "a\\nb", f"note: --prime {hint}\n")


# -- stopping, and several samples


def test_it_stops_after_a_text(capsys):
    whole = done(capsys, "sample", "chars", "--length=200", "--prime=é")
    stop = whole[8:10]
    assert stop not in whole[1:8]
    assert done(capsys, "sample", "chars", "--prime=é", f"--stop={stop}") == whole[:10] + "\n"
    again = done(capsys, "sample", "chars", f"--prime={stop}", f"--stop={stop}", "--length=1")
    assert len(again) == 2 + 1 + 1  # the prime does not count


def test_several_samples_have_seeds_of_their_own(capsys, here):
    two, three = (done(capsys, "sample", "chars", "--length=20", f"--num-samples={n}", "--seed=7") for n in (2, 3))
    parts = re.split(r"--- sample (\d) of 3, seed (\d) ---\n", three)
    assert parts[0] == ""
    assert parts[1::3] == ["1", "2", "3"]
    for seed, text in zip(parts[2::3], parts[3::3], strict=True):
        assert text == done(capsys, "sample", "chars", "--length=20", f"--seed={seed}")
    assert two == "".join(three.partition("--- sample 3")[:1]).replace("of 3", "of 2")
    done(capsys, "sample", "chars", "--length=20", "--num-samples=2", "--seed=7", "--out=a.txt")
    assert (here / "a.txt").read_bytes().decode() == two


def test_nothing_is_refused_that_the_random_start_of_a_sample_decides(capsys, here):
    save_model(here / "ab.npz", Vocabulary.from_text("abcdefgh"))
    done(capsys, "sample", "ab.npz", "--argmax", "--num-samples=2", "--seed=3", "--length=1")


def test_a_vocabulary_of_one_symbol(capsys, here):
    save_model(here / "a.npz", Vocabulary.from_text("a"))
    assert done(capsys, "sample", "a.npz", "--length=5") == "aaaaa\n"


# -- bytes


def test_bytes_are_written_as_they_are_except_on_a_terminal(capsysbinary, here, monkeypatch):
    save_model(here / "all.npz", Vocabulary("bytes", tuple(range(256))))
    prime = os.fsdecode(b"caf\xe9\xff \xc3\xa9")
    sample = ["sample", "all.npz", "--length=300", f"--prime={prime}"]
    raw = done(capsysbinary, *sample)
    assert raw.startswith(b"caf\xe9\xff \xc3\xa9")
    assert len(raw) == 8 + 300
    done(capsysbinary, *sample, "--out=out.bin")
    assert (here / "out.bin").read_bytes() == raw
    (here / "prime.bin").write_bytes(b"caf\xe9\xff \xc3\xa9")
    assert done(capsysbinary, *sample[:3], "--prime-file=prime.bin") == raw
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = done(capsysbinary, *sample).decode("utf-8")
    assert shown.startswith("caf�� é")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_a_byte_that_is_not_utf_8_is_unknown_to_a_model_of_characters(capsys):
    prime = os.fsdecode(b"\xe9")
    assert "of --prime: the byte 0xE9; remove" in refused(capsys, "sample", "chars", f"--prime={prime}")


def test_a_text_to_stop_after_may_end_in_the_middle_of_a_character(capsysbinary, here):
    save_model(here / "é.npz", Vocabulary("bytes", (0xA9, 0xC3)))
    for stop in (b"\xc3\xa9", b"\xa9\xa9"):
        text = done(capsysbinary, "sample", "é.npz", f"--stop={os.fsdecode(stop)}")
        assert text.index(stop) == len(text) - 2


# -- where it goes


def test_control_characters_are_escaped_on_a_terminal_only(capsys, here, monkeypatch):
    save_model(here / "esc.npz", Vocabulary("chars", (0x1B,)))
    assert done(capsys, "sample", "esc.npz", "--length=2") == "\x1b\x1b\n"
    done(capsys, "sample", "esc.npz", "--length=2", "--out=esc.txt")
    assert (here / "esc.txt").read_bytes() == b"\x1b\x1b\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert done(capsys, "sample", "esc.npz", "--length=2", "--prime=\x1b") == "\\x1b\\x1b\\x1b\n"


def test_a_small_encoding_escapes_with_one_note(here):
    arguments = ["-m", "minigrid", "sample", "chars", "--prime=café", "--length=0"]
    found = outcome(python(*arguments, cwd=here, PYTHONIOENCODING="ascii"))
    assert (found.code, found.out) == (0, "caf\\xe9\n")
    assert found.err == (
        "note: characters that ascii, the encoding of the output, lacks were written as escapes such as \\xe9: "
        "'\\xe9' (U+00E9); to write them as they are, set PYTHONIOENCODING=utf-8\n"
    )
    found = outcome(python(*arguments, "--out=a.txt", cwd=here, PYTHONIOENCODING="ascii"))
    assert found == (0, "wrote a.txt\n", "")
    assert (here / "a.txt").read_text(encoding="utf-8") == "café\n"


def test_out_replaces_no_model(capsys, here):
    (here / "chars" / "last.npz").rename(here / "model")
    (here / "link.txt").symlink_to(here / "model")
    before = contents(here)
    for out in ("model", "link.txt"):
        assert f"--out {out} would overwrite a checkpoint" in refused(capsys, "sample", "model", f"--out={out}")
    assert contents(here) == before


def test_out_on_a_full_disk_keeps_the_old_file(capsys, here, monkeypatch):
    write_text(here, "old", "a.txt")
    monkeypatch.setattr("minigrid.cli.text_output.RawOutput.write", no_space)
    assert refused(capsys, "sample", "chars", "--out=a.txt") == (
        "minigrid: cannot write a.txt: No space left on device.\n"
    )
    assert (here / "a.txt").read_text() == "old"


def test_a_reader_that_closes_the_output_early(here):
    for run in ("chars", "bytes"):
        process = python("-m", "minigrid", "sample", run, "--length=100000", cwd=here)
        process.stdout.buffer.read(1)  # half a character, perhaps
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
        process.stderr.close()


@pytest.mark.usefixtures("heeded_signals")
def test_ctrl_c_keeps_what_is_written_and_ends_the_line(here):
    process = python("-m", "minigrid", "sample", "chars", "--length=10000000", cwd=here)
    start = process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    found = outcome(process)
    assert (found.code, found.err) == (130, "")
    assert found.out.endswith("\n")
    assert set(start + found.out) <= set(TEXT)


def test_ctrl_c_writes_no_file(capsys, here, monkeypatch):
    def interrupted(*arguments, **options):
        yield 0
        raise KeyboardInterrupt

    write_text(here, "old", "a.txt")
    before = contents(here)
    monkeypatch.setattr("minigrid.runs.sampling.generate_ids", interrupted)
    note = "note: interrupted, so nothing was written to a.txt\n"
    assert call(capsys, "sample", "chars", "--out=a.txt") == (130, "", note)
    assert contents(here) == before
