"""A training run: the loop, its folder, its measurements, and going on after a stop."""

import dataclasses
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from minigrid.backend import choose_device, describe_device
from minigrid.data import addition
from minigrid.errors import UserError
from minigrid.files import remove_unfinished, stamp, written, written_whole
from minigrid.nn.model import CharModel
from minigrid.progress import progress_bar
from minigrid.runs.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    find_checkpoint,
    model_arrays,
    read_checkpoint,
    write_checkpoint,
)
from minigrid.runs.config import Config
from minigrid.runs.evaluation import Evaluation, bits, evaluate, watched
from minigrid.runs.folder import (
    PICTURE,
    Record,
    append_metrics,
    fresh_folder,
    held,
    list_runs,
    make_folder,
    refuse_used,
    write_config,
    write_metrics,
)
from minigrid.runs.init_from import initialise
from minigrid.runs.sampling import Sampler, generate
from minigrid.runs.stop_signal import stop_signal
from minigrid.runs.stopwatch import Stopwatch
from minigrid.runs.tasks import Task, config_of, make_task, oddities, require_same_text, resolve
from minigrid.training.optim import decayed_rate
from minigrid.training.step import TrainStep

LOG_EVERY = 10  # minibatches
SAVE_EVERY = 60.0  # seconds
SAMPLE_LENGTH = 200  # characters
MAY_CHANGE = ("epochs", "max_steps", "backend", "device", "tf32", "data")
"""Settings that a resumed run may be given anew (a text that has moved is known by its hash); no others."""


class DivergedError(Exception):
    """The loss or a gradient was not a finite number."""


class InterruptedRunError(Exception):
    """The run was asked to stop, has saved, and can be resumed."""


class Run:
    """One training run, in memory and in its folder.

    Parameters
    ----------
    folder : Path
        Where the run is kept, see :mod:`minigrid.runs.folder`.
    config : Config
        As resolved.
    task : Task
        What is learnt.
    model : CharModel
        What learns.
    step : TrainStep
        Its number of steps done is the position of the run: which epoch, which minibatch, which random numbers.
    """

    def __init__(self, folder: Path, config: Config, task: Task, model: CharModel, step: TrainStep):
        self.folder, self.config, self.task, self.model, self.step = folder, config, task, model, step
        self.metrics: list[Record] = []
        self.best = math.inf
        self._losses: list[Any] = []  # since the last training record, 0-d arrays
        self._stopwatch = Stopwatch()
        self._saved_at = time.monotonic()  # seconds
        self._last: tuple[int, int] | None = None  # stamp of the last checkpoint, as this process knows it
        self._inherits = False  # whether it began with trained parameters, which are to be measured first

    # -- starting

    @classmethod
    def start(cls, config: Config, folder: Path | None = None, init_from: str | None = None) -> "Run":
        """Begin a new run.

        Parameters
        ----------
        config : Config
            Settings.
        folder : Path, optional
            Of the run; by default a new one under ``runs/``.
        init_from : str, optional
            Run or checkpoint whose parameters to begin with.

        Raises
        ------
        UserError
            The folder holds a run already; whatever is wrong with the settings, the text or the checkpoint.
        """
        if folder is not None:
            refuse_used(folder)
        choose_device(config.backend, config.device, config.tf32)  # before a large text is fetched for nothing
        config, corpus = resolve(config)
        if odd := oddities(corpus):
            print(f"note: the text has {odd}, which will be learnt like any character", file=sys.stderr)
        task = make_task(config, corpus)
        model = CharModel(vocab_size=len(task.vocabulary), **config.model_options())
        if init_from is not None:
            initialise(model, task, config, read_checkpoint(init_from))
        step = TrainStep(model, **config.step_options())
        run = cls(folder or fresh_folder(config), config, task, model, step)
        run._inherits = init_from is not None
        make_folder(run.folder)
        return run

    @classmethod
    def resume(cls, folder: Path, given: dict[str, Any]) -> "Run":
        """Take up a stopped run where its last checkpoint left it.

        Parameters
        ----------
        folder : Path
            Of the run.
        given : dict
            Settings given anew; only those in `MAY_CHANGE` may differ from the run's.

        Raises
        ------
        UserError
            Nothing there to resume; a setting that cannot change; a text that has changed; another process is training
            in the folder.
        """
        if not folder.is_dir():
            raise UserError(
                f"--resume goes on with a run, and {folder} is no run's folder ({list_runs()}); from a checkpoint "
                "alone begin a new run with --init-from"
            )
        path = find_checkpoint(folder, preferred=LAST)
        with held(folder):  # from reading to the first writing, so that nobody trains in between
            return cls._resumed(folder, read_checkpoint(path), given)

    @classmethod
    def _resumed(cls, folder: Path, checkpoint: Checkpoint, given: dict[str, Any]) -> "Run":
        saved = config_of(checkpoint)
        if "step" not in checkpoint.meta:
            raise UserError(
                f"{folder} holds parameters only, not a run that can go on: begin a new run with --init-from {folder}"
            )
        # the model knows the defaults that were left open in the settings
        before = dataclasses.asdict(saved) | checkpoint.meta["model"]
        for name, value in given.items():
            if (name not in MAY_CHANGE or (name == "data" and not before[name])) and value != before[name]:
                has = "none" if before[name] is None else before[name]
                raise UserError(
                    f"`{name}` {value} cannot change on --resume (the run has {has}): leave it out, or start a new "
                    f"run with --init-from {folder}"
                )
        config = dataclasses.replace(saved, **{k: v for k, v in given.items() if k in MAY_CHANGE})
        choose_device(config.backend, config.device, config.tf32)
        config, corpus = resolve(config)
        task = make_task(config, corpus)
        require_same_text(task, checkpoint.meta["sha256"], str(folder))
        model = checkpoint.model(config.backend)
        run = cls(folder, config, task, model, TrainStep(model, **config.step_options()))
        run._restore(checkpoint)
        remove_unfinished(folder)
        run._write_config()
        return run

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Set step, optimiser, carried state and metrics back to where the checkpoint was written."""
        meta = checkpoint.meta
        self.step.load_state_dict(checkpoint.arrays | meta["step"])
        self._losses = [self.model.xp.asarray(loss, self.model.dtype) for loss in meta["losses"]]
        self.metrics, self.best = meta["metrics"], meta["best"] if meta["best"] is not None else math.inf
        self._inherits = meta.get("inherits", False)
        self._last = stamp(self.folder / LAST)

    # -- going on

    @property
    def total_steps(self) -> int:
        """Minibatches after which the run is over."""
        total = self.config.epochs * len(self.task.train)
        return total if self.config.max_steps is None else min(total, self.config.max_steps)

    @property
    def eval_every(self) -> int:
        """Minibatches between two validations."""
        return self.config.eval_every or min(1000, len(self.task.train))

    def train(self) -> None:
        """Train to the end.

        Raises
        ------
        InterruptedRunError
            After Ctrl-C, a SIGTERM, or the end of its terminal; everything is saved.
        DivergedError
            A loss or gradient is not finite; the checkpoints are from before.
        UserError
            No room to save; another process is training in the folder.
        """
        print(self.describe())
        if self.model.xp is not np:
            print("the first minibatch takes longer: it compiles what this GPU has not run before")
        # what overflows is found by the step's own check, and told in one sentence instead of NumPy's warnings
        with (
            held(self.folder),
            stop_signal() as stop,
            self._progress() as bar,
            np.errstate(over="ignore", invalid="ignore"),
        ):
            self._require_unchanged()
            if self._last is None:
                self._save(LAST)  # from here on the run can be resumed, and a disk that is full shows now
                self._write_config()
            write_metrics(self.folder, self.metrics)  # cut back to the checkpoint
            self._stopwatch, self._saved_at = Stopwatch(), time.monotonic()
            if self._is_due():
                self._show(bar, [self._validate(stop)], minibatches=0)
                self._stopwatch.restart()
            while self.step.number < self.total_steps:
                self._train_on_next_minibatch()
                news = [self._estimate()]
                if self.step.number % LOG_EVERY == 0 or self.step.number == self.total_steps:
                    self._log(bar)
                if self._validates():
                    with self._stopwatch.paused():
                        news.append(self._validate(stop))
                elif time.monotonic() - self._saved_at > SAVE_EVERY:
                    self._save(LAST)
                self._show(bar, news)
                if stop and self.step.number < self.total_steps:
                    self._save(LAST)
                    raise InterruptedRunError

    def _validates(self) -> bool:
        """Whether a validation belongs after as many minibatches as are done."""
        number = self.step.number
        return (number % self.eval_every == 0 or number == self.total_steps) and (number > 0 or self._inherits)

    def _is_due(self) -> bool:
        """Whether a validation is to come first: that of inherited parameters, or one that a stop has cut short."""
        validated = {record["step"] for record in self.metrics if record["split"] == "val"}
        return self.task.val is not None and self._validates() and self.step.number not in validated

    def _train_on_next_minibatch(self) -> None:
        epoch, index = divmod(self.step.number, len(self.task.train))
        x, y = self.task.train.minibatch(epoch, index)
        if index == 0 or not self.task.train.carries_state:
            self.step.reset()
        self.step.lr = decayed_rate(self.config.lr, epoch + 1, self.config.lr_decay, self.config.lr_decay_after)
        try:
            self._losses.append(self.step(x, y))
        except MemoryError as error:  # CuPy's too
            raise UserError(self._out_of_memory()) from error
        self._stopwatch.count()

    def _estimate(self) -> str:
        """Say after three minibatches how long the rest will take; the very first is slower than the others."""
        if self._stopwatch.minibatches in (1, 3):
            float(self._losses[-1])  # waits for a GPU
        if self._stopwatch.minibatches == 1:
            self._stopwatch.restart()
        if self._stopwatch.minibatches == 3 and (pace := self._stopwatch.pace()):
            seconds = 1 / pace
            left = tqdm.format_interval(seconds * (self.total_steps - self.step.number))
            epoch = tqdm.format_interval(seconds * len(self.task.train))
            return f"about {seconds:.3g} s per minibatch: {epoch} per epoch, {left} to the end, validations not counted"
        return ""

    def _log(self, bar: tqdm) -> None:
        """Record what the last minibatches gave, for the bar to show. This is where a GPU is waited for."""
        self._require_finite()
        loss = sum(float(x) for x in self._losses) / len(self._losses)
        record, rate = {"loss": loss, "grad_norm": float(self.step.norm), "lr": self.step.lr}, ""
        if pace := self._stopwatch.pace():
            record["per_second"] = round(pace * self.task.train.batch * self.task.train.steps)
            rate = f", {record['per_second'] / 1000:.1f}k/s"
        self._stopwatch.restart()
        self._losses = []
        self._record("train", record)
        bar.set_postfix_str(
            f"loss {loss:.3f}, {bits(loss):.3f} bits/{self.task.unit}{rate}, "
            f"|g| {record['grad_norm']:.2f}, epoch {self._epoch():.2f}",
            refresh=False,
        )

    def _validate(self, stop: list[int]) -> str:
        """Measure the model on the validation text, save it, and say what came out; heed what `stop` receives."""
        self._require_finite()
        news = ""
        if self.task.val is not None:
            result = self._evaluation(stop)
            if not math.isfinite(result.loss):
                raise DivergedError(self._divergence("validation loss"))
            sample, better = self._sample(), result.loss < self.best
            self.best = min(self.best, result.loss)
            self._record("val", _score(result) | {"sample": sample})
            if better:
                self._save(BEST)
            news = f"{self._validation_line(result, better)}\n{sample}\n"
        self._save(LAST)
        return news + self._draw()

    def _evaluation(self, stop: list[int]) -> Evaluation:

        def until_stopped(indices: range) -> Iterator[int]:
            for index in watched(indices, "validating"):
                if stop:
                    raise InterruptedRunError
                yield index

        try:
            return evaluate(self.model, self.task.val, self.step.shards, until_stopped)
        except InterruptedRunError:
            self._save(LAST)  # without the validation, which --resume begins with
            raise

    def _show(self, bar: tqdm, news: list[str], minibatches: int = 1) -> None:
        """Print what there is to say; where nobody is left to read it, the run is saved before it ends."""
        try:
            for text in filter(None, news):
                bar.write(text)
            bar.update(minibatches)
        except OSError:
            self._save(LAST)
            raise

    def _sample(self) -> str:
        """A piece of text, or a few problems solved, so that one sees what the model has learnt."""
        if self.config.task == "addition":
            return addition.solved_examples(self._write, self.config.digits)
        return self._write(SAMPLE_LENGTH)

    def _write(self, length: int, prime: str = "", argmax: bool = False) -> str:
        seed = [self.config.seed, self.step.number]
        sampler = Sampler(argmax=argmax)
        return "".join(generate(self.model, self.task.vocabulary, length, prime=prime, sampler=sampler, seed=seed))

    def _require_finite(self) -> None:
        if not bool(self.step.finite):
            raise DivergedError(self._divergence("loss or gradient"))

    def _divergence(self, what: str) -> str:
        return (
            f"the {what} is not a finite number at step {self.step.number}; what was saved in {self.folder} is from "
            f"before: begin a new run with --init-from {self.folder} and a smaller --lr (it was {self.config.lr}) or "
            "--clip-norm 5"
        )

    def _out_of_memory(self) -> str:
        steps, batch = self.task.train.steps, self.task.train.batch
        whole, lasting = (self.step.memory(n, batch) / 1e9 for n in (steps, 0))
        return (
            f"not enough memory: a training step needs about {whole:.2g} GB, of which {lasting:.2g} GB for parameters, "
            "gradients and optimiser go with --hidden and --layers, the rest also with --batch and --steps: lower some"
        )

    # -- saving and showing

    def _require_unchanged(self) -> None:
        """Refuse to overwrite what another process has made of the folder since this one began or read its run."""
        if stamp(self.folder / LAST) not in (None, self._last):
            raise UserError(
                f"another process has trained in {self.folder} meanwhile: go on with its run by --resume, or name a "
                "new folder with --run"
            )

    def _save(self, name: str) -> None:
        self._require_finite()
        step = self.step.state_dict()
        numbers = {key: value for key, value in step.items() if not isinstance(value, np.ndarray)}
        arrays = {key: value for key, value in step.items() if isinstance(value, np.ndarray)}
        meta = {
            "model": dataclasses.asdict(self.model.options),
            "vocabulary": self.task.vocabulary.to_json(),
            "config": dataclasses.asdict(self.config),
            "sha256": self.task.sha256,
            "step": numbers,
            "losses": [float(loss) for loss in self._losses],
            "best": self.best if math.isfinite(self.best) else None,
            "metrics": self.metrics,
            "inherits": self._inherits,
        }
        params = model_arrays(self.model)
        if not all(np.isfinite(array).all() for array in params.values()):  # the last update may have been too large
            raise DivergedError(self._divergence("updated weight"))
        write_checkpoint(self.folder / name, params | arrays, meta)
        if name == LAST:
            self._saved_at, self._last = time.monotonic(), stamp(self.folder / LAST)

    def _write_config(self) -> None:
        """Keep the settings where a person can read them, with what was left open filled in."""
        settings = dataclasses.asdict(self.config)
        filled_in = {k: v for k, v in dataclasses.asdict(self.model.options).items() if k in settings}
        write_config(self.folder, settings | filled_in)

    def _record(self, split: str, values: dict[str, Any]) -> None:
        record = {"split": split, "step": self.step.number, "epoch": round(self._epoch(), 4), **values}
        self.metrics.append(record)
        append_metrics(self.folder, record)

    def _draw(self) -> str:
        """Draw the losses; say what is wrong where the picture cannot be written, which is no reason to stop."""
        from minigrid.plots import loss_curves  # matplotlib is slow to import, and not needed before

        picture = self.folder / PICTURE
        try:
            with written(picture), written_whole(picture) as temporary:
                loss_curves({self.folder.name: self.metrics}).savefig(temporary, format="png", dpi=120)
        except UserError as error:
            return f"{error}\n"
        return ""

    def _epoch(self) -> float:
        return self.step.number / len(self.task.train)

    def _progress(self) -> tqdm:
        return progress_bar(total=self.total_steps, initial=self.step.number, unit="step", dynamic_ncols=True)

    def _validation_line(self, result: Evaluation, better: bool) -> str:
        line = (
            f"step {self.step.number}, epoch {self._epoch():.2f}: validation loss {result.loss:.4f} nats, "
            f"{bits(result.loss):.4f} bits per {self.task.unit}"
        )
        if result.score is not None:
            line += f", digits right {result.score.digit_share:.2%}, answers right {result.score.answer_share:.2%}"
        return line + (" (best so far)" if better else f" (best {self.best:.4f})")

    def describe(self) -> str:
        """One line on what is trained, where, and what it takes."""
        model, train = self.model, self.task.train
        memory = self.step.memory(train.steps, train.batch)
        return (
            f"{model.options.model} {model.layers} x {model.hidden} on {describe_device(model.xp)}, {model.dtype}: "
            f"{model.params.flat.size:,} parameters, {len(train):,} minibatches per epoch, "
            f"about {memory / 1e6:,.0f} MB of arrays"
        )


def _score(result: Evaluation) -> dict[str, Any]:
    score = {} if result.score is None else {"digits": result.score.digit_share, "answers": result.score.answer_share}
    return {"loss": result.loss, "bits": bits(result.loss), **score}
