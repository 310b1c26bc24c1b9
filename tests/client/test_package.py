"""The TypeScript package: its types, its own tests, and what it costs a page."""

from __future__ import annotations

import re

from tests.client.package import npm

MOST_BYTES = 6 * 1024


def test_types_hold() -> None:
    npm("run", "check")


def test_its_own_tests_pass() -> None:
    assert re.search(r"Tests .*\d+ passed", npm("test"))


def test_a_page_pays_less_than_six_kilobytes() -> None:
    sizes = dict(re.findall(r"(\w+)\.js: (\d+) bytes gzipped", npm("run", "build")))
    assert sizes.keys() == {"index", "react"}
    assert int(sizes["index"]) < MOST_BYTES
