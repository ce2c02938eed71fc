"""Parts of a body in which a mistyped name would quietly mean everything."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class KnownFields(serializers.Serializer[Any]):
    """Filters: one that is unknown is refused, since leaving it out would take in every row.

    As the parameters of an address they stand among others and are read as usual.
    """

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if self.parent is not None and unknown:
            told = f"There is no such filter; use one of {', '.join(self.fields)}."
            raise serializers.ValidationError({name: [told] for name in unknown})
        return super().to_internal_value(data)
