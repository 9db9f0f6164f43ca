"""The training loop.

If several ranks train together, all of them run it. What it decides by the clock or by a signal, they decide together.
"""

import contextlib
import math
import time

import numpy as np

from minigrid.backend.ranks import Requests
from minigrid.data import addition
from minigrid.errors import NotFiniteError, UserError
from minigrid.files import stamp, written_whole
from minigrid.runs.evaluation import Evaluation, bits, evaluate
from minigrid.runs.find import BEST, LAST
from minigrid.runs.folder import PICTURE, discard, held, write_metrics
from minigrid.runs.report import RankReport, Report
from minigrid.runs.run import InterruptedRunError, Run
from minigrid.runs.sampling import Sampler, generate
from minigrid.runs.stop_signal import StopRequest, stop_signal
from minigrid.runs.stopwatch import Stopwatch
from minigrid.runs.tasks import Batches
from minigrid.training.optim import decayed_rate

LOG_EVERY = 10  # minibatches
SAVE_EVERY = 60.0  # seconds
SAMPLE_LENGTH = 200  # characters
WARM_UP = 1  # minibatches; the first one is slower than the others
TIMED = 2  # further minibatches, on which the estimate is based


def train(run: Run, report: Report | None = None) -> None:
    """Train a run to its end.

    Parameters
    ----------
    run : Run
        From :func:`minigrid.runs.start.start_run` or :func:`minigrid.runs.start.resume_run`.
    report : Report, optional
        Is told what happens; by default nothing is reported.

    Raises
    ------
    InterruptedRunError
        After Ctrl-C, a SIGTERM, or the end of the terminal; everything is saved.
    DivergedError
        A loss, a gradient or a weight is not finite; the checkpoints are from before.
    UserError
        There is no space to save, or another process is training in the folder.
    """
    report = report or Report()
    if run.ranks.count > 1:
        report = RankReport(report, run.ranks)
    # overflow is found by the check of the training step, and reported in one sentence instead of NumPy's warnings
    with (
        contextlib.ExitStack() as stack,
        stop_signal(report.stopping) as stop,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        run.ranks.first(lambda: stack.enter_context(held(run.folder)) and None)
        is_new = run.last_stamp is None
        try:
            _prepare_folder(run)
            report.started(run)
            _train(run, report, stop)
        except (UserError, MemoryError):
            # if, say, the first step needs more memory than there is, a smaller model can be trained in the same folder
            is_ours = stamp(run.folder / LAST) == run.last_stamp
            if is_new and is_ours and run.step.number == 0 and run.ranks.is_first:
                discard(run.folder)
            raise
        except InterruptedRunError:
            if isinstance(report, RankReport):
                run.ranks.first(report.close)
            raise
        except OSError:  # the report has lost its reader
            if run.ranks.count == 1:
                run.save(LAST)
            raise


def _train(run: Run, report: Report, stop: StopRequest) -> None:
    stopwatch = Stopwatch()
    run.ranks.requests = lambda: Requests(
        stop=stop.requested or report.is_lost, save=time.monotonic() - run.saved_at > SAVE_EVERY
    )
    if run.validation_is_due:
        _validate(run, report, stop)
        stopwatch.restart()
    elif run.is_over:
        _draw(run, report)  # the process that saved the end may have been killed before it drew
    while not run.is_over:
        _train_on_next_minibatch(run)
        stopwatch.count()
        _estimate(run, stopwatch, report)
        if run.step.number % LOG_EVERY == 0 or run.is_over:
            _record_training(run, stopwatch, report)
        if run.validates_now:
            with stopwatch.paused():
                _validate(run, report, stop)
        elif run.ranks.requested().save:
            run.save(LAST)
        report.trained(run)
        if run.ranks.requested().stop and not run.is_over:
            run.save(LAST)
            raise InterruptedRunError


def _prepare_folder(run: Run) -> None:
    """Save a new run for the first time, or cut the metrics of a resumed one back to its checkpoint."""
    run.ranks.first(_refuse_changed, run)
    if run.last_stamp is None and not run.state.metrics:
        run.save(LAST)  # from now on the run can be resumed; a full disk shows at once
    run.ranks.first(write_metrics, run.folder, run.state.metrics)
    run.ranks.first(run.write_config)
    run.saved_at = time.monotonic()


def _refuse_changed(run: Run) -> None:
    if stamp(run.folder / LAST) not in (None, run.last_stamp):
        raise UserError(
            f"another process has trained in {run.folder} in the meantime: `resume` its run, or choose a new folder "
            "for the `run`"
        )


def _train_on_next_minibatch(run: Run) -> None:
    config, batches = run.config, run.task.train
    epoch, index = divmod(run.step.number, len(batches))
    x, y = batches.minibatch(epoch, index)
    if index == 0 or not batches.carries_state:
        run.step.reset()
    run.step.lr = decayed_rate(config.lr, epoch + 1, config.lr_decay, config.lr_decay_after)
    try:
        run.state.losses.append(run.step(x, y))
    except MemoryError as error:  # CuPy's is one too
        raise UserError(_out_of_memory(run)) from error


def _out_of_memory(run: Run) -> str:
    steps, batch = run.task.train.steps, run.task.train.batch
    total, constant = (run.step.memory(n, batch) / 1e9 for n in (steps, 0))
    return (
        f"not enough memory: a training step needs about {total:.2g} GB, of which {constant:.2g} GB for parameters, "
        "gradients and optimizer depend on `hidden` and `layers`, the rest also on `batch` and `steps`: reduce some of "
        "them"
    )


def _estimate(run: Run, stopwatch: Stopwatch, report: Report) -> None:
    """Time a few minibatches after the first one, and report once how long one takes."""
    if stopwatch.minibatches == WARM_UP:
        _wait_for_gpu(run)
        stopwatch.restart()
    elif stopwatch.minibatches == WARM_UP + TIMED:
        _wait_for_gpu(run)
        if pace := stopwatch.pace():
            report.estimated(run, seconds=1 / pace)


def _wait_for_gpu(run: Run) -> None:
    float(run.state.losses[-1])


def _record_training(run: Run, stopwatch: Stopwatch, report: Report) -> None:
    """Record what has been measured since the last training record. This waits for a GPU."""
    run.require_finite()
    losses = [float(loss) for loss in run.state.losses]
    values = {"loss": sum(losses) / len(losses), "grad_norm": float(run.step.norm), "lr": run.step.lr}
    if pace := stopwatch.pace():
        values["per_second"] = round(pace * run.task.train.batch * run.task.train.steps)
    stopwatch.restart()
    run.state.losses = []
    report.recorded(run, run.record("train", values))


# -- validation


def _validate(run: Run, report: Report, stop: StopRequest) -> None:
    """Measure the model on the held-out part, if there is one, and save it."""
    run.require_finite()
    if run.task.val is None:
        run.save(LAST)
        _draw(run, report)
        return
    result = _evaluate(run, run.task.val, report, stop)
    if not math.isfinite(result.loss):
        raise run.diverged("validation loss")
    is_best = result.loss < run.state.best
    run.state.best = min(run.state.best, result.loss)
    record = run.record("val", _scores(result) | {"sample": run.ranks.first(_sample, run)})
    if is_best:
        run.save(BEST)
    run.save(LAST)
    _draw(run, report)
    report.validated(run, record, is_best)


def _evaluate(run: Run, val: Batches, report: Report, stop: StopRequest) -> Evaluation:
    """Evaluate the model; if the run is asked to stop meanwhile, save it without the validation."""
    total = len(val)

    def progress(done: int) -> None:
        report.validating(done, total)
        if done < total and run.ranks.any(stop.requested or report.is_lost):
            raise InterruptedRunError

    try:
        return evaluate(run.model, val, run.step.shards, progress, run.ranks)
    except InterruptedRunError:
        run.save(LAST)  # a resumed run begins with the validation
        raise


def _scores(result: Evaluation) -> dict[str, float]:
    scores = {"loss": result.loss, "bits": bits(result.loss)}
    if result.score is not None:
        scores |= {"digits": result.score.digit_share, "answers": result.score.answer_share}
    return scores


def _sample(run: Run) -> str:
    """Return a text written by the model, or a few problems that it solved.

    Raises
    ------
    DivergedError
        The model cannot write, because its logits are not finite.
    """

    def write(length: int, prime: str = "", argmax: bool = False) -> str:
        seed = [run.config.seed, run.step.number]
        sampler = Sampler(argmax=argmax)
        try:
            return "".join(generate(run.model, run.task.vocabulary, length, prime=prime, sampler=sampler, seed=seed))
        except NotFiniteError as error:
            raise run.diverged("logit of a sampled character") from error

    if run.config.task == "addition":
        return addition.solved_examples(write, run.config.digits)
    return write(SAMPLE_LENGTH)


def _draw(run: Run, report: Report) -> None:
    """Draw the loss curves, on the first rank."""
    if not run.ranks.is_first:
        return
    picture = run.folder / PICTURE
    try:
        from minigrid.plots import loss_curves  # matplotlib takes long to import

        with written_whole(picture) as temporary:
            loss_curves({run.folder.name: run.state.metrics}).savefig(temporary, format="png", dpi=120)
    except Exception as error:  # a full disk, a broken matplotlib, a missing font: no reason to end a run
        reason = error.strerror if isinstance(error, OSError) else None
        report.note(f"cannot draw {picture}: {reason or error}; training continues without it")
