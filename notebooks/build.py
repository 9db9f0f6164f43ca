"""Execute the notebooks, or check that what is committed is in step with its text.

Every notebook is the text ``NN_name.py`` (py:percent, read by jupytext). Beside it stands ``NN_name.ipynb``, which is
made from it by executing it and is committed so that readers see the figures.

    python notebooks/build.py                     # execute all, write the .ipynb files
    python notebooks/build.py 01 03_the_grid      # only those whose names begin so
    python notebooks/build.py --check             # execute all and write nothing; exit code 1 if something is wrong
"""

import argparse
import base64
import io
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from PIL import Image

HERE = Path(__file__).parent

# all that a reader's program needs; the kernel would add versions, which differ from machine to machine
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def texts(prefixes: Iterable[str] = (), folder: Path = HERE) -> list[Path]:
    """Text sources in reading order; with `prefixes`, those whose names begin with one of them."""
    return sorted(
        path
        for path in folder.glob("[0-9][0-9]_*.py")
        if path.name.startswith(tuple(prefixes) or "")
    )


def read_text(text: Path) -> nbformat.NotebookNode:
    """Read a text source as a notebook without outputs."""
    notebook = jupytext.read(text, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    # format 4.4 is the last without random cell ids, which would make every execution a diff
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        cell.pop("id", None)
    return notebook


def execute(text: Path) -> nbformat.NotebookNode:
    """Execute a text source from scratch, in its own folder.

    Raises
    ------
    nbclient.exceptions.CellExecutionError, nbclient.exceptions.CellTimeoutError
        A cell failed or took too long; the message shows it.
    """
    notebook = read_text(text)
    client = NotebookClient(
        notebook,
        timeout=300,  # seconds for one cell
        kernel_name="python3",
        resources={"metadata": {"path": str(text.parent)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # no remarks about how the kernel is reached
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_palette(output.data["image/png"])
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def with_palette(picture: str) -> str:
    """Reduce a PNG, in base64, to 256 colours: it looks the same in a third of the bytes."""
    reduced = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(256).save(reduced, format="png", optimize=True)
    return base64.b64encode(reduced.getvalue()).decode()


def in_step(text: Path) -> bool:
    """Whether the notebook beside `text` exists and has the same cells."""
    notebook = text.with_suffix(".ipynb")
    return notebook.exists() and cells(nbformat.read(notebook, as_version=4)) == cells(
        read_text(text)
    )


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def check(text: Path) -> str | None:
    """Execute `text` afresh and return what is wrong with it or with the notebook beside it; None if nothing is."""
    if not in_step(text):
        return f"{text.with_suffix('.ipynb').name} is out of step with {text.name}: run make notebooks-build"
    try:
        execute(text)
    except (CellExecutionError, CellTimeoutError) as error:
        return str(error)
    return None


def build(text: Path) -> str | None:
    """Execute `text` and write the notebook beside it; return what is wrong, None if nothing is."""
    try:
        nbformat.write(execute(text), text.with_suffix(".ipynb"))
    except (CellExecutionError, CellTimeoutError) as error:
        return str(error)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Build or check, one line per notebook; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a notebook is out of step"
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; all notebooks if left out")
    options = parser.parse_args(arguments)

    work, failed = (check if options.check else build), False
    for text in texts(options.names):
        started = time.perf_counter()
        wrong = work(text)
        failed = failed or wrong is not None
        print(
            f"{text.stem}: {'FAILED' if wrong else 'ok'}, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        if wrong:
            print(wrong, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
