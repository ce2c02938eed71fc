"""The content security policy allows no inline script or style, so no template may contain any."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
VENDORED = re.findall(
    r"^\| `(?P<name>[^`]+)` .*`(?P<sha256>[0-9a-f]{64})` \|$",
    (ROOT / "static/vendor/README.md").read_text(),
    flags=re.MULTILINE,
)
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")[^>]*>", re.I)
FORBIDDEN = {
    "a style element": re.compile(r"<style\b", re.I),
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "an event attribute": re.compile(r"<[^>]*\son[a-z]+\s*=", re.I),
    "an hx-on attribute, which needs eval": re.compile(r"\shx-on[:\-a-z]*\s*=", re.I),
    "a javascript: address": re.compile(r"=\s*[\"']?\s*javascript:", re.I),
    "an address of another host": re.compile(r"(?:src|href)=\"(?:https?:)?//", re.I),
    "an inline script": INLINE_SCRIPT,
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_template_contains_nothing_that_the_policy_would_block(path: Path, what: str) -> None:
    found = FORBIDDEN[what].search(path.read_text())
    assert found is None, f"{path.name} contains {what}: {found.group(0) if found else ''}"


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        '<script type="module">import "./x.js"</script>',
        '<p class="a" style="color: red">',
        '<button type="button" onclick="go()">',
        "<style>p { color: red }</style>",
        '<div hx-on:click="go()">',
        '<a href="javascript:go()">',
        '<script src="https://cdn.example/x.js"></script>',
    ],
)
def test_the_search_finds_planted_markup(markup: str) -> None:
    assert any(pattern.search(markup) for pattern in FORBIDDEN.values())


def test_data_in_a_json_script_is_not_taken_for_a_script() -> None:
    assert INLINE_SCRIPT.search('<script id="x" type="application/json">{}</script>') is None


@pytest.mark.parametrize(("name", "sha256"), VENDORED)
def test_a_vendored_script_has_the_hash_that_its_readme_names(name: str, sha256: str) -> None:
    assert hashlib.sha256((ROOT / "static/vendor" / name).read_bytes()).hexdigest() == sha256


def test_every_vendored_script_is_named_in_the_readme() -> None:
    scripts = {path.name for path in (ROOT / "static/vendor").glob("*.js")}
    assert scripts == {name for name, _ in VENDORED}
