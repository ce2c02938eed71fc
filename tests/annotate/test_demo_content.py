"""The text that the demo project shows: complete, consistent, varied and fit to be seen."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "annotate" / "demo"
LINES = (DEMO / "comparisons.jsonl").read_text(encoding="utf-8").splitlines()
ROWS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
UNSPACED_LANGUAGES = {"ja", "zh"}

META_FIELDS = {"subject", "difficulty", "language", "quality", "flaws"}
RESPONSE_FIELDS = {"id", "text", "model"}


def offenders(is_fit: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Return the ids of the rows that are not fit, so that a failure names them."""
    return [row["id"] for row in ROWS if not is_fit(row)]


def prompt_key(row: dict[str, Any]) -> str:
    """Return the prompt as text, whether it has one turn or several."""
    return json.dumps(row["prompt"], ensure_ascii=False)


def turns(row: dict[str, Any]) -> list[dict[str, str]]:
    """Return the prompt as turns."""
    single = [{"role": "user", "content": row["prompt"]}]
    return row["prompt"] if isinstance(row["prompt"], list) else single


def texts(row: dict[str, Any]) -> list[str]:
    """Return the texts of the row's responses."""
    return [response["text"] for response in row["responses"]]


def shown(row: dict[str, Any]) -> list[str]:
    """Return every text of the row that an annotator reads."""
    return [*texts(row), *(turn["content"] for turn in turns(row))]


def poor(row: dict[str, Any]) -> list[str]:
    """Return the ids of the responses of middling or low quality."""
    return [key for key, quality in row["meta"]["quality"].items() if quality <= 6]


def flawed(row: dict[str, Any]) -> list[str]:
    """Return the ids of the responses with at least one named flaw."""
    return [key for key, flaws in row["meta"]["flaws"].items() if flaws]


def of_fit_length(row: dict[str, Any], text: str) -> bool:
    """Say whether a response is neither a scrap nor an essay, in the measure of its script."""
    if row["meta"]["language"] in UNSPACED_LANGUAGES:
        return 100 <= len(text) <= 500
    return 30 <= len(text.split()) <= 250


def everything_shown() -> str:
    """Return all prompts and responses as one text."""
    return "\n".join(text for row in ROWS for text in shown(row))


def count_by_prompt(field: str) -> Counter[str]:
    """Count prompts by a field of their metadata."""
    return Counter({prompt_key(row): row["meta"][field] for row in ROWS}.values())


def quality_gap(row: dict[str, Any]) -> int:
    """Return by how much the first response is better than the second."""
    quality: dict[str, int] = row["meta"]["quality"]
    return quality["a"] - quality["b"]


def test_every_row_has_exactly_the_fields_of_an_unlabelled_comparison() -> None:
    assert offenders(lambda row: set(row) == {"id", "prompt", "responses", "meta"}) == []
    assert offenders(lambda row: set(row["meta"]) == META_FIELDS) == []


def test_every_row_compares_two_different_responses_with_unique_ids() -> None:
    assert offenders(lambda row: [r["id"] for r in row["responses"]] == ["a", "b"]) == []
    assert offenders(lambda row: all(set(r) == RESPONSE_FIELDS for r in row["responses"])) == []
    assert offenders(lambda row: len(set(texts(row))) == 2) == []


def test_metadata_describes_both_responses_of_every_row() -> None:
    both = {"a", "b"}
    assert offenders(lambda row: set(row["meta"]["quality"]) == both) == []
    assert offenders(lambda row: set(row["meta"]["flaws"]) == both) == []
    assert offenders(lambda row: set(row["meta"]["quality"].values()) <= set(range(11))) == []


def test_a_poor_response_names_its_flaws() -> None:
    assert offenders(lambda row: set(poor(row)) <= set(flawed(row))) == []


def test_a_prompt_alternates_roles_and_ends_with_the_user() -> None:
    assert offenders(lambda row: {t["role"] for t in turns(row)[::2]} == {"user"}) == []
    assert offenders(lambda row: {t["role"] for t in turns(row)[1::2]} <= {"assistant"}) == []
    assert offenders(lambda row: len(turns(row)) % 2 == 1) == []
    assert offenders(lambda row: all(t["content"].strip() for t in turns(row))) == []


def test_a_response_has_between_30_and_250_words_or_as_many_characters_as_that_takes() -> None:
    assert offenders(lambda row: all(of_fit_length(row, text) for text in texts(row))) == []


@pytest.mark.parametrize("fence", ["```", "$$"])
def test_code_fences_and_display_formulas_are_closed(fence: str) -> None:
    assert offenders(lambda row: all(text.count(fence) % 2 == 0 for text in shown(row))) == []


def test_ids_are_unique() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_no_pair_of_responses_is_compared_twice() -> None:
    pairs = [(prompt_key(row), frozenset(texts(row))) for row in ROWS]
    assert len(set(pairs)) == len(pairs)


def test_the_project_has_the_promised_size() -> None:
    assert 110 <= len(ROWS) <= 130
    assert 58 <= len({prompt_key(row) for row in ROWS}) <= 70


def test_prompts_are_shared_by_two_to_four_responses() -> None:
    responses: dict[str, set[str]] = defaultdict(set)
    for row in ROWS:
        responses[prompt_key(row)].update(texts(row))
    assert {len(of_prompt) for of_prompt in responses.values()} == {2, 3, 4}


def test_a_shared_response_keeps_its_source_quality_and_flaws() -> None:
    described: dict[str, set[str]] = defaultdict(set)
    for row in ROWS:
        for response in row["responses"]:
            key, meta = response["id"], row["meta"]
            facts = [prompt_key(row), response["model"], meta["quality"][key], meta["flaws"][key]]
            described[response["text"]].add(json.dumps(facts))
    assert max(len(descriptions) for descriptions in described.values()) == 1


def test_subjects_are_spread_over_at_least_a_dozen() -> None:
    subjects = count_by_prompt("subject")
    assert len(subjects) >= 12
    assert max(subjects.values()) <= 0.15 * subjects.total()


def test_every_difficulty_has_its_share_of_prompts() -> None:
    difficulties = count_by_prompt("difficulty")
    assert set(difficulties) == {"easy", "medium", "hard"}
    assert min(difficulties.values()) >= 0.15 * difficulties.total()


def test_languages_include_other_scripts_and_a_right_to_left_one() -> None:
    assert {"en", "de", "es", "ja", "zh", "ar"} <= set(count_by_prompt("language"))


def test_some_prompts_have_several_turns() -> None:
    assert len({prompt_key(row) for row in ROWS if len(turns(row)) > 1}) >= 5


@pytest.mark.parametrize(
    "pattern",
    [r"```python", r"```sql", r"^\|[-:| ]+\|$", r"\$\$", r"^\d\. ", r"^- ", r"^> ", r"<center>"],
)
def test_the_responses_show_every_kind_of_layout(pattern: str) -> None:
    responses = "\n".join(text for row in ROWS for text in texts(row))
    assert re.search(pattern, responses, flags=re.MULTILINE)


def test_four_sources_each_write_good_and_bad_responses() -> None:
    qualities: dict[str, set[int]] = defaultdict(set)
    for row in ROWS:
        for response in row["responses"]:
            qualities[response["model"]].add(row["meta"]["quality"][response["id"]])
    assert set(qualities) == {"otter-7b", "heron-13b", "lynx-large", "human-draft"}
    assert [name for name, seen in qualities.items() if min(seen) > 4 or max(seen) < 7] == []


def test_the_better_response_stands_on_either_side() -> None:
    gaps = [quality_gap(row) for row in ROWS]
    first_better = sum(gap > 0 for gap in gaps)
    second_better = sum(gap < 0 for gap in gaps)
    assert 0.4 <= first_better / (first_better + second_better) <= 0.6


def test_near_ties_and_clear_cases_both_occur() -> None:
    gaps = [abs(quality_gap(row)) for row in ROWS]
    assert sum(gap <= 1 for gap in gaps) >= 10
    assert sum(gap >= 5 for gap in gaps) >= 40


def test_length_alone_does_not_give_the_answer_away() -> None:
    decided = [row for row in ROWS if quality_gap(row) != 0]
    longer_is_better = [
        (len(texts(row)[0]) > len(texts(row)[1])) == (quality_gap(row) > 0) for row in decided
    ]
    assert 0.5 <= sum(longer_is_better) / len(decided) <= 0.75


def test_no_link_leads_out_of_the_demo() -> None:
    assert re.findall(r"https?://\S+", everything_shown()) == []
    addresses = re.findall(r"[\w.+-]+@[\w-]+\.[\w.]+", everything_shown())
    assert [address for address in addresses if not address.endswith(".example")] == []


def test_no_text_names_its_own_source() -> None:
    sources = {response["model"] for row in ROWS for response in row["responses"]}
    assert [name for name in sources if name in everything_shown()] == []


def test_the_guideline_fits_one_page_and_covers_the_verdicts() -> None:
    guideline = (DEMO / "guideline.md").read_text(encoding="utf-8")
    assert 150 <= len(guideline.split()) <= 250
    assert all(word in guideline for word in ("Harmless", "Truthful", "Helpful", "Tie", "Both bad"))


def test_the_readme_states_licence_size_and_simulation() -> None:
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    n_prompts = len({prompt_key(row) for row in ROWS})
    assert f"{len(ROWS)} comparisons over {n_prompts} prompts" in readme
    assert "CC0" in readme
    assert "marks them as simulated" in readme
