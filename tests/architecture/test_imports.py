"""What may be loaded where; the static contracts stand in pyproject.toml."""

import subprocess
import sys

import pytest
from django.apps import apps
from django.conf import settings

HEAVY = {"torch", "transformers", "sklearn", "scipy"}
LAYER = {"annotate": 0, "modeling": 1, "routing": 2}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh Python has loaded after running the code."""
    program = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("core", ["routing.core", "modeling.core"])
def test_a_numeric_core_loads_without_django(core: str) -> None:
    modules = (
        f"import pkgutil, importlib, {core} as core\n"
        "for m in pkgutil.walk_packages(core.__path__, core.__name__ + '.'): "
        "importlib.import_module(m.name)"
    )
    assert "django" not in loaded_by(modules)


def test_the_web_process_never_loads_numerics() -> None:
    web = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n"
        "import django; django.setup()\n"
        "import config.wsgi\n"
        "from django.urls import get_resolver; get_resolver().url_patterns"
    )
    assert not loaded_by(web) & HEAVY


def test_foreign_keys_point_down() -> None:
    upward = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.many_to_one or field.one_to_one
        if field.concrete and field.related_model is not None
        if LAYER.get(model._meta.app_label, 9) < LAYER.get(field.related_model._meta.app_label, -1)
    ]
    assert upward == []
