"""How to fine-tune a reward model; light enough for the web process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from typing import Any

from annotate.errors import ApplicationError
from modeling.encoder_names import model_config

LORA = "lora"
PACKAGES = ("accelerate", "datasets", "peft", "trl")
HEADS = "heads"

LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (0.01, 20),
    "learning_rate": (1e-7, 1e-1),
    "rank": (1, 512),
    "max_tokens": (16, 32_768),
    "batch_size": (1, 512),
    "accumulation": (1, 1_024),
    "checkpoint_steps": (1, 100_000),
    "center_rewards": (0.0, 1.0),
}


def finetuning_require() -> None:
    """Refuse fine-tuning where its packages are missing.

    Raises
    ------
    ApplicationError
        With the remedy.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ApplicationError(
            f"Fine-tuning needs {', '.join(missing)}. Run: pip install 'tandem[finetuning]'",
            field="base",
        )


@dataclass(frozen=True)
class FineTuneOptions:
    """Options of a LoRA fine-tuning of a sequence-classification reward model.

    ``learning_rate`` is that of LoRA (about ten times that of full fine-tuning); ``accumulation``
    multiplies ``batch_size`` without more memory; ``center_rewards`` keeps rewards around zero;
    ``by_source`` trains once more on each source of labels, to compare them.
    """

    base: str
    epochs: float = 1.0
    learning_rate: float = 1e-4
    rank: int = 16
    max_tokens: int = 1_024
    batch_size: int = 8
    accumulation: int = 1
    checkpoint_steps: int = 100
    center_rewards: float = 0.01
    by_source: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises
        ------
        ApplicationError
            If the base model is not there or a number lies outside its limits.
        """
        model_config(self.base, field="base")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ApplicationError(
                    f"{name} = {value:g} is outside {low:g} to {high:g}.", field=name
                )

    def as_parameters(self) -> dict[str, Any]:
        """Return the options as a training run keeps them."""
        return asdict(self)

    @classmethod
    def read(cls, parameters: dict[str, Any]) -> FineTuneOptions:
        """Read the options of a training run; an earlier release may not have known them all."""
        known = {field.name for field in fields(cls)} & parameters.keys()
        return cls(**{name: parameters[name] for name in known})
