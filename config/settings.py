"""Every setting of Tandem, read from the environment; docs/operations.md lists them.

A wrong or missing value stops the start with one sentence. Without DATABASE_URL and REDIS_URL
Tandem runs its own PostgreSQL and Redis under TANDEM_HOME (config/services.py).
"""

import os
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF

from config import services
from config.environment import (
    database_from,
    env_bool,
    env_int,
    env_list,
    env_secret,
    env_str,
    exports_storage,
    kept_secret,
    refuse,
)

# Django's own classes refuse the type arguments that mypy wants (`ManyToManyField[A, B]`).
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent


def secret_key() -> str:
    """Return SECRET_KEY; only a development or embedded installation may make its own."""
    key = env_secret("SECRET_KEY")
    if key:
        return key
    if DEBUG or EMBEDDED_POSTGRES:
        return kept_secret(DATA_DIR / "secret_key", 32)
    raise refuse("SECRET_KEY is not set; with DATABASE_URL and without DEBUG it must be.")


# --- Where things are ---------------------------------------------------------------------------

# pytest says so in the environment; its databases and files stay apart from the user's.
TESTING = "PYTEST_VERSION" in os.environ
DATA_DIR = Path(
    env_str("TANDEM_HOME", str(BASE_DIR / ".data" / "test" if TESTING else BASE_DIR / ".data"))
).resolve()
EMBEDDED_POSTGRES = not env_str("DATABASE_URL")
EMBEDDED_REDIS = not env_str("REDIS_URL")
DATABASE_URL = env_str("DATABASE_URL", services.database_url(DATA_DIR))
REDIS_URL = env_str("REDIS_URL", services.redis_url(DATA_DIR))
REDIS_PREFIX = env_str("REDIS_PREFIX", f"test-{os.getpid()}:" if TESTING else "tandem:")

# --- The site -----------------------------------------------------------------------------------

DEBUG = env_bool("DEBUG", default=False)
SECRET_KEY = secret_key()
HOST = env_str("HOST", "127.0.0.1")
PORT = env_int("PORT", 8000, low=1, high=65535)
WEB_WORKERS = env_int("WEB_WORKERS", 2, low=1, high=64)
WEB_THREADS = env_int("WEB_THREADS", 4, low=1, high=64)
SECURE = env_bool("SECURE", default=False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", [])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

INSTALLED_APPS = [
    "config",
    "annotate",
    "modeling",
    "routing",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "template_partials",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "annotate.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "annotate.api.middleware.ApiMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_from(DATABASE_URL, testing=TESTING)}

CACHES = {
    "default": {
        "BACKEND": "config.cache.KeptRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"{REDIS_PREFIX}cache",
    },
}

PASSWORD_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{PASSWORD_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{PASSWORD_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{PASSWORD_VALIDATION}.CommonPasswordValidator"},
]
if TESTING:
    # The real hasher is slow by design; a test suite logs in thousands of times.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Demo accounts exist only where `load_demo` made them; their password belongs to the installation.
DEMO_USERNAMES = ["owner", "annotator"]
DEMO_PASSWORD = env_secret("DEMO_PASSWORD") or kept_secret(DATA_DIR / "demo_password", 5)

LANGUAGE_CODE = "en"
# Each by its own name: whoever looks for a language reads that one.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = Path(env_str("STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = Path(env_str("MEDIA_ROOT", str(DATA_DIR / "media")))
# Hashed names need `collectstatic`, which neither the tests nor a development server run.
STATICFILES_STORAGE_CLASS = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG or TESTING
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
# Transformers models that judge, encode or are fine-tuned on the workers: one folder each.
MODELS_DIR = Path(env_str("MODELS_DIR", str(DATA_DIR / "models")))
# Pairs and checkpoints of fine-tunings; workers on several machines share it to resume.
TRAINING_DIR = Path(env_str("TRAINING_DIR", str(DATA_DIR / "training")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_STORAGE_CLASS},
    "exports": exports_storage(),
}
WHITENOISE_USE_FINDERS = DEBUG or TESTING
WHITENOISE_AUTOREFRESH = DEBUG or TESTING

# --- Safety -------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
# Read from Redis, kept in PostgreSQL: nobody is signed out when Redis restarts.
SESSION_ENGINE = "annotate.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = SECURE
SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_REDIRECT_EXEMPT = [r"^healthz/$"]
# Only with SECURE=1 is there a proxy in front that sets this header and drops a client's own.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
# Data sets of the Hugging Face hub are fetched only where an operator allows it.
HUB_IMPORTS = env_bool("HUB_IMPORTS", default=False)

# --- REST ---------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotate.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "annotate.api.scopes.TokenScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotate.api.common.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["annotate.api.throttling.RequestRate"],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env_str("API_RATE_ANONYMOUS", "60/min"),
        "user": env_str("API_RATE", "1200/min"),
    },
    # `?format=` belongs to the export, which names a file format with it.
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "annotate.api.errors.problem_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Tandem",
    "DESCRIPTION": "Preference data from people and judges, for reward models.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AnnotatorKind": "annotate.models.Annotator.Kind",
        "BulkAction": "annotate.models.BulkChange.Action",
        "DeliveryState": "annotate.models.WebhookDelivery.State",
        "ExportFormat": "annotate.services.exports.EXPORT_FORMATS",
        "JobState": "annotate.models.JobState",
        "JudgePromptKind": "modeling.models.JudgePrompt.Kind",
        "JudgeProvider": "modeling.models.Judge.Provider",
        "LearntLabels": ["human", "both", "judge"],
        "QueryStrategy": "routing.choices.STRATEGY_NAMES",
        "RoundPosterior": ["laplace", "members"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "annotate.api.openapi.complete",
    ],
}

# --- Judges -------------------------------------------------------------------------------------

# Hosts in private networks that a judge's endpoint may have; every other private address is
# refused, so that no owner of a project can make the workers call inside.
JUDGE_ALLOWED_PRIVATE_HOSTS: list[str] = env_list(
    "JUDGE_ALLOWED_PRIVATE_HOSTS", ["localhost", "127.0.0.1"] if EMBEDDED_POSTGRES else []
)
# The same for webhooks.
WEBHOOK_ALLOWED_PRIVATE_HOSTS: list[str] = env_list(
    "WEBHOOK_ALLOWED_PRIVATE_HOSTS", ["localhost", "127.0.0.1"] if EMBEDDED_POSTGRES else []
)
JUDGE_CONCURRENCY = env_int("JUDGE_CONCURRENCY", 4, low=1, high=64)
JUDGE_TIMEOUT_S = env_int("JUDGE_TIMEOUT_S", 60, low=1, high=3600)
# Dotted paths of plug-ins that owners may make judges of; nothing else of theirs is ever loaded.
JUDGE_PLUGINS: list[str] = env_list("JUDGE_PLUGINS", [])

# --- Celery -------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": REDIS_PREFIX,
    # A task of a worker that vanished is handed out again after this long. It must exceed the
    # longest task, or a task that still runs would be started a second time.
    "visibility_timeout": env_int("TASK_VISIBILITY_TIMEOUT_S", 4 * 3600, low=60),
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
# The first pattern that fits decides; the rest goes to the default queue.
CELERY_TASK_ROUTES = {
    "modeling.tasks.judges_measure*": {"queue": "features"},
    "modeling.tasks.score*": {"queue": "features"},
    "modeling.tasks.filter*": {"queue": "features"},
    "modeling.tasks.outside*": {"queue": "features"},
    "modeling.tasks.gate*": {"queue": "training"},
    "modeling.tasks.audit*": {"queue": "training"},
    "*train*": {"queue": "training"},
    "*judge*": {"queue": "judges"},
    "*embed*": {"queue": "features"},
    "*feature*": {"queue": "features"},
    "routing.tasks.tagging*": {"queue": "judges"},
    "routing.*": {"queue": "training"},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A stopped worker gives its tasks this long before it puts them back into their queue.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
WORKER_PROCESSES = env_int("WORKER_PROCESSES", 2, low=1, high=64)


def every(seconds: int, task: str) -> dict[str, Any]:
    """Schedule a task; one that finds no worker in time is dropped, the next is on its way."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


CELERY_BEAT_SCHEDULE = {
    "leases-expire": every(60, "annotate.tasks.leases_expire"),
    "annotators-watch": every(60, "annotate.tasks.annotators_watch"),
    "comparisons-render": every(5, "annotate.tasks.comparisons_render"),
    "figures-refresh": every(10, "annotate.tasks.figures_refresh"),
    "webhooks-tell": every(5, "annotate.tasks.webhooks_tell"),
    "deliveries-tidy": every(3600, "annotate.tasks.deliveries_tidy"),
    "answers-tidy": every(3600, "annotate.tasks.answers_tidy"),
    "imports-resume": every(30, "annotate.tasks.imports_resume"),
    "data-jobs-resume": every(30, "annotate.tasks.data_jobs_resume"),
    "jobs-reap": every(30, "modeling.tasks.jobs_reap"),
    "judge-batches": every(60, "modeling.tasks.judge_batches_poll"),
    "acquisition-advance": every(15, "routing.tasks.acquisition_plans_advance"),
    "judges-measure": every(60, "modeling.tasks.judges_measure_stale"),
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_TIMEZONE = TIME_ZONE

# --- Logging ------------------------------------------------------------------------------------

LOG_LEVEL = env_str("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise refuse(f"LOG_LEVEL={LOG_LEVEL!r} is not one of DEBUG, INFO, WARNING, ERROR.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Celery's own start and stop lines say nothing that the supervisor does not.
        "celery": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "django": {"handlers": [], "level": "INFO", "propagate": True},
    },
}
