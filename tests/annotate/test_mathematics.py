import pytest

from annotate.mathematics import latex_to_mathml
from annotate.rendering import markdown_to_html


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("$x^2$", "inline"),
        (r"\(x^2\)", "inline"),
        ("$$x^2$$", "block"),
        ("$$\nx^2\n$$", "block"),
        ("\\[\nx^2\n\\]", "block"),
    ],
)
def test_formulas_between_every_usual_delimiter_become_mathml(text: str, display: str) -> None:
    html = markdown_to_html(text)
    assert (
        f'<math display="{display}"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>' in html
    )


@pytest.mark.parametrize(
    "text", ["from $5 to $10", "`$x$`", "```\n$x$\n```", "a $ b $ c", r"\$x\$"]
)
def test_money_and_code_are_no_formulas(text: str) -> None:
    assert "<math" not in markdown_to_html(text)


def test_text_inside_a_formula_stays_text() -> None:
    html = markdown_to_html(r"$\text{<b>x</b>}$")
    assert "<mtext>&lt;b&gt;x&lt;/b&gt;</mtext>" in html


@pytest.mark.parametrize("formula", [r"\frac{", "x" * 2_001, "{" * 1_500, r"\left("])
def test_a_formula_that_cannot_be_drawn_is_shown_as_written(formula: str) -> None:
    assert latex_to_mathml(formula, is_block=False) == f"<code>{formula}</code>"


def test_links_and_styles_of_formulas_are_dropped() -> None:
    html = markdown_to_html(r"$\href{javascript:alert(1)}{x} \color{red}{y}$")
    assert "javascript" not in html
    assert "red" not in html
