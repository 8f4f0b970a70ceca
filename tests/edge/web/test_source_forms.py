from __future__ import annotations

import pytest

from edge.config import CameraStream, FolderStream, TopicStream, parse_settings
from edge.web.client import AskError
from edge.web.source_forms import FORMS, check_values, form_of, look_into, toml_of

ENCODER = '[encoder]\ncard = "log_mel"\n'
GIVEN = {
    "stream": 'gate "7" [x]',
    "host": "broker.local",
    "port": "1883",
    "topic": "zigbee2mqtt/probe",
    "columns": "temperature, battery.voltage",
    "device": "rtsp://camera/stream?a=b#c",
    "every_s": "2.5",
}


@pytest.fixture
def given(tmp_path):
    """Values for every field."""
    table = tmp_path / "table.csv"
    table.write_text("label,a\nx,1\n", "utf-8")
    return GIVEN | {"path": str(tmp_path), "table": str(table)}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("with_broker", [True, False])
def test_each_form_becomes_settings(tmp_path, given, form, with_broker) -> None:
    """What a form writes is read back as the stream that was described, whatever its name."""
    assert check_values(form, given) == {}
    broker = "" if with_broker else '\n[mqtt]\nhost = "other"\n'
    text = ENCODER + broker + toml_of(form, given, with_broker=with_broker)
    settings = parse_settings(text, tmp_path / "auricle.toml")
    (name, stream), *more = settings.streams.items()
    assert (name, more) == (GIVEN["stream"], [])
    assert stream.kind == ("series" if form.series else "sample")
    if form.name == "folder":
        assert isinstance(stream, FolderStream)
        assert stream.path == given["path"]
    if form.name == "camera":
        assert isinstance(stream, CameraStream)
        assert (stream.device, stream.every_s) == (GIVEN["device"], 2.5)
    if form.name.startswith("topic"):
        assert isinstance(stream, TopicStream)
        assert stream.topic == GIVEN["topic"]
        assert settings.mqtt is not None
        assert settings.mqtt.host == ("broker.local" if with_broker else "other")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_each_field_is_checked(given, form) -> None:
    """Missing values, control characters, what is no number, and paths to nothing are named by
    their field."""
    needed = {one.name for one in form.fields if one.required}
    assert set(check_values(form, {})) == needed | {"stream"}
    broken = dict.fromkeys(given, "a\nb = 1")
    assert set(check_values(form, broken)) == {one.name for one in form.fields} | {"stream"}
    for one in form.fields:
        if one.kind != "text":
            wrong = check_values(form, given | {one.name: "/nowhere/at/all"})
            assert set(wrong) == {one.name}
    assert set(check_values(form, given | {"stream": "x" * 201})) == {"stream"}


def test_an_unknown_source_is_refused() -> None:
    """A source that is not offered is an error with a hint."""
    with pytest.raises(AskError, match="no source"):
        form_of("shell")


def test_a_folder_is_described(tmp_path) -> None:
    """A folder shows its subfolders and tables, and counts what it holds; hidden files stay out."""
    for name in ("a.jpg", "b.PNG", "c.wav", "d.csv", ".hidden.jpg", "e.txt"):
        (tmp_path / name).touch()
    for name in ("Dogs", "cats", ".git"):
        (tmp_path / name).mkdir()
    view = look_into(str(tmp_path))
    assert (view.folders, view.files) == (("cats", "Dogs"), ("d.csv",))
    assert (view.images, view.tables, view.sounds, view.cut) == (2, 1, 1, False)


def test_what_is_no_folder_is_an_error(tmp_path) -> None:
    """A path to nothing, to a file, or with a null byte has a reason."""
    (tmp_path / "file").touch()
    for path in (str(tmp_path / "nothing"), str(tmp_path / "file"), "a\0b"):
        with pytest.raises(AskError, match="opening"):
            look_into(path)
