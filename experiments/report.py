"""Helpers that write results into the page of an experiment."""

import argparse
import statistics
from collections.abc import Collection, Mapping, Sequence

from minigrid.runs.folder import Record


def spread(values: Collection[float], form: str = ".4f") -> str:
    """Format the mean and, if there are several values, the lowest and the highest."""
    mean = format(statistics.mean(values), form)
    return f"{mean} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else mean


def compute(metrics: Mapping[str, Sequence[Record]]) -> str:
    """Return a sentence on the total training time of finished runs and the machines they ran on."""
    made = [records[-1] for records in metrics.values()]
    hours = sum(record["minutes"] for record in made) / 60
    machines = sorted({record["machine"] for record in made})
    return f"Compute: {hours:.1f} hours of training steps, summed over the runs, on {'; '.join(machines)}."


def report_only(description: str) -> bool:
    """Parse the command line of an experiment without training runs; return whether it has ``--report``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="measure nothing; only fill in the page")
    return parser.parse_args().report
