"""Errors meant for the person at the keyboard: one line that says what, where and what to do next."""


class UserError(Exception):
    """Something the user can mend. `str(error)` is the one line to show; only `cli.py` and `ui/` show it."""


class DocumentError(UserError):
    """One file can't be turned into text; the message is the reason, without the file's name."""


class OwnedError(UserError):
    """Another process owns the data folder; the message names its pid and, if it serves, its address."""


class StorageError(UserError):
    """The data folder can't be written or read, as on a full disk; what was written before is kept."""


class ModelError(UserError):
    """The language model is missing, damaged, unreachable or failed in mid-answer."""


class Cancelled(UserError):
    """What was asked for was stopped, by the reader or because the program ends; nothing is known of its outcome."""
