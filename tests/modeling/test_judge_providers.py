"""Judges that are no endpoint: a local model, the project's reward model, plug-ins, verifiers."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from pytest_django import Settings

from annotate.errors import ApplicationError, NotReady
from annotate.models import Comparison, JobState, Preference, Project
from modeling.core.judge_rankings import CombinedRanking
from modeling.core.judge_replies import CombinedVerdict
from modeling.judges.logprobs import shown_first_probability
from modeling.judges.plugins import Abstain, PluginComparison, PluginVerdict
from modeling.judges.verifiers import AnswerCheck, as_number, final_answer
from modeling.models import Judge, JudgeOutcome, JudgeReply, JudgeRun
from modeling.services.judge_prompts import judge_prompt_save
from modeling.services.judge_runs import judge_run_execute, judge_run_start
from modeling.services.judges import judge_create
from tests.factories import make_annotator, make_comparison, make_project

TALL = "tests.modeling.test_judge_providers.tall_judge"
BROKEN = "tests.modeling.test_judge_providers.broken_judge"


def tall_judge() -> Callable[[PluginComparison], PluginVerdict]:
    """A plug-in that prefers the longer response."""

    def judge(comparison: PluginComparison) -> PluginVerdict:
        first, second = map(len, comparison.responses)
        return PluginVerdict("first" if first > second else "second", 1, "It is longer.", 0.6)

    return judge


def broken_judge() -> Callable[[PluginComparison], Any]:
    """A plug-in that fails."""

    def judge(comparison: PluginComparison) -> Any:
        raise KeyError("nothing there")

    return judge


@pytest.fixture
def project(db: None) -> Project:
    """Two comparisons that nobody is to have."""
    project = make_project()
    make_comparison(
        project, texts=["So it is 42.", "The answer is 41."], wanted_labels=0,
        metadata={"reference": "42"},
    )  # fmt: skip
    make_comparison(project, texts=["a", "bb"], wanted_labels=0)
    return project


def executed(judge: Judge) -> JudgeRun:
    """A run over everything, in this process."""
    run = judge_run_start(judge=judge, user=None)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def kinds(run: JudgeRun) -> list[str]:
    """Outcomes in the order of the comparisons."""
    rows = JudgeOutcome.objects.filter(run=run).order_by("comparison_id")
    return list(rows.values_list("kind", flat=True))


def test_the_answer_check_labels_what_it_can_and_sends_the_rest_to_people(
    project: Project,
) -> None:
    judge = judge_create(
        project=project, user=None, name="check", provider="plugin", plugin="answer_check"
    )
    run = executed(judge)
    assert (kinds(run), run.n_to_people) == (["labelled", "abstained"], 1)
    label = Preference.objects.get(annotator=judge.annotator)
    assert (label.ranking, label.probability) == ([0, 1], 0.92)
    assert label.cost_usd == 0
    assert "42" in label.rationale
    assert Comparison.objects.get(project=project, open_slots=1).metadata == {}


def test_an_operators_plug_in_judges_with_its_own_probability(
    project: Project, settings: Settings
) -> None:
    settings.JUDGE_PLUGINS = [TALL]
    judge = judge_create(project=project, user=None, name="tall", provider="plugin", plugin=TALL)
    assert kinds(executed(judge)) == ["labelled", "labelled"]
    rows = Preference.objects.filter(annotator=judge.annotator).order_by("comparison_id")
    assert [row.ranking for row in rows] == [[1, 0], [1, 0]]
    assert {row.probability for row in rows} == {0.6}


def test_a_plug_in_that_fails_costs_its_comparisons_only(
    project: Project, settings: Settings
) -> None:
    settings.JUDGE_PLUGINS = [BROKEN]
    judge = judge_create(project=project, user=None, name="b", provider="plugin", plugin=BROKEN)
    run = executed(judge)
    assert (run.state, kinds(run)) == (JobState.DONE, ["failed", "failed"])
    assert "KeyError: 'nothing there'" in run.outcomes.first().detail  # type: ignore[union-attr]


@pytest.mark.parametrize("plugin", [TALL, "os.system", ""])
def test_a_plug_in_that_the_operator_did_not_allow_is_refused(
    project: Project, plugin: str
) -> None:
    with pytest.raises(ApplicationError, match="JUDGE_PLUGINS"):
        judge_create(project=project, user=None, name="x", provider="plugin", plugin=plugin)


@pytest.mark.parametrize(
    "options", [{"mode": "fuzzy"}, {"tolerance": 2}, {"colour": "red"}, {"reference": 7}]
)
def test_options_that_a_verifier_does_not_take_are_refused(
    project: Project, options: dict[str, Any]
) -> None:
    with pytest.raises(ApplicationError, match="does not take these options"):
        judge_create(
            project=project, user=None, name="x", provider="plugin", plugin="answer_check",
            options=options,
        )  # fmt: skip


@pytest.mark.parametrize("options", [["reference"], {"reference": "\x00"}, {"x": float("nan")}])
def test_options_that_cannot_be_stored_are_refused(project: Project, options: Any) -> None:
    with pytest.raises(ApplicationError, match="JSON object"):
        judge_create(
            project=project, user=None, name="x", provider="plugin", plugin="answer_check",
            options=options,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted", "is_right"),
    [
        ("First 3, then 4, so 42.", "42", True),
        ("So \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", True),
        ("The answer is **1,234.50** dollars, not 7.", 1234.5, True),
        ("#### 0.5", "1/2", True),
        ("It is 50%", 0.5, True),
        ("The final answer is \u22123.", "-3", True),
        ("The answer: Paris.", "paris", True),
        ("It lies in France.\nParis", "Paris", True),
        ("Lyon", "Paris", False),
        ("The answer is 41", "42", False),
        ("I do not know.", "42", False),
    ],
)
def test_the_final_answer_is_compared_as_a_number_or_as_text(
    text: str, wanted: Any, is_right: bool
) -> None:
    assert AnswerCheck().is_right(text, wanted) is is_right


@pytest.mark.parametrize(
    ("first", "second", "metadata"),
    [("42", "it is 42", {"reference": 42}), ("1", "2", {"reference": 3}), ("1", "2", {})],
)
def test_the_check_abstains_where_it_cannot_tell(
    first: str, second: str, metadata: dict[str, Any]
) -> None:
    said = AnswerCheck()(PluginComparison((), (first, second), metadata=metadata))
    assert isinstance(said, Abstain)


@pytest.mark.parametrize("text", ["", "nan", "inf", "1/0", "abc", "1e999"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert as_number(text) is None


def test_a_response_without_numbers_has_no_numeric_answer() -> None:
    assert final_answer("None at all.", numeric=True) == ""


@pytest.fixture
def tiny_model(tmp_path: Path, settings: Settings) -> str:
    """A causal model with random weights and a tokenizer of single bytes, in the models' folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: at for at, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=4096,
    )  # fmt: skip
    settings.MODELS_DIR = tmp_path
    folder = tmp_path / "tiny"
    LlamaForCausalLM(config).save_pretrained(folder)
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer).save_pretrained(folder)
    return "tiny"


@pytest.mark.slow
def test_a_local_model_judges_from_queue_to_label(project: Project, tiny_model: str) -> None:
    for number in range(3):
        make_comparison(project, texts=["long " * (number + 1), "short"])
    judge = judge_create(
        project=project, user=None, name="tiny", provider="local", model_name=tiny_model
    )
    run = executed(judge)
    assert (run.state, run.n_done, run.n_unparsed, run.n_failed) == (JobState.DONE, 5, 0, 0)
    assert run.cost_usd == 0
    replies = JudgeReply.objects.filter(judge=judge)
    assert replies.count() == 10
    assert all(0.0 < reply.first_probability < 1.0 for reply in replies)  # type: ignore[operator]
    labels = Preference.objects.filter(annotator=judge.annotator)
    assert labels.count() == 5
    assert {label.extra["model_reported"] for label in labels} == {"tiny"}


@pytest.mark.slow
def test_batched_scores_equal_those_of_the_whole_model_one_at_a_time(
    project: Project, tiny_model: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from modeling.judges.local import VerdictScorer, local_model_folder
    from modeling.judges.questions import ask_of, question_of

    judge = judge_create(
        project=project, user=None, name="tiny", provider="local", model_name=tiny_model
    )
    asks = [
        ask_of(judge, one.pk, question_of(one, project=project), swapped=swapped)
        for one in project.comparisons.all()
        for swapped in (False, True)
    ]
    scorer = VerdictScorer(local_model_folder(tiny_model), name=tiny_model)
    replies = scorer.replies([(ask, True) for ask in asks])
    loaded: Any = AutoModelForCausalLM.from_pretrained(local_model_folder(tiny_model))
    model = loaded.to(scorer.device)
    for ask in asks:
        context, following = scorer._tokens(ask.messages, allow_tie=True)
        with torch.inference_mode():
            logits = model(torch.tensor([context], device=scorer.device)).logits[0, -1, following]
        shares = torch.softmax(logits, dim=-1).tolist()
        reply = replies[ask.hash]
        assert reply.shown_first == pytest.approx(shares[0] + shares[2] / 2, abs=1e-4)  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.gpu
def test_a_local_model_judges_on_the_accelerator(project: Project, tiny_model: str) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("There is no accelerator on this machine; the CPU test covers the rest.")
    judge = judge_create(
        project=project, user=None, name="tiny", provider="local", model_name=tiny_model
    )
    assert executed(judge).n_done == 2


@pytest.mark.parametrize("name", ["../secrets", "/etc", ".hidden", "a//b", ""])
def test_a_local_model_cannot_lie_outside_the_models_folder(project: Project, name: str) -> None:
    with pytest.raises(ApplicationError, match="folder"):
        judge_create(project=project, user=None, name="x", provider="local", model_name=name)


def test_a_local_model_that_is_not_there_fails_the_run_with_the_remedy(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path
    judge = judge_create(
        project=project, user=None, name="x", provider="local", model_name="absent"
    )
    run = executed(judge)
    assert run.state == JobState.FAILED
    assert "MODELS_DIR" in run.message


@pytest.mark.parametrize(
    ("field", "values"),
    [("n_samples", {"n_samples": 3}), ("ranking_by", {"ranking_by": "list"}),
     ("prompt", {"kind": "rating"}), ("prompt", {"reply_order": "reason_first"})],
)  # fmt: skip
def test_a_local_model_is_asked_for_one_verdict(
    project: Project, field: str, values: dict[str, Any]
) -> None:
    settings = values
    if field == "prompt":
        prompt = judge_prompt_save(
            project=project, user=None, name="p", instructions="Be strict.", **values
        )
        settings = {"prompt": prompt}
    with pytest.raises(ApplicationError) as refusal:
        judge_create(
            project=project, user=None, name="x", provider="local", model_name="m", **settings
        )
    assert refusal.value.field == field


class FakeScorer:
    """A loaded reward model whose reward is half the length of a response, in two members."""

    def members(self, turns: list[Any], responses: list[str]) -> Any:
        """Rewards after temperature, shape (2, n)."""
        assert len(turns) == len(responses)
        lengths = np.array([len(text) / 2.0 for text in responses])
        return np.stack([lengths, lengths])


def test_the_reward_model_prefers_the_higher_reward_without_any_order(project: Project) -> None:
    from modeling.judges.silver import RewardModelAsker
    from modeling.judges.work import WorkMaker

    make_comparison(project, texts=["ab", "nine char", "four"])
    annotator = make_annotator(project, kind="judge", name="rm")
    judge = Judge.objects.create(provider="reward_model", annotator=annotator)
    with (
        patch("modeling.judges.silver.scorer_for", return_value=FakeScorer()),
        patch("modeling.judges.silver.judging_model", return_value="rm-3"),
    ):
        asker = RewardModelAsker(judge)
    maker = WorkMaker(judge, project)
    works = [maker.make(one) for one in project.comparisons.order_by("pk")]
    answers = asker.answer(works, threading.Event())  # type: ignore[arg-type]
    given = [answer.given.combined for answer in answers if answer.given]
    said = [one for one in given if isinstance(one, CombinedVerdict)]
    # Lengths 12 and 17, then 1 and 2; logits are halved by the temperature.
    assert said[0].verdict == "second"
    assert said[0].probability == pytest.approx(1 / (1 + np.exp(2.5)))
    assert said[1].probability == pytest.approx(1 / (1 + np.exp(0.5)))
    assert said[1].strength == 1.0
    # The third comparison has three responses, of lengths 2, 9 and 4.
    assert isinstance(given[2], CombinedRanking)
    assert given[2].ranks == (2, 0, 1)


def test_a_reward_model_that_is_not_trained_cannot_judge(project: Project) -> None:
    with pytest.raises(NotReady, match="train one"):
        judge_create(project=project, user=None, name="rm", provider="reward_model")


def token(text: str, **alternatives: float) -> dict[str, Any]:
    """A token with the log-probabilities of its alternatives."""
    top = [{"token": name, "logprob": value} for name, value in alternatives.items()]
    return {"token": text, "logprob": alternatives.get(text, -0.1), "top_logprobs": top}


def test_confidence_is_read_at_the_verdicts_first_character() -> None:
    tokens = [
        token('{"ver'), token('dict": "'),
        token("B", B=float(np.log(0.6)), A=float(np.log(0.2)), tie=float(np.log(0.2))),
        token('", "strength": 2}'),
    ]  # fmt: skip
    assert shown_first_probability(tokens) == pytest.approx(0.3)


def test_a_token_that_holds_quotation_mark_and_letter_is_read_too() -> None:
    top = [
        {"token": '"A', "logprob": float(np.log(0.75))},
        {"token": '"B', "logprob": float(np.log(0.25))},
    ]
    joined = {"token": '"A', "logprob": float(np.log(0.75)), "top_logprobs": top}
    tokens = [token('{"verdict": '), joined, token('"}')]
    assert shown_first_probability(tokens) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "tokens",
    [[], [token("I like both.")], [token('{"verdict": "'), token("A", A=-3.0, Zebra=-0.1)]],
)
def test_confidence_that_is_not_told_is_none(tokens: list[dict[str, Any]]) -> None:
    assert shown_first_probability(tokens) is None
