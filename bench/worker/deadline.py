"""Ends work that runs past its limit, whatever thread it runs in."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import TimedOut


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `TimedOut` inside the block once `seconds` have passed; None never does.

    The exception is set from a timer's thread and is seen at the next Python
    instruction: a loop ends, a single long call into C ends when it returns.

    Raises:
        TimedOut: the block ran past its limit.
    """
    if seconds is None:
        yield
        return
    thread, over, lock = threading.get_ident(), False, threading.Lock()

    def stop() -> None:
        with lock:
            if not over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(TimedOut)
                )

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except TimedOut:
        raise TimedOut(f"ran past its limit of {seconds:g} s") from None
    finally:
        with lock:
            over = True
        timer.cancel()
