from __future__ import annotations

from pathlib import Path

import pytest

from edge.storage import durable_files as durable


def test_a_text_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A failed sync leaves the old file unchanged and no other file."""
    path = tmp_path / "a.toml"
    durable.write_text(path, "old")

    def fail(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "sync_file", fail)
    with pytest.raises(OSError, match="No space"):
        durable.write_text(path, "new")
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_placing_syncs_file_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The content is synced before the rename, and the folder before the return."""
    order: list[str] = []
    monkeypatch.setattr(durable, "sync_file", lambda path: order.append(path.name))
    monkeypatch.setattr(durable, "sync_folder", lambda path: order.append(path.name))
    (tmp_path / "fresh").write_text("x", "utf-8")
    durable.replace_file(tmp_path / "fresh", tmp_path / "name")
    assert order == ["fresh", tmp_path.name]
    assert (tmp_path / "name").exists()


def test_discarding_takes_the_log_too(tmp_path: Path):
    """A database is removed with its log and index; missing files are not an error."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        (tmp_path / f"k.db{suffix}").write_text("x", "utf-8")
    durable.remove_file(tmp_path / "k.db")
    durable.remove_file(tmp_path / "k.db")
    assert [path.name for path in tmp_path.iterdir()] == ["k.db.lock"]
