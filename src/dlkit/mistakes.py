"""What the user got wrong, told from what failed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def answered() -> Iterator[None]:
    """Ends the program with exit code 2 and one line where the user asked for what cannot be, 130 after Ctrl-C.

    What fails otherwise keeps its traceback. Warnings are one line, too.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *where, **more: print(f"warning: {message}", file=sys.stderr)
            yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # `dlkit … | head`
        sys.stderr.close()
        raise SystemExit(1) from None
    except Exception as error:
        found = cause(error)
        if not is_mistake(found):
            raise
        print(found, file=sys.stderr)
        raise SystemExit(2) from None


def cause(error: BaseException) -> BaseException:
    """What was raised first: Hydra wraps what a nested `_target_` raises."""
    return cause(error.__cause__) if error.__cause__ and type(error).__module__.startswith("hydra") else error


def is_mistake(error: BaseException) -> bool:
    """Whether the user asked for what cannot be: a ValueError that dlkit's own code raised."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    name = step.tb_frame.f_globals.get("__name__", "") if step else ""
    return isinstance(error, ValueError) and name.partition(".")[0] == "dlkit"
