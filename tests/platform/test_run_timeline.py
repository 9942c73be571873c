"""A run's timeline survives what a power cut or a full disk leaves of its last line."""

from pathlib import Path

from forgefield.platform.run_timeline import append_event, read_events


def test_a_torn_line_is_left_out_and_swallows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    assert read_events(path) == []
    append_event(path, {"event": "training began"})
    with path.open("a") as file:
        file.write('{"time": 17, "eve')
    assert [each["event"] for each in read_events(path)] == ["training began"]
    append_event(path, {"event": "training ended", "wall_s": 2.0})
    append_event(path, {"event": "report began"})
    with path.open("ab") as file:
        file.write(b"\xff\x00{}\n[1]\n{}\n")
    found = read_events(path)
    assert [each["event"] for each in found] == ["training began", "training ended", "report began"]
    assert found[1]["wall_s"] == 2.0
    assert path.read_bytes().count(b"\n") == 7
