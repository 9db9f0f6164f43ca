"""What pyproject.toml cannot say: the README as a package index shows it, and the links to the repository.

On an index, the README's links and pictures that point into the repository need its address.
"""

import re
from pathlib import Path

ADDRESS = ""
"""The repository's public address, such as ``https://github.com/OWNER/NAME``; empty as long as it has none."""

HERE = Path(__file__).parent
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def index_readme(readme: str, address: str, version: str) -> str:
    """Let relative links and pictures point to the files of this version; without an address, drop them.

    Without an address, the words of a link stay. Fenced code is left alone.
    """

    def absolute(link: re.Match[str]) -> str:
        mark, words, target = link.groups()
        if not address:
            return "" if mark else words
        return f"{mark}[{words}]({address}/{'raw' if mark else 'blob'}/v{version}/{target})"

    parts = FENCED.split(readme)
    return "".join(part if part.startswith("```") else LINK.sub(absolute, part) for part in parts)


def urls(address: str, version: str) -> dict[str, str]:
    """Return the links beside the README; none without an address."""
    pages = {"Source": "", "Issues": "/issues", "Changelog": f"/blob/v{version}/CHANGELOG.md"}
    return {name: address + page for name, page in pages.items()} if address else {}


def version_of(source: str) -> str:
    """Read the version from minigrid/version.py: the package itself may not be importable yet."""
    return re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)[0]


if __name__ == "__main__":
    from setuptools import setup

    version = version_of((HERE / "minigrid" / "version.py").read_text(encoding="utf-8"))
    setup(
        long_description=index_readme((HERE / "README.md").read_text(encoding="utf-8"), ADDRESS, version),
        long_description_content_type="text/markdown",
        project_urls=urls(ADDRESS, version),
    )
