"""How the native half lives with the interpreter: threads, signals, forks, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streampark as sp
from conftest import SCRIPT
from streampark import _streampark

# A shell's job in the background ignores SIGINT, and so do the programs that it starts.
AS_IN_A_TERMINAL = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def run(code: str, *, interrupt_at: str | None = None, timeout: float = 30) -> tuple[int, str, str]:
    """Runs a program in a process of its own; sends it a SIGINT once it has printed `interrupt_at`."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", AS_IN_A_TERMINAL + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = ""
    if interrupt_at is not None:
        assert process.stdout is not None
        while interrupt_at not in seen:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            seen += line
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, seen + out, err


def test_other_threads_run_while_a_call_waits(cluster: sp.MemoryCluster) -> None:
    cluster.inject("observe", sp.Fault.hang(0.5))
    count = 0
    done = threading.Event()

    def work() -> None:
        nonlocal count
        while not done.is_set():
            count += 1
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(sp.TimedOutError):
        cluster.observe()
    done.set()
    thread.join()
    assert count > 5, "with the lock of the interpreter held it would be one or two"


def test_a_pool_of_threads_waits_together(cluster: sp.MemoryCluster) -> None:
    cluster.inject("observe", sp.Fault.hang(0.4), times=16)

    def call(_: int) -> bool:
        try:
            cluster.observe()
        except sp.TimedOutError:
            return True
        return False

    begun = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(16)))
    assert time.monotonic() - begun < 3


def test_a_pool_of_threads_makes_jobs(platform: sp.StreamPark, program: sp.Program) -> None:
    def make(number: int) -> str:
        job = platform.jobs.create(f"job-{number:02}", program, cluster="dev")
        job.start()
        return job.wait_for("RUNNING", timeout=20).name

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(make, range(24)))
    assert [status.name for status in platform.jobs.list()] == names


def test_ctrl_c_ends_a_waiting_call_and_shuts_down() -> None:
    code, out, err = run(
        f"""
        import time
        import streampark as sp

        try:
            with sp.StreamPark(clusters={{"dev": sp.MemoryCluster(start_delay=60)}}) as platform:
                job = platform.jobs.create("a", sp.SqlProgram({SCRIPT!r}), cluster="dev")
                job.start()
                print("waiting")
                begun = time.monotonic()
                job.wait_for("RUNNING", timeout=25)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - begun < 5)
            try:
                platform.jobs.create("b", sp.SqlProgram("x"), cluster="dev")
            except sp.StreamParkError as error:
                print("shut down")
        """,
        interrupt_at="waiting",
    )
    assert (code, out.split("\n")) == (0, ["waiting", "interrupted True", "shut down", ""]), err


def test_ctrl_c_ends_an_awaited_call() -> None:
    code, out, err = run(
        """
        import asyncio
        import streampark as sp

        async def main():
            async with sp.AsyncStreamPark(clusters={"dev": sp.MemoryCluster()}) as platform:
                print("waiting")
                try:
                    async for event in platform.events():
                        pass
                finally:
                    print("cleaned up")

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        interrupt_at="waiting",
    )
    assert (code, out.split()) == (0, ["waiting", "cleaned", "up", "interrupted"]), err


def test_a_forked_child_is_told_and_the_parent_goes_on() -> None:
    code, out, err = run(
        """
        import os
        import streampark as sp

        cluster = sp.MemoryCluster()
        cluster.observe()
        child = os.fork()
        if child == 0:
            try:
                cluster.observe()
            except sp.UnsupportedError as error:
                print(error)
                os._exit(7)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status) if hasattr(os, "waitstatus_to_exitcode") else status >> 8)
        print(cluster.observe())
        """
    )
    assert (code, out) == (
        0,
        "python.runtime: streampark was used before this process was forked, and does not work in the child; "
        "start the child with the 'spawn' or 'forkserver' method\n7\n[]\n",
    ), err


def test_a_child_forked_before_the_first_use_works() -> None:
    code, out, err = run(
        """
        import os
        import streampark as sp

        child = os.fork()
        if child:
            os.waitpid(child, 0)
        print(sp.MemoryCluster().observe())
        if not child:
            os._exit(0)
        """
    )
    assert (code, out) == (0, "[]\n[]\n"), err


def test_a_spawned_child_works(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing
            import streampark as sp

            def work(number):
                return len(sp.MemoryCluster().observe()) + number

            if __name__ == "__main__":
                sp.MemoryCluster().observe()
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    print(pool.map(work, [1, 2]))
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "[1, 2]\n"), done.stderr


def test_the_interpreter_ends_with_an_engine_that_was_not_shut_down() -> None:
    begun = time.monotonic()
    code, out, err = run(
        f"""
        import streampark as sp

        def say(message):
            print("told")

        platform = sp.StreamPark(clusters={{"dev": sp.MemoryCluster()}}, channels={{"print": say}})
        job = platform.jobs.create("a", sp.SqlProgram({SCRIPT!r}), cluster="dev", alerts=["print"])
        job.start()
        job.wait_for("RUNNING", timeout=20)
        print("the end")
        """
    )
    assert (code, out, err) == (0, "the end\n", "")
    assert time.monotonic() - begun < 15


# Holds the end of the interpreter up at a moment at which threads that come back to it are ended, for long enough that
# those of `AT_WORK` do.
HELD_UP = """
        import colorsys, sys, time

        class Late:
            def __del__(self, sleep=time.sleep, out=sys.stdout.write):
                out("ending\\n")
                sleep(1)
                out("ended\\n")

        colorsys.late = Late()
"""

AT_WORK = {
    "an answer for asyncio": """
        import asyncio, threading
        import streampark as sp

        class Slow(asyncio.SelectorEventLoop):
            def call_soon_threadsafe(self, *args, **options):
                handle = super().call_soon_threadsafe(*args, **options)
                if threading.current_thread() is not threading.main_thread():
                    time.sleep(0.5)
                return handle

        loop = Slow()
        print(loop.run_until_complete(sp.MemoryCluster().observe_async()))
        loop.close()
    """,
    "a call of the user's code": f"""
        import threading
        import streampark as sp

        begun = threading.Event()

        def make(options):
            begun.set()
            time.sleep(0.5)
            return sp.SqlProgram({SCRIPT!r})

        platform = sp.StreamPark(clusters={{"dev": sp.MemoryCluster()}}, programs={{"mine": make}})
        job = platform.jobs.create("a", sp.CustomProgram("mine"), cluster="dev")
        job.start()
        assert begun.wait(20)
    """,
    "a call of the user's code that calls us": f"""
        import threading
        import streampark as sp

        begun, cluster = threading.Event(), sp.MemoryCluster()
        cluster.inject("observe", sp.Fault.hang(0.5))

        def make(options):
            begun.set()
            try:
                cluster.observe()
            except sp.TimedOutError:
                print("came back")
            return sp.SqlProgram({SCRIPT!r})

        platform = sp.StreamPark(clusters={{"dev": sp.MemoryCluster()}}, programs={{"mine": make}})
        job = platform.jobs.create("a", sp.CustomProgram("mine"), cluster="dev")
        job.start()
        assert begun.wait(20)
    """,
    "daemon threads": """
        import threading
        import streampark as sp

        cluster = sp.MemoryCluster()
        cluster.inject("observe", sp.Fault.hang(0.3), times=1_000)

        def watch():
            while True:
                try:
                    cluster.observe()
                except sp.TimedOutError:
                    pass

        for _ in range(8):
            threading.Thread(target=watch, daemon=True).start()
        time.sleep(0.4)
    """,
}


@pytest.mark.parametrize("code", AT_WORK.values(), ids=AT_WORK.keys())
def test_the_interpreter_ends_while_threads_are_at_work(code: str) -> None:
    status, out, err = run(textwrap.dedent(HELD_UP) + textwrap.dedent(code))
    assert (status, err) == (0, "")
    assert out.endswith("ending\nended\n")
    assert "came back" in out or "came back" not in code


def test_a_call_is_made_once() -> None:
    call = _streampark.Rest('{"urls": ["http://127.0.0.1:1/"], "headers": [], "proxy_from_env": false}').call(
        '{"call": "jobs"}'
    )
    with pytest.raises(sp.UnreachableError):
        call.wait()
    with pytest.raises(sp.InvalidInputError) as caught:
        call.wait()
    assert caught.value.message == "a call can be waited for once; make the call again"


def test_nothing_stays_open(cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    with sp.StreamPark(tmp_path / "jobs.db", clusters={"dev": cluster}):
        pass
    before = files()
    for number in range(5):
        with sp.StreamPark(tmp_path / f"jobs-{number}.db", clusters={"dev": cluster}):
            pass
    assert files() <= before + 1
