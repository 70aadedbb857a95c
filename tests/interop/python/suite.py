"""Named cases: how they are declared, run and cleaned up."""

import contextlib
import os
import sys
import time
import traceback

import modal

CASES = []


def case(function):
    """Declares a case; its name is the function's."""
    CASES.append(function)
    return function


class Context:
    """What every case works with: one app, the two images, and sandboxes that end with the case."""

    def __init__(self):
        self.v2 = os.environ["MODAL_SANDBOX_V2"] == "1"
        self.app_name = "interop-python"
        self.app = modal.App.lookup(self.app_name, create_if_missing=True)
        self.host = modal.Image.from_registry("host")
        self.archive = modal.Image.from_registry(os.environ["INTEROP_ARCHIVE_IMAGE"])
        self._opened = contextlib.ExitStack()

    def sandbox(self, *args, image=None, **options):
        """Creates a sandbox that is terminated when the case ends."""
        made = modal.Sandbox.create(*args, app=self.app, image=image or self.host, **options)
        self._opened.callback(made.terminate)
        return made

    def close(self):
        """Ends the case's sandboxes."""
        self._opened.close()


def equal(found, wanted, what=""):
    """Fails with both values when they differ."""
    if found != wanted:
        raise AssertionError(f"{what} is {short(found)}, wanted {short(wanted)}")


def short(value):
    """A value's text, cut to what fits on a line."""
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}… ({len(text)} characters)"


@contextlib.contextmanager
def raises(kind):
    """Fails unless the block raises this class (or one of these, or one below); gives the error to look at."""
    seen = []
    try:
        yield seen
    except kind as error:
        seen.append(error)
        return
    except Exception as error:
        raise AssertionError(f"raised {type(error).__name__} ({error}), wanted {kind}") from error
    raise AssertionError(f"raised nothing, wanted {kind}")


def run(sandbox, *args, **options):
    """Runs a command to its end: exit code, standard output, standard error."""
    process = sandbox.exec(*args, **options)
    out, err = process.stdout.read(), process.stderr.read()
    return process.wait(), out, err


def main():
    """Runs the cases that the arguments name, or all of them."""
    wanted = sys.argv[1:]
    failed = 0
    for function in CASES:
        if wanted and function.__name__ not in wanted:
            continue
        start = time.monotonic()
        context = Context()
        try:
            try:
                function(context)
            finally:
                context.close()
        except Exception as error:
            failed += 1
            print(f"FAILED {function.__name__}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
            continue
        print(f"ok {function.__name__} ({time.monotonic() - start:.2f} s)", flush=True)
    sys.exit(1 if failed else 0)
