"""What a file says about itself without meaning to: responses that name their model.

Annotators who read "As GPT-4 …" know whom they judge. Such responses are counted and shown with
their rows; nothing is edited.
"""

import re

from annotate.formats.base import ComparisonRecord

NAMES = (
    "GPT", "OpenAI", "Claude", "Anthropic", "Gemini", "Bard", "LLaMA", "Llama", "Mistral", "Qwen",
    "DeepSeek", "Vicuna", "Alpaca", "Koala", "PaLM", "Command R", "Grok", "Assistant, a",
)  # fmt: skip
_NAME = "(?:" + "|".join(re.escape(name) for name in NAMES) + ")"
# First person beside a name: "As GPT-4", "I am Claude", "I'm ChatGPT", "developed by OpenAI".
LEAK = re.compile(
    r"\b(?:as an?|as|i am|i'm|i\u2019m|my name is|call me|this is|known as)\s+(?:an?\s+)?"
    rf"(?:AI (?:language )?model (?:\w+ ){{0,3}})?(?:called |named )?(?:Chat)?{_NAME}"
    rf"|\b(?:developed|created|trained|made|built) by\s+{_NAME}",
    re.IGNORECASE,
)
AROUND = 30


def leak_in(text: str, source_model: str) -> str:
    """Return the words with which a response gives its model away, or ""."""
    return _own_name(text, source_model) or (_words(text) if _names_a_model(text) else "")


def leaks_of(record: ComparisonRecord) -> list[tuple[str, str]]:
    """The model and the words of every response of a comparison that gives its model away."""
    look = _names_a_model("\n".join([response.text for response in record.responses]))
    found = []
    for response in record.responses:
        words = _own_name(response.text, response.source_model)
        if look and not words:
            words = leak_in(response.text, "")
        if words:
            found.append((response.source_model or "unknown", words))
    return found


def _own_name(text: str, source_model: str) -> str:
    return source_model if len(source_model) > 4 and source_model in text else ""


def _names_a_model(text: str) -> bool:
    # Looking for plain names first is many times as fast as the pattern.
    return any([name in text for name in NAMES])  # noqa: C419 (a generator takes twice as long)


def _words(text: str) -> str:
    found = LEAK.search(text)
    return found.group()[: 2 * AROUND] if found else ""
