"""Cores stay pure, the web process stays light, and foreign keys point down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Model

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "sklearn", "scipy", "numpy"}
# From the bottom up: an app may point at itself and at those before it.
LAYERS = ["contenttypes", "auth", "sessions", "annotate", "modeling", "routing"]


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("core", ["routing.core", "modeling.core"])
def test_a_core_can_be_imported_without_any_framework(core: str) -> None:
    frameworks = {"django", "rest_framework", "celery", "redis", "config", "annotate"}
    assert modules_after(f"import {core}").isdisjoint(frameworks)


def test_loading_every_url_loads_no_numeric_package() -> None:
    code = "import django; django.setup(); from django.urls import get_resolver\n"
    code += "get_resolver().url_patterns"
    assert modules_after(code).isdisjoint(HEAVY)


def test_loading_every_task_loads_no_numeric_package() -> None:
    code = "import django; django.setup(); from config.celery import app\n"
    code += "app.loader.import_default_modules()"
    assert modules_after(code).isdisjoint(HEAVY)


def targets(model: type[Model]) -> list[str]:
    """Return the app labels that a model's own foreign keys point at."""
    fields = [*model._meta.fields, *model._meta.many_to_many]
    related = [field.related_model for field in fields if field.is_relation]
    return [each._meta.app_label for each in related if isinstance(each, type)]


@pytest.mark.parametrize("model", apps.get_models(), ids=lambda model: model._meta.label)
def test_foreign_keys_point_at_the_same_layer_or_a_lower_one(model: type[Model]) -> None:
    own = LAYERS.index(model._meta.app_label)
    assert all(LAYERS.index(label) <= own for label in targets(model))
