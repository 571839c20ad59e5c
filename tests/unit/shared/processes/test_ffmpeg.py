from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
import zlib
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from shared.errors import RenderFailed, RenderKilled, RenderStalled, RenderTimeout, StorageFull
from shared.processes import ffmpeg
from shared.processes.ffmpeg import Limits, Stopped, command, run

QUICK = Limits(wall=20, stall=20)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(pid: int, *, within: float = 3.0) -> bool:
    """A killed process whose parent is not ours may be a zombie until its parent reaps it."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def pid_in(path: Path) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.01)
    raise AssertionError("the program did not start")


LEAVE_PID = "import os,time,pathlib; pathlib.Path('pid').write_text(str(os.getpid()));"


def test_ffmpeg_reports_its_progress_up_to_the_last_frame(tmp_path):
    seen: list[ffmpeg.Progress] = []

    argv = command("-f", "lavfi", "-i", "testsrc=s=64x36:r=25:d=2", "-f", "null", "-")
    completed = run(argv, cwd=tmp_path, limits=QUICK, on_progress=seen.append)

    assert completed.returncode == 0
    assert seen[-1] == ffmpeg.Progress(frame=50, seconds=2.0)
    assert [one.frame for one in seen] == sorted(one.frame for one in seen)
    assert completed.cpu_seconds > 0


def test_chunks_reach_the_program_whole_and_its_answer_comes_back(tmp_path):
    chunk = memoryview(bytes(range(256)) * 4096)

    completed = run(
        python("import sys,zlib; d=sys.stdin.buffer.read(); print(len(d), zlib.crc32(d))"),
        cwd=tmp_path, limits=QUICK, stdin=iter([chunk] * 8),
    )  # fmt: skip

    assert completed.stdout.split() == [b"8388608", str(zlib.crc32(bytes(chunk) * 8)).encode()]


def test_a_program_that_reads_only_part_of_its_input_may_succeed(tmp_path):
    completed = run(
        python("import sys; sys.stdin.buffer.read(10)"), cwd=tmp_path, limits=QUICK,
        stdin=(b"x" * 100_000 for _ in range(100)),
    )  # fmt: skip

    assert completed.returncode == 0


def test_an_error_does_not_repeat_the_program_s_stderr(tmp_path, caplog):
    with pytest.raises(RenderFailed) as failure:
        run(command("-i", "file:/secret/place.mp4", "-f", "null", "-"), cwd=tmp_path, limits=QUICK)

    assert "secret" not in str(failure.value.problem())
    assert "/secret/place.mp4" in caplog.records[-1].stderr


@pytest.mark.parametrize("ended", [0, 1])
def test_a_full_disk_is_retryable_whatever_the_exit_code(tmp_path, ended):
    code = f"import sys; print('out: No space left on device', file=sys.stderr); sys.exit({ended})"

    with pytest.raises(StorageFull):
        run(python(code), cwd=tmp_path, limits=QUICK)


def test_a_segmentation_fault_is_a_failure(tmp_path):
    with pytest.raises(RenderFailed):
        run(python("import os,signal; os.kill(os.getpid(), signal.SIGSEGV)"), cwd=tmp_path, limits=QUICK)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_program_killed_from_outside_is_retryable(tmp_path, name):
    with pytest.raises(RenderKilled) as caught:
        run(python(f"import os,signal; os.kill(os.getpid(), signal.{name})"), cwd=tmp_path, limits=QUICK)

    assert caught.value.retryable
    assert caught.value.problem()["code"] == "render-failed"


def test_with_check_false_the_exit_code_is_returned(tmp_path):
    completed = run(python("print('no'); raise SystemExit(3)"), cwd=tmp_path, limits=QUICK, check=False)

    assert (completed.returncode, completed.stdout) == (3, b"no\n")


def test_the_environment_is_empty_but_for_what_is_given(tmp_path):
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"

    completed = run(python(code), cwd=tmp_path, limits=QUICK, env={"FONTCONFIG_FILE": "/x"})

    assert completed.stdout == b"['FONTCONFIG_FILE']\n"


@pytest.mark.slow
def test_endless_stderr_is_drained_in_bounded_memory_and_is_no_progress(tmp_path):
    before = psutil.Process().memory_info().rss
    code = "import os\nwhile True: os.write(2, b'complaint ' * 6553)"

    with pytest.raises(RenderStalled):
        run(python(code), cwd=tmp_path, limits=Limits(wall=20, stall=1.0))

    assert psutil.Process().memory_info().rss - before < 32 << 20


@pytest.mark.slow
def test_a_gigabyte_of_stderr_does_not_block_a_program(tmp_path):
    code = "import os\nfor _ in range(16384): os.write(2, b'complaints' * 6554)"

    completed = run(python(code), cwd=tmp_path, limits=Limits(wall=30, stall=30))

    assert 0 < len(completed.stderr) <= 64 << 10


@pytest.mark.slow
def test_a_program_over_its_wall_time_is_killed(tmp_path):
    argv = command("-re", "-f", "lavfi", "-i", "testsrc=s=64x36:r=25", "-f", "null", "-")

    with pytest.raises(RenderTimeout):
        run(argv, cwd=tmp_path, limits=Limits(wall=0.7, stall=20))


@pytest.mark.slow
def test_a_stalled_ffmpeg_is_killed(tmp_path):
    pids: list[int] = []

    def freeze(_: ffmpeg.Progress) -> None:
        if not pids:
            (child,) = (one for one in psutil.Process().children() if "ffmpeg" in one.name())
            pids.append(child.pid)
            child.send_signal(signal.SIGSTOP)

    argv = command("-re", "-f", "lavfi", "-i", "testsrc=s=64x36:r=25", "-f", "null", "-")
    with pytest.raises(RenderStalled):
        run(argv, cwd=tmp_path, limits=Limits(wall=20, stall=0.8), on_progress=freeze)

    assert gone(pids[0])


def test_a_grandchild_that_holds_a_pipe_open_does_not_block_the_run(tmp_path):
    code = (
        "import subprocess,sys,pathlib;"
        "p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']);"
        "pathlib.Path('pid').write_text(str(p.pid))"
    )
    started = time.monotonic()

    completed = run(python(code), cwd=tmp_path, limits=QUICK)

    assert completed.returncode == 0
    assert time.monotonic() - started < 5
    assert gone(pid_in(tmp_path / "pid"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "leaving",
    [
        pytest.param("os.setsid()", id="a session of its own"),
        pytest.param("os.setsid(); os.fork() and os._exit(0); os.setsid()", id="a daemon"),
    ],
)
def test_a_program_leaves_no_process_behind(tmp_path, leaving):
    orphan = (
        f"import os,time,pathlib; {leaving}; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        f"import subprocess,sys,pathlib,time; subprocess.Popen([sys.executable,'-c',{orphan!r}]);"
        "[time.sleep(.01) for _ in range(500) if not pathlib.Path('pid').exists()]"
    )
    worker = (
        "import sys,pathlib; from shared.processes import ffmpeg, orphans; orphans.become_subreaper();"
        f"ffmpeg.run([sys.executable,'-c',{parent!r}], cwd=pathlib.Path({str(tmp_path)!r}), limits=ffmpeg.Limits(wall=20))"
    )
    subprocess.run(python(worker), check=True, timeout=30, cwd=Path(__file__).parents[3])

    assert gone(pid_in(tmp_path / "pid"))


def test_a_stop_ends_the_program_at_once(tmp_path):
    asked: list[float] = []

    def stop() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 3

    with pytest.raises(Stopped):
        run(python(LEAVE_PID + "time.sleep(60)"), cwd=tmp_path, limits=QUICK, stop=stop)

    assert max(b - a for a, b in pairwise(asked)) < 0.2
    assert gone(pid_in(tmp_path / "pid"))


def test_an_error_in_the_input_iterator_ends_the_program(tmp_path):
    def frames():
        yield b"x"
        pid_in(tmp_path / "pid")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        run(python(LEAVE_PID + "time.sleep(60)"), cwd=tmp_path, limits=QUICK, stdin=frames())

    assert gone(pid_in(tmp_path / "pid"))


def test_the_program_dies_with_a_worker_that_was_killed(tmp_path):
    code = (
        "from pathlib import Path; import sys; from shared.processes.ffmpeg import run;"
        f"run([sys.executable, '-c', {LEAVE_PID + 'time.sleep(60)'!r}], cwd=Path({str(tmp_path)!r}))"
    )
    root = Path(ffmpeg.__file__).parents[2]
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=root, env={"PYTHONPATH": str(root)})
    pid = pid_in(tmp_path / "pid")

    worker.kill()
    worker.wait()

    assert gone(pid)


@pytest.mark.slow
def test_the_program_survives_the_end_of_other_threads(tmp_path):
    ended: list[int] = []
    thread = threading.Thread(
        target=lambda: ended.append(run(python("import time; time.sleep(0.5)"), cwd=tmp_path).returncode)
    )
    threading.Thread(target=lambda: None).start()

    thread.start()
    thread.join()

    assert ended == [0]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        pytest.param(Limits(memory=512 << 20), "b = bytearray(1 << 30)", id="memory"),
        pytest.param(Limits(file=1 << 20), "open('big', 'wb').write(bytes(2 << 20))", id="file"),
    ],
)
def test_a_program_over_its_limits_fails(tmp_path, limits, code):
    with pytest.raises(RenderFailed):
        run(python(code), cwd=tmp_path, limits=limits)


@pytest.mark.slow
def test_a_program_over_its_cpu_time_raises_a_timeout(tmp_path):
    with pytest.raises(RenderTimeout):
        run(python("while True: 1"), cwd=tmp_path, limits=Limits(cpu=1, wall=20, nice=0))


def test_no_file_descriptor_is_left_behind(tmp_path):
    run(python("1"), cwd=tmp_path)
    gc.collect()  # other tests' leftovers would be closed in between
    before = list(Path("/proc/self/fd").iterdir())

    for _ in range(5):
        run(python("1"), cwd=tmp_path, stdin=iter([b"x"]))

    assert len(list(Path("/proc/self/fd").iterdir())) <= len(before)


def test_a_configured_ffmpeg_is_used_instead_of_the_bundled_one():
    assert ffmpeg.ffmpeg_path("/opt/ffmpeg") == "/opt/ffmpeg"
    assert Path(ffmpeg.ffmpeg_path()).is_file()
