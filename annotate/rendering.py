"""Untrusted Markdown to safe HTML.

Two fences stand before the browser's own (the content security policy): the Markdown parser has
raw HTML switched off, and the result passes an allow-list sanitiser.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from annotate import mathematics

MAX_HIGHLIGHT_CHARS = 20_000
# Longer texts are rendered anew, so that 512 kept ones stay within some megabytes.
MAX_KEPT_CHARS = 20_000
# The parser itself lets no other kind of data address through.
DATA_IMAGE = ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")

_BLOCKS = {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "table", "ul"}
_TAGS = {
    "a", "br", "code", "del", "div", "em", "hr", "img", "li", "pre", "s", "span", "strong",
    "tbody", "td", "th", "thead", "tr", *_BLOCKS, *mathematics.TAGS,
}  # fmt: skip
_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "pre": {"class"},
    "span": {"class"},
}
for _tag in _BLOCKS:
    _ATTRIBUTES.setdefault(_tag, set()).add("dir")
for _tag in mathematics.TAGS:
    _ATTRIBUTES[_tag] = set(mathematics.ATTRIBUTES)


def _highlight(code: str, language: str, _attributes: str) -> str:
    """Return highlighted HTML, or nothing so that the parser escapes the code itself."""
    if not language or len(code) > MAX_HIGHLIGHT_CHARS:
        return ""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


def _image(
    self: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    """Show an image that the text itself carries; link to any other.

    Loading an image from elsewhere would tell a third party who reads what and when.
    """
    token = tokens[index]
    source, words = str(token.attrGet("src") or ""), escapeHtml(token.content)
    if source.lower().startswith(DATA_IMAGE):
        return f'<img src="{escapeHtml(source)}" alt="{words}">'
    return f'<a href="{escapeHtml(source)}">{words or "image"}</a>'


def _formula(*, is_block: bool) -> Any:
    def render(
        self: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: Any
    ) -> str:
        return mathematics.latex_to_mathml(tokens[index].content.strip(), is_block=is_block)

    return render


def _direct_blocks(state: StateCore) -> None:
    """Let every outermost block find its own direction, so that languages can be mixed."""
    for token in state.tokens:
        if token.level == 0 and token.tag in _BLOCKS and token.nesting == 1:
            token.attrSet("dir", "auto")


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "breaks": True, "highlight": _highlight}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    # Digits beside a dollar mean money: "from $5 to $10" is no formula.
    dollarmath_plugin(
        parser, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True
    )
    texmath_plugin(parser, delimiters="brackets")
    for name in ("math_inline", "math_inline_double", "math_block", "math_block_eqno"):
        parser.add_render_rule(name, _formula(is_block=name != "math_inline"))
    parser.add_render_rule("image", _image)
    parser.core.ruler.push("direct_blocks", _direct_blocks)
    return parser


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """Drop data addresses everywhere but in the images that may carry them."""
    is_data = value.lower().lstrip().startswith("data:")
    if attribute == "href" and is_data:
        return None
    if attribute == "src" and not value.lower().startswith(DATA_IMAGE):
        return None
    return value


def markdown_to_html(text: str) -> str:
    """Render untrusted Markdown as sanitised HTML.

    Links lose every scheme but http, https and mailto, get ``rel`` and carry no referrer. Images
    are shown when the text carries them itself, otherwise linked. Formulas become MathML.
    """
    return _rendered(text) if len(text) > MAX_KEPT_CHARS else _rendered_lately(text)


@cache
def _cleaner() -> nh3.Cleaner:
    # Made once: reading the allow-lists takes longer than cleaning a text.
    return nh3.Cleaner(
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
    )


def _rendered(text: str) -> str:
    return _cleaner().clean(_parser().render(text))


@cache
def renderer_version() -> str:
    """What HTML that is kept was made by: another program or library makes it void."""
    digest = blake2b(digest_size=12)
    for source in (__file__, mathematics.__file__):
        digest.update(Path(source).read_bytes())
    for library in ("markdown-it-py", "mdit-py-plugins", "latex2mathml", "pygments", "nh3"):
        digest.update(f"{library} {version(library)} ".encode())
    return digest.hexdigest()


# A comparison goes to several people soon after each other.
_rendered_lately = lru_cache(maxsize=512)(_rendered)
