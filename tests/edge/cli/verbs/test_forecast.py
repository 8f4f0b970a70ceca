from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from edge.cli.views.demo_forecast import show_failure, show_forecast_demo
from edge.home.forecasting import ForecastOptions, ForecastScore, forecast_file
from edge.plots import series_chart
from edge.sim.links.charts import choose_event
from edge.sim.links.trial import run_link_trial
from edge.sim.scenarios import LinkScenario, LinkSpec
from tests.homes import command, run, run_json

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("inlet", "outlet")


def waves(steps=400, jump=300):
    """Two temperatures with a daily wave, and a jump for good."""
    random = np.random.default_rng(0)
    hours = np.arange(steps)[:, None]
    values = 20 + 5 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 0.2, (steps, 2))
    values[jump:] += (30.0, -25.0)
    return values


def write_waves(path, header=True, times=True, steps=400):
    """The waves as a CSV, a row an hour."""
    lines = [",".join([*(["time"] if times else []), *NAMES])] if header else []
    for at, row in enumerate(waves(steps)):
        when = [f"{1_700_000_000 + 3600 * at}"] if times else []
        lines.append(",".join([*when, *(f"{value:.4f}" for value in row)]))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_file_is_forecast_judged_and_searched_for_changes(tmp_path):
    """The verb prints forecasts inside their intervals, their errors, and the jump with its
    start."""
    result = run_json("forecast", write_waves(tmp_path / "w.csv"), "--horizon", 1, "--horizon", 12)
    assert result["row"] == 399
    assert result["horizons"] == [1, 12]
    for name in NAMES:
        channel = result["channels"][name]
        for low, point, high in zip(*(channel[k] for k in ("low", "point", "high")), strict=True):
            assert low <= point <= high
    record = result["record"][1]
    assert record["horizon"] == 12
    assert record["mae"] < 0.5 * record["mae_last_value"]
    assert 0.8 < record["coverage"] <= 1
    assert any(change["start"] in range(298, 302) for change in result["changes"])


def write_spike(path):
    """Two columns of noise, a row a minute, with a spike in row 450."""
    rows = np.random.default_rng(0).normal(size=(500, 2))
    rows[450] += 50
    lines = [f"{1_700_000_000 + 60 * n},{a},{b}" for n, (a, b) in enumerate(rows)]
    path.write_text("\n".join(["time,left,right", *lines]))
    return path


def test_an_anomaly_is_reported_with_columns_and_scale(tmp_path):
    """A spike is listed as an anomaly, in the table and as JSON, with columns, score and limit; the
    last row has a score and a p-value."""
    path = write_spike(tmp_path / "s.csv")
    result = run_json("forecast", path, "--forecaster", "last")
    found = next(one for one in result["anomalies"] if one["row"] == 450)
    assert set(found["channels"]) == {"left", "right"}
    assert found["score"] >= found["limit"]
    assert found["scale"] == 1
    assert found["raised"]
    assert 0 < result["anomaly"]["p_value"] <= 1
    shown = run("forecast", path, "--forecaster", "last").stdout
    assert re.search(r"row 450: anomaly beyond the range so far, score .*(left|right)", shown)
    assert "anomaly score of the last row" in shown


def test_the_rate_of_false_alarms_can_be_chosen(tmp_path):
    """A higher rate per day has a lower limit; a rate of 0 is an error."""
    path = write_spike(tmp_path / "s.csv")
    rate = "--false-alarms-per-day"
    common, seldom = (
        run_json("forecast", path, "--forecaster", "last", rate, one)["anomaly"]["limit"]
        for one in (20, 0.1)
    )
    assert common < seldom
    assert run("forecast", path, rate, 0).exit_code == 2


def test_columns_without_names_and_times_are_numbered(tmp_path):
    """A CSV of numbers without a header is read and shown as a table."""
    expected_text = run("forecast", write_waves(tmp_path / "w.csv", header=False, times=False))
    assert expected_text.exit_code == 0, expected_text.output
    assert expected_text.stdout.startswith("channel\tsteps ahead\tforecast\tlow\thigh\n0\t1\t")
    assert "over 400 rows" in expected_text.stdout


def test_ignored_columns_are_reported_on_standard_error(tmp_path):
    """A text column is named on standard error, and standard output stays JSON."""
    path = tmp_path / "w.csv"
    path.write_text("ts,a,note\n0,1,x\n60,2,y\n120,3,z\n", "utf-8")
    assert run_json("forecast", path)["channels"].keys() == {"a"}
    expected_text = run("forecast", path)
    assert "left out, not numeric: note" in expected_text.stderr
    assert "over 3 rows, 60 s apart" in expected_text.stdout


def test_a_picture_is_drawn(tmp_path):
    """With --plot a PNG is written."""
    expected_text = run("forecast", write_waves(tmp_path / "w.csv"), "--plot", tmp_path / "w.png")
    assert expected_text.exit_code == 0, expected_text.output
    assert (tmp_path / "w.png").read_bytes().startswith(PNG)


def test_a_stream_is_answered_line_by_line():
    """On a pipe each row gets its forecast before the next row is sent."""
    words = command("forecast", "-", "--json", "--forecaster", "last")
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("a,b\n1,2\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["channels"]["a"]["point"] == [1, 1, 1]
        process.stdin.write("3,\n")
        process.stdin.flush()
        second = json.loads(process.stdout.readline())
        assert second["row"] == 1
        assert second["channels"]["b"]["value"] is None
        assert second["channels"]["b"]["point"] == [2, 2, 2]
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "expected_text"),
    [
        (("--forecaster", "oracle"), "no forecaster 'oracle'"),
        (("--detector", "oracle"), "no detector 'oracle'"),
        (("--horizon", "999"), "horizons"),
        (("--weights", "gone.safetensors"), "gone.safetensors"),
        (("--plot", "nowhere/picture.png"), "is not writable"),
        (("--plot", "picture.jpg"), "ends in .png"),
    ],
)
def test_a_wrong_option_is_an_error(tmp_path, words, expected_text):
    """A wrong option ends with status 1, the reason and a hint."""
    done = run("forecast", write_waves(tmp_path / "w.csv"), *words)
    assert done.exit_code == 1
    assert expected_text in done.stderr
    assert "hint: " in done.stderr
    assert not done.stdout


def test_a_record_counts_only_observed_values():
    """Errors of the last value are computed separately, and missing values do not count."""
    values = np.array([[1.0], [3.0], [np.nan], [4.0]])
    record = ForecastScore((1,))
    rows = ((1.0, row) for row in values)
    for look in forecast_file(rows, 1, ForecastOptions(kind="last", horizons=(1,))):
        record.add(look)
    (figures,) = record.figures()
    assert figures["mae"] == figures["mae_last_value"] == 2.0
    assert figures["values"] == 1


def test_the_demonstration_tells_and_draws_a_failure(tmp_path, capsys):
    """The demonstration shows forecast, failure, alarm and recovery, and writes a plot and a
    report."""
    links = LinkSpec(days=2, quiet_days=1, double_share=0.0, horizons=(1, 12))
    assert show_forecast_demo(tmp_path / "out", LinkScenario("A failure", links)) == 0
    expected_text = capsys.readouterr().out
    for words in ("an hour ahead", "fails without notice", "alarm 0 steps later"):
        assert words in expected_text
    assert (tmp_path / "out/failure.png").read_bytes().startswith(PNG)
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert page.count("<svg") == 1
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were about to be written."""
    figures = []

    def keep(figure):
        figure.draw_without_rendering()
        figures.append(figure)
        return PNG

    monkeypatch.setattr(series_chart, "render_png", keep)
    return figures


def test_a_picture_has_times_changes_and_a_legend(tmp_path, drawn):
    """If the CSV has times, so has the axis; the change is drawn where it was found, in the
    rows of a file whose newest day alone would not show it."""
    path = write_waves(tmp_path / "w.csv", steps=700)
    expected_text = run("forecast", path, "--plot", tmp_path / "w.png")
    assert expected_text.exit_code == 0, expected_text.output
    (figure,) = drawn
    first, last = figure.axes
    assert last.get_xlabel() == "time, UTC"
    newest = first.lines[0].get_xdata()[-1]
    assert newest.astype("datetime64[s]").astype(int) == 1_700_000_000 + 3600 * 699
    (row,) = _numbers(re.search(r"row (\d+): level", expected_text.stdout))
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[:3] == ["measured", "90 % interval", "forecast"]
    assert "change detected" in words
    changes = [line for line in first.lines if line.get_label() == "change detected"]
    places = [np.datetime64(line.get_xdata()[0], "s").astype(int) for line in changes]
    assert 1_700_000_000 + 3600 * row in places


def test_a_picture_marks_anomalies(tmp_path, drawn):
    """The rows of anomalies are marked at their values."""
    path = write_spike(tmp_path / "s.csv")
    assert (
        run("forecast", path, "--forecaster", "last", "--plot", tmp_path / "s.png").exit_code == 0
    )
    (figure,) = drawn
    marked = [line for line in figure.axes[0].lines if line.get_label() == "anomaly"]
    (line,) = marked
    assert max(line.get_ydata()) > 45


def test_a_picture_without_times_counts_rows(tmp_path, drawn):
    """A CSV without times is drawn by rows, the last one at 0."""
    path = write_waves(tmp_path / "w.csv", times=False)
    assert run("forecast", path, "--plot", tmp_path / "w.png").exit_code == 0
    (figure,) = drawn
    assert figure.axes[-1].get_xlabel() == "rows from the last one"
    assert figure.axes[-1].lines[0].get_xdata()[-1] == 0


def test_the_shipped_demonstration_follows_the_failure(tmp_path, capsys):
    """Read from its own lines: an hour after the failure the load lies in the interval that was
    forecast from the first sample on, every result has earned its tick, and the report shows the
    same coverage."""
    assert show_forecast_demo(tmp_path / "out") == 0
    expected_text = capsys.readouterr().out
    after = expected_text[expected_text.index("The first sample after the failure") :]
    low, high = _numbers(re.search(r"90 % between (\S+) and (\S+) Mbit/s", after))
    (came,) = _numbers(re.search(r"✓ an hour later it is (\S+) Mbit/s", after))
    assert low <= came <= high
    assert "✗" not in expected_text
    assert "▼" not in expected_text
    (inside,) = re.findall(r"(\S+%) inside the 90 % intervals", expected_text)
    page = (tmp_path / "out/report.html").read_text("utf-8")
    tile = f'Within 100 steps of an event</span><span class="value">{inside}</span>'
    assert tile in page


def _numbers(found: re.Match[str] | None) -> list[float]:
    assert found is not None
    return [float(text.replace(",", "")) for text in found.groups()]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ratio_12": 1.2}, "✗ error an hour ahead: 120% of the error of"),
        ({"ratio_soon_12": 1.0}, "✗ in the first five steps after an event: 100%"),
        ({"found": 1.0, "events": 2.0}, "✗ 1 of 2 events detected"),
        ({"false_per_1000": 1.5}, "events detected, 1.5 false alarms in 1,000 steps"),
        ({"coverage_after": 0.8}, "✗ 80.0% inside the 90 % intervals"),
    ],
)
def test_a_tick_is_earned_by_its_number(trial, capsys, changes, line):
    """A figure that misses its target gets a cross on its line."""
    failing, event = (
        replace(trial, figures=trial.figures | changes),
        choose_event(trial),
    )
    assert event is not None
    show_failure(failing, event, Console())
    (found,) = [each for each in capsys.readouterr().out.splitlines() if line in each]
    assert found.startswith("  ✗ ")


def test_a_load_outside_its_interval_gets_a_cross(trial, capsys):
    """Forecasts that stay where the load was before the failure are shown as a miss."""
    event = choose_event(trial)
    assert event is not None
    stale = replace(trial, lows=trial.lows * 0, highs=trial.highs * 0 + 1)
    show_failure(stale, event, Console())
    assert "✗ an hour later it is" in capsys.readouterr().out


@pytest.fixture(scope="module")
def trial():
    """Two days of a backbone with failures on the second."""
    links = LinkSpec(days=2, quiet_days=1, double_share=0.0, horizons=(1, 12))
    return run_link_trial(LinkScenario("A failure", links), 1)
