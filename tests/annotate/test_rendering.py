import pytest

from annotate.rendering import markdown_to_html


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](java\nscript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
        "[click](vbscript:msgbox(1))",
        "<a href='javascript:alert(1)'>x</a>",
        "![x](https://example.org/pixel.png)",
        "<iframe src=https://example.org></iframe>",
        "<p style='background:url(javascript:alert(1))'>x</p>",
        "```html\n<script>alert(1)</script>\n```",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "`<script>alert(1)</script>`",
    ],
)
def test_nothing_that_could_run_or_load_survives(payload: str) -> None:
    html = markdown_to_html(payload).lower()
    for tag in ("<script", "<img", "<svg", "<iframe", "<style", "<math"):
        assert tag not in html
    for scheme in ('href="javascript', 'href="data', 'href="vbscript', 'style="'):
        assert scheme not in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold**", "<strong>bold</strong>"),
        ("1. one\n2. two", '<ol dir="auto">'),
        ("| a | b |\n|---|---|\n| 1 | 2 |", '<table dir="auto">'),
        ("~~gone~~", "<s>gone</s>"),
        ("[site](https://example.org)", 'rel="noopener noreferrer nofollow"'),
        ("```python\nx = 1\n```", '<span class="n">x</span>'),
        ("2 < 3 & 4", "2 &lt; 3 &amp; 4"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_what_people_write_is_rendered(text: str, html: str) -> None:
    assert html in markdown_to_html(text)


def test_code_in_an_unknown_language_is_still_shown() -> None:
    assert "<code" in markdown_to_html("```no-such-language\n<b>\n```")
