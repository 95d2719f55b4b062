"""The process that reads mutated files: told one a line on standard input, it says what became of it, one line each.

It has limits on its memory and on the processor time of one file; a mutation that breaks them ends it, not the tests.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

MAX_CPU_SECONDS = 4.0
"""Seconds of processor time that one file may need."""
MAX_VERB_CPU_SECONDS = 60.0
"""Seconds of processor time that a whole verb may need; a report draws its pictures anew."""
MAX_MEMORY_GROWTH = 1 << 28
"""Bytes by which one file may raise the peak of the memory in use."""
MAX_ADDRESS_SPACE = 3 << 30
"""Bytes of addresses beyond those that are taken once the readers are loaded."""


class HangError(BaseException):
    """A file took too long. No code that is tested can take it for an error of its own."""


def raise_hang_error(*_: object) -> None:
    raise HangError


def read_peak_memory() -> int:
    """The peak of the memory in use so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def answer_requests() -> None:
    """Answer the requests on standard input, one a line, until it ends."""
    from polytask.errors import PolytaskError

    signal.signal(signal.SIGPROF, raise_hang_error)
    module = import_module("tests.fuzz.readers")
    readers, call_verb = module.READERS, module.call_verb
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["reader"] == "warm":
            import_module("tests.fuzz.readers").load_libraries(asked["path"])
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + MAX_ADDRESS_SPACE, taken + MAX_ADDRESS_SPACE))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            print(json.dumps({"kind": "read"}), file=answers, flush=True)
            continue
        before, began = read_peak_memory(), time.process_time()
        kind, said = "read", ""
        verb = asked["reader"].removeprefix("verb:") if asked["reader"].startswith("verb:") else ""
        signal.setitimer(signal.ITIMER_PROF, MAX_VERB_CPU_SECONDS if verb else MAX_CPU_SECONDS)
        try:
            if verb:
                call_verb(verb, Path(asked["path"]))
            else:
                readers[asked["reader"]](Path(asked["path"]))
        except PolytaskError as error:
            kind, said = "refused", str(error)
        except HangError:
            kind, said = "hang", "longer than allowed"
        except BaseException as error:
            trace, places = error.__traceback__, []
            while trace:
                places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
                trace = trace.tb_next
            kind, said = "foreign", f"{type(error).__name__}: {str(error)[:300]} at {' '.join(places[-6:])}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if kind in ("read", "refused") and read_peak_memory() - before > MAX_MEMORY_GROWTH:
            kind, said = "memory", f"{(read_peak_memory() - before) >> 20} MiB more: {said}"
        if kind == "refused" and ("\n" in said or "does not fit into memory" in said):
            kind = "foreign"
        took = round(time.process_time() - began, 3)
        print(json.dumps({"kind": kind, "said": said, "seconds": took}), file=answers, flush=True)


if __name__ == "__main__":
    answer_requests()
