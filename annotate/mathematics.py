"""Formulas written in LaTeX to MathML, which browsers draw themselves: no script, no style."""

import html
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element

# A converter of untrusted text needs a limit; formulas in responses are far shorter.
MAX_FORMULA_CHARS = 2_000

TAGS = frozenset(
    {
        "math", "menclose", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded",
        "mphantom", "mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub",
        "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "none",
    }
)  # fmt: skip
ATTRIBUTES = frozenset(
    {
        "accent", "accentunder", "columnalign", "columnlines", "columnspacing", "columnspan",
        "depth", "display", "displaystyle", "fence", "form", "height", "largeop", "linethickness",
        "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowlines",
        "rowspacing", "rowspan", "rspace", "scriptlevel", "separator", "stretchy", "symmetric",
        "voffset", "width",
    }
)  # fmt: skip


def latex_to_mathml(formula: str, *, is_block: bool) -> str:
    """Render one formula; what cannot be rendered is shown as it was written."""
    source = html.escape(formula)
    if len(formula) > MAX_FORMULA_CHARS:
        return f"<code>{source}</code>"
    try:
        element = convert_to_element(formula, display="block" if is_block else "inline")
    except Exception:
        # A boundary: the converter meets arbitrary text and fails with arbitrary errors, among
        # them IndexError and RecursionError. A formula that fails is still worth reading.
        return f"<code>{source}</code>"
    _unescape(element)
    return tostring(element, encoding="unicode")


def _unescape(element: Element) -> None:
    # The converter leaves entities in its texts; serialised as they are, they would show as such.
    for node in element.iter():
        node.text = html.unescape(node.text) if node.text else node.text
