"""The page, as text and in a real headless browser."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
from helpers import MODELS, make_model

from minigrid import UserError, trace_text
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import NotFiniteError
from minigrid.page import build

TEXT = 'The [[link]] <b>\n"&quot;" </script>\tend'
VOCABULARY = Vocabulary.from_text(TEXT + "é")
LAYERS, HIDDEN = 2, 7


def made(kind, vocabulary=VOCABULARY, text=TEXT):
    """Return a model, its trace of the text, and the page."""
    model = make_model(model=kind, vocab_size=len(vocabulary), hidden=HIDDEN, layers=LAYERS)
    trace = trace_text(model, vocabulary, text)
    return model, trace, build.page(model, vocabulary, vocabulary.encode(text), trace, "</script> run")


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def unpacked(array, signed):
    """Decode an array as the page's script does: (L, T, H)."""
    numbers = np.frombuffer(base64.b64decode(array["data"]), f"<u{array['bits'] // 8}")
    share = numbers.reshape(LAYERS, -1, HIDDEN) / (2 ** array["bits"] - 1)
    return (2 * share - 1 if signed else share) * np.array(array["reach"])[:, None, None]


@pytest.mark.parametrize("kind", MODELS)
def test_the_page_holds_the_numbers_of_the_trace(kind):
    _, trace, page = made(kind)
    data = data_of(page)
    signed = {q["key"]: q["signed"] for q in data["quantities"]}
    assert set(signed) == {"grid": set("ifogch"), "lstm": set("ifogch"), "gru": set("zrnh"), "rnn": {"h"}}[kind]
    assert len(data["directions"]) == (2 if kind == "grid" else 1)
    for name, array in data["arrays"].items():
        step = np.array(array["reach"])[:, None, None] / (2 ** array["bits"] - 1)
        assert (np.abs(unpacked(array, signed[name[-1]]) - trace[name][:, :, 0]) <= 1.01 * step).all()


def test_the_page_holds_the_likeliest_next_characters():
    _, trace, page = made("grid")
    data = data_of(page)
    p = np.exp(trace.logits[:, 0]) / np.exp(trace.logits[:, 0]).sum(axis=1, keepdims=True)
    for step, guesses in enumerate(data["guesses"]):
        assert [symbol for symbol, _ in guesses] == np.argsort(-p[step])[:5].tolist()
        assert [q for _, q in guesses] == pytest.approx(np.sort(p[step])[:-6:-1].tolist(), abs=1e-4)
    ids = VOCABULARY.encode(TEXT)
    assert data["actual"] == pytest.approx([p[t, ids[t + 1]] for t in range(len(ids) - 1)], abs=1e-4)


def test_the_page_is_one_file_and_the_text_cannot_break_it():
    _, _, page = made("lstm")
    assert page.count("</script>") == 2
    assert not re.search(r"https?://|src=|href=|@import|url\(|/\*[A-Z]+\*/", page)
    assert "default-src 'none'" in page


def test_bytes_are_shown_in_hexadecimal():
    vocabulary = Vocabulary.from_text("né\n", "bytes")
    _, _, page = made("rnn", vocabulary, "né\n")
    data = data_of(page)
    assert [data["symbols"][k]["glyph"] for k in data["text"]] == ["n", "C3", "A9", "↵"]
    assert [data["symbols"][k]["name"] for k in data["text"]] == ["n", "C3", "A9", "line break"]


def test_a_text_that_is_too_long_is_refused_with_a_length_that_fits(monkeypatch):
    monkeypatch.setattr(build, "MAX_MEGABYTES", 0.002)
    with pytest.raises(UserError, match=r"would have \d+ MB. Use at most \d+ characters") as error:
        made("grid")
    fits = int(str(error.value).split()[-2])
    _, _, page = made("grid", text=TEXT[:fits])
    megabytes = sum(len(array["data"]) for array in data_of(page)["arrays"].values()) / 1e6
    assert 0.8 * 0.002 < megabytes < 1.05 * 0.002
    with pytest.raises(UserError):
        made("grid", text=TEXT[: fits + 1])


@pytest.mark.parametrize(("name", "value"), [("decoder.bias", np.inf), ("time.0.bias", np.nan)])
def test_numbers_that_are_not_finite_make_no_page(name, value):
    model = make_model(model="grid", vocab_size=len(VOCABULARY))
    model.params[name][0] = value
    with pytest.raises(NotFiniteError):
        build.page(model, VOCABULARY, VOCABULARY.encode(TEXT), trace_text(model, VOCABULARY, TEXT), "run")


@pytest.mark.parametrize(
    ("kind", "label"),
    [("grid", "forget gate along depth"), ("lstm", "forget gate"), ("gru", "update gate"), ("rnn", "hidden state")],
)
def test_the_picture_shows_what_the_page_shows_first(kind, label):
    _, trace, _ = made(kind)
    ids = VOCABULARY.encode(TEXT)[:20]
    figure = build.picture(VOCABULARY, ids, trace)
    assert figure.axes[-1].get_ylabel() == label
    assert len(figure.axes[0].get_xticks()) == 20


# -- in a browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1100,900"
)
PHONE = {"deviceMetrics": {"width": 360, "height": 740, "pixelRatio": 2.0, "touch": True}}


def start_browser(folder, phone):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver here: install them to test the page in a browser")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if phone:
        options.add_experimental_option("mobileEmulation", PHONE)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Page:
    """A page in a browser, and helpers to use it."""

    def __init__(self, browser, kind, folder):
        self.browser = browser
        self.model, self.trace, text = made(kind)
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
        browser.get((folder / f"{kind}.html").as_uri())

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        (element,) = self.all(selector)
        return element

    def script(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def press(self, *keys):
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            self.browser.switch_to.active_element.send_keys(getattr(Keys, key))

    def hover(self, element):
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).move_to_element(element).perform()

    def selected(self):
        """Return the position of the selected character."""
        chosen = [c.get_attribute("aria-selected") == "true" for c in self.all("[role=option]")]
        (place,) = np.flatnonzero(chosen)
        return place

    def numbers(self):
        """Return the numbers next to the strips, from top to bottom."""
        return [float(e.text.replace("−", "-")) for e in self.all(".strip .number")]

    def expected(self, direction, step, unit):
        keys = [q["key"] for q in data_of(self.browser.page_source)["quantities"]]
        return [self.trace[f"{direction}.{key}"][layer, step, 0, unit] for layer in (1, 0) for key in keys]

    def unit(self):
        return int(self.one("#unit-number").text)

    def errors(self):
        return [line for line in self.browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("desktop"), phone=False)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("phone"), phone=True)
    yield driver
    driver.quit()


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_is_shown_without_errors_or_requests(browser, tmp_path, kind):
    page = Page(browser, kind, tmp_path)
    assert page.script("return performance.getEntriesByType('resource').length") == 0
    assert page.errors() == []
    assert len(page.all("[role=option]")) == len(TEXT)
    assert len(page.all(".strip")) == LAYERS * {"grid": 6, "lstm": 6, "gru": 4, "rnn": 1}[kind]
    assert page.one("#directions").is_displayed() == (kind == "grid")
    assert page.one("#model").text.startswith(f"</script> run: {kind}, 2 layers of 7 units")
    direction = "depth" if kind == "grid" else kind
    assert page.numbers() == pytest.approx(page.expected(direction, 0, page.unit()), abs=0.015)


def test_the_arrow_keys_walk_through_the_text(browser, tmp_path):
    page = Page(browser, "grid", tmp_path)
    page.press("ARROW_RIGHT", "ARROW_RIGHT")  # nothing has the focus yet
    assert page.selected() == 2
    page.one("#text").click()
    page.press("HOME", "ARROW_LEFT")
    assert page.selected() == 0
    page.press("END")
    assert page.selected() == len(TEXT) - 1
    assert page.one("#actual").text == "The text ends here."
    page.press("ARROW_UP")
    assert page.selected() < TEXT.index("\n") + 1
    page.press("HOME", "ARROW_DOWN")
    assert page.selected() == TEXT.index("\n") + 1
    assert page.one("#text").get_attribute("aria-activedescendant") == f"c{TEXT.index(chr(10)) + 1}"
    assert page.numbers() == pytest.approx(page.expected("depth", page.selected(), page.unit()), abs=0.015)
    assert page.errors() == []


def test_hovering_shows_and_a_click_selects(browser, tmp_path):
    page = Page(browser, "grid", tmp_path)
    characters = page.all("[role=option]")
    characters[4].click()
    assert page.selected() == 4
    page.hover(characters[9])
    assert page.one("#inside-title").text.startswith("After character 10 of")
    assert page.numbers() == pytest.approx(page.expected("depth", 9, page.unit()), abs=0.015)
    page.hover(page.one("h1"))
    assert page.selected() == 4
    assert page.one("#inside-title").text.startswith("After character 5 of")


def test_the_page_shows_guesses_of_the_next_character(browser, tmp_path):
    page = Page(browser, "grid", tmp_path)
    data = data_of(browser.page_source)
    page.all("[role=option]")[3].click()
    shares = [f"{100 * p:.1f}%" for _, p in data["guesses"][3]]
    assert [li.text.split("\n")[1] for li in page.all("#guesses li")] == shares
    assert page.one("#actual").text == f"Next in the text: [ ({100 * data['actual'][3]:.1f}%)"
    assert len(page.all("#guesses .right")) == ("[" in [li.text[0] for li in page.all("#guesses li")])


def test_the_page_switches_between_time_and_depth(browser, tmp_path):
    page = Page(browser, "grid", tmp_path)
    page.all("#directions label")[1].click()
    assert page.numbers() == pytest.approx(page.expected("time", 0, page.unit()), abs=0.015)
    assert "forget gate f along time, layer 2" in page.one("#colours").text
    page.press("ARROW_LEFT")  # the radio buttons have the focus
    assert page.numbers() == pytest.approx(page.expected("depth", 0, page.unit()), abs=0.015)


def test_units_and_strips_are_chosen_by_pointer_and_by_key(browser, tmp_path):
    page = Page(browser, "lstm", tmp_path)
    strips = page.all(".strip")
    page.script("document.querySelector('.strip[aria-pressed=true]').focus()")
    page.press(*["ARROW_LEFT"] * HIDDEN, "ARROW_RIGHT", "ARROW_RIGHT")
    assert page.unit() == 2
    before = page.all("[role=option]")[0].get_attribute("style")
    page.press(*["ARROW_DOWN"] * 6)
    assert "forget gate f, layer 1, unit 2" in page.one("#colours").text
    assert browser.switch_to.active_element == strips[7]
    assert page.all("[role=option]")[0].get_attribute("style") != before
    strips[4].click()  # in the middle: unit 3 of 7
    assert "memory cell c, layer 2, unit 3" in page.one("#colours").text
    reach = np.abs(page.trace["lstm.c"][1]).max()
    assert page.one("#high").text == f"{reach:.1f}"
    page.script("document.getElementById('unit').focus()")
    page.press("ARROW_RIGHT")
    assert page.unit() == 4
    assert page.numbers() == pytest.approx(page.expected("lstm", 0, 4), abs=0.015)
    assert page.errors() == []


def test_the_focus_is_visible_and_changes_are_announced(browser, tmp_path):
    page = Page(browser, "grid", tmp_path)
    seen = []
    for _ in range(4):
        page.press("TAB")
        active = browser.switch_to.active_element
        assert active.value_of_css_property("outline-style") == "solid"
        seen.append(active.get_attribute("id") or active.get_attribute("class") or active.get_attribute("type"))
    assert seen == ["text", "radio", "unit", "strip"]
    page.press("ARROW_RIGHT")
    said = page.one("#spoken").get_attribute("textContent")
    assert re.fullmatch(r"Character 1, T\. Layer 2, forget gate, unit \d: [01]\.\d\d\.", said)
    assert page.one("#spoken").get_attribute("aria-live") == "polite"
    assert page.all("[role=option]")[3].get_attribute("aria-label") == "space"


def contrast(page, selector):
    """Return the lowest contrast between text and background of some elements; WCAG 2 demands 4.5."""
    return page.script(
        """
        const light = (css) => css.match(/[\\d.]+/g).slice(0, 3)
            .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
        const ground = (element) => {
            const colour = getComputedStyle(element).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
        };
        const seen = [...document.querySelectorAll(arguments[0])].filter((element) => element.offsetParent);
        return Math.min(...seen.map((element) => {
            const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }));
        """,
        selector,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_has_contrast_in_both_colour_schemes(browser, tmp_path, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page = Page(browser, "grid", tmp_path)
    ground = page.script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 22, 24)"}[scheme]
    assert contrast(page, "h1, h2, h3, p, label, output, .number, .strip > :first-child") >= 4.5
    for signed in (False, True):  # letters on every colour of both maps
        page.script(
            "characters.forEach((span, k) => { const rgb = colour(k / (T - 1), arguments[0]); "
            "Object.assign(span.style, {background: css(rgb), color: inkOn(rgb, false)}); })",
            signed,
        )
        assert contrast(page, "[role=option]") >= 4.5


@pytest.mark.long
@pytest.mark.parametrize("kind", MODELS)
def test_a_phone_does_not_scroll_sideways(phone, tmp_path, kind):
    page = Page(phone, kind, tmp_path)
    assert page.script("return innerWidth") == 360
    assert page.script("return document.documentElement.scrollWidth") == 360
    page.all("[role=option]")[5].click()
    assert page.selected() == 5
    strip = page.all(".strip")[-1]
    page.script("arguments[0].scrollIntoView({block: 'end'})", strip)
    strip.click()
    assert "hidden state h" in page.one("#colours").text
    assert min(e.size["height"] for e in page.all(".strip")) >= 24
    assert page.one("#text").is_displayed()
    assert page.errors() == []
