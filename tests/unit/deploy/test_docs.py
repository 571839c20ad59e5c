import json
import re
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.schemas.job import JobSchema
from shared.errors import JobFailed, ModelUnavailable, ServiceError
from shared.script.schema import output, script, visuals
from shared.script.schema.loading import load
from shared.script.schema.output import OutputSchema
from shared.script.schema.script import ScriptSchema
from shared.settings import Settings
from shared.states import MOVES, State
from tests.unit.deploy.files import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = ("api", "tasks", "workers", "shared")
UNREAD = "nothing reads it yet"
IN_ENDPOINTS = (
    "llm_",
    "speech_",
    "images_",
    "stock_",
    "token_secrets",
)  # read through the settings' own methods


def anchors(page: Path) -> set[str]:
    """Return the anchors that headings make: small, without signs, dashes for blanks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[tuple[Path, str]]:
    found = ((page, target) for page in PAGES for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()))
    return [(page, target) for page, target in found if not target.startswith("http")]


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading."""
    text = (ROOT / page).read_text().split(f"\n{heading}\n", 1)[1]
    lines = re.search(r"^(?:\|.*\n)+", text, flags=re.MULTILINE)
    assert lines
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in lines[0].splitlines()[2:]]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize(("page", "target"), links(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_leads_somewhere(page, target):
    file, _, anchor = target.partition("#")
    there = (page.parent / file).resolve() if file else page

    assert there.exists()
    if anchor:
        assert anchor in anchors(there)


def test_every_page_is_on_the_map():
    index = (ROOT / "docs/index.md").read_text()

    for page in PAGES:
        if page.parent.name == "docs" and page.name != "index.md":
            assert f"({page.name})" in index


def test_the_table_of_settings_is_that_of_the_code():
    told = {row[0].strip("`"): row[1].strip("`") for row in table("docs/operating.md", "## Settings")}

    declared = {f"SCENEMILL_{name.upper()}": _default(name) for name in Settings.model_fields}
    assert told == declared


def test_a_setting_that_nothing_reads_is_said_to_be_so():
    code = "".join(
        path.read_text()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.name != "settings.py"
    )
    told = {
        row[0].strip("`") for row in table("docs/operating.md", "## Settings") if row[2].startswith(UNREAD)
    }

    unread = {
        f"SCENEMILL_{name.upper()}"
        for name in Settings.model_fields
        if not name.startswith(IN_ENDPOINTS) and not re.search(rf"\.{name}\b", code)
    }
    assert told == unread


def test_readme_shows_the_moves_of_a_job():
    told = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1]))
        for row in table("README.md", "## States of a job")
    }

    assert told == {str(state): {str(move) for move in moves} for state, moves in MOVES.items()}
    assert set(told) == {str(state) for state in State}


@pytest.mark.parametrize("block", blocks("docs/script.md", "json"))
def test_a_script_of_the_guide_is_a_script(block):
    document = json.loads(block)
    if "overlays" in document or "scenes" in document:
        assert load(ScriptSchema(), document).scenes
    else:
        load(OutputSchema(), document)


def test_the_guide_names_every_member_and_choice_of_a_script():
    text = (ROOT / "docs/script.md").read_text()
    schemas = (
        ScriptSchema, script.SceneSchema, script.NarrationSchema, script.VoiceSchema, script.TextSchema,
        script.TransitionSchema, script.CaptionsSchema, script.MusicSchema, script.DefaultsSchema,
        script.ImageOverlaySchema, visuals.ImageVisualSchema, visuals.VideoVisualSchema, OutputSchema,
    )  # fmt: skip
    members = {name for schema in schemas for name in schema().fields}
    choices = chain(
        visuals.VISUALS, visuals.FIT, visuals.MOTION, visuals.WHEN_SHORT, script.get_args(script.Role),
        script.get_args(script.Animation), script.get_args(script.TransitionType), script.get_args(script.Corner),
        script.get_args(script.CaptionStyle), output.ASPECTS, output.RESOLUTIONS, output.QUALITIES,
        output.FORMATS, output.SIDECARS,
    )  # fmt: skip

    missing = {name for name in {*members, *choices} if not re.search(rf"[`\"]{re.escape(name)}[`\"]", text)}
    assert not missing


@pytest.mark.parametrize("block", blocks("docs/api.md", "sh"))
def test_a_job_of_the_guide_is_a_job(block):
    bodies = re.findall(
        r"/v1/jobs\b[^{]*--json '(\{.*?\})'(?: \||\n|$)", block.replace("\\\n", ""), flags=re.DOTALL
    )

    for body in bodies:
        load(JobSchema(), json.loads(re.sub(r"'\$ASSET'", "0c2d0c2d-0c2d-4c2d-8c2d-0c2d0c2d0c2d", body)))
    assert bodies or "/v1/jobs" not in block


def test_the_guide_names_every_code_of_a_failed_task():
    text = (ROOT / "docs/api.md").read_text()
    codes = {error.code for error in (*_below(JobFailed), ModelUnavailable)}

    assert {code for code in codes if f"`{code}`" not in text} == set()


def _below(error: type[ServiceError]) -> set[type[ServiceError]]:
    return {error}.union(*(_below(each) for each in error.__subclasses__()))


def _default(name: str) -> str:
    """Return how the table writes a setting's default."""
    field = Settings.model_fields[name]
    value = field.get_default()
    if field.is_required():
        return "needed"
    if name in ("work_dir", "storage_cache_dir"):
        return f"$TMPDIR/{value.name}"
    if value is None or value == "" or value == SecretStr(""):
        return "none"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.10g} s"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
