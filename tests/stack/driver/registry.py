"""The table of functions that tests can call by name, and the waiting that they share."""
import sys
import time

from patience import hung_after

TELL_SECS = 60

FUNCTIONS = {}


def function(define):
    """Makes a function callable by its name. It takes the connection and keyword arguments, and returns plain JSON."""
    FUNCTIONS[define.__name__] = define
    return define


def poll(what, test, pause=0.1):
    """Calls `test` until it returns something true, and returns that. Gives up when only something that hangs takes so long."""
    began = told = time.monotonic()
    while True:
        value = test()
        if value:
            return value
        now = time.monotonic()
        if now - began > hung_after():
            raise TimeoutError(f"It hangs. Waited for {now - began:.0f} s: {what}")
        if now - told > TELL_SECS:
            told = now
            print(f"       still waits for {now - began:.0f} s: {what}", file=sys.stderr, flush=True)
        time.sleep(pause)
