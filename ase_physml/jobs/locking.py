"""Files that one process at a time may write."""

import sys
from typing import BinaryIO


def lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed or the process ends, however it ends.

    Returns:
        False if another handle has it. On Windows, which has no such locks, True.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
