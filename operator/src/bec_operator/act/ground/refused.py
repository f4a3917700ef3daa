"""What an action raises that was refused, and has noted what that means."""


class RefusedError(Exception):
    """The API server refused it, people are told so, and it is tried again ever more rarely."""
