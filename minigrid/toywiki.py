"""Wiki-like text from a made-up language, together with the hidden truth about each of its characters.

A character model that reads wiki source must remember things: that it is inside a URL, how many brackets are
open, which kind of quote closes next. Here such text comes with the answers, so that what a memory cell holds
can be measured against them, not only looked at.

The language is the same for every seed (its words come from a seed of their own), so a model trained on one
seed can be judged on another. What there is to remember, beside spelling:

- within a few characters: ``[[``, ``{{``, quotes, comments and references close as they were opened, in the
  right order; a piped link's label repeats its target's noun; a verb agrees in number with its subject;
- within a line: a heading closes with as many ``=`` as it began with; the label of an external link begins
  with the name in its URL's domain and, where that URL has a path, goes on with the last word of it;
- within a paragraph and an article: the topic chooses the nouns and adjectives; the title comes back in the
  first sentence; all URLs of an article lead to its two sites, the first of which bears the title's noun.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple, TypeVar

import numpy as np

from minigrid.errors import UserError

TRUTH = {
    "in_url": np.bool_,
    "in_external": np.bool_,
    "link_depth": np.uint8,
    "in_quote": np.bool_,
    "in_comment": np.bool_,
    "in_ref": np.bool_,
    "heading_level": np.uint8,
}
"""The truth arrays of `generate`: name -> dtype."""

_T = TypeVar("_T")


def generate(characters: int, seed: int) -> tuple[str, dict[str, np.ndarray]]:
    """Write toy wiki source and say of every character what it is part of.

    The same arguments give the same text on every platform. A shorter text with the same seed is a prefix of
    a longer one, and so are its truth arrays. The text simply stops after `characters` characters, so its
    last elements may be open; everything before them is balanced.

    Parameters
    ----------
    characters : int
        Length of the text, at least 1.
    seed : int
        Which text (its sign does not matter); the language, words and grammar and topics, is the same for
        all.

    Returns
    -------
    text : str
        ASCII text of exactly `characters` characters.
    truth : dict of str to numpy.ndarray
        One array of shape (characters,) for each name in `TRUTH`. An element counts from the first character
        of what opens it to the last character of what closes it, both included:

        ``in_url`` (bool)
            A URL, 16 to 46 characters from the ``h`` of ``http://`` to its last one; the space or ``|`` that
            follows is outside.
        ``in_external`` (bool)
            An external link ``[http://... label]``, both brackets included.
        ``link_depth`` (uint8)
            How many links ``[[...]]`` and templates ``{{...}}`` are open around the character, their own
            brackets and braces included: both characters of an outermost ``[[`` have depth 1, and so have
            both of its ``]]``. External links do not count.
        ``in_quote`` (bool)
            A quotation ``"..."`` or italics ``''...''``, the quote marks included. Neither stands inside
            either.
        ``in_comment`` (bool)
            A comment, from ``<!--`` to ``-->``. It holds words only, no other element.
        ``in_ref`` (bool)
            A reference, from ``<ref>`` to ``</ref>``, both tags included.
        ``heading_level`` (uint8)
            0 outside a heading; inside (the line without its newline) the number of ``=`` on either side, 1
            to 4.

    Raises
    ------
    UserError
        If `characters` is less than 1.

    Notes
    -----
    Whoever reads from left to right cannot know yet, on an element's very first characters, that it has begun
    (the first ``[`` may begin either kind of link): no probe can be right about all of them.
    """
    if characters < 1:
        raise UserError(f"toywiki cannot write {characters} characters: ask for at least 1.")
    page = _Page()
    author = _Author(page, _Dice(seed))
    while page.length < characters:
        author.article()
    return "".join(page.pieces)[:characters], page.truth(characters)


class _Dice:
    """Choices made from `Random.random` alone, the one method whose sequence Python promises to keep."""

    def __init__(self, seed: int):
        self._random = Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._random() * len(choices))]


class _Page:
    """The text so far, and for each kind of truth the spans (start, end, weight) it holds for."""

    def __init__(self):
        self.pieces: list[str] = []
        self.length = 0
        self.spans: dict[str, list[tuple[int, int, int]]] = {name: [] for name in TRUTH}

    def write(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)

    @contextmanager
    def inside(self, name: str, opening: str = "", closing: str = "", weight: int = 1) -> Iterator[None]:
        start = self.length
        self.write(opening)
        yield
        self.write(closing)
        self.spans[name].append((start, self.length, weight))

    def truth(self, characters: int) -> dict[str, np.ndarray]:
        return {name: self._levels(name, characters).astype(dtype) for name, dtype in TRUTH.items()}

    def _levels(self, name: str, characters: int) -> np.ndarray:
        """Sum the weights of the spans over each character: a step up at a start, a step down at an end."""
        start, end, weight = np.array(self.spans[name], np.int64).reshape(-1, 3).T
        steps = np.bincount(start, weight, self.length + 1) - np.bincount(end, weight, self.length + 1)
        return np.cumsum(steps)[:characters]


class _Topic(NamedTuple):
    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]


def _urn(words: Sequence[str]) -> tuple[str, ...]:
    """Repeat words so that a uniform pick is Zipf-like: the word of rank r as often as 1 / (r + 3) says."""
    return tuple(word for rank, word in enumerate(words, start=4) for _ in range(max(1, 60 // rank)))


class _Language:
    """The made-up words. The last letter tells the class: l n r m nouns, a i o adjectives, t k p verbs."""

    def __init__(self, seed: int):
        self._dice = _Dice(seed)
        self._taken: set[str] = set()
        self.topics = tuple(_Topic(_urn(self._words(24, "lnrm")), _urn(self._words(12, "aio"))) for _ in range(10))
        self.verbs = _urn(self._words(30, "tkp"))

    def _words(self, count: int, endings: str) -> list[str]:
        return [self._word(endings) for _ in range(count)]

    def _word(self, endings: str) -> str:
        """Draw a new word of two or three syllables, 5 to 7 letters long (an adjective 6 to 8)."""
        pick = self._dice.pick
        while True:
            word = pick("dklmrsv") + pick("aeiou")
            if self._dice.chance(0.5):
                word += pick("lnrs")  # closes the first syllable
            else:
                word += pick(("", pick("dfgklmnprstv") + pick("aeiou")))
            word += pick("dfgklmnprstv") + pick("aeiou")
            ending = pick(endings)
            word += pick("nrt") + ending if ending in "aeiou" else ending
            if word not in self._taken:
                self._taken.add(word)
                return word


_LANGUAGE = _Language(seed=2015)
_PREPOSITIONS = ("of", "of", "in", "in", "from", "with", "for", "on", "near", "under")
_TEMPLATES = ("note", "date", "see", "main", "list")


class _Site(NamedTuple):
    host: str
    name: str


class _Author:
    """Writes articles, one element per method; keeps the article's sites and the topic of the section."""

    def __init__(self, page: _Page, dice: _Dice):
        self.page = page
        self.dice = dice
        self.write = page.write
        self.topic: _Topic
        self.sites: tuple[_Site, _Site]

    # An article and its parts, each of which ends its last line.

    def article(self) -> None:
        home = self.topic = self.dice.pick(_LANGUAGE.topics)
        subject, title_adjective = self.noun(), self.adjective()
        title = f"{title_adjective} {subject}"
        self.sites = (self.site(subject), self.site(self.noun()))
        self.heading(1, title)
        if self.dice.chance(0.6):
            self.info_box(subject)
        self.introduction(title)
        for _ in range(self.dice.between(1, 3)):
            self.section(2, home)
        self.topic = home
        self.links_section()

    def introduction(self, title: str) -> None:
        self.write("The ")
        with self.page.inside("in_quote", "''", "''"):
            self.write(title)
        self.write(" is ")
        self.noun_phrase(plural=False, determiner="the")
        self.prepositional_phrase()
        self.write(". ")
        self.paragraph()

    def section(self, level: int, home: _Topic) -> None:
        dice = self.dice
        self.topic = home if dice.chance(0.75) else dice.pick(_LANGUAGE.topics)
        self.heading(level, f"{self.adjective()} {self.noun()}" if dice.chance(0.6) else self.noun())
        if dice.chance(0.15):
            self.image()
        for _ in range(dice.between(1, 2)):
            self.paragraph()
        if dice.chance(0.3):
            self.bullets()
        if level < 4 and dice.chance(0.35):
            self.section(level + 1, home)

    def links_section(self) -> None:
        self.heading(2, "links")
        for _ in range(self.dice.between(1, 3)):
            self.write("* ")
            self.external_link()
            self.write("\n")
        self.write("\n")

    def heading(self, level: int, words: str) -> None:
        bars = "=" * level
        with self.page.inside("heading_level", f"{bars} ", f" {bars}", weight=level):
            self.write(words.capitalize())
        self.write("\n")

    def paragraph(self) -> None:
        dice = self.dice
        for number in range(dice.between(2, 6)):
            if number:
                self.write(" ")
            self.sentence()
            if dice.chance(0.16):
                self.reference()
            if dice.chance(0.05):
                self.comment()
        self.write("\n\n")

    def bullets(self) -> None:
        for _ in range(self.dice.between(2, 4)):
            self.write("* ")
            self.noun_link(plural=False)
            self.write(": ")
            self.noun_phrase(plural=self.dice.chance(0.4))
            self.write("\n")
        self.write("\n")

    def info_box(self, subject: str) -> None:
        with self.page.inside("link_depth", "{{info ", "\n}}"):
            self.write(f"{subject}\n| kind = ")
            self.noun_link(plural=False)
            self.write("\n| made = ")
            with self.page.inside("link_depth", "{{date|", "}}"):
                self.write(self.year())
            self.write("\n| site = ")
            self.web_template()
        self.write("\n")

    def image(self) -> None:
        with self.page.inside("link_depth", "[[image:", "]]"):
            self.write(f"{self.noun()}|")
            self.noun_phrase(plural=self.dice.chance(0.4))
            self.prepositional_phrase()
        self.write("\n")

    # Sentences. Where words are `plain`, they carry no markup.

    def sentence(self) -> None:
        dice = self.dice
        if dice.chance(0.2):
            self.write("In ")
            self.noun_phrase(plural=dice.chance(0.4))
            self.write(", ")
            self.clause()
        else:
            self.clause(opening=True)
        if dice.chance(0.2):
            self.write(dice.pick((" and ", ", and ", ", but ")))
            self.clause()
        if dice.chance(0.15):
            self.write(" and told that ")
            with self.page.inside("in_quote", '"', '"'):
                self.clause(plain=dice.chance(0.5))
        elif dice.chance(0.07):
            self.write(", see ")
            self.url(dice.pick(self.sites))
            # These words keep the URL apart from the full stop, which would otherwise look like a part of it.
            self.write(" for ")
            self.noun_phrase(plural=dice.chance(0.4))
        elif dice.chance(0.07):
            self.write(" ")
            self.template(depth=1)
        self.write(".")

    def clause(self, opening: bool = False, plain: bool = False) -> None:
        dice = self.dice
        plural = dice.chance(0.4)
        if opening:
            self.noun_phrase(plural, plain, dice.pick(("The", "The", "These" if plural else "This")))
        else:
            self.noun_phrase(plural, plain)
        if dice.chance(0.3):
            self.prepositional_phrase(plain)
        self.predicate(plural, plain)

    def predicate(self, plural: bool, plain: bool) -> None:
        dice = self.dice
        kind = dice.between(0, 4)
        if kind == 0:
            self.write(f" {'are' if plural else 'is'} {self.adjective()}")
        elif kind == 1:
            self.write(f" {'were' if plural else 'was'} {self.verb()}ed")
            self.prepositional_phrase(plain)
        else:
            self.write(f" {self.verb()} " if plural else f" {self.verb()}s ")
            self.noun_phrase(dice.chance(0.4), plain)

    def prepositional_phrase(self, plain: bool = False) -> None:
        self.write(f" {self.dice.pick(_PREPOSITIONS)} ")
        self.noun_phrase(self.dice.chance(0.4), plain)

    def noun_phrase(self, plural: bool, plain: bool = False, determiner: str = "") -> None:
        dice = self.dice
        self.write(determiner or dice.pick(("the", "the", "some") if plural else ("the", "the", "one")))
        self.write(f" {self.adjective()} " if dice.chance(0.3) else " ")
        if not plain and dice.chance(0.16):
            self.noun_link(plural)
        else:
            self.write(f"{self.noun()}s" if plural else self.noun())

    def noun(self) -> str:
        return self.dice.pick(self.topic.nouns)

    def adjective(self) -> str:
        return self.dice.pick(self.topic.adjectives)

    def verb(self) -> str:
        return self.dice.pick(_LANGUAGE.verbs)

    def year(self) -> str:
        return str(self.dice.between(1800, 2015))

    # Links, templates, references, comments.

    def noun_link(self, plural: bool) -> None:
        """Write ``[[noun]]`` or ``[[adjective noun|noun]]``; plural: ``[[noun]]s``, ``[[...|nouns]]``."""
        noun = self.noun()
        ending = "s" if plural else ""
        with self.page.inside("link_depth", "[[", "]]"):
            piped = self.dice.chance(0.5)
            self.write(f"{self.adjective()} {noun}|{noun}{ending}" if piped else noun)
        if not piped:
            self.write(ending)

    def template(self, depth: int) -> None:
        """Write a template of one to three arguments, which may be templates themselves down to depth 3."""
        dice = self.dice
        with self.page.inside("link_depth", "{{", "}}"):
            self.write(dice.pick(_TEMPLATES))
            for _ in range(dice.between(1, 3)):
                self.write("|")
                kind = dice.between(0, 4)
                if kind == 0 and depth < 3:
                    self.template(depth + 1)
                elif kind == 1:
                    self.noun_link(plural=False)
                elif kind == 2:
                    self.write(self.year())
                else:
                    self.write(self.noun())

    def reference(self) -> None:
        dice = self.dice
        with self.page.inside("in_ref", "<ref>", "</ref>"):
            kind = dice.between(0, 3)
            if kind == 0:
                self.write(f"{self.noun().capitalize()}, ")
                with self.page.inside("in_quote", "''", "''"):
                    self.write(f"{self.adjective()} {self.noun()}")
                self.write(f", {self.year()}")
            elif kind == 1:
                self.web_template()
            else:
                self.external_link()

    def comment(self) -> None:
        with self.page.inside("in_comment", "<!-- ", " -->"):
            self.clause(plain=True)

    def web_template(self) -> None:
        site = self.dice.pick(self.sites)
        with self.page.inside("link_depth", "{{web|", "}}"):
            page_name = self.url(site)
            self.write(f"|{self.label(site, page_name)}")

    def external_link(self) -> None:
        site = self.dice.pick(self.sites)
        with self.page.inside("in_external", "[", "]"):
            page_name = self.url(site)
            self.write(f" {self.label(site, page_name)}")

    def label(self, site: _Site, page_name: str) -> str:
        return f"{site.name.capitalize()} {page_name or self.noun()}"

    def site(self, name: str) -> _Site:
        dice = self.dice
        www = "www." if dice.chance(0.75) else ""
        return _Site(f"{www}{name}.{dice.pick(('org', 'org', 'net', 'edu'))}", name)

    def url(self, site: _Site) -> str:
        """Write a URL of the site and return the last word of its path, or "" where it has none."""
        dice = self.dice
        path = [self.noun() for _ in range(dice.between(0, 2))]
        tail = dice.pick(("", ".html", f"?id={dice.between(1, 999)}")) if path else ""
        with self.page.inside("in_url"):
            self.write("/".join([f"http://{site.host}", *path]) + tail)
        return path[-1] if path else ""
