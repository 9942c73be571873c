"""How the folders lie: four rooms under one import root, without hiding the standard library."""

import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

Rooms = list[tuple[str, Path]]


def test_platform_is_never_a_regular_package(room_folders: Rooms) -> None:
    folders = [folder for room, folder in room_folders if room == "platform"]
    assert folders
    assert [path for folder in folders for path in folder.glob("__init__.*")] == []


def test_platform_from_the_root_is_the_standard_library(repository: Path) -> None:
    command = [sys.executable, "-c", "import platform; print(platform.__file__)"]
    environment = {"PYTHONPATH": str(repository)}
    done = subprocess.run(  # noqa: S603
        command, cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent == Path(sysconfig.get_path("stdlib"))


def test_no_file_is_named_like_a_standard_module(repository: Path, room_folders: Rooms) -> None:
    folders = {folder for _, folder in room_folders}
    folders |= {repository / name for name in ("deploy", "tests")}
    files = {path for folder in folders for path in folder.rglob("*.py")}
    files |= set(repository.glob("*.py"))
    assert files
    assert [path for path in sorted(files) if path.stem in sys.stdlib_module_names] == []


def test_every_folder_with_sources_is_packaged(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    packages = settings["tool"]["setuptools"]["packages"]
    mapped = settings["tool"]["setuptools"]["package-dir"]
    rooms = {path.parent.name for path in repository.glob("*/py.typed")}
    assert {mapped[f"forgefield.{room}"] for room in rooms} == rooms
    sources = {path.parent for room in rooms for path in (repository / room).rglob("*.py")}
    folders = {".".join(["forgefield", *path.relative_to(repository).parts]) for path in sources}
    assert folders == set(packages)


def test_recipes_exist(repository: Path) -> None:
    assert (repository / "deploy/recipes/default.toml").is_file()


def test_every_recipe_is_read(repository: Path, subtests: pytest.Subtests) -> None:
    from forgefield.platform.planning.recipe import load_recipe

    for path in sorted((repository / "deploy/recipes").glob("**/*.toml")):
        with subtests.test(path.name):
            load_recipe(path)


def test_the_default_recipe_is_the_defaults(repository: Path) -> None:
    from forgefield.platform.planning.recipe import load_recipe

    assert load_recipe(repository / "deploy/recipes/default.toml") == load_recipe(None)
