"""The records of a run's metrics."""

from typing import Any

import numpy as np

from minigrid.errors import UserError, shown

MOST_COUNT = 2**53  # of steps or records
LARGEST_LOSS = float(np.finfo(np.float32).max)  # nats, of which a model computes no more

Record = dict[str, Any]
"""One measurement: ``split`` ("train" or "val"), ``step``, ``epoch``, ``loss`` (nats), and what else was measured."""


def checked_record(value: Any) -> Record:
    """Return a value from a file if it is a record with a whole step and a finite loss.

    Raises
    ------
    UserError
        It is not.
    """
    if not isinstance(value, dict) or not {"split", "step", "loss"} <= value.keys():
        raise UserError(f"{shown(value, 40)} is not a record")
    step, loss = value["step"], value["loss"]
    if type(step) is not int or not 0 <= step <= MOST_COUNT:
        raise UserError(f"the step {shown(step)} is not a whole number")
    if type(loss) not in (int, float) or not abs(loss) <= LARGEST_LOSS:  # nan is not less than anything
        raise UserError(f"the loss {shown(loss)} is not a finite number")
    return value
