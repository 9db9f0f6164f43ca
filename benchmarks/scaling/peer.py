"""Do a job with PyTorch, alone or as one of several processes that DistributedDataParallel joins.

``python -m benchmarks.scaling.peer JOB`` prints the figures as JSON. With ``--ranks 2`` it starts the second process
itself, and both compute their share of the columns.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from benchmarks.helpers import peers
from benchmarks.helpers.measure import peak_bytes
from benchmarks.scaling.sizes import VOCABULARY, Size, minibatch
from benchmarks.scaling.timing import figures

KINDS = {"lstm": peers.StackedLSTM, "grid": peers.ExpertGrid}


def training(size: Size, columns: slice, whole: int, joined: bool) -> Callable[[], object]:
    """Return a training step on some columns of a batch; the gradients of all processes are averaged if joined."""
    peer = KINDS[size.model](VOCABULARY, size.hidden, size.layers)
    # without copies between the gradients and what is sent
    model = DistributedDataParallel(peer, gradient_as_bucket_view=True) if joined else peer
    x, y = (torch.from_numpy(a)[:, columns].contiguous() for a in minibatch(whole))
    step = peers.PeerTrainStep(model, peer)
    return lambda: step(x, y)


def evaluation(size: Size, whole: int) -> Callable[[], object]:
    """Return the evaluation of one minibatch."""
    peer = KINDS[size.model](VOCABULARY, size.hidden, size.layers)
    x, y = (torch.from_numpy(a) for a in minibatch(whole))

    @torch.inference_mode()
    def evaluate() -> None:
        logits, _ = peer(x, peer.initial_state(whole))
        cross_entropy(logits.flatten(0, 1), y.flatten())

    return evaluate


def from_first(count: Callable[[], int]) -> int:
    """Return in every process what a function returns in the first one."""
    answer = [count() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(answer)
    return answer[0]


def run(args: argparse.Namespace, rank: int, meeting: Path) -> None:
    """Do the job as one of several processes, which find each other through a file."""
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    first = {}
    if args.ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=args.ranks)
        first = {"first": from_first}
    own = slice(args.columns * rank // args.ranks, args.columns * (rank + 1) // args.ranks)
    is_training = args.job == "train"
    job = training(args.size, own, args.columns, args.ranks > 1) if is_training else evaluation(args.size, args.columns)
    found = figures(job, args.budget, **first)
    if rank == 0:
        print(json.dumps(found | {"peak_bytes": [peak_bytes()]}))
    if args.ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def main() -> None:
    """Do the job of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("train", "evaluate"))
    parser.add_argument("--size", type=Size.parse, default=Size("grid", 2, 128), help="such as grid:2x128")
    parser.add_argument("--columns", type=int, default=50, help="of the whole batch")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--ranks", type=int, default=1, help="processes that train together")
    parser.add_argument("--join", nargs=2, help=argparse.SUPPRESS)  # number of this process and the file
    args = parser.parse_args()
    if args.join:
        run(args, int(args.join[0]), Path(args.join[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        command = [sys.executable, "-m", "benchmarks.scaling.peer", *sys.argv[1:], "--join"]
        others = [subprocess.Popen([*command, str(rank), str(meeting)]) for rank in range(1, args.ranks)]
        run(args, 0, meeting)
        for other in others:
            other.wait()


if __name__ == "__main__":
    main()
