"""Damaged and hostile files: each is refused by name and reason, none runs, hangs or fills memory.

Mutations of valid files by Hypothesis (cut, flipped bits, foreign words, random bytes), and the
tricks one by one.
"""

import io
import json
import os
import pickle
import shutil
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from made_frames import few_frames

from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.formats.watching import quiet
from forgefield.storage.frames import Frames

READABLE = ("extxyz", "sgdml", "ase", "hdf5", "release")
EXAMPLES = {"extxyz": 150, "sgdml": 150, "ase": 60, "hdf5": 8, "release": 25}
WORDS = (b"9999999999", b"-1", b"nan", b"1e400", b"\x00", b"\xff" * 8, b'"', b"{", b"\n", b"\xc3")


def read(name: str, path: Path) -> ForeignFrames:
    reader = FORMATS[name].read
    assert reader
    return reader(path)


def valid(name: str, folder: Path) -> Path:
    found = FORMATS[name]
    frames = few_frames(12)
    if name != "sgdml":
        frames = Frames.concatenate([frames, few_frames(3, boxed=True)])
    path = folder / f"good{found.suffixes[0]}"
    assert found.write
    found.write(frames, path, quiet)
    return path


@st.composite
def damage(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Callable[[bytes], bytes]:
    where, kind = draw(st.floats(0, 1)), draw(st.sampled_from(["cut", "flip", "word", "noise"]))
    bits = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=9))
    word = draw(st.one_of(st.sampled_from(WORDS), st.binary(min_size=1, max_size=30)))

    def damaged(content: bytes) -> bytes:
        place = int(where * (len(content) - 1))
        if kind == "cut":
            return content[:place]
        if kind == "noise":
            return content[:place] + word + content[place:]
        if kind == "word":
            return content[:place] + word + content[place + len(word) :]
        changed = bytearray(content)
        for share, bit in bits:
            changed[int(share * (len(content) - 1))] ^= 1 << bit
        return bytes(changed)

    return damaged


@pytest.mark.parametrize("name", READABLE)
def test_damaged_files_are_refused_by_name(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = valid(name, tmp_path_factory.mktemp("good"))
    files = sorted(good.rglob("*")) if good.is_dir() else [good]
    parts = [file.relative_to(good.parent) for file in files if file.is_file()]
    refused = 0

    @settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    @given(which=st.integers(0, len(parts) - 1), change=damage())
    def check(which: int, change: Callable[[bytes], bytes]) -> None:
        nonlocal refused
        folder = tmp_path_factory.mktemp("bad")
        bad = folder / good.name
        (shutil.copytree if good.is_dir() else shutil.copy)(good, bad)
        part = folder / parts[which]
        changed = change(part.read_bytes())
        assume(changed != part.read_bytes())
        part.write_bytes(changed)
        said = ""
        try:
            found = read(name, bad)
        except InputError as error:
            said = str(error)
            refused += 1
        if said:
            assert bad.name in said
        else:
            assert name != "release" or parts[which].name == "SHA256SUMS"
            assert np.isfinite(found.positions_A3).all()
            assert np.isfinite(found.energy_F).all()
            assert found.numbers.min() >= 1
            assert found.numbers.max() <= 118
        shutil.rmtree(folder)

    check()
    assert refused


def test_a_damaged_chunk_of_a_plain_store_is_named(tmp_path: Path) -> None:
    store = valid("release", tmp_path) / "frames.zarr"
    chunk = store / "energy" / "c" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 3] ^= 8
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="energy"):
        read("zarr", store)


def archive(path: Path, **changes: Any) -> Path:
    arrays = {
        "z": np.array([8, 1, 1]),
        "R": np.zeros((2, 3, 3)),
        "E": np.zeros(2),
        "F": np.zeros((2, 3, 3)),
    }
    np.savez(path, allow_pickle=True, **arrays | changes)
    return path


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"R": np.zeros((2, 4, 3))}, "numbers of shape"),
        ({"R": np.zeros((2, 9))}, "must be"),
        ({"E": np.zeros(3)}, "3 energies"),
        ({"F": np.zeros((2, 3, 2))}, "forces of shape"),
        ({"z": np.array([8, -1, 1])}, "no element"),
        ({"z": np.array([8, 0, 1])}, "no element"),
        ({"z": np.array([8, 119, 1])}, "no element"),
        ({"z": np.array([8.5, 1, 1])}, "not whole"),
        ({"z": np.array(["O", "H", "H"])}, "<U1"),
        ({"E": np.array([0.0, np.nan])}, "energy of nan"),
        ({"R": np.full((2, 3, 3), np.inf)}, "position of inf"),
        ({"F": np.array([np.zeros((3, 3)), np.full((3, 3), np.inf)])}, "force of inf"),
        ({"E": np.zeros(2, dtype=complex)}, "complex128"),
        ({"R": np.zeros((0, 3, 3)), "E": np.zeros(0), "F": np.zeros((0, 3, 3))}, "no frames"),
        ({"charge": np.array([0.5])}, "whole number"),
    ],
)
def test_archives_that_make_no_sense(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read("sgdml", archive(tmp_path / "odd.npz", **changes))
    assert "odd.npz" in str(caught.value)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    path = archive(tmp_path / "trap.npz", R=np.array([Trap(sprung)], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        read("sgdml", path)
    raw = tmp_path / "raw.npz"
    raw.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match="raw"):
        read("sgdml", raw)
    assert not sprung.exists()


def npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [npy_header((10**9, 3, 3)), npy_header((-5, 3, 3)), b"\x93NUMPY"]
)
def test_an_array_that_claims_more_than_it_has(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("R.npy", content + b"\0" * 64)
    with pytest.raises(InputError, match=r"claims\.npz"):
        read("sgdml", path)


def test_bombs_are_refused_before_they_go_off(tmp_path: Path) -> None:
    zipped = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("R.npy", "w") as member,
    ):
        member.write(npy_header((1_000_000, 3, 3)))
        for _ in range(72):
            member.write(b"\0" * 1_000_000)
    large = tmp_path / "bomb.h5"
    shutil.copy(valid("hdf5", tmp_path), large)
    with h5py.File(large, "a") as file:
        del file["positions"]
        file.create_dataset("positions", shape=(10**10, 3), chunks=(1000, 3), dtype="f8")
    store = valid("release", tmp_path)
    (store / "SHA256SUMS").unlink()
    group = json.loads((store / "frames.zarr" / "zarr.json").read_text())
    group["consolidated_metadata"]["metadata"]["positions"]["shape"][0] = 10**10
    (store / "frames.zarr" / "zarr.json").write_text(json.dumps(group))
    alone = store / "frames.zarr" / "positions" / "zarr.json"
    alone.write_text(json.dumps(group["consolidated_metadata"]["metadata"]["positions"]))
    tracemalloc.start()
    for name, path in (("sgdml", zipped), ("hdf5", large), ("release", store)):
        with pytest.raises(InputError, match="claims"):
            read(name, path)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


LINE = "Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0"
ATOM = "H 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n\n", "no frames"),
        (f"999999999\n{LINE}\n{ATOM}", "columns and an end"),
        (f"0\n{LINE}\n", "number of atoms"),
        (f"-1\n{LINE}\n{ATOM}", "number of atoms"),
        (f"\u0664\n{LINE}\n{ATOM}", "number of atoms"),
        (f"1\nhello\n{ATOM}", "plain XYZ"),
        (f"1\n{LINE}\n{ATOM[:-1]}", "an end"),
        (f"1\n{LINE}\nXx 0 0 0 0 0 0\n", "Xx"),
        (f"1\n{LINE}\nH 0 0 nan 0 0 0\n", "position of nan"),
        (f"1\n{LINE}\nH 0 0 0 0 0\n", "7 columns"),
        (f"1\n{LINE.replace('R:3', 'R:999999999')}\n{ATOM}", "name:type:number"),
        (f"1\n{LINE.replace('-1.0', 'many')}\n{ATOM}", "many"),
        (f"1\n{LINE.split(' energy', maxsplit=1)[0]} a=1\n{ATOM}", "no energy"),
        (f'1\nLattice="1 2 3" {LINE}\n{ATOM}', "Lattice"),
        (f"1\n{LINE} charge=0.5\n{ATOM}", "whole number"),
        (f"1\n{LINE} multiplicity=-3\n{ATOM}", "multiplicity -3"),
        (f"1\n{LINE} {'x' * 200_000}\n{ATOM}", "too long"),
    ],
)
def test_text_that_is_no_extended_xyz(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.xyz"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read("extxyz", path)
    assert "bad.xyz" in str(caught.value)


def test_a_database_that_only_looks_like_one(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIEW systems AS WITH RECURSIVE n(x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id FROM n"
        )
    connection.close()
    with pytest.raises(InputError, match="no table of systems"):
        read("ase", path)


@pytest.mark.parametrize("name", READABLE)
def test_what_is_no_file_at_all(name: str, tmp_path: Path) -> None:
    empty, folder = tmp_path / "empty", tmp_path / "folder"
    empty.touch()
    folder.mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (empty, folder, tmp_path / "absent", tmp_path / "pipe"):
        with pytest.raises(InputError, match=path.name):
            read(name, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = valid("extxyz", tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission"):
        read("extxyz", path)
