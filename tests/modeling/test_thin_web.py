"""The web process stays light: pages and API of modeling load no numeric library."""

import os
import subprocess
import sys

import pytest

HEAVY = ["torch", "sklearn", "transformers", "openai", "numpy", "scipy"]
CODE = """
import sys, django
django.setup()
import modeling.urls, modeling.api_urls, modeling.tasks
print(*[name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.slow
def test_pages_api_and_tasks_load_no_numeric_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=HEAVY)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
