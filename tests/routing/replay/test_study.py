"""A whole replay on a planted file, from the command to the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from annotate.errors import ApplicationError
from routing.replay.html import report_html
from routing.replay.settings import parse_budgets, parse_policies
from routing.replay.summary import PromptBootstrap, Totals, largest_by_chance, truth_note

POLICIES = "random,uncertainty,disagreement,conformal,ppm_topk,influence"


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def result(media: None, recorded_file: Path, tmp_path: Path) -> dict[str, Any]:
    output = tmp_path / "out.json"
    call_command(
        "replay_routing", recorded_file, output=output, policies=POLICIES, budgets="25%,0.5",
        seeds=2, mixes=40, verbosity=0,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(output.read_text())
    return found


@pytest.mark.slow
def test_the_report_has_every_policy_and_budget_with_intervals(result: dict[str, Any]) -> None:
    assert (result["n_comparisons"], result["n_prompts"]) == (180, 60)
    assert result["judges"] == ["judy"]
    assert set(result["policies"]) == {*POLICIES.split(","), "all_judge", "all_human"}
    cell = result["policies"]["disagreement"]["0.25"]
    assert cell["human_share"] == pytest.approx(45 / 180, abs=0.001)
    # 45 people at $0.50 and 135 judge labels at $0.01; the judge labels those 45 as well.
    assert cell["cost_usd"] == pytest.approx(45 * 0.50 + 135 * 0.01)
    assert cell["label_accuracy"]["low"] < cell["label_accuracy"]["mean"]
    assert set(result["ppm"]) >= {"spearman", "rmse_pp", "noise_floor_pp", "n_mixes"}
    # The judge is wrong on nine tenths of every second prompt; people are never wrong here.
    judge = result["policies"]["all_judge"]["0.5"]["label_accuracy"]["mean"]
    assert judge == pytest.approx(0.55, abs=0.08)
    assert result["policies"]["all_human"]["0.5"]["label_accuracy"]["mean"] == 1.0
    # The topic is in the metadata, so what a model learns there holds on other prompts.
    assert result["policies"]["disagreement"]["0.5"]["label_accuracy"]["mean"] > 0.9
    gain = result["policies"]["disagreement"]["0.5"]["over_random"]["label_accuracy"]
    assert gain["low"] > 0.1
    assert "single human" not in result["truth"]["sentence"]
    assert "one human label, which then is the truth" in result["truth"]["sentence"]
    page = report_html(result)
    assert page.count("<svg") == 3
    assert "people only 1.000" in page
    assert "<script src" not in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policies": "best"}, "Unknown policy 'best'"),
        ({"budgets": "lots"}, "'lots' is no budget"),
        ({"judge": "nobody"}, "has no judge 'nobody'; use one of judy, panel"),
        ({"seeds": 0}, "between 1 and 200 seeds"),
        ({"human_price": -1.0}, "cannot be negative"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(
    media: None, recorded_file: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("replay_routing", recorded_file, verbosity=0, **options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no file"):
        call_command("replay_routing", tmp_path / "none.jsonl", verbosity=0)


def test_budgets_are_shares_or_dollars() -> None:
    levels = parse_budgets("0.2, 50%,$12.5")
    assert [(x.label, x.share, x.usd) for x in levels] == [
        ("0.2", 0.2, None),
        ("0.5", 0.5, None),
        ("$12.5", None, 12.5),
    ]


@pytest.mark.parametrize("text", ["1.5", "$5%", "-1", "150%"])
def test_budgets_that_are_neither_are_refused(text: str) -> None:
    with pytest.raises(ApplicationError, match="is no budget"):
        parse_budgets(text)


def test_the_policies_to_compare_with_are_always_there() -> None:
    assert parse_policies("influence-v1") == ("all_judge", "all_human", "random", "influence")


def test_intervals_resample_prompts_and_weigh_looks_alike() -> None:
    prompt = np.repeat(np.arange(50), 4)
    bootstrap = PromptBootstrap(prompt, np.random.default_rng(0))
    # Two looks at right, one at wrong, the same on every comparison: 2 of 3, without spread.
    draws = bootstrap.ratio(np.full(200, 2.0), np.full(200, 3.0))
    assert draws.entry() == {
        "mean": pytest.approx(2 / 3, abs=1e-5),
        "low": pytest.approx(2 / 3, abs=1e-5),
        "high": pytest.approx(2 / 3, abs=1e-5),
        "n": 200,
        "n_prompts": 50,
    }


def test_the_interval_of_a_mean_over_prompts_has_its_textbook_width() -> None:
    prompt = np.repeat(np.arange(400), 2)
    values = np.repeat(np.random.default_rng(1).integers(0, 2, 400), 2).astype(float)
    entry = PromptBootstrap(prompt, np.random.default_rng(0)).ratio(values, np.ones(800)).entry()
    # By hand: 1.96 * sqrt(.25 / 400) = 0.049; that rows are doubled must not narrow it.
    assert (entry["high"] - entry["low"]) / 2 == pytest.approx(0.049, abs=0.004)


def test_the_best_of_many_must_be_better_than_the_best_by_chance() -> None:
    rng = np.random.default_rng(0)
    bootstrap = PromptBootstrap(np.arange(300), np.random.default_rng(0))
    one = [bootstrap.ratio(rng.standard_normal(300), np.ones(300))]
    many = [bootstrap.ratio(rng.standard_normal(300), np.ones(300)) for _ in range(40)]
    assert largest_by_chance(one) == pytest.approx(1.96, abs=0.12)
    # By hand, for 40 independent ones: the normal quantile of .975 ** (1 / 40) is 3.23.
    assert largest_by_chance(many) == pytest.approx(3.23, abs=0.25)


def test_the_report_says_how_truth_was_measured() -> None:
    note = truth_note([3, 3, 1])
    assert (note["n_measured_by_others"], note["n_single_label"]) == (2, 1)
    assert note["sentence"].startswith("On 2 comparisons with two or more people")


def test_a_gain_that_other_splits_would_not_show_is_not_clear() -> None:
    totals = Totals(n=4, n_cells=2)
    totals.fit_by_trial = [np.array([0.0, gain]) for gain in (0.01, 0.03)]
    # Two splits .02 apart: a standard deviation of .0141, over the root of two.
    assert totals.split_deviation(1, 0) == pytest.approx(0.01)
    totals.fit_by_trial = totals.fit_by_trial[:1]
    assert totals.split_deviation(1, 0) == 0.0
