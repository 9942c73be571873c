"""A campaign stopped by its user or its queue, and a second driver."""

import os
import signal
from pathlib import Path
from urllib.request import urlopen

from small_campaigns import ASK, audit, has_begun, is_buying, platform, start, wait_until

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Tier


def test_ctrl_c_settles_what_is_in_flight_and_a_second_driver_is_refused(tmp_path: Path) -> None:
    """First stopped while it labels, then while it trains; metrics are served meanwhile."""
    folder = RunFolder.at(tmp_path / "run")
    words = ["run", *ASK, "--workdir", "run"]
    driver = start(*words, cwd=tmp_path)
    wait_until(lambda: is_buying(folder, Tier.CCSD))
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=240)
    assert driver.returncode == 130, said
    assert "labels in flight" in said
    audit(folder)
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.balance().reserved_micro == 0
        assert not ledger.failures()
    driver = start(*words, cwd=tmp_path)
    wait_until(lambda: has_begun(folder, "training began"))
    url = next(e["metrics"] for e in reversed(folder.events()) if e["event"] == "ray is up")
    assert b"ray_forgefield_labels" in urlopen(url).read()  # noqa: S310
    os.kill(driver.pid, signal.SIGSTOP)  # a small training would be over before the refusal is
    second = platform(*words, cwd=tmp_path)
    os.kill(driver.pid, signal.SIGINT)
    os.kill(driver.pid, signal.SIGCONT)
    assert second.returncode == 5, second.stderr
    assert f"in use by process {driver.pid}" in " ".join(second.stderr.split())
    _, said = driver.communicate(timeout=240)
    assert driver.returncode == 130, said


def test_a_signal_to_the_whole_job_ends_it_at_once(tmp_path: Path) -> None:
    """As queues send it: Ray gets it too, and then answers nobody."""
    folder = RunFolder.at(tmp_path / "run")
    driver = start("run", *ASK, "--workdir", "run", cwd=tmp_path, start_new_session=True)
    wait_until(lambda: has_begun(folder, "calibration began"))
    os.killpg(driver.pid, signal.SIGTERM)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130, said
    assert "Stopped" in said
    audit(folder)
