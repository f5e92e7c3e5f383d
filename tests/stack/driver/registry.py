"""The table of functions that tests can call by name, and the waiting that they share."""
import time


FUNCTIONS = {}


def function(define):
    """Makes a function callable by its name. It takes the connection and keyword arguments, and returns plain JSON."""
    FUNCTIONS[define.__name__] = define
    return define


def poll(what, timeout, test, pause=0.1):
    """Calls `test` until it returns something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took longer than {timeout} s")
        time.sleep(pause)
