"""Untrusted texts in a real browser under our own policy: nothing runs, nothing loads."""

import pytest
from playwright.sync_api import Locator, Request

from tests.e2e.conftest import DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

# One line per class of attack, each of which would set the canary.
RUN = "window.__xss=1"
PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt >{RUN}</sCrIpT>",
    f"<<script>{RUN}//<</script>",
    f"<script/x>{RUN}</script>",
    f"</div><script>{RUN}</script>",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    f"</textarea><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<img src=x onerror={RUN}>",
    f"<img src=x onerror\n=\n{RUN}>",
    f"<img src='x' onerror='{RUN}'//",
    f"<img/src=x/onerror={RUN}>",
    f'<img """><script>{RUN}</script>">',
    f"<img src=x:x onerror={RUN} onload={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg/onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><set onbegin={RUN} attributeName=x>",
    f"<svg><a xlink:href='javascript:{RUN}'><text>x</text></a>",
    f"<svg><use href='data:image/svg+xml,<svg id=x onload={RUN}>#x'/>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}></style>",
    f"<math><mi//xlink:href='javascript:{RUN}'>x</mi></math>",
    f"<math><annotation-xml encoding='text/html'><img src=x onerror={RUN}></annotation-xml></math>",
    f"<iframe src='javascript:{RUN}'></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<object data='javascript:{RUN}'></object>",
    f"<embed src='javascript:{RUN}'>",
    f"<body onload={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}></select>",
    f"<textarea autofocus onfocus={RUN}></textarea>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<video><source onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}></audio>",
    f"<marquee onstart={RUN}>x</marquee>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    "<base href='https://attacker.example/'>",
    "<link rel=stylesheet href='https://attacker.example/x.css'>",
    f"<style>@import 'javascript:{RUN}';</style>",
    f"<p style='background:url(javascript:{RUN})'>x</p>",
    f"<p style='width:expression({RUN})'>x</p>",
    f"<form action='javascript:{RUN}'><button autofocus>x</button></form>",
    f"<button formaction='javascript:{RUN}'>x</button>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"[x](javascript:{RUN})",
    f"[x](JaVaScRiPt:{RUN})",
    f"[x](java&#x0A;script:{RUN})",
    f"[x](&#106;avascript:{RUN})",
    f"[x](\x01javascript:{RUN})",
    f"[x](vbscript:{RUN})",
    f"[x](data:text/html,<script>{RUN}</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD53aW5kb3cuX194c3M9MTwvc2NyaXB0Pg==)",
    f"[x]: javascript:{RUN}\n\n[x]",
    f"<javascript:{RUN}>",
    f'![x](x" onerror="{RUN})',
    f'![x" onerror="{RUN}](data:image/png;base64,AAAA)',
    "![x](https://attacker.example/pixel.png)",
    "![x](//attacker.example/pixel.png)",
    f"![x](data:image/svg+xml,<svg onload={RUN}>)",
    f'```html" onmouseover="{RUN}\n<script>{RUN}</script>\n```',
    f"`<script>{RUN}</script>`",
    f"$\\text{{<img src=x onerror={RUN}>}}$",
    f"$\\href{{javascript:{RUN}}}{{x}}$",
    f"\\(\\text{{</mtext></math><script>{RUN}</script>}}\\)",
    f"$$\\mathrm{{<svg onload={RUN}>}}$$",
    f"\\[\\begin{{matrix}}<script>{RUN}</script>&2\\end{{matrix}}\\]",
    f"| <img src=x onerror={RUN}> | b |\n|---|---|\n| <script>{RUN}</script> | 2 |",
    f"<scr\x00ipt>{RUN}</script>".replace("\x00", ""),
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"%3Cscript%3E{RUN}%3C/script%3E",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"${{{RUN}}}",
)


def test_no_payload_of_the_corpus_runs_or_loads_anything(desk: DeskMaker) -> None:
    text = "\n\n".join(PAYLOADS)
    ada = desk(
        texts=(text, "\n\n".join(reversed(PAYLOADS))),
        comparison={"prompt": text, "criterion": PAYLOADS[0]},
        span_categories=[{"key": "error", "name": "Error"}],
    )
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(_host(request)))
    ada.open()
    ada.press("h", "h", "d")
    _touch_everything(ada.page.locator(".prose a").all())
    assert ada.page.evaluate("window.__xss") is None
    assert set(asked) == {ada.url}
    assert (
        ada.page.locator(".prose :is(script, style, iframe, svg, form, object, embed)").count() == 0
    )


def test_each_payload_alone_runs_nothing(desk: DeskMaker) -> None:
    ada = desk(texts=PAYLOADS[:26], kind="ranking")
    ada.open()
    assert ada.page.evaluate("window.__xss") is None
    assert ada.page.locator(".pane").count() == 26


def test_a_formula_is_drawn_by_the_browser(desk: DeskMaker) -> None:
    ada = desk(texts=(r"Euler: $e^{i\pi}+1=0$", "| a |\n|---|\n| $\\frac{1}{2}$ |"))
    ada.open()
    heights = ada.page.eval_on_selector_all(
        ".prose math", "nodes => nodes.map(node => node.getBoundingClientRect().height)"
    )
    assert len(heights) == 2
    assert min(heights) > 10


def _host(request: Request) -> str:
    return "/".join(request.url.split("/")[:3])


def _touch_everything(links: list[Locator]) -> None:
    for link in links:
        link.dispatch_event("mouseover")
