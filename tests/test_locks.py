from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.locks import LockedError, hold_lock, is_lock_held, read_lock_note

HOLDER = """
import os, sys, time
from pathlib import Path
from polytask.locks import hold_lock
with hold_lock(Path(sys.argv[1]), "trains this run") as mine:
    mine.tell({"share": 0.5})
    forked = os.fork() if len(sys.argv) > 2 else 1
    if forked:
        print(forked, flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(path: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lock, and the number of what it forked."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    number = int(process.stdout.readline())
    try:
        yield process, number
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_one_holds_it_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.lock"
    assert not is_lock_held(path)
    with hold_lock(path, "works") as mine:
        mine.tell({"share": 0.25, "what": "step 1234 of 9999"})
        mine.tell({"share": 0.5})
        assert read_lock_note(path)["share"] == 0.5
        assert "what" not in read_lock_note(path)
        assert is_lock_held(path)
        with pytest.raises(LockedError), hold_lock(path, "works too", patience=0):
            pass
        assert is_lock_held(path), "whoever did not get it must not let it go"
    assert list((tmp_path / "a").iterdir()) == []
    assert read_lock_note(path) == {}


def test_the_refusal_names_process_and_host(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holder(path) as (process, _):
        with (
            pytest.raises(LockedError) as refused,
            hold_lock(path, "works", place=Path("runs/a"), patience=0),
        ):
            pass
        said = str(refused.value)
        assert said.startswith(f"runs/a: process {process.pid} on {os.uname().nodename} trains this run; ")
        assert "\n" not in said


def test_a_killed_holder_blocks_nobody_nor_does_what_it_forked(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holder(path, "fork") as (process, forked):
        assert is_lock_held(path)
        process.kill()
        process.wait()
        assert path.exists()
        os.kill(forked, 0)
        assert not is_lock_held(path)
        with hold_lock(path, "works", patience=0):
            assert read_lock_note(path)["pid"] == os.getpid()
        os.kill(forked, 9)


def test_who_waits_is_told_for_whom_and_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    said: list[str] = []
    got = threading.Event()

    def wait() -> None:
        with hold_lock(path, "waits", wait=True, patience=0, say=said.append):
            got.set()

    with holder(path) as (process, _):
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not said:
            assert not got.is_set()
        process.kill()
        waiting.join(30)
    assert got.is_set()
    assert f"process {process.pid} on" in said[0]
    assert len(said) == 1


def test_many_take_turns_though_each_removes_the_file(tmp_path: Path) -> None:
    """A file that its last holder removed is nobody's lock: two holders at once would lose counts."""
    counter = tmp_path / "count"
    counter.write_text("0")

    def add() -> None:
        for _ in range(20):
            with hold_lock(tmp_path / "x.lock", "counts", wait=True):
                number = int(counter.read_text())
                counter.write_text(str(number + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "80"
    assert {p.name for p in tmp_path.iterdir()} == {"count"}


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(PolytaskError, match="cannot write here") as refused,
        hold_lock(tmp_path / "file" / "x.lock", "works"),
    ):
        pass
    assert not isinstance(refused.value, LockedError)
    assert "\n" not in str(refused.value)


def test_a_file_system_without_locks_lets_the_work_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import filelock

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with hold_lock(tmp_path / "x.lock", "works"):
        assert read_lock_note(tmp_path / "x.lock")["doing"] == "works"
    assert list(tmp_path.iterdir()) == []
