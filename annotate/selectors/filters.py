"""Which comparisons and verdicts a version or an export takes in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from annotate.errors import ApplicationError
from annotate.formats.base import ComparisonRecord
from annotate.formats.screening import leaks_of


@dataclass(frozen=True)
class Filters:
    """What is left out; the defaults leave nothing out.

    ``protocol_version`` and ``without_simulated`` drop verdicts, the others whole comparisons.
    ``meta`` holds exact values of metadata.
    """

    criterion: str = ""
    protocol_version: int | None = None
    without_simulated: bool = False
    without_leaks: bool = False
    min_votes: int = 0
    meta: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Only what is set, for a manifest."""
        return {name: value for name, value in asdict(self).items() if value}

    def in_words(self) -> list[str]:
        """What is set, for people."""
        said = [words.format(value) for name, words in _WORDS if (value := getattr(self, name))]
        return said + [f"{key} is {value}" for key, value in self.meta.items()]

    def apply(self, records: Iterable[ComparisonRecord]) -> Iterator[ComparisonRecord]:
        """Yield what stays."""
        if not self.as_json():
            yield from records
            return
        for record in records:
            kept = self._kept(record)
            if kept is not None:
                yield kept

    def _kept(self, record: ComparisonRecord) -> ComparisonRecord | None:
        if self.criterion and record.criterion != self.criterion:
            return None
        if any(str(record.metadata.get(key)) != value for key, value in self.meta.items()):
            return None
        if self.without_leaks and leaks_of(record):
            return None
        verdicts = tuple(
            verdict
            for verdict in record.preferences
            if not (self.without_simulated and verdict.is_simulated)
            and self.protocol_version in (None, verdict.origin.get("protocol_version"))
        )
        if len(verdicts) < self.min_votes:
            return None
        return replace(record, preferences=verdicts)


_WORDS = (
    ("criterion", "criterion {}"),
    ("protocol_version", "protocol version {}"),
    ("min_votes", "verdicts per comparison: at least {}"),
    ("without_simulated", "without simulated verdicts"),
    ("without_leaks", "without responses that name their model"),
)


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Read filters from a manifest, a form or a JSON body.

    Raises
    ------
    ApplicationError
        If a filter is unknown or has the wrong kind of value.
    """
    known = {item.name for item in fields(Filters)}
    for name in given:
        if name not in known:
            message = f"Unknown filter {name!r}; use one of {', '.join(sorted(known))}."
            raise ApplicationError(message, field="filters")
    try:
        version = given.get("protocol_version")
        return Filters(
            criterion=str(given.get("criterion") or ""),
            protocol_version=None if version in (None, "") else int(str(version)),
            without_simulated=bool(given.get("without_simulated")),
            without_leaks=bool(given.get("without_leaks")),
            min_votes=int(given.get("min_votes") or 0),
            meta={str(k): str(v) for k, v in (given.get("meta") or {}).items()},
        )
    except (ValueError, TypeError, AttributeError):
        message = "protocol_version and min_votes are whole numbers, meta is an object."
        raise ApplicationError(message, field="filters") from None
