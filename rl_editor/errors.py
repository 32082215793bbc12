"""The one exception that a user is meant to see."""


class UserError(Exception):
    """A problem that the user can mend.

    The message is one sentence that says what was expected, what came and what to do.
    Commands print it to standard error and exit with code 2; libraries may catch it.
    """
