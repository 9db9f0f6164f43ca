"""How the command line reports a training run: lines on stdout, progress bars on a terminal."""

import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from minigrid.backend import describe_device
from minigrid.progress import progress_bar
from minigrid.runs.evaluation import bits
from minigrid.runs.folder import Record
from minigrid.runs.report import Report
from minigrid.runs.run import Run


class TrainingReport(Report):
    """Prints what happens in a run. As a context manager it closes its progress bars at the end."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._validation: tqdm | None = None

    def __enter__(self) -> "TrainingReport":
        return self

    def __exit__(self, *error: Any) -> None:
        for bar in (self._validation, self._bar):
            if bar is not None:
                bar.close()

    def started(self, run: Run) -> None:
        """Print a description of the run and open the progress bar."""
        print(_description(run))
        if run.model.xp is not np:
            print("the first minibatch takes longer, because the GPU code is compiled on its first use")
        self._bar = progress_bar(total=run.total_steps, initial=run.step.number, unit="step", dynamic_ncols=True)

    def estimated(self, run: Run, seconds: float) -> None:
        """Print how long the run will take."""
        epoch = tqdm.format_interval(seconds * len(run.task.train))
        rest = tqdm.format_interval(seconds * (run.total_steps - run.step.number))
        self._write(f"about {seconds:.3g} s per minibatch: {epoch} per epoch, {rest} to the end, plus validations")

    def trained(self, run: Run) -> None:
        """Advance the progress bar."""
        if self._bar is not None:
            self._bar.update()

    def recorded(self, run: Run, record: Record) -> None:
        """Show the latest numbers next to the progress bar."""
        rate = f", {record['per_second'] / 1000:.1f}k/s" if "per_second" in record else ""
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"loss {record['loss']:.3f}, {bits(record['loss']):.3f} bits/{run.task.unit}{rate}, "
                f"|g| {record['grad_norm']:.2f}, epoch {run.epoch:.2f}",
                refresh=False,
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
            f"step {record['step']}, epoch {run.epoch:.2f}: validation loss {record['loss']:.4f} nats, "
            f"{record['bits']:.4f} bits per {run.task.unit}"
        )
        if "digits" in record:
            line += f", {record['digits']:.2%} of digits and {record['answers']:.2%} of answers correct"
        self._write(line + (" (best so far)" if is_best else f" (best {run.state.best:.4f})"))
        self._write(f"{record['sample']}\n")

    def stopping(self) -> None:
        """Confirm a Ctrl-C."""
        print("\nstopping after this minibatch, then saving; press Ctrl-C again to stop at once", file=sys.stderr)

    def note(self, message: str) -> None:
        """Print a problem that does not stop the run."""
        self._write(message)

    def _write(self, text: str) -> None:
        """Print text above the progress bars."""
        if self._bar is None:
            print(text)
        else:
            self._bar.write(text)


def _description(run: Run) -> str:
    """Return one line on the model, the device, and the memory it takes."""
    model, train = run.model, run.task.train
    memory = run.step.memory(train.steps, train.batch)
    return (
        f"{model.options.model} {model.layers} x {model.hidden} on {describe_device(model.xp)}, {model.dtype}: "
        f"{model.params.flat.size:,} parameters, {len(train):,} minibatches per epoch, "
        f"about {memory / 1e6:,.0f} MB of arrays"
    )
