from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from polytask.study.lock import held, hold, told

HOLDER = """
import sys, time
from pathlib import Path
from polytask.study.lock import hold
with hold(Path(sys.argv[1])) as mine:
    mine.tell({"share": 0.5})
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_holds_it_and_tells(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.json"
    assert not held(path)
    with hold(path) as mine:
        assert mine is not None
        mine.tell({"share": 0.25, "what": "step 1234 of 9999"})
        mine.tell({"share": 0.5})
        assert told(path) == {"share": 0.5}
        assert held(path)
        with hold(path) as second:
            assert second is None
        assert held(path), "whoever did not get it must not let it go"
    assert not path.exists()
    assert told(path) == {}


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    assert held(path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert path.exists()
    assert not held(path)
    with hold(path) as mine:
        assert mine is not None
