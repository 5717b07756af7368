"""Python's garbage collector, for a process that keeps much and makes much at a time."""

import gc

_YOUNG = 20_000  # objects made, less those gone, between two collections; Python's own 700 is for small programs


def collect_less() -> None:
    """To be called once what a process keeps for good is there: the collector leaves that alone from now on.

    A batch of settlement, all of which is alive until it ends, is then not searched over and over, which was a quarter
    of its time.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
