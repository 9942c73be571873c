"""Processes of one machine take the same libraries, whatever each one's stopwatch says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from forgefield.storage.user_cache import cache_file
from forgefield.trainers.fitting import processor_products
from forgefield.trainers.fitting.processor_products import use_fastest_products
from forgefield.trainers.fitting.product_choices import agreed, this_kind

RACER = """
import sys
from forgefield.trainers.fitting.product_choices import agreed
shapes = [str(place) for place in range(40)]
print("ready", flush=True)
sys.stdin.readline()
print("".join(str(int(choice)) for choice in agreed(shapes, lambda _: sys.argv[1] == "1").values()))
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_processes_that_time_at_the_same_moment_go_on_with_one_choice() -> None:
    racers = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", RACER, str(place % 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    answers = {racer.communicate("go\n")[0].strip() for racer in racers}
    assert all(racer.returncode == 0 for racer in racers)
    assert answers in ({"0" * 40}, {"1" * 40})
    left = sorted(path.name for path in cache_file("products.json").parent.iterdir())
    assert left == ["products.json", "products.lock"]


def test_only_shapes_that_nobody_has_timed_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[object] = []

    def wins(*forms: object) -> bool:
        timed.append(forms)
        return len(timed) % 2 == 1

    monkeypatch.setattr(processor_products, "_onednn_wins", wins)
    a, b, c = torch.randn(300, 200), torch.randn(200, 100), torch.randn(200, 90)

    def chosen(known: dict[str, bool], *right: torch.Tensor) -> dict[str, bool]:
        traced = make_fx(lambda a, *right: [torch.mm(a, each) for each in right])(a, *right)
        use_fastest_products(traced, known)
        return known

    first = chosen({}, b, b)
    assert len(timed) == 1
    assert list(first.values()) == [True]
    assert list(chosen({}, b, c).values()) == [True, False]
    assert len(timed) == 2
    theirs = dict.fromkeys(first, False)
    assert chosen(theirs, b) == dict.fromkeys(first, False), "a checkpoint's choice stays"


def test_another_number_of_threads_has_choices_of_its_own() -> None:
    assert agreed(["a"], lambda _: True) == {"a": True}
    before = this_kind()
    torch.set_num_threads(2)
    assert this_kind() != before
    assert agreed(["a"], lambda _: False) == {"a": False}
    torch.set_num_threads(1)
    assert agreed(["a", "b"], lambda _: False) == {"a": True, "b": False}
    assert set(json.loads(cache_file("products.json").read_text())["machines"]) > {before}


@pytest.mark.parametrize("body", ["", "{", '{"machines": 3}', "\0"])
def test_a_file_that_is_no_such_file_counts_as_empty(body: str) -> None:
    path = cache_file("products.json")
    path.parent.mkdir(parents=True)
    path.write_text(body)
    assert agreed(["a"], lambda _: True) == {"a": True}
    assert agreed(["a"], lambda _: False) == {"a": True}


def test_where_nothing_can_be_written_a_process_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setitem(os.environ, "XDG_CACHE_HOME", str(tmp_path / "file"))
    assert agreed(["a"], lambda _: True) == {"a": True}
    assert agreed(["a"], lambda _: False) == {"a": False}
