"""What can go wrong for reasons that are the user's to mend: each says what, and the way out."""


class SplaxError(Exception):
    """An error to be shown as one line; `remedy` is what to do about it."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.remedy = remedy


class InputError(SplaxError):
    """A file or an argument cannot be used as given."""


class MissingTool(SplaxError):
    """A program or a package that the work needs is not installed."""


class BuildError(SplaxError):
    """A build step failed."""


class CheckpointError(SplaxError):
    """A checkpoint does not fit this machine."""
