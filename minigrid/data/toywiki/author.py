"""The grammar of toywiki: how to write an article, from its heading down to a URL."""

from typing import NamedTuple

from minigrid.data.toywiki.language import Dice, Topic, language
from minigrid.data.toywiki.page import Page

PREPOSITIONS = ("of", "of", "in", "in", "from", "with", "for", "on", "near", "under")
TEMPLATES = ("note", "date", "see", "main", "list")


class Site(NamedTuple):
    """A web site: its host, and the noun that it is named after."""

    host: str
    name: str


class Author:
    """Writes articles; each method writes one element. Holds the sites of the article and the topic of the section."""

    def __init__(self, page: Page, dice: Dice) -> None:
        self.page = page
        self.dice = dice
        self.write = page.write
        self.language = language()
        self.topic: Topic
        self.sites: tuple[Site, Site]

    # An article and its parts. Each of them ends with a newline.

    def article(self) -> None:
        home = self.topic = self.dice.pick(self.language.topics)
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

    def section(self, level: int, home: Topic) -> None:
        dice = self.dice
        self.topic = home if dice.chance(0.75) else dice.pick(self.language.topics)
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

    # Sentences. `plain` ones contain no markup.

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
            # Without these words, the full stop would look like a part of the URL.
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
        self.write(f" {self.dice.pick(PREPOSITIONS)} ")
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
        return self.dice.pick(self.language.verbs)

    def year(self) -> str:
        return str(self.dice.between(1800, 2015))

    # Links, templates, references, comments.

    def noun_link(self, plural: bool) -> None:
        """Write ``[[noun]]`` or ``[[adjective noun|noun]]``; in the plural, ``[[noun]]s`` or ``[[...|nouns]]``."""
        noun = self.noun()
        ending = "s" if plural else ""
        with self.page.inside("link_depth", "[[", "]]"):
            piped = self.dice.chance(0.5)
            self.write(f"{self.adjective()} {noun}|{noun}{ending}" if piped else noun)
        if not piped:
            self.write(ending)

    def template(self, depth: int) -> None:
        """Write a template with one to three arguments, which may be templates themselves, down to depth 3."""
        dice = self.dice
        with self.page.inside("link_depth", "{{", "}}"):
            self.write(dice.pick(TEMPLATES))
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

    def label(self, site: Site, page_name: str) -> str:
        return f"{site.name.capitalize()} {page_name or self.noun()}"

    def site(self, name: str) -> Site:
        dice = self.dice
        www = "www." if dice.chance(0.75) else ""
        return Site(f"{www}{name}.{dice.pick(('org', 'org', 'net', 'edu'))}", name)

    def url(self, site: Site) -> str:
        """Write a URL of the site; return the last word of its path, or "" if it has no path."""
        dice = self.dice
        path = [self.noun() for _ in range(dice.between(0, 2))]
        tail = dice.pick(("", ".html", f"?id={dice.between(1, 999)}")) if path else ""
        with self.page.inside("in_url"):
            self.write("/".join([f"http://{site.host}", *path]) + tail)
        return path[-1] if path else ""
