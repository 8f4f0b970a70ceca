from __future__ import annotations

import pytest

from edge.config import parse_settings
from edge.core import ConfigError
from edge.web import settings_file
from edge.web.client import AskError
from edge.web.settings_file import line_of, mark_of, read_backup, read_text, save

GOOD = """\
# first line
[encoder]
card = "log_mel"

[streams.gate]
source = "folder"
path = "inbox"

[streams."a b"]
source = "http"

[outbox]
bytes_max = 1000
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('source = "folder"', 'source = "foldr"', 6),
        ('path = "inbox"', "path = 3", 7),
        ('path = "inbox"', 'paht = "inbox"', 7),
        ('card = "log_mel"', "", 2),
        ('source = "http"', 'source = "http"\nrate_max = "x"', 11),
        ("bytes_max = 1000", "bytes_max = -1", 12),
        ("bytes_max = 1000", "bytes_maxx = 1000", 13),
        ("[outbox]", "[outboxx]", 12),
        ("bytes_max = 1000", "bytes_max = ", 13),
        ("[encoder]", "[encoder", 2),
        ('path = "inbox"', 'path = "inbox', 7),
        ("bytes_max = 1000", "bytes_max = 1000\n[mqtt", 14),
    ],
)
def test_a_mistake_has_its_line(tmp_path, old, new, line) -> None:
    """The line of an error of the parser or of a value is that of the key, or else of its table."""
    text = GOOD.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, tmp_path / "auricle.toml")
    assert line_of(text, caught.value.message) == line


def test_an_error_without_a_place_has_no_line() -> None:
    """An error that names no key has the line 0."""
    assert line_of(GOOD, "reading the settings: no name") == 0


def test_a_save_keeps_the_text_before(tmp_path) -> None:
    """The settings are replaced, and the backup is what they were."""
    path = tmp_path / settings_file.SETTINGS
    path.write_text("a = 1\n", "utf-8")
    save(tmp_path, "a = 2\n", mark_of("a = 1\n"))
    assert (read_text(tmp_path), read_backup(tmp_path)) == ("a = 2\n", "a = 1\n")


def test_the_second_of_two_editors_overwrites_nothing(tmp_path) -> None:
    """Who edited a text that has changed since is refused, and nothing changes."""
    path = tmp_path / settings_file.SETTINGS
    path.write_text("a = 1\n", "utf-8")
    mark = mark_of("a = 1\n")
    save(tmp_path, "a = 2\n", mark)
    with pytest.raises(AskError, match="changed meanwhile"):
        save(tmp_path, "a = 3\n", mark)
    assert (read_text(tmp_path), read_backup(tmp_path)) == ("a = 2\n", "a = 1\n")


def test_a_failing_disk_leaves_the_settings(tmp_path, monkeypatch) -> None:
    """If the new text cannot be written, the old one holds and the reason is said."""

    def fail(path, text) -> None:
        if path.name == settings_file.SETTINGS:
            raise OSError(28, "No space left on device")
        path.write_text(text, "utf-8")

    (tmp_path / settings_file.SETTINGS).write_text("a = 1\n", "utf-8")
    monkeypatch.setattr(settings_file, "write_text", fail)
    with pytest.raises(AskError, match="No space left"):
        save(tmp_path, "a = 2\n", mark_of("a = 1\n"))
    assert read_text(tmp_path) == "a = 1\n"


def test_unreadable_settings_have_a_reason(tmp_path) -> None:
    """Missing settings, bytes that are no text, and no backup are errors with a hint."""
    with pytest.raises(AskError, match="No such file"):
        read_text(tmp_path)
    (tmp_path / settings_file.SETTINGS).write_bytes(b"\xff\xfe")
    with pytest.raises(AskError, match="utf-8"):
        read_text(tmp_path)
    with pytest.raises(AskError, match="no backup"):
        read_backup(tmp_path)
    with pytest.raises(AskError, match="reading auricle"):
        settings_file.tables_of("[a")
