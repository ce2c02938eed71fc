import ast
import gettext as gnu
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import templatize

from annotate.errors import ApplicationError
from annotate.models import Project, Review, Workbench
from annotate.services.reviews import conflict_in_words
from annotate.services.workbench import language_change
from tests.factories import make_comparison, make_member, make_project, make_user

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = ROOT / "locale/de/LC_MESSAGES"
DOMAINS = ("django", "djangojs")
PLACEHOLDER = re.compile(r"%\(\w+\)[sr]|\{\w+\}")
CALLS = {"gettext", "gettext_lazy", "ngettext", "_"}
# What annotators and reviewers read; the pages of owners are in English.
TEMPLATES = [
    *(path for path in (ROOT / "templates").glob("*.html") if path.name != "api_docs.html"),
    *(ROOT / "templates/registration").glob("*.html"),
    *(ROOT / f"templates/components/{name}.html" for name in (
        "site_header", "languages", "project_tabs", "messages", "pages", "error_page", "field",
        "hint", "progress",
    )),
    *(ROOT / f"templates/annotate/{name}.html" for name in (
        "label", "history", "project_list", "project_home_annotator", "quality_own_test",
        "quality_reviews", "quality_review", "partials/_quality_comparison", "partials/_reading",
    )),
]  # fmt: skip
SCRIPTS = [*(ROOT / "static/js/label").glob("*.js"), ROOT / "static/js/theme.js"]
SCRIPTS += [ROOT / "static/js/live.js"]
JS_CALL = re.compile(
    r"\bn?gettext\(\s*(?P<one>\"(?:[^\"\\]|\\.)*\")(?:\s*,\s*(?P<many>\"(?:[^\"\\]|\\.)*\"))?"
)


def catalogue(domain: str) -> polib.POFile:
    return polib.pofile(str(CATALOGUES / f"{domain}.po"))


def python_sentences(source: str) -> Iterator[str]:
    """The first argument of every call that translates; of ``ngettext`` that is the singular."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]):
                yield from [text] if name in CALLS else []


def template_sentences(path: Path) -> Iterator[str]:
    """What Django itself would hand to ``xgettext``, read as the calls that it writes."""
    calls = re.finditer(
        r"\bn?gettext\(u?(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")",
        templatize(path.read_text()),
    )
    constants = re.finditer(r"\b_\((?P<text>'[^']*'|\"[^\"]*\")\)", path.read_text())
    for found in (*calls, *constants):
        yield ast.literal_eval(found["text"])


def entries() -> list[polib.POEntry]:
    return [entry for domain in DOMAINS for entry in catalogue(domain)]


PYTHON = {
    sentence
    for path in (ROOT / "annotate").rglob("*.py")
    for sentence in python_sentences(path.read_text())
}
IN_TEMPLATES = {sentence for path in TEMPLATES for sentence in template_sentences(path)}
IN_SCRIPTS = {
    ast.literal_eval(found["one"])
    for path in SCRIPTS
    for found in JS_CALL.finditer(path.read_text())
}
BLOCKS = re.compile(r"{% blocktranslate.*?endblocktranslate %}|{%.*?%}|{{.*?}}", re.S)
READ_OUT = re.compile(r"\b(?:title|aria-label|placeholder|alt)=\"([^\"]*)\"|>([^<>]*)(?=<|$)")
WORD = re.compile(r"[A-Za-z]{3,}")
# Names and keys are the same in every language.
UNTRANSLATED = {"Tandem", "Enter", "Ctrl", "Space", "Esc"}


def bare_words(template: str) -> set[str]:
    """Words that a person sees or hears and that no translation tag holds."""
    shown = " ".join(" ".join(pair) for pair in READ_OUT.findall(BLOCKS.sub("", template)))
    return set(WORD.findall(shown)) - UNTRANSLATED


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """A request leaves its language behind in the thread; the next test starts in English."""
    with translation.override("en"):
        yield


@pytest.fixture
def project(db: None) -> Project:
    project = make_project(owner=make_user("owner"), slug="answers")
    make_comparison(project)
    return project


@pytest.fixture
def reader(client: Client, project: Project) -> Client:
    """An annotator who chose German before this log-in."""
    user = make_user("ada")
    make_member(project, user)
    Workbench.objects.create(user=user, language="de")
    client.force_login(user)
    return client


def test_sentences_were_found_in_every_kind_of_file() -> None:
    assert len(PYTHON) > 60
    assert len(IN_TEMPLATES) > 100
    assert len(IN_SCRIPTS) > 100


@pytest.mark.parametrize(
    ("domain", "used"), [("django", PYTHON | IN_TEMPLATES), ("djangojs", IN_SCRIPTS)]
)
def test_every_sentence_that_an_annotator_reads_has_a_german_one(
    domain: str, used: set[str]
) -> None:
    known = {entry.msgid for entry in catalogue(domain)}
    assert used - known == set()


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_german_catalogue_has_no_empty_fuzzy_or_obsolete_entry(domain: str) -> None:
    po = catalogue(domain)
    assert [entry.msgid for entry in po if not entry.translated()] == []
    assert po.obsolete_entries() == []


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.msgid[:40])
def test_a_translation_keeps_the_placeholders(entry: polib.POEntry) -> None:
    asked = set(PLACEHOLDER.findall(entry.msgid + entry.msgid_plural))
    given = [entry.msgstr] if entry.msgstr else [*entry.msgstr_plural.values()]
    assert {frozenset(PLACEHOLDER.findall(text)) for text in given} == {frozenset(asked)}


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_compiled_catalogue_says_what_the_source_says(domain: str) -> None:
    with (CATALOGUES / f"{domain}.mo").open("rb") as file:
        compiled = gnu.GNUTranslations(file)
    po = catalogue(domain)
    singular = {e.msgid: e.msgstr for e in po if not e.msgid_plural}
    plural = {(e.msgid, n): e.msgstr_plural[n] for e in po if e.msgid_plural for n in (0, 1)}
    assert {msgid: compiled.gettext(msgid) for msgid in singular} == singular
    assert {
        (msgid, n): compiled.ngettext(msgid, "", 2 if n else 1) for msgid, n in plural
    } == plural


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_that_annotators_see_has_no_bare_words(path: Path) -> None:
    assert bare_words(path.read_text()) == set()


@pytest.mark.parametrize(
    "template", ["<h1>Your labels</h1>", '<nav aria-label="Pages">', "<p>{{ name }} is here</p>"]
)
def test_the_search_finds_planted_words(template: str) -> None:
    assert bare_words(template) != set()


def page(client: Client, name: str, *args: object, **headers: str) -> str:
    return client.get(reverse(name, args=args), **headers).content.decode()  # type: ignore[arg-type]


def test_the_workspace_of_somebody_who_chose_german_is_in_german(reader: Client) -> None:
    shown = page(reader, "annotate:label", "answers")
    assert '<html lang="de" dir="ltr">' in shown
    assert "Überspringen" in shown
    assert "Meine Bewertungen" in shown
    assert "Richtlinien" in shown
    assert f'src="{reverse("words")}"' in shown


def test_the_workspace_of_somebody_who_chose_nothing_is_in_english(
    client: Client, project: Project
) -> None:
    user = make_user("ben")
    make_member(project, user)
    client.force_login(user)
    shown = page(client, "annotate:label", "answers")
    assert '<html lang="en" dir="ltr">' in shown
    assert "My labels" in shown
    assert reverse("words") not in shown


def test_the_sentences_of_the_scripts_come_from_this_server(reader: Client) -> None:
    answer = reader.get(reverse("words"))
    assert answer["Content-Type"].startswith("text/javascript")
    assert "A ist etwas besser" in answer.content.decode()


@pytest.mark.parametrize(
    ("name", "german"),
    [
        ("annotate:history", "Noch keine Bewertungen"),
        ("annotate:project-home", "Mit Bewerten beginnen"),
        ("annotate:qualification", "Ihr Einstiegstest"),
    ],
)
def test_an_annotators_pages_are_in_german_throughout(
    reader: Client, name: str, german: str
) -> None:
    shown = page(reader, name, "answers")
    assert german in shown
    assert 'lang="en" dir' not in shown


def test_an_owners_page_says_that_its_content_is_english(client: Client, project: Project) -> None:
    client.force_login(project.memberships.get().user)
    client.post(reverse("language"), {"language": "de"})
    shown = page(client, "annotate:settings", "answers")
    assert '<html lang="de"' in shown
    assert '<main class="page" id="main" tabindex="-1" lang="en" dir="ltr">' in shown


def test_a_refusal_reaches_a_german_reader_in_german(reader: Client) -> None:
    def sent(url: str) -> Any:
        return reader.post(url, {"reason": "other"}, content_type="application/json")

    following = reverse("annotate_api:assignment-next", args=["answers"])
    held = sent(following).json()["assignment"]["id"]
    sent(reverse("annotate_api:assignment-skip", args=["answers", held]))
    last = sent(following).json()
    assert last["reason"].startswith("Es wartet nichts auf Sie.")


@pytest.mark.parametrize(("accepts", "heading"), [("de-AT,en;q=0.5", "Anmelden"), ("fr", "Log in")])
def test_before_the_log_in_the_browser_says_which_language(
    client: Client, db: None, accepts: str, heading: str
) -> None:
    assert f"<h1>{heading}</h1>" in page(client, "login", HTTP_ACCEPT_LANGUAGE=accepts)


def test_a_page_that_does_not_exist_is_explained_in_german(reader: Client) -> None:
    answer = reader.get("/projects/no-such-project/")
    assert answer.status_code == 404
    assert '<html lang="de" dir="ltr">' in answer.content.decode()
    assert "Unter dieser Adresse gibt es nichts" in answer.content.decode()


def test_the_chooser_needs_no_script_and_returns_to_the_page(reader: Client) -> None:
    here = reverse("annotate:history", args=["answers"])
    answer = reader.post(reverse("language"), {"language": "en", "next": here})
    assert (answer.status_code, answer["Location"]) == (302, here)
    assert "No labels yet" in page(reader, "annotate:history", "answers")
    assert Workbench.objects.get().language == "en"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", ""])
def test_the_chooser_never_leads_to_another_site(reader: Client, elsewhere: str) -> None:
    answer = reader.post(reverse("language"), {"language": "en", "next": elsewhere})
    assert answer["Location"] == reverse("annotate:project-list")


def test_a_language_that_nobody_speaks_here_changes_nothing(reader: Client) -> None:
    reader.post(reverse("language"), {"language": "tlh"})
    assert Workbench.objects.get().language == "de"


def test_an_unknown_language_is_refused_with_those_on_offer(db: None) -> None:
    with pytest.raises(ApplicationError, match="use one of en, de") as refused:
        language_change(user=make_user("ada"), language="tlh")
    assert refused.value.field == "language"


def test_a_language_chosen_before_the_log_in_outlives_it(client: Client, project: Project) -> None:
    user = make_user("ben")
    client.post(reverse("language"), {"language": "de"})
    client.force_login(user)
    assert "Abmelden" in page(client, "annotate:project-list")


def test_after_the_log_out_the_browser_decides_again(reader: Client) -> None:
    reader.post(reverse("logout"))
    assert "<h1>Log in</h1>" in page(reader, "login")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("de", "3 Personen, Urteile bis zu 2 Stufen auseinander"),
        ("en", "3 people, verdicts up to 2 steps apart"),
    ],
)
def test_a_conflict_is_kept_in_english_and_told_in_the_readers_language(
    language: str, told: str
) -> None:
    with translation.override(language):
        kept = Review(reason="3 people, verdicts up to 2 steps apart")
        assert conflict_in_words(kept) == told
