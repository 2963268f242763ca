"""A function that does nothing, for `dispatch`."""


def noop() -> None:
    pass
