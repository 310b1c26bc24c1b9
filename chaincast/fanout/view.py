"""What a connection sees of a plan: per dialect a bit mask. Most connections speak one; a Socket.IO client may have
subscribed by the verbs of several vocabularies."""

from __future__ import annotations

from typing import TypeAlias

View: TypeAlias = tuple[tuple[str, int], ...]
"""Dialects, each with the mask of what is told in it; in order of their names, none twice, no mask empty."""


def merged(one: View, other: View) -> View:
    """What both see. The common case, one dialect, is one comparison and one `|`."""
    if len(one) == 1 and len(other) == 1 and one[0][0] == other[0][0]:
        return one if one == other else ((one[0][0], one[0][1] | other[0][1]),)
    masks = dict(one)
    for name, mask in other:
        masks[name] = masks.get(name, 0) | mask
    return tuple(sorted(masks.items()))


def limited(view: View, mask: int) -> View:
    """What of a view is within a mask; empty if nothing is."""
    return tuple((name, seen & mask) for name, seen in view if seen & mask)
