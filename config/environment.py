"""How settings read the environment: each wrong value ends the start with one sentence."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict


def refuse(sentence: str) -> SystemExit:
    """Return the exception that ends the start with one sentence instead of a traceback."""
    return SystemExit(f"tandem: {sentence}")


def env_str(name: str, default: str = "") -> str:
    """Read a text; an empty value counts as unset."""
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, *, default: bool) -> bool:
    """Read 1/true/yes/on or 0/false/no/off in any case."""
    value = env_str(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise refuse(f"{name}={value!r} is not a switch; use 1 or 0.")


def env_int(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """Read a whole number between `low` and `high`."""
    value = env_str(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise refuse(f"{name}={value!r} is not a whole number.") from None
    if not low <= number <= high:
        raise refuse(f"{name}={number} is outside {low} to {high}.")
    return number


def env_list(name: str, default: list[str]) -> list[str]:
    """Read names separated by commas."""
    parts = [part.strip() for part in env_str(name).split(",")]
    return [part for part in parts if part] or default


def env_secret(name: str) -> str:
    """Read a secret from NAME, or from the file that NAME_FILE points at."""
    value, path = env_str(name), env_str(f"{name}_FILE")
    if value and path:
        raise refuse(f"{name} and {name}_FILE are both set; keep one.")
    if not path:
        return value
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise refuse(f"{name}_FILE={path!r} cannot be read: {error.strerror}.") from None


def kept_secret(path: Path, n_bytes: int) -> str:
    """Read a secret of this installation, made at random when it is first asked for."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:
                draft.write(secrets.token_hex(n_bytes))
                draft.flush()
                # A link is made whole or not at all, so two first starts agree on one secret.
                os.link(draft.name, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise refuse(f"{path} cannot be written ({error.strerror}); set TANDEM_HOME.") from None
    return path.read_text().strip()


def database_from(url: str, *, testing: bool) -> dict[str, Any]:
    """Turn a PostgreSQL URL into Django's settings."""
    try:
        parts = {**conninfo_to_dict(url)}
    except ProgrammingError:
        parts = {}
    if not parts.get("dbname"):
        message = "DATABASE_URL must look like postgresql://user:password@host:5432/name."
        raise refuse(message)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host"}
    main = {key: str(parts.pop(name, "") or "") for key, name in names.items()}
    port = str(parts.pop("port", "") or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        **main,
        "PORT": port,
        "OPTIONS": parts,
        # A live server's threads must not hold the test database when it is dropped.
        "CONN_MAX_AGE": 0 if testing else 60,
        "CONN_HEALTH_CHECKS": True,
        # Sessions that share one server must not fight over one test database.
        "TEST": {"NAME": f"test_tandem_{os.getpid()}"},
    }


def exports_storage() -> dict[str, Any]:
    """Keep export files beside the uploads, or in an S3-compatible bucket where one is named."""
    bucket = env_str("EXPORT_S3_BUCKET")
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    options = {
        "bucket_name": bucket,
        "endpoint_url": env_str("EXPORT_S3_ENDPOINT_URL") or None,
        "region_name": env_str("EXPORT_S3_REGION") or None,
        "access_key": env_secret("EXPORT_S3_ACCESS_KEY") or None,
        "secret_key": env_secret("EXPORT_S3_SECRET_KEY") or None,
        "location": env_str("EXPORT_S3_PREFIX"),
        "file_overwrite": True,
        "default_acl": None,
        "querystring_auth": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
