"""The OpenAPI description and the page that shows it."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularSwaggerSplitView


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tell the description how the token is sent."""

    target_class = "annotate.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class LabellerScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """The same cookie as everywhere."""

    target_class = "annotate.api.authentication.LabellerAuthentication"


class ApiDocsView(SpectacularSwaggerSplitView):
    """Swagger UI without inline script or style, as our content security policy wants."""

    template_name = "api_docs.html"
