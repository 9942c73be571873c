"""A real PostgreSQL server for tests: a temporary cluster, passwords on, durable, killable.

`with running_server() as server:` starts one from the binaries that are installed (as the user
`postgres` or `nobody` where the tests run as root, since the server refuses root) and removes all
of it in the end. `why_not()` says what is missing where there is none.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

OWNER = "forgefield"
PATIENCE_S = 120.0
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "40",
    # Recovery would otherwise sync thousands of files one by one: a minute on a busy disk.
    "recovery_init_sync_method": "syncfs",
}


@dataclass
class PostgresServer:
    """A server on loopback and on a socket in its folder; `password` is its owner's."""

    folder: Path
    binaries: Path
    port: int
    password: str
    user: str | None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        """Start it and wait until it answers; safe after `kill`."""
        end = time.monotonic() + PATIENCE_S
        while not self._started_once():
            if time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL doesn't start: {self.log()}")
            time.sleep(0.2)  # processes of a killed one may still hold its shared memory

    def kill(self) -> None:
        """SIGKILL the postmaster; its children die of it, and nothing is tidied up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop in order, connections cut."""
        self._end(signal.SIGINT)

    def restart(self) -> None:
        """Kill and start again, through crash recovery."""
        self.kill()
        self.start()

    def new_database(self) -> str:
        """URL, password included, of an empty database of its own."""
        name = f"test_{secrets.token_hex(6)}"
        self._ask(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, database: str, *, password: bool = True) -> str:
        """URL of a database, over loopback."""
        secret = f":{self.password}" if password else ""
        return f"postgresql://{OWNER}{secret}@127.0.0.1:{self.port}/{database}"

    def log(self) -> str:
        """The last the server said."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def _started_once(self) -> bool:
        settings = SETTINGS | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server's own program
                [self.binaries / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
                start_new_session=True,
            )
        return self._answers()

    def _answers(self) -> bool:
        end = time.monotonic() + PATIENCE_S
        while self._process and self._process.poll() is None and time.monotonic() < end:
            if self._ask("SELECT 1", check=False):
                return True
            time.sleep(0.05)
        return False

    def _ask(self, sql: str, *, check: bool = True) -> bool:
        done = subprocess.run(  # noqa: S603 - the server's own program
            [self.binaries / "psql", "-XqAt", "-d", self.url("postgres"), "-c", sql],
            capture_output=True,
            check=check,
        )
        return done.returncode == 0

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_S)
            self._process = None


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A new server, gone in the end; raises `RuntimeError` where none is installed."""
    binaries, user = _binaries(), _server_user()
    if binaries is None or why_not():
        raise RuntimeError(why_not())
    folder = Path(tempfile.mkdtemp(prefix="forgefield-pg-"))
    server = PostgresServer(folder, binaries, _free_port(), secrets.token_hex(12), user)
    try:
        _initialize(server)
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def why_not() -> str:
    """Why no server can run here, or nothing where one can."""
    if _binaries() is None:
        return "no PostgreSQL server is installed here (Debian, Ubuntu: apt install postgresql)"
    if os.geteuid() == 0 and _server_user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    return ""


def _initialize(server: PostgresServer) -> None:
    secret = server.folder / "secret"
    secret.write_text(server.password)
    if server.user is not None:
        for path in (server.folder, secret):
            shutil.chown(path, server.user)
    subprocess.run(  # noqa: S603 - the server's own program
        [
            *(server.binaries / "initdb", "-D", server.folder / "data", "--no-sync"),
            *(f"--username={OWNER}", f"--pwfile={secret}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C"),
        ],
        user=server.user,
        cwd=server.folder,
        check=True,
        capture_output=True,
    )


def _binaries() -> Path | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    program = shutil.which("pg_config")
    if program:
        said = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=True)  # noqa: S603
        places.append(Path(said.stdout.strip()))
    found = [p for p in places if all((p / n).exists() for n in ("initdb", "postgres", "psql"))]
    return found[-1] if found else None


def _server_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
