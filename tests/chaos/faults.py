"""The faults. Each hits whatever is at work, makes sure that it did hit, notes that, and leaves the mending to the stack."""

from __future__ import annotations

import contextlib
import hashlib
import io
import signal
import socket
import struct
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from PIL import Image
from redis.exceptions import RedisError

from tests.chaos import load
from tests.chaos.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.world import World

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
TAKEN_BACK = "SELECT count(*) FROM chaos.moves WHERE old = 'running' AND new = 'queued'"


def at_work(world: World) -> list[psutil.Process]:
    """Return the ffmpegs that render; where there is none, post a job that will have one for seconds."""
    if found := world.renderers():
        return found
    world.post(load.slow(world.rng))
    return world.wait(world.renderers, "an ffmpeg", 60)


def caught(world: World) -> psutil.Process:
    """Return an ffmpeg that renders and that we hold still: whoever waits for it has a lease, and cannot finish."""
    while True:
        ffmpeg = at_work(world)[0]
        with contextlib.suppress(psutil.NoSuchProcess):
            ffmpeg.suspend()
            if ffmpeg.status() == psutil.STATUS_STOPPED:
                return ffmpeg


@contextlib.contextmanager
def taken_back(world: World, name: str) -> Iterator[None]:
    """Do something that loses work in the block, and see that it was taken back: that it was claimed twice follows."""
    before, at = world.value(TAKEN_BACK), world.now()
    yield
    world.hit(name, "work was taken back", at)
    world.wait(lambda: world.value(TAKEN_BACK) > before, f"{name} to lose somebody's work", 30)


def _kill(victims: list[psutil.Process], number: signal.Signals = signal.SIGKILL) -> None:
    for one in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def picture() -> bytes:
    """Return a small picture, to which any bytes may be added."""
    target = io.BytesIO()
    Image.linear_gradient("L").resize((64, 36)).save(target, "PNG")
    return target.getvalue()


def _all_gone(gone: list[psutil.Process], seconds: float = 3) -> None:
    _, alive = psutil.wait_procs(gone, timeout=seconds)
    assert not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def worker_killed(world: World) -> None:
    """F1: the render worker and its pool die while they render; their ffmpegs go with them."""
    ffmpeg = caught(world)
    victims = [one for one in world.whole("worker-renders") if one != ffmpeg]
    with taken_back(world, "F1 worker killed"):
        _kill(victims)
        _all_gone([ffmpeg])


def pool_child_killed(world: World) -> None:
    """F2: the process that waits for an ffmpeg dies, and the ffmpeg with it."""
    ffmpeg = caught(world)
    parent = ffmpeg.parent()
    assert parent is not None
    with taken_back(world, "F2 pool child killed"):
        parent.kill()
        _all_gone([ffmpeg])


def api_killed_before_publishing(world: World) -> None:
    """F3: the API dies between its commit and the message. Redis takes no writes meanwhile, and drops what dead clients asked."""
    with world.redis() as broker:
        broker.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            tasks = [world.post(load.script(world.rng), hook=True) for _ in range(3)]
            with contextlib.suppress(AssertionError):
                world.wait(lambda: world.state(tasks[0]).published_at, "the publisher to begin", 2)
            gone = world.whole("api")
            _kill(gone)
            _all_gone(gone, 10)
            assert {world.state(one).state for one in tasks} == {"queued"}
        finally:
            broker.execute_command("CLIENT", "UNPAUSE")
    world.hit("F3 API killed before publishing", f"{len(tasks)} committed jobs, no message")


def api_killed_in_an_upload(world: World) -> None:
    """F4: the API dies while a file comes in."""
    incoming = world.stack.folder / "storage" / "incoming"
    assets = world.value("SELECT count(*) FROM assets")
    with _sending(world, "POST /v1/assets", {}, 9_000_000, PNG + b"\0" * 1_000_000):
        world.wait(
            lambda: [path for path in incoming.iterdir() if path.stat().st_size > 0], "a part of a file"
        )
    world.hit("F4 API killed in an upload", "the connection broke")
    assert world.value("SELECT count(*) FROM assets") == assets


def api_killed_in_a_piece(world: World) -> None:
    """F4: the API dies while a piece of an upload comes in. It goes on from what was on the disk, and no more."""
    data = picture() + world.rng.randbytes(20_000_000)
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    made = world.call(
        "POST", "/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}
    )
    path = made.headers["Location"]
    counted = "SELECT received FROM uploads WHERE id = :id"
    upload_id = path.rpartition("/")[2]
    piece = {**tus, "Upload-Offset": "0"}
    with _sending(world, f"PATCH {path}", piece, len(data), data[:-1_000_000]):
        before = world.wait(lambda: world.value(counted, id=upload_id), "something of it to count")

    def offset() -> int | None:
        with contextlib.suppress(httpx.TransportError):
            return int(world.call("HEAD", path, headers=tus).headers.get("Upload-Offset", 0)) or None
        return None

    after = world.wait(offset, "the API to tell how far it is", 60)
    world.hit("F4 API killed in a piece", f"the connection broke; {after} bytes count")
    assert before <= after < len(data)
    assert world.value(counted, id=upload_id) == after
    piece["Upload-Offset"] = str(after)
    last = world.call("PATCH", path, headers=piece, content=data[after:])
    asset = world.call("GET", last.headers["Location"]).json()
    assert asset["sha256"] == hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _sending(world: World, request: str, headers: dict[str, str], length: int, data: bytes) -> Iterator[None]:
    """Send the beginning of a body, and kill the API at the block's end."""
    address = urlsplit(world.stack.facts["api"])
    named = {
        "Host": "x",
        "Authorization": f"Bearer {world.stack.facts['api_key']}",
        "Content-Length": str(length),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in {**named, **headers}.items())
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"{request} HTTP/1.1\r\n{head}\r\n".encode() + data)
        yield
        _kill(world.whole("api"))
        client.settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert client.recv(100) == b""


def redis_flushed(world: World) -> None:
    """F5: everything in Redis is gone at once, and that is noticed by the epoch's key."""
    noticed = len(world.logged("broker_messages_lost"))
    with world.redis() as broker:
        world.wait(lambda: broker.exists("scenemill:epoch"), "an epoch")
        broker.flushall()
    world.hit("F5 Redis flushed", "the epoch was lost")
    world.wait(lambda: len(world.logged("broker_messages_lost")) > noticed, "the loss to be noticed")


def redis_back_empty(world: World, seconds: float = 5) -> None:
    """F6: Redis dies, is away for a time, and comes back with nothing."""
    folder = world.stack.folder / "redis"
    hidden = folder.with_name("redis.conf.hidden")
    (folder / "redis.conf").rename(hidden)
    before = world.service("redis")
    before.kill()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        world.post(load.script(world.rng), hook=True)  # accepted all the same
        time.sleep(0.3)
    for path in (folder / "appendonlydir").glob("*"):
        path.unlink()
    hidden.rename(folder / "redis.conf")
    world.wait(_answers(world), "Redis", 40)
    world.hit("F6 Redis back empty", f"it was {before.pid}, and is another")
    assert not before.is_running()


def _answers(world: World) -> Callable[[], bool]:
    def ping() -> bool:
        with world.redis() as broker:
            return bool(broker.ping())

    return ping


def redis_stopped(world: World, seconds: float = 5) -> None:
    """F7: Redis keeps its connections and says nothing."""
    with world.stopped("redis"):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            world.post(load.mixed(world.rng), hook=True)
            time.sleep(0.2)
        with world.redis() as broker:
            broker.connection_pool.connection_kwargs["socket_timeout"] = 0.3
            with contextlib.suppress(RedisError):
                assert not broker.ping(), "Redis answered"
    world.hit("F7 Redis stopped", f"silent for {seconds} s")


def redis_half_open(world: World) -> None:
    """F7: a worker's connections to Redis lead nowhere: what Redis sends into them is lost."""
    port = urlsplit(world.stack.facts["broker_url"]).port
    assert port is not None
    url = world.stack.facts["broker_url"]
    with Proxy(port) as proxy, world.stopped("worker-renders", "worker-scripts"):
        through = url.replace(str(port), str(proxy.port))
        with world.worker("renders,scripts", SCENEMILL_BROKER_URL=through):
            assert any(_swallowed(world, proxy) for _ in range(5))
    world.hit("F7 half-open connection", f"{len(proxy.swallowed)} blocks swallowed")


def _swallowed(world: World, proxy: Proxy) -> bool:
    """Tell whether a message was lost: a worker asks for the next one once a second, and may be about to ask."""
    world.end(world.post(load.script(world.rng)))  # it is there and works
    with world.redis() as broker:  # it waits for the next one, as the worker for control does
        world.wait(lambda: int(broker.info("clients")["blocked_clients"]) > 1, "a worker to wait")
    proxy.swallow.set()
    for _ in range(4):
        world.post(load.script(world.rng), hook=True)
    with contextlib.suppress(AssertionError):
        world.wait(lambda: any(b"jobs.script" in one for one in proxy.swallowed), "a swallowed message", 3)
    proxy.swallow.clear()
    return any(b"jobs.script" in one for one in proxy.swallowed)


def postgres_restarted(world: World) -> None:
    """F8: Postgres ends at once, as in a crash, and recovers."""
    before = world.service("postgres")
    before.send_signal(signal.SIGQUIT)
    before.wait(10)
    world.wait(world.now, "Postgres", 40)
    world.hit("F8 Postgres restarted", f"it was {before.pid}")


def postgres_stopped(world: World, seconds: float = 4) -> None:
    """F8: Postgres stands still."""
    url = urlsplit(world.stack.facts["database_url"])
    with world.stopped("postgres"), socket.create_connection((url.hostname, url.port), seconds) as client:
        client.sendall(struct.pack("!ii", 8, 80877103))  # whether it speaks TLS, which it answers at once
        with pytest.raises(TimeoutError):
            client.recv(1)
    world.hit("F8 Postgres stopped", f"silent for {seconds} s")


def backends_terminated(world: World) -> None:
    """F8: Postgres ends every connection of ours, whatever it does."""
    at_work(world)
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'scenemill' AND pid <> pg_backend_pid()"
    )
    ended = sum(world.value(query) for _ in range(3))
    assert ended > 0
    world.hit("F8 backends terminated", f"{ended} of them")


def commit_answers_lost(world: World) -> None:
    """F8: the COMMIT that ends a job goes through, and its answer is lost."""
    port = urlsplit(world.stack.facts["database_url"]).port
    assert port is not None

    def rule() -> Callable[[bytes], bool]:
        ends = False

        def lose(data: bytes) -> bool:
            nonlocal ends
            ends = ends or b"EXECUTE end_job_succeeded" in data
            return ends and b"COMMIT" in data

        return lose

    url = world.stack.facts["database_url"]
    with Proxy(port, rule) as proxy, world.stopped("worker-renders", "worker-scripts"):
        through = url.replace(f":{port}/", f":{proxy.port}/")
        with world.worker("renders,scripts", SCENEMILL_DATABASE_URL=through):
            tasks = [world.post(make(world.rng), hook=True) for make in (load.script, load.video)]
            for task_id in tasks:
                world.end(task_id)
        assert proxy.cut >= len(tasks)
        assert {world.state(task_id).attempt for task_id in tasks} == {1}
    world.hit("F8 answers to COMMIT lost", f"{proxy.cut} of them")


def ffmpeg_fails(world: World, how: str) -> None:
    """F11, F12: an ffmpeg ends as `how` says. It is not believed, and its job still ends."""
    taken = world.wrapper.taken()
    world.wrapper.next(how)
    world.post(load.video(world.rng), hook=True)
    world.wait(lambda: world.wrapper.taken() > taken, f"an ffmpeg that takes {how}", 60)
    world.hit(f"F12 ffmpeg {how}", "it was taken")


def worker_stopped_past_its_lease(world: World) -> None:
    """F13: a worker stands still until another has its work, and goes on then as if nothing had been."""
    before = world.value(TAKEN_BACK)
    at_work(world)
    with world.stopped("worker-renders"):
        world.wait(lambda: world.value(TAKEN_BACK) > before, "a lease to run out", 40)
    world.hit("F13 worker stopped past its lease", "its work was taken back")


def messages_doubled(world: World, task_id: str) -> None:
    """F17: a message comes fifty times, and others name what does not exist."""
    unclaimed = len(world.logged("job_not_claimed"))
    world.send("jobs.video", task_id, times=50)
    world.send("jobs.script", str(uuid.uuid4()), times=3)
    world.send("videos.assemble", task_id, times=5)
    world.send("segments.render", str(uuid.uuid4()))
    world.hit("F17 messages doubled", "59 that nobody needs")
    world.wait(lambda: len(world.logged("job_not_claimed")) >= unclaimed + 55, "them to be dropped", 60)


def sweeper_killed(world: World) -> None:
    """F21: the worker that sweeps dies."""
    before = world.service("worker-control").pid
    _kill(world.whole("worker-control"))
    world.wait(lambda: world.service("worker-control").pid != before, "another sweeper")
    world.hit("F21 sweeper killed", f"it was {before}")


def worker_told_to_end(world: World, times: int = 1) -> None:
    """F20: TERM; a second one; KILL. What it held goes on elsewhere."""
    at_work(world)
    worker = world.service("worker-renders")
    family = world.whole("worker-renders")
    for _ in range(min(times, 2)):
        _kill([worker], signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired):
            worker.wait(0.5)
    if times > 2:
        _kill(family)
    _all_gone(family, 20)
    world.hit(f"F20 worker told to end {times} times", "it has ended")


FAILING = ("segv", "exit1", "nothing", "short")  # ffmpegs whose jobs fail
# These lose work at one known moment, with everything else up.
LOSING = (worker_killed, pool_child_killed)
RANDOM: tuple[Callable[[World], None], ...] = (
    *LOSING,
    api_killed_before_publishing,
    api_killed_in_an_upload,
    api_killed_in_a_piece,
    redis_flushed,
    redis_back_empty,
    redis_stopped,
    postgres_restarted,
    postgres_stopped,
    backends_terminated,
    worker_stopped_past_its_lease,
    sweeper_killed,
    worker_told_to_end,
    lambda world: worker_told_to_end(world, 2),
    lambda world: worker_told_to_end(world, 3),
    lambda world: messages_doubled(world, next(iter(world.promised.accepted))),
    *(lambda world, how=how: ffmpeg_fails(world, how) for how in (*FAILING, "hold", "stop")),
)
