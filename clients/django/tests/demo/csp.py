"""A content security policy that allows only scripts with a nonce, like django-csp."""

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class OnlyWithNonce:
    """Adds a nonce to each request and the policy to each response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.csp_nonce = secrets.token_urlsafe(16)  # type: ignore[attr-defined]
        response = self._get_response(request)
        response["Content-Security-Policy"] = (
            f"script-src 'nonce-{request.csp_nonce}'; connect-src 'self'"  # type: ignore[attr-defined]
        )
        return response


def nonce(request: HttpRequest) -> dict[str, str]:
    return {"csp_nonce": request.csp_nonce} if hasattr(request, "csp_nonce") else {}
