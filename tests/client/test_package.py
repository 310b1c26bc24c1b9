"""The TypeScript package: its types, its own tests, and what it costs a page."""

from __future__ import annotations

import json
import re
import subprocess

from chaincast.model.topics import FAMILIES
from local.stack.checkout import node_environment
from tests.client.package import CLIENT, build, npm

MOST_BYTES = 6 * 1024


def test_types_hold() -> None:
    npm("run", "check")


def test_its_own_tests_pass() -> None:
    assert re.search(r"Tests .*\d+ passed", npm("test"))


def test_a_page_pays_less_than_six_kilobytes() -> None:
    sizes = dict(re.findall(r"(\w+)\.js: (\d+) bytes gzipped", npm("run", "build")))
    assert sizes.keys() == {"index", "react"}
    assert int(sizes["index"]) < MOST_BYTES


def test_its_one_file_build_is_a_module_by_itself() -> None:
    build()
    code = "import('./dist/chaincast-client.min.js').then(({ connect }) => console.log(typeof connect))"
    command = ["node", "--eval", code]
    done = subprocess.run(command, cwd=CLIENT, env=node_environment(), capture_output=True, text=True, check=False)
    assert done.stdout == "function\n", done.stderr


def test_families_of_topics_fold_case_as_on_the_server() -> None:
    ours = re.search(r"FOLDED = new Set\((\[.*?\])\)", (CLIENT / "src" / "topics.ts").read_text())
    assert ours is not None
    assert set(json.loads(ours[1])) == {name for name, family in FAMILIES.items() if family.folds_case and family.scope}
