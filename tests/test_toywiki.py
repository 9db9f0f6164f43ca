import hashlib
import re

import numpy as np
import pytest

from minigrid.data import toywiki
from minigrid.errors import UserError

CHARACTERS = 200_000
URL = r"http://[a-z0-9./?=]+"
PAIRS = {"[[": "]]", "{{": "}}", "[": "]", "<ref>": "</ref>", "<!--": "-->", '"': '"', "''": "''"}


@pytest.fixture(scope="module")
def whole():
    """A text and its truth up to its last blank line; no element goes across one, so nothing is cut."""
    text, truth = toywiki.generate(CHARACTERS, seed=1)
    end = text.rindex("\n\n")
    return text[:end], {name: values[:end] for name, values in truth.items()}


def covered(text, pattern):
    inside = np.zeros(len(text), bool)
    for match in re.finditer(pattern, text, re.MULTILINE):
        inside[match.start() : match.end()] = True
    return inside


def articles_of(text):
    return re.split(r"^(?== )", text, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("characters", [1, 2, 1000, 12_345])
def test_exact_length_shapes_and_types(characters):
    text, truth = toywiki.generate(characters, seed=3)
    assert len(text) == characters
    assert truth.keys() == toywiki.TRUTH.keys()
    for name, values in truth.items():
        assert values.shape == (characters,)
        assert values.dtype == toywiki.TRUTH[name]


def test_text_and_truth_are_pinned():
    text, truth = toywiki.generate(10_000, seed=1)
    assert (
        hashlib.sha256(text.encode("ascii")).hexdigest()
        == "9932af9bc07ae66c26d303939f71575ad71d63cadc8bd1f95e832a1c201498ec"
    )
    stacked = np.stack([truth[name].astype(np.uint8) for name in sorted(truth)])
    assert (
        hashlib.sha256(stacked.tobytes()).hexdigest()
        == "531c30334d003caa8bf4a5f676f12c14bb6c73aac8e72909cb7d1b55ab4e4772"
    )


def test_other_seeds_give_other_texts_in_the_same_language():
    words = []
    for seed in (1, 2):
        text, _ = toywiki.generate(CHARACTERS, seed)
        words.append(set(re.findall(r"[a-z]+", text.lower())))
    assert toywiki.generate(1000, 1)[0] != toywiki.generate(1000, 2)[0]
    assert len(words[0] & words[1]) > 0.95 * len(words[0] | words[1])


@pytest.mark.parametrize("shorter", [1, 100, 2999, 30_000])
def test_a_shorter_text_is_a_prefix(shorter):
    text, truth = toywiki.generate(40_000, seed=5)
    short_text, short_truth = toywiki.generate(shorter, seed=5)
    assert text.startswith(short_text)
    for name, values in short_truth.items():
        np.testing.assert_array_equal(values, truth[name][:shorter], err_msg=name)


@pytest.mark.parametrize("characters", [0, -5])
def test_no_characters_is_an_error(characters):
    with pytest.raises(UserError, match=f"^`characters` must be at least 1, not {characters}"):
        toywiki.generate(characters, seed=1)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("in_url", URL),
        ("in_external", r"(?<!\[)\[http[^\]]*\]"),
        ("in_quote", r"\"[^\"]*\"|''[^']*''"),
        ("in_comment", r"<!--.*?-->"),
        ("in_ref", r"<ref>.*?</ref>"),
        ("heading_level", r"^=.*=$"),
    ],
)
def test_truth_agrees_with_a_parse_of_the_text(whole, name, pattern):
    text, truth = whole
    expected = covered(text, pattern)
    assert expected.any()
    wrong = np.flatnonzero((truth[name] > 0) != expected)
    assert wrong.size == 0, text[wrong[0] - 40 : wrong[0] + 40]


def test_link_depth_agrees_with_a_count_of_brackets(whole):
    text, truth = whole
    steps = np.zeros(len(text) + 1, int)
    for match in re.finditer(r"\[\[|\{\{", text):
        steps[match.start()] += 1
    for match in re.finditer(r"\]\]|\}\}", text):
        steps[match.end()] -= 1
    np.testing.assert_array_equal(truth["link_depth"], steps.cumsum()[:-1])
    assert truth["link_depth"].max() >= 3


def test_heading_level_is_the_number_of_bars_on_either_side(whole):
    text, truth = whole
    levels = set()
    for match in re.finditer(r"^(=+) [A-Z][a-z ]+ (=+)$", text, re.MULTILINE):
        assert match[1] == match[2]
        levels.add(len(match[1]))
        assert (truth["heading_level"][match.start() : match.end()] == len(match[1])).all()
        assert truth["heading_level"][match.end()] == 0
    assert levels == {1, 2, 3, 4}


def test_everything_closes_in_the_order_it_was_opened(whole):
    text, _ = whole
    open_marks = []
    for token in re.findall(r"\[\[|\]\]|\{\{|\}\}|\[|\]|</?ref>|<!--|-->|\"|''", text):
        if open_marks and token == PAIRS[open_marks[-1]]:
            open_marks.pop()
        else:
            assert token in PAIRS, f"{token} closes {open_marks}"
            open_marks.append(token)
    assert open_marks == []


def test_quotes_do_not_nest_and_comments_hold_words_only(whole):
    text, _ = whole
    assert all("''" not in quote for quote in re.findall(r'"[^"]*"', text))
    comments = re.findall(r"<!--(.*?)-->", text)
    assert all(re.fullmatch(r"[a-z ]+", comment) for comment in comments)


def test_shares(whole):
    _, truth = whole
    shares = {name: (values > 0).mean() for name, values in truth.items()}
    assert 0.05 <= shares["in_url"] <= 0.10
    assert 0.10 <= shares["link_depth"] <= 0.30
    for name in ("in_external", "in_quote", "in_ref"):
        assert 0.05 <= shares[name] <= 0.12, name
    for name in ("in_comment", "heading_level"):
        assert 0.01 <= shares[name] <= 0.06, name


def test_urls_are_long_and_bare_or_labelled(whole):
    text, _ = whole
    lengths = [len(url) for url in re.findall(URL, text)]
    assert min(lengths) >= 16
    assert max(lengths) <= 46
    assert set(re.findall(rf"{URL}(.)", text)) == {" ", "|"}
    assert re.search(rf", see {URL} for ", text)


def test_alphabet(whole):
    text, _ = whole
    assert text.isascii()
    assert 40 <= len(set(text)) <= 60


def test_label_of_a_url_names_its_domain_and_the_end_of_its_path(whole):
    text, _ = whole
    labelled = re.findall(rf"({URL})[ |]([A-Z][a-z]+) ([a-z]+)[\]}}]", text)
    assert len(labelled) > 100
    with_path = 0
    for url, name, last in labelled:
        host, *path = url.removeprefix("http://").split("/")
        assert host.removeprefix("www.").split(".")[0] == name.lower()
        if path:
            assert re.match(r"[a-z]+", path[-1])[0] == last
            with_path += 1
    assert 0 < with_path < len(labelled)


def test_label_of_a_piped_link_repeats_the_noun(whole):
    text, _ = whole
    piped = re.findall(r"\[\[[a-z]+ ([a-z]+)\|([a-z]+)\]\]", text)
    assert len(piped) > 100
    assert all(label in (noun, f"{noun}s") for noun, label in piped)


def test_verbs_agree_with_their_subjects(whole):
    text, _ = whole
    verb = {"This": ("is", "was"), "These": ("are", "were")}
    clauses = re.findall(r"(This|These) (?:[a-z]+[aio] )?[a-z]+ (is|are|was|were) ", text)
    assert len(clauses) > 50
    assert all(found in verb[determiner] for determiner, found in clauses)


def test_title_returns_in_the_first_sentence_and_names_a_site(whole):
    text, _ = whole
    for article in articles_of(text)[:-1]:
        title = re.match(r"= (.*) =\n", article)[1].lower()
        assert f"The ''{title}'' is the " in article
        hosts = set(re.findall(r"http://(?:www\.)?([a-z.]+)", article))
        assert 1 <= len(hosts) <= 2


def test_every_paragraph_keeps_to_one_of_ten_topics(whole):
    """Nouns that share a paragraph share a topic, so all paragraphs together fall into ten sets of nouns."""
    text, _ = whole
    topics = []
    for paragraph in text.split("\n\n"):
        nouns = set(re.findall(r"\b(?:the|one) ([a-z]+[lnrm])\b", paragraph))
        touched = [topic for topic in topics if topic & nouns]
        topics = [topic for topic in topics if not topic & nouns] + [nouns.union(*touched)] * bool(nouns)
    assert len(topics) == 10
    assert all(15 <= len(topic) <= 24 for topic in topics)
