"""The one exception that stands for a mistake in what the user gave."""


class UserError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence that says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and leaves with exit code 2.
    """
