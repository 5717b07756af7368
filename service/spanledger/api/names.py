"""Names of registry entries, and code that the routes of the registry share."""

from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import Field

from spanledger.runtime.platform import Platform
from spanledger.runtime.services import services_of

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=PATTERN)]
NamePath = Annotated[str, Path(pattern=PATTERN, description="Its name.", examples=["greeting"])]


def _platform(request: Request) -> Platform:
    return services_of(request).platform


Parts = Annotated[Platform, Depends(_platform)]
