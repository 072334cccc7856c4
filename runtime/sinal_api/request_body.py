"""What every JSON body of the API keeps."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RequestBody(BaseModel):
    """A body whose values have the types of the document: `true` is not 1, and "3" is not 3."""

    model_config = ConfigDict(extra="forbid", strict=True)
