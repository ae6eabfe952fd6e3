"""The type of the tables' contents: a numpy array of any shape and element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Record = np.void | Array  # one element of a structured array
