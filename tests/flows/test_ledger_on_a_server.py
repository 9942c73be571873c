"""A campaign whose books lie in PostgreSQL, while the server is killed under it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from postgres import PostgresServer

from forgefield.platform.run_folder import RunFolder

PROGRAM = str(Path(sys.executable).with_name("platform"))
RECIPE = str(Path(__file__).with_name("small.toml"))
ASK = ["--molecule", "formaldehyde", "--budget", "200ccsd", "--recipe", RECIPE]
PATIENCE_S = 540


def platform(folder: Path, *words: str, password: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [PROGRAM, *words],
        cwd=folder,
        env=os.environ | {"PGPASSWORD": password},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def kill_while_it_buys(server: PostgresServer, folder: RunFolder) -> None:
    """Restart the server, without mercy, once labels are being bought."""
    end = time.monotonic() + PATIENCE_S
    while not any(event["event"] == "labelling began" for event in folder.events()):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)
    server.restart()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_campaign_with_its_books_on_a_server_that_is_killed(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    password = postgres_server.password
    url = postgres_server.new_database()
    words = ["plan", *ASK, "--workdir", "run", "--ledger", url, "--json"]
    planned = platform(tmp_path, *words)
    assert planned.returncode == 0, planned.stderr
    folder = RunFolder.existing(tmp_path / "run")
    assert password not in folder.ledger_elsewhere.read_text()
    with subprocess.Popen(  # noqa: S603
        [PROGRAM, "run", "run", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PGPASSWORD": password},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as campaign:
        kill_while_it_buys(postgres_server, folder)
        out, said = campaign.communicate(timeout=PATIENCE_S)
    assert campaign.returncode == 0, said
    assert json.loads(out)["spent"] > 0
    books = platform(tmp_path, "ledger", "run", "--verify", "--json", password=password)
    assert books.returncode == 0, books.stdout + books.stderr
    assert json.loads(books.stdout)["reserved"]["core_seconds"] == 0
    again = platform(tmp_path, "run", "run", "--json", password=password)
    assert json.loads(again.stdout)["spent"] == json.loads(out)["spent"]
    refused = platform(tmp_path, "status", "run")
    assert refused.returncode == 6
    assert "PGPASSWORD" in refused.stderr
    assert not folder.ledger.exists()
