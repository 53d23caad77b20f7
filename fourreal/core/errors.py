"""The one exception that means "the input is at fault, not the program"."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line
    prints it without a traceback and exits with 2; every other exception is our own bug.
    """
