"""The program that fine-tunes: started by ``accelerate launch``, one process per device.

It knows nothing of Django or the database. Its folder holds ``config.json`` and the pairs; it
leaves ``events.jsonl`` (the loss curve), checkpoints, ``model/`` (merged, safetensors),
``rewards.json`` and, where it could not finish, ``failure.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from modeling.finetuning.advice import failure_kind
from modeling.finetuning.checkpoints import (
    checkpoint_mark,
    discard_torn_checkpoints,
    newest_checkpoint,
)
from modeling.finetuning.texts import token_ids
from modeling.processes import die_with_parent

FAILED = 3
SHOWN = ("loss", "eval_loss", "eval_accuracy", "learning_rate", "grad_norm")
Config = dict[str, Any]


class Events(TrainerCallback):
    """Writes what the page shows, and marks checkpoints as whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Append one line per log."""
        if not state.is_world_process_zero:
            return
        row = {name: float(logs[name]) for name in SHOWN if name in logs}
        if row:
            self._write({"step": state.global_step, "epoch": state.epoch, **row}, state)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint that was just written."""
        if state.is_world_process_zero:
            checkpoint_mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def _write(self, row: dict[str, Any], state: Any) -> None:
        if torch.cuda.is_available():
            row["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        with self.path.open("a") as file:
            file.write(json.dumps({**row, "max_steps": state.max_steps}) + "\n")


def main(folder: Path) -> int:
    """Train, or say why not."""
    # A killed worker takes the launcher along, and the launcher this process.
    die_with_parent()
    try:
        fine_tune(folder, json.loads((folder / "config.json").read_text()))
    except Exception as error:  # the process boundary: the parent turns this into a sentence
        where = torch.cuda.get_device_name() if torch.cuda.is_available() else "this machine"
        failure = {"kind": failure_kind(error), "where": where, "detail": str(error)[:500]}
        (folder / "failure.json").write_text(json.dumps(failure))
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  # the log
        return FAILED
    return 0


def fine_tune(folder: Path, config: Config) -> None:
    """Train from the newest whole checkpoint, save the merged model, score what is asked for."""
    tokenizer: Any = AutoTokenizer.from_pretrained(config["base_path"], local_files_only=True)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    checkpoints = folder / "checkpoints"
    trainer = _trainer(folder, config, tokenizer, checkpoints)
    if trainer.is_world_process_zero():
        discard_torn_checkpoints(checkpoints)
    trainer.accelerator.wait_for_everyone()
    last = newest_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.is_world_process_zero():
        _leave_results(folder, config, tokenizer, trainer)
    trainer.accelerator.wait_for_everyone()


def _trainer(folder: Path, config: Config, tokenizer: Any, checkpoints: Path) -> Any:
    # The random head must be the same in every process and in every rerun.
    torch.manual_seed(config["seed"])
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    model = AutoModelForSequenceClassification.from_pretrained(
        config["base_path"],
        num_labels=1,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.bfloat16 if has_bf16 else torch.float32,
    )
    lora = LoraConfig(
        task_type="SEQ_CLS",
        r=config["rank"],
        lora_alpha=2 * config["rank"],
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    valid = _pairs(folder / "valid.jsonl", tokenizer, config["max_tokens"])
    return RewardTrainer(
        model=model,
        args=_arguments(config, checkpoints, has_bf16, has_valid=len(valid) > 0),
        train_dataset=_pairs(folder / "train.jsonl", tokenizer, config["max_tokens"]),
        eval_dataset=valid if len(valid) else None,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[Events(folder)],
    )


def _arguments(config: Config, checkpoints: Path, has_bf16: bool, *, has_valid: bool) -> Any:
    every = {"save_steps": config["checkpoint_steps"], "eval_steps": config["checkpoint_steps"]}
    return RewardConfig(
        output_dir=str(checkpoints),
        num_train_epochs=config["epochs"],
        learning_rate=config["learning_rate"],
        per_device_train_batch_size=config["batch_size"],
        per_device_eval_batch_size=config["batch_size"],
        gradient_accumulation_steps=config["accumulation"],
        activation_checkpointing=torch.cuda.is_available(),
        center_rewards_coefficient=config["center_rewards"] or None,
        bf16=has_bf16,
        use_cpu=not torch.cuda.is_available(),
        max_length=None,
        lr_scheduler_type="cosine",
        warmup_steps=0.03,
        logging_steps=max(1, config["log_steps"]),
        save_strategy="steps",
        eval_strategy="steps" if has_valid else "no",
        save_total_limit=2,
        seed=config["seed"],
        data_seed=config["seed"],
        report_to=[],
        disable_tqdm=True,
        **every,
    )


def _pairs(path: Path, tokenizer: Any, max_tokens: int) -> Dataset:
    rows: dict[str, list[list[int]]] = {"chosen_ids": [], "rejected_ids": []}
    for row in _lines(path):
        for side in ("chosen", "rejected"):
            ids = token_ids(tokenizer, row["turns"], row[side], max_tokens)
            rows[f"{side}_ids"].append(ids)
    return Dataset.from_dict(rows)


def _leave_results(folder: Path, config: Config, tokenizer: Any, trainer: Any) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload().eval()
    model.save_pretrained(folder / "model", safe_serialization=True)
    tokenizer.save_pretrained(folder / "model")
    rewards = [_reward(model, tokenizer, row, config) for row in _lines(folder / "texts.jsonl")]
    draft = folder / "rewards.draft"
    draft.write_text(json.dumps(rewards))
    draft.replace(folder / "rewards.json")


def _reward(model: Any, tokenizer: Any, row: dict[str, Any], config: Config) -> float:
    ids = token_ids(tokenizer, row["turns"], row["response"], config["max_tokens"])
    with torch.inference_mode():
        tokens = torch.tensor([ids], device=model.device)
        return float(model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0, 0])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
