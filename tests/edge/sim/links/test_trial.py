from __future__ import annotations

import json

import pytest

from edge import EdgeError, simulate
from edge.sim.links.charts import choose_event
from edge.sim.links.page import trial_as_data
from edge.sim.links.trial import LinkTrial, run_link_trial
from edge.sim.scenarios import LinkScenario, LinkSpec, load_scenario

SHORT = LinkScenario("short", LinkSpec(days=2, quiet_days=1, double_share=0.5, horizons=(1, 6)))


def test_a_trial_is_a_function_of_scenario_and_seed():
    """The same scenario and seed give the same figures and changes, and another seed does not."""
    first, again, other = (run_link_trial(SHORT, seed) for seed in (3, 3, 4))
    assert first.figures == again.figures
    assert first.changes == again.changes
    assert other.figures != first.figures


@pytest.mark.parametrize(
    "links",
    [
        LinkSpec(days=2, quiet_days=2),
        LinkSpec(days=1, quiet_days=2),
        LinkSpec(days=2, quiet_days=1, horizons=(1, 288)),
        LinkSpec(days=2, quiet_days=1, horizons=()),
    ],
)
def test_a_trial_that_judges_no_forecast_is_refused(links: LinkSpec):
    """Before anything is simulated: a mean of nothing is no figure."""
    with pytest.raises(EdgeError, match="no forecast can be evaluated"):
        run_link_trial(LinkScenario("short", links), 1)


def test_figures_follow_from_forecasts_and_alarms():
    """With the last value as forecaster every ratio is one, and every event has its alarm."""
    trial = run_link_trial(
        LinkScenario("last", LinkSpec(days=2, quiet_days=1, forecaster="last")), 1
    )
    for ahead in (1, 6, 12):
        assert trial.figures[f"ratio_{ahead}"] == pytest.approx(1)
        assert trial.figures[f"mae_{ahead}"] == trial.figures[f"mae_last_{ahead}"] > 0
    assert trial.figures["found"] == trial.figures["events"] == len(trial.events) > 0
    assert trial.figures["false_per_1000"] <= 5
    event = choose_event(trial)
    assert event is not None
    assert event.kind == "failure"


def test_a_scenario_file_gives_a_report(tmp_path, source):
    """`simulate` runs a file of links for each seed, and writes a page and plain data."""
    path = tmp_path / "short.toml"
    path.write_text('title = "short <b>"\n[links]\ndays = 2\nquiet_days = 1\nhorizons = [1]\n')
    report = simulate(path, seeds=(1, 2), out=tmp_path / "report")
    assert report.summary["short <b>"]["ratio_1"].runs == 2
    assert report.page is not None
    page = report.page.read_text("utf-8")
    assert page.count("<svg") == 2
    assert "short &lt;b&gt;" in page
    content = json.loads((tmp_path / "report/report.json").read_bytes())
    assert [run["seed"] for run in content["runs"]] == [1, 2]
    assert content["runs"][0]["events"][0]["kind"] == "failure"
    assert content["runs"][0]["settings"]["topology"] == "nsfnet"


def test_jobs_change_no_figure_of_a_report():
    """Two processes give the trials that one gives, in the order of the seeds."""
    one, two = (simulate(SHORT, seeds=(4, 3), jobs=jobs).recordings for jobs in (1, 2))
    assert [trial.seed for trial in two] == [4, 3]
    for alone, parallel in zip(one, two, strict=True):
        assert isinstance(alone, LinkTrial)
        assert isinstance(parallel, LinkTrial)
        assert alone.figures == parallel.figures


def test_plain_data_names_links():
    """Events and changes name links as from-to."""
    data = trial_as_data(run_link_trial(SHORT, 1))
    assert all("-" in link for event in data["events"] for link in event["links"])


def test_a_wrong_file_is_refused(tmp_path):
    """Unknown keys, kinds and impossible days are errors with a hint."""
    path = tmp_path / "bad.toml"
    path.write_text('title = "x"\n[links]\ntopolgy = "nsfnet"\n')
    with pytest.raises(EdgeError, match="topolgy") as caught:
        load_scenario(path)
    assert "topology" in caught.value.hint
    for links in (LinkSpec(forecaster="oracle"), LinkSpec(days=1, quiet_days=2)):
        with pytest.raises(EdgeError):
            run_link_trial(LinkScenario("x", links), 1)
