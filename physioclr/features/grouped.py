"""Means, medians and quantiles of numbers that belong to groups, all groups at once.

A group's result does not depend on the other groups, to the last bit: sums go over a group's own numbers one after
the other (`np.bincount`), never over rows padded to the longest group, whose rounding depends on the padding.
Shapes: V numbers, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grouped:
    """Numbers by group, ascending within a group: `values` and `group` [V]; `first` and `count` [G].

    Every result is float64 [G], NaN for a group with too few numbers.
    """

    values: Floats
    group: Integers
    first: Integers
    count: Integers

    @classmethod
    def of(cls, values: Floats, group: Integers, groups: int) -> Grouped:
        """Numbers [V] of groups 0 to `groups` - 1, in any order. NaN is no number and is left out."""
        is_number = ~np.isnan(values)
        values, group = values[is_number], group[is_number]
        order = np.lexsort((values, group))
        count = np.bincount(group, minlength=groups)
        return cls(values[order], group[order], np.cumsum(count) - count, count)

    def mean(self) -> Floats:
        """Of one number or more."""
        return self._sum(self.values) / _or_nan(self.count, at_least=1)

    def deviation(self) -> Floats:
        """Standard deviation (n - 1) of two numbers or more."""
        squares = (self.values - self.mean()[self.group]) ** 2
        return np.sqrt(self._sum(squares) / _or_nan(self.count - 1, at_least=1))

    def median(self) -> Floats:
        """Of one number or more."""
        return (self._at((self.count - 1) // 2) + self._at(self.count // 2)) / 2

    def quantile(self, q: float) -> Floats:
        """Linear quantile of one number or more; `q` from 0 to 1."""
        position = q * (self.count - 1)
        lower = np.floor(position).astype(np.int64)
        low, high = self._at(lower), self._at(np.minimum(lower + 1, self.count - 1))
        return low + (high - low) * (position - lower)

    def minimum(self) -> Floats:
        """Of one number or more."""
        return self._at(np.zeros_like(self.count))

    def spread(self) -> Floats:
        """Median absolute deviation from the median, of two numbers or more."""
        distance = np.abs(self.values - self.median()[self.group])
        median = Grouped.of(distance, self.group, len(self.count)).median()
        return np.where(self.count > 1, median, np.nan)

    def _sum(self, values: Floats) -> Floats:
        return np.bincount(self.group, weights=values, minlength=len(self.count)).astype(np.float64, copy=False)

    def _at(self, rank: Integers) -> Floats:
        """The number of this rank in its group, from 0; NaN for a group without numbers."""
        found = np.full(len(self.count), np.nan)
        some = self.count > 0
        found[some] = self.values[(self.first + rank)[some]]
        return found


def share(of: NDArray[np.bool_], among: NDArray[np.bool_], group: Integers, groups: int) -> Floats:
    """The part of those `among` [V] that are `of` as well, by group: float64 [G], NaN where there are none."""
    known = np.bincount(group[among], minlength=groups)
    return np.bincount(group[among & of], minlength=groups) / _or_nan(known, at_least=1)


def _or_nan(count: NDArray[Any], at_least: int) -> Floats:
    return np.where(count >= at_least, count, np.nan)
