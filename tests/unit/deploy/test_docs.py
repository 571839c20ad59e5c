import json
import re
import tomllib
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
    text = f"\n{(ROOT / page).read_text()}".split(f"\n{heading}\n", 1)[1]
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


@pytest.mark.parametrize("folder", ["docs", "docs/adr"])
def test_every_page_is_in_its_folders_index(folder):
    index = (ROOT / folder / "index.md").read_text()
    pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"index.md"}

    assert {page for page in pages if f"({page})" not in index} == set()


def test_readme_links_to_every_page():
    readme = (ROOT / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}

    assert {page for page in pages if f"(docs/{page})" not in readme} == set()


def test_the_state_diagram_has_the_moves_of_a_job():
    (diagram,) = re.findall(
        r"^stateDiagram-v2\n(.*?)^```",
        (ROOT / "docs/architecture.md").read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", diagram, flags=re.MULTILINE))

    assert drawn == {(str(state), str(move)) for state, moves in MOVES.items() for move in moves}


def test_the_glossary_is_sorted_and_names_modules_that_exist():
    rows = table("docs/glossary.md", "# Glossary")

    assert [row[0].lower() for row in rows] == sorted(row[0].lower() for row in rows)
    assert [row[0] for row in rows if not (ROOT / row[2].strip("`")).is_file()] == []
    assert [row[0] for row in rows if not row[1].endswith(".") or ". " in row[1].replace("e.g. ", "")] == []


def paths() -> list[tuple[Path, str]]:
    """Return every path of the code that a page names, such as `shared/states.py` or `tasks/video/`."""
    inside = "|".join((*ROOMS, "client", "examples", "bench", "deploy", "tests"))
    pattern = re.compile(rf"`((?:{inside})/[\w./-]*)`")
    return [(page, path) for page in PAGES for path in pattern.findall(page.read_text())]


@pytest.mark.parametrize(("page", "path"), paths(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_path_that_a_page_names_exists(page, path):
    assert (ROOT / path.replace("KIND", "script")).exists()


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_log_events_and_repairs_that_a_page_names_exist(page):
    code = "".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    named = re.findall(
        r"`([a-z]+(?:_[a-z]+)*_(?:failed|lost|quarantined|error|renamed|expired|evicted|dropped))`",
        (ROOT / page).read_text(),
    )

    assert {name for name in named if f'"{name}"' not in code} == set()


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


def test_the_architecture_page_has_the_moves_of_a_job():
    told = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1]))
        for row in table("docs/architecture.md", "## States of a job")
    }

    assert told == {str(state): {str(move) for move in moves} for state, moves in MOVES.items()}
    assert set(told) == {str(state) for state in State}


@pytest.mark.parametrize("block", [block for block in blocks("README.md", "sh") if "export" in block])
def test_the_settings_that_readme_exports_are_settings(block):
    exported = dict(re.findall(r"^export SCENEMILL_(\w+)=(.*)$", block, flags=re.MULTILINE))

    assert exported
    assert {name.lower() for name in exported} <= set(Settings.model_fields)


def test_readme_installs_the_extra_that_speaks_with_piper():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert re.findall(r"pip install '(.*)'", (ROOT / "README.md").read_text()) == extras["piper"]


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
