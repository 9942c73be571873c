"""The direction in which rooms may know each other, read from the code's own imports."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

MAY_IMPORT = {
    "storage": {"storage"},
    "labelers": {"labelers", "storage"},
    "trainers": {"trainers", "storage"},
    "platform": {"platform", "labelers", "trainers", "storage"},
}

RAY_FILES = {
    "trainers/ray_train.py",
    "platform/cluster.py",
    "platform/buying/ray_crew.py",
    "platform/labelling_files/crew.py",
    "platform/buying/ledger_service.py",
    "platform/metrics.py",
    "platform/buying/slots.py",
    "platform/buying/workers.py",
}

FOREIGN_LIBRARIES = {
    "storage": {"ase", "openmm", "pyscf", "ray", "rdkit", "tblite", "torch", "torch_geometric"},
    # but for FORMATS_IN_STORAGE
    "labelers": {"ray", "torch", "torch_geometric"},  # but for TORCH_IN_LABELERS
    "trainers": {"openmm", "pyscf", "rdkit", "tblite"},
    "platform": {"openmm", "pyscf", "rdkit", "tblite"},
}

TORCH_IN_LABELERS = ("labelers/coupled_cluster/", "labelers/threads.py")
"""The coupled-cluster engine is tensors, on a processor or a GPU."""

FORMATS_IN_STORAGE = ("storage/formats/", "storage/datasets/")
FORMAT_LIBRARIES = {"ase", "torch", "torch_geometric"}
"""Where frames leave for other programs, or become tensors, their libraries are known."""

FRAMEWORK_FILES = {
    "storage/datasets/ase_data.py",
    "storage/datasets/pyg_data.py",
    "storage/datasets/torch_data.py",
}
"""Datasets that are classes of their library, and so can't be imported without it."""

Rooms = list[tuple[str, Path]]


def imported_names(source: str, package: str) -> Iterator[str]:
    """Dotted names that `source`, a module of `package`, imports anywhere in its body.

    `from a import b` gives `a` and `a.b`, relative imports are resolved, and so are the string
    arguments of `import_module` and `__import__`.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node.func):
            constants = (a.value for a in node.args if isinstance(a, ast.Constant))
            yield from (value for value in constants if isinstance(value, str))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _is_import_call(function: ast.expr) -> bool:
    name = getattr(function, "attr", getattr(function, "id", ""))
    return name in {"import_module", "__import__"}


def modules(room_folders: Rooms) -> Iterator[tuple[str, str, set[str]]]:
    """(room, file as `room/name.py`, imported names) of every source file of every room."""
    for room, folder in room_folders:
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder)
            package = ".".join(["forgefield", room, *name.parts[:-1]])
            names = set(imported_names(path.read_text(encoding="utf-8"), package))
            yield room, f"{room}/{name.as_posix()}", names


def rooms_of(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("forgefield.")}


def libraries_of(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import forgefield.trainers.egnn", "forgefield.trainers.egnn"),
        ("from forgefield import trainers", "forgefield.trainers"),
        ("from .. import trainers", "forgefield.trainers"),
        ("from ..trainers import egnn", "forgefield.trainers.egnn"),
        ("from . import mmff", "forgefield.labelers.mmff"),
        ("def f():\n    import ray.train", "ray.train"),
        ("importlib.import_module('ray')", "ray"),
    ],
)
def test_every_way_to_import_is_seen(source: str, expected: str) -> None:
    assert expected in set(imported_names(source, "forgefield.labelers"))


def test_all_four_rooms_have_sources(room_folders: Rooms) -> None:
    assert {room for room, _, _ in modules(room_folders)} == set(MAY_IMPORT)


def test_rooms_import_only_what_they_may(room_folders: Rooms) -> None:
    offences = {
        file: sorted(strangers)
        for room, file, names in modules(room_folders)
        if (strangers := rooms_of(names) - MAY_IMPORT[room])
    }
    assert offences == {}


def test_nothing_imports_deploy_tests_or_rooms_by_folder_name(room_folders: Rooms) -> None:
    outside = {"deploy", "tests", "storage", "labelers", "trainers"}
    offences = {
        file: sorted(strangers)
        for _, file, names in modules(room_folders)
        if (strangers := libraries_of(names) & outside)
    }
    assert offences == {}


def test_ray_stays_in_a_few_files(room_folders: Rooms) -> None:
    users = {file for _, file, names in modules(room_folders) if "ray" in libraries_of(names)}
    assert users <= RAY_FILES


def test_libraries_stay_in_their_rooms(room_folders: Rooms) -> None:
    offences = {
        file: sorted(strangers)
        for room, file, names in modules(room_folders)
        if (strangers := libraries_of(names) & FOREIGN_LIBRARIES[room])
        and not (strangers == {"torch"} and file.startswith(TORCH_IN_LABELERS))
        and not (strangers <= FORMAT_LIBRARIES and file.startswith(FORMATS_IN_STORAGE))
    }
    assert offences == {}


def test_the_coupled_cluster_equations_know_no_program(room_folders: Rooms) -> None:
    """Only where integrals and fields come in or go out does the engine meet PySCF."""
    users = {
        file
        for _, file, names in modules(room_folders)
        if file.startswith("labelers/coupled_cluster/") and "pyscf" in libraries_of(names)
    }
    assert users == {
        "labelers/coupled_cluster/derivatives.py",
        "labelers/coupled_cluster/engine.py",
        "labelers/coupled_cluster/integrals.py",
        "labelers/coupled_cluster/relaxation.py",
    }


IMPORT_ALL = """
import importlib, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
"""


@pytest.mark.parametrize(
    ("room", "absent"),
    [("storage", "ray,pyscf,torch"), ("trainers", "ray,pyscf")],
)
def test_room_imports_where_libraries_are_absent(room: str, absent: str, repository: Path) -> None:
    names = [
        ".".join(["forgefield", *path.relative_to(repository).with_suffix("").parts])
        for path in sorted((repository / room).rglob("*.py"))
        if path.relative_to(repository).as_posix() not in RAY_FILES | FRAMEWORK_FILES
    ]
    assert len(names) > 1
    command = [sys.executable, "-c", IMPORT_ALL, absent, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_no_circle_of_files_and_none_of_the_platform_s_rooms(room_folders: Rooms) -> None:
    """Imports inside functions count too."""
    imported = {_module(file): names for _, file, names in modules(room_folders)}
    files, rooms = dict[str, set[str]](), defaultdict[str, set[str]](set)
    for module, names in imported.items():
        files[module] = (names & imported.keys()) - {module, module.rpartition(".")[0]}
        rooms[_room(module)] |= {_room(name) for name in files[module]} - {_room(module)}
    assert len(files) > 400
    assert rooms["forgefield.platform.rounds"]
    for graph in (files, {name: to for name, to in rooms.items() if ".platform." in name}):
        tuple(TopologicalSorter(graph).static_order())


def _module(file: str) -> str:
    parts = ["forgefield", *file.removesuffix(".py").split("/")]
    return ".".join(part for part in parts if part != "__init__")


def _room(module: str) -> str:
    return ".".join(module.split(".")[:3])
