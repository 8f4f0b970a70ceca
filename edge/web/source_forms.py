"""Sources as the first run offers them: the fields of each, and the settings that they become."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from .client import AskError

FOLDERS_MAX: Final = 200
"""Folders listed at once.  Chosen by hand; effect not measured."""

FILES_COUNTED_MAX: Final = 2_000
"""Files looked at to describe a folder: a listing of them takes milliseconds."""

TEXT_CHARS_MAX: Final = 1_000
"""Longest value of a field: paths have at most 4,096 bytes, and are mostly far shorter."""

IMAGES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm"}
)
"""Suffixes of image files that a folder source reads (docs/reference/cli.md)."""


Encoder = Literal["default", "log_mel", "vectors"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a form.  kind: text, folder, file or number; choices: values with their titles."""

    name: str
    title: str
    kind: Literal["text", "folder", "file", "number"] = "text"
    default: str = ""
    hint: str = ""
    required: bool = True
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SourceForm:
    """A source.  encoder: of a new home; "default": that of pictures; "vectors": made from the
    table in the field `table`.  series: its samples are forecast, and nothing is labelled."""

    name: str
    title: str
    text: str
    encoder: Encoder
    fields: tuple[Field, ...]
    series: bool = False


FOLDER: Final = Field(name="path", title="Folder on this device", kind="folder")
BROKER: Final = (
    Field(name="host", title="MQTT broker", default="localhost"),
    Field(name="port", title="Port", kind="number", default="1883"),
    Field(
        name="topic",
        title="Topic",
        hint="for example zigbee2mqtt/probe; without wildcards",
    ),
)
COLUMNS: Final = Field(
    name="columns",
    title="Fields to use",
    required=False,
    hint="comma-separated names; empty: all numeric fields",
)
TABLE: Final = Field(
    name="table",
    title="Example table (CSV) on this device",
    kind="file",
    hint="sets the scale of each column; rows with a column “label” are learned at once",
)

FORMS: Final = (
    SourceForm(
        name="folder",
        title="Pictures in a folder",
        text="A camera or a program saves pictures into a folder.",
        encoder="default",
        fields=(FOLDER,),
    ),
    SourceForm(
        name="camera",
        title="A camera",
        text="A camera on this device, or a video stream with a URL.",
        encoder="default",
        fields=(
            Field(
                name="device",
                title="Camera",
                default="0",
                hint="device number, or a URL such as rtsp://camera/stream",
            ),
            Field(name="every_s", title="Seconds between pictures", kind="number", default="1"),
        ),
    ),
    SourceForm(
        name="sound",
        title="Sound",
        text="A microphone, or recordings (WAV) in a folder.",
        encoder="log_mel",
        fields=(
            Field(
                name="path",
                title="Folder of recordings",
                kind="folder",
                required=False,
                hint="empty: the microphone of this device",
            ),
        ),
    ),
    SourceForm(
        name="topic-images",
        title="Pictures over MQTT",
        text="Snapshots on a topic, as Frigate and others publish them.",
        encoder="default",
        fields=BROKER,
    ),
    SourceForm(
        name="topic-series",
        title="Sensor values over MQTT, to forecast",
        text="Numbers in JSON; Auricle forecasts them and reports changes.",
        encoder="log_mel",
        fields=(*BROKER, COLUMNS),
        series=True,
    ),
    SourceForm(
        name="topic-values",
        title="Sensor values over MQTT, to classify",
        text="Each message is one measurement of several numbers.",
        encoder="vectors",
        fields=(*BROKER, COLUMNS, TABLE),
    ),
    SourceForm(
        name="tables",
        title="Tables in a folder, to classify",
        text="CSV files; every row is one measurement.",
        encoder="vectors",
        fields=(FOLDER, TABLE),
    ),
    SourceForm(
        name="tables-series",
        title="Tables in a folder, to forecast",
        text="CSV files of a time series; every row is one sample.",
        encoder="log_mel",
        fields=(FOLDER,),
        series=True,
    ),
)
"""The sources that are offered; every other one is written into the settings."""


def form_of(name: str) -> SourceForm:
    """Return a form by name; raises AskError."""
    for form in FORMS:
        if form.name == name:
            return form
    raise AskError(f"there is no source {name[:60]!r}", "choose one of the list")


def check_values(form: SourceForm, given: Mapping[str, str]) -> dict[str, str]:
    """Return a problem for each field that cannot be used, by field."""
    wrong: dict[str, str] = {}
    for field in form.fields:
        value = given.get(field.name, "").strip()
        if field.required and not value:
            wrong[field.name] = "this field is required"
        elif len(value) > TEXT_CHARS_MAX or not value.isprintable():
            wrong[field.name] = f"at most {TEXT_CHARS_MAX} printable characters"
        elif value and field.kind == "number" and not _is_number(value):
            wrong[field.name] = "this must be a number above 0"
        elif value and field.kind == "folder" and not Path(value).is_dir():
            wrong[field.name] = "there is no such folder on this device"
        elif value and field.kind == "file" and not Path(value).is_file():
            wrong[field.name] = "there is no such file on this device"
    name = given.get("stream", "").strip()
    if not (name and name.isprintable() and len(name) <= 200):
        wrong["stream"] = "a name of 1 to 200 printable characters is needed"
    return wrong


def toml_of(form: SourceForm, given: Mapping[str, str], *, with_broker: bool) -> str:
    """Return the sections that a form becomes.  with_broker: the settings have no [mqtt] yet."""
    named = ("stream", *(one.name for one in form.fields))
    values = {name: given.get(name, "").strip() for name in named}
    broker = ""
    if with_broker and "host" in values:
        broker = f"\n[mqtt]\nhost = {_text(values['host'])}\nport = {int(float(values['port']))}\n"
    return broker + "\n".join(_stream_lines(form, values))


def _stream_lines(form: SourceForm, given: Mapping[str, str]) -> Iterator[str]:
    is_topic = form.name.startswith("topic")
    yield f"\n[streams.{_text(given['stream'])}]"
    if is_topic:
        yield f'source = "topic"\ntopic = {_text(given["topic"])}'
        yield f'format = "{"image" if form.name == "topic-images" else "json"}"'
    elif form.name == "camera":
        yield f'source = "camera"\ndevice = {_text(given["device"])}'
        yield f"every_s = {float(given['every_s'])}"
    else:
        yield f'source = "{"sound" if form.name == "sound" else "folder"}"'
        if given.get("path"):
            yield f"path = {_text(given['path'])}"
        if form.name.startswith("tables"):
            yield 'pattern = "*.csv"'
    if form.series:
        yield 'kind = "series"'
    columns = [one.strip() for one in given.get("columns", "").split(",") if one.strip()]
    if columns:
        yield f"columns = {json.dumps(columns, ensure_ascii=False)}"
    yield ""


@dataclass(frozen=True, kw_only=True)
class FolderView:
    """A folder on this device.  folders: its visible subfolders; images, tables, sounds: how many
    files it has of each.  cut: it has more than is shown."""

    path: str
    parent: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    images: int
    tables: int
    sounds: int
    cut: bool


def look_into(path: str) -> FolderView:
    """Return what a folder holds; raises AskError.  Empty: the user's own folder."""
    folder = Path(path) if path else Path.home()
    folders: list[str] = []
    suffixes: list[str] = []
    tables: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= FILES_COUNTED_MAX:
                    break
                if entry.name.startswith(".") or not entry.name.isprintable():
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                suffixes.append(Path(entry.name).suffix.lower())
                if suffixes[-1] == ".csv":
                    tables.append(entry.name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise AskError(f"opening {path[:200]}: {reason}", "choose another folder") from error
    absolute = folder.absolute()
    return FolderView(
        path=str(absolute),
        parent=str(absolute.parent),
        folders=tuple(sorted(folders, key=str.casefold)[:FOLDERS_MAX]),
        files=tuple(sorted(tables, key=str.casefold)[:FOLDERS_MAX]),
        images=sum(one in IMAGES for one in suffixes),
        tables=len(tables),
        sounds=suffixes.count(".wav"),
        cut=len(folders) > FOLDERS_MAX or len(suffixes) + len(folders) >= FILES_COUNTED_MAX,
    )


def _text(value: str) -> str:
    """Return a TOML string: JSON's escapes are a part of TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _is_number(value: str) -> bool:
    try:
        return 0 < float(value) < 1e6
    except ValueError:
        return False
