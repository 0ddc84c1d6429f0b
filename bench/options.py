"""Types for the options of plugins and recipes, checked wherever a value is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
"""In [0, 1]."""
Fraction = Annotated[float, Field(gt=0, le=1)]
"""In (0, 1]."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number that is not negative."""
Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
