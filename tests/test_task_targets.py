"""Targets of every family against brute force on the raw arrays of the dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.conftest import Lab
from wbench.task.base import Task
from wbench.task.batch import Truth
