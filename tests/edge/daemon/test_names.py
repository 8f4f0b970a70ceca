"""User-chosen text as names of files, topics, streams and metrics."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from edge.config.settings import parse_settings
from edge.config.streams import FolderStream
from edge.core.errors import ConfigError
from edge.daemon.settings import check_streams
from edge.sources.factory import SourceContext, open_source
from tests.daemons import daemon_home, served
from tests.edge.sources.sinks import Kept, wait_for
from tests.worlds import fact

WILD = ("../../x", "a/b+c#", "%2e%2e", "'; DROP TABLE facts; --", '"}\\', "{{ 7*7 }}", "x" * 200)
BROKEN = ("", " ", "a\nb", "\x1b[2J", "\0", "x" * 201, "\N{RIGHT-TO-LEFT OVERRIDE}")


@pytest.mark.parametrize(
    "where", ["[device]\nname = {}", '[homes]\n{} = "x"', '[streams.{}]\nsource = "stdin"']
)
def test_names_in_the_settings_are_printable_and_short(where: str):
    """Every printable text may be a name; an empty device name is replaced by the host's."""
    for name in (*WILD, *BROKEN):
        quoted = '"' + "".join(f"\\U{ord(sign):08x}" for sign in name) + '"'
        text = '[encoder]\ncard = "x"\n' + where.format(quoted) + "\n"
        fine = name in WILD or (where.startswith("[device") and not name)
        with nullcontext() if fine else pytest.raises(ConfigError, match=r"is no name|length"):
            check_streams(parse_settings(text, Path("auricle.toml")), Path())


@pytest.mark.parametrize("name", WILD)
def test_a_stream_of_any_name_remembers_in_its_own_folder(tmp_path: Path, name: str):
    """Its position is stored in one file, whose path the stream's name cannot change."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.json").write_bytes(b"[1]")
    settings = FolderStream(path="in", settle_s=0.01, every_s=0.01)
    sink = Kept()
    source = open_source(name, settings, SourceContext(tmp_path, tmp_path / "memory", None), sink)
    assert source is not None
    source.start()
    wait_for(lambda: sink.measurements or sink.flaws)
    source.stop(5)
    assert source.problem == ""
    assert len(list((tmp_path / "memory").iterdir())) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in", "memory"]


def test_a_label_and_a_domain_of_any_text_are_learned_or_refused(tmp_path: Path):
    """By commands and by files; learned names create no file and no topic."""
    from edge.core.events import Enrol, Label, Observation, Rejected
    from tests.worlds import vector

    with served(daemon_home(tmp_path, '[streams.s]\nsource = "http"\n')) as here:
        before = sorted(one.name for one in tmp_path.iterdir())
        feed = here.daemon.loop.feed
        for number, name in enumerate((*WILD, *BROKEN)):
            feed(
                "",
                Observation(
                    stream="s", sequence=number, captured_at_ns=number, payload=vector(number)
                ),
            )
            (result, *_) = feed("", Label(f"s:{number}", name, name))
            assert isinstance(result, Rejected) == (name in BROKEN)
            (result, *_) = feed("", Enrol((fact(f"f{number}", name, name),)))
            assert isinstance(result, Rejected) == (name in BROKEN)
        home = here.daemon.homes[""].home
        assert home is not None
        assert set(WILD) <= {domain for domain, _ in home.store.concepts()}
        assert here.daemon.status().homes
        assert sorted(one.name for one in tmp_path.iterdir()) == before
