"""How the command line reports a training run: lines on stdout, progress bars on a terminal."""

import math
import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from minigrid.backend import cut, describe_device
from minigrid.backend.blas import threads
from minigrid.cli.terminal import one_line, printable
from minigrid.progress import progress_bar
from minigrid.runs.evaluation import bits
from minigrid.runs.records import Record
from minigrid.runs.report import Report
from minigrid.runs.run import Run

BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
"""Format of the progress bar: leaves room for the numbers on a terminal of 80 columns."""
LOG_SECONDS = 30.0
"""Time between two lines on the training loss, where stdout or stderr is not a terminal."""


class TrainingReport(Report):
    """Prints what happens in a run. As a context manager it closes its progress bars at the end."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._validation: tqdm | None = None
        self._notes: set[str] = set()
        self._keeps_a_log = not all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
        self._logged_at = -math.inf  # seconds of the monotonic clock

    def __enter__(self) -> "TrainingReport":
        return self

    def __exit__(self, *error: Any) -> None:
        for bar in (self._validation, self._bar):
            if bar is not None:
                bar.close()

    def started(self, run: Run) -> None:
        """Print a description of the run and open the progress bar."""
        print(one_line(_where(run)))
        print(_description(run))
        if run.ranks.count > 1:
            print(_sharing(run))
        if run.model.xp is not np:
            print("the first minibatch takes longer, because the GPU code is compiled on its first use")
        self._bar = progress_bar(
            total=run.total_steps, initial=run.step.number, dynamic_ncols=True, bar_format=BAR, unit="step"
        )

    def estimated(self, run: Run, seconds: float) -> None:
        """Print how long the run will take."""
        epoch = tqdm.format_interval(seconds * len(run.task.train))
        validations = "" if run.task.val is None else ", plus validations"
        rest = tqdm.format_interval(seconds * (run.total_steps - run.step.number))
        self._write(f"about {seconds:.3g} s per minibatch: {epoch} per epoch, {rest} to the end{validations}")

    def trained(self, run: Run) -> None:
        """Advance the progress bar."""
        if self._bar is not None:
            self._bar.update()

    def recorded(self, run: Run, record: Record) -> None:
        """Show the latest numbers next to the progress bar; where nobody sees the bar, print a line now and then."""
        rate = f", {record['per_second'] / 1000:.1f}k" if "per_second" in record else ""
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"loss {record['loss']:.3f} ({bits(record['loss']):.3f} bits){rate and f'{rate}/s'}, "
                f"|g| {record['grad_norm']:.2f}",
                refresh=False,
            )
        if self._keeps_a_log and (time.monotonic() - self._logged_at > LOG_SECONDS or run.is_over):
            self._logged_at = time.monotonic()
            self._write(
                f"step {record['step']:,} of {run.total_steps:,}, epoch {run.epoch:.2f}: "
                f"training loss {record['loss']:.4f} nats{rate and f'{rate} {run.task.unit}s/s'}"
            )

    def validating(self, done: int, total: int) -> None:
        """Show a second progress bar during a validation."""
        if self._validation is None:
            self._validation = progress_bar(total=total, desc="validating", unit="minibatch", leave=False)
        self._validation.update(done - self._validation.n)
        if done == total:
            self._validation.close()
            self._validation = None

    def validated(self, run: Run, record: Record, is_best: bool) -> None:
        """Print the result of a validation, and a sample of what the model writes."""
        line = (
            f"step {record['step']:,}, epoch {run.epoch:.2f}: {_training_loss(run)}validation loss "
            f"{record['loss']:.4f} nats, {record['bits']:.4f} bits per {run.task.unit}"
        )
        if "digits" in record:
            line += f", {record['digits']:.2%} of digits and {record['answers']:.2%} of answers correct"
        self._write(line + (" (best so far)" if is_best else f" (best {run.state.best:.4f})"))
        self._write(f"{printable(record['sample'])}\n")

    def stopping(self) -> None:
        """Confirm a Ctrl-C."""
        print("\nstopping after this minibatch, then saving; press Ctrl-C again to stop at once", file=sys.stderr)

    def note(self, message: str) -> None:
        """Print a problem that does not stop the run, the first time that it occurs."""
        if message not in self._notes:
            self._notes.add(message)
            self._write(f"note: {one_line(message)}")

    def _write(self, text: str) -> None:
        """Print text above the progress bars."""
        if self._bar is None:
            print(text)
        else:
            self._bar.write(text)


def _where(run: Run) -> str:
    """Return one line on the folder of a run and on what it learns."""
    config = run.config
    what = config.data or config.corpus or f"{config.task} of {config.digits} digits"
    if run.step.number:
        return f"continuing {run.folder} ({what}) from step {run.step.number:,}"
    return f"training in {run.folder} ({what})"


def _training_loss(run: Run) -> str:
    """Return the mean training loss since the last validation, for the line on this one."""
    losses = []
    for record in reversed(run.state.metrics[:-1]):  # the last record is that of this validation
        if record["split"] == "val":
            break
        losses.append(record["loss"])
    return f"training loss {sum(losses) / len(losses):.4f}, " if losses else ""


def _description(run: Run) -> str:
    """Return one line on the model, the device, and the memory it takes."""
    model, train = run.model, run.task.train
    memory = run.step.memory(train.steps, train.batch)
    return (
        f"{model.options.model} {model.layers} x {model.hidden} on {describe_device(model.xp)}, {model.dtype}: "
        f"{model.params.flat.size:,} parameters, {len(train):,} minibatches per epoch, "
        f"about {memory / 1e6:,.0f} MB of arrays{' in each process' if run.ranks.count > 1 else ''}"
    )


def _sharing(run: Run) -> str:
    """Return one line on how several processes train together."""
    ranks, batch = run.ranks, run.task.train.batch
    widths = sorted({part.stop - part.start for part in cut(batch, ranks.count)})
    line = f"{ranks.count} processes share each minibatch, {' or '.join(map(str, widths))} of {batch} sequences each; "
    if run.model.xp is np:
        return line + f"{threads()} thread{'s' * (threads() > 1)} each"
    return line + ("MPI takes their gradients from the GPUs" if ranks.gpu_aware else "gradients go through the host")
