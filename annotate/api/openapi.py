"""What the description says of every operation alike: errors, headers, keys; and the examples."""

from typing import Any

from annotate.api.examples import REQUESTS, RESPONSES

Schema = dict[str, Any]
JSON = "application/json"
PROBLEM = "application/problem+json"
ERRORS = {
    "400": "A value does not fit; `errors` names the fields.",
    "401": "No valid token or session.",
    "403": "The role or the token's scope does not allow this.",
    "404": "Nothing here that the caller may see.",
    "409": "The state has moved on, or a step is missing before this one.",
    "429": "Too many requests; `Retry-After` says when to come back.",
}
BODY_ERRORS = {
    "413": "The body is too large.",
    "415": "The body is not of the type that is read here.",
}
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "errors": {
            "type": "object",
            "additionalProperties": {},
            "description": "By field: what is wrong with its value.",
        },
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Bad request",
            "status": 400,
            "detail": "Some fields need another value.",
            "errors": {"scope": ["“all” is none of the choices: read, label, data, run, write."]},
        }
    ],
}
HEADERS: dict[str, Schema] = {
    "RateLimit-Limit": {"schema": {"type": "integer"}, "description": "Requests in a window."},
    "RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "Requests left in it."},
    "RateLimit-Reset": {"schema": {"type": "integer"}, "description": "Seconds until the next."},
}
ETAG: Schema = {"schema": {"type": "string"}, "description": "Send it back as `If-None-Match`."}
IDEMPOTENCY_KEY: Schema = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    "description": "Draw one per request, such as a UUID: the same key again gets the same answer.",
}


def complete(result: Schema, **_options: Any) -> Schema:
    """Add to every operation what all of them share."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["headers"] = HEADERS
    components["responses"] = {
        f"Problem{code}": _problem(words) for code, words in {**ERRORS, **BODY_ERRORS}.items()
    }
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method in ("get", "post", "put", "patch", "delete"):
                _complete_operation(method, operation)
    return result


def _problem(words: str) -> Schema:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": words, "content": content}


def _complete_operation(method: str, operation: Schema) -> None:
    for code, response in operation["responses"].items():
        response["headers"] = {
            **{name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
            **({"ETag": ETAG} if method == "get" and code == "200" else {}),
        }
    errors = {**ERRORS, **(BODY_ERRORS if "requestBody" in operation else {})}
    for code in errors:
        operation["responses"][code] = {"$ref": f"#/components/responses/Problem{code}"}
    if method == "get":
        operation["responses"].setdefault(
            "304", {"description": "It has not changed since the `ETag` that was sent."}
        )
    if any(each.get("name") == "If-Match" for each in operation.get("parameters", [])):
        operation["responses"]["412"] = _problem("It has changed since the `ETag` that was sent.")
    if method == "post":
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
        operation["responses"]["422"] = _problem("The key was used for another request.")
    _add_examples(operation)


def _add_examples(operation: Schema) -> None:
    name = operation["operationId"]
    body = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if body is not None and name in REQUESTS:
        body["example"] = REQUESTS[name]
    for code, response in operation["responses"].items():
        content = response.get("content", {}).get(JSON)
        if content is not None and code.startswith("2") and name in RESPONSES:
            content["example"] = RESPONSES[name]
