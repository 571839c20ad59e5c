import re
from pathlib import Path

import pytest

from shared.lifecycle import publication

ROOT = Path(__file__).parents[4]
WRITES = re.compile(r"""published_at["']?\s*[:=]\s*(None|now\(\)|func\.now\(\))""")


@pytest.mark.parametrize("room", ["api", "shared", "tasks", "workers"])
def test_no_other_module_writes_the_mark(room):
    writers = [path for path in (ROOT / room).rglob("*.py") if WRITES.search(path.read_text())]

    assert [path for path in writers if path != Path(publication.__file__)] == []


@pytest.mark.parametrize("text", ["published_at=None,", '"published_at": None', "SET published_at = now()"])
def test_a_write_is_recognised(text):
    assert WRITES.search(text)


def test_a_condition_is_no_write():
    assert not WRITES.search("Job.published_at.is_(None)")
    assert not WRITES.search("published_at IS NULL")
