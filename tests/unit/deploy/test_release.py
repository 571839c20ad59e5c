import re
import subprocess
import sys
import zipfile

import pytest
from packaging.version import Version

from deploy import release
from deploy.release import Unfit, build, obstacles, released, unreleased
from tests.unit.deploy.files import ROOT

VERSION = (ROOT / "client/VERSION").read_text().strip()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
DONE = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-02\n\n### Added\n\n- Sound.\n"
TYPES = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def empty_environment(distributions, tmp_path_factory):
    """A virtual environment that holds the wheels and nothing that they need."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin/python")
    wheels = [str(one.wheel) for one in distributions]
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", *wheels)
    return python


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_wheel_holds_every_file_of_its_packages(empty_environment):
    asked = """
from importlib.metadata import files
for name in ('scenemill', 'scenemill-server'):
    print(*[file for file in files(name) if file.locate().is_file()], sep='\\n')
"""
    kept = set(run(empty_environment, "-I", "-c", asked).splitlines())

    tracked = run("git", "-C", str(ROOT), "ls-files", "api", "shared", "tasks", "workers", "client/scenemill")
    needed = {name.removeprefix("client/") for name in tracked.splitlines() if (ROOT / name).is_file()}
    assert {"scenemill/py.typed", "api/templates/docs.html", "shared/themes/noir.json"} <= needed
    assert any(name.startswith("shared/migrations/versions/") for name in needed)
    assert needed <= kept
    assert not any("tests" in name for name in kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenemill", "scenemill-server"])
def test_an_installed_wheel_says_its_version_and_its_licence(empty_environment, name):
    asked = f"""
from importlib.metadata import distribution
one = distribution('{name}')
print(one.version, one.metadata['License-Expression'], one.read_text('licenses/LICENSE').splitlines()[1].strip())
"""

    assert run(empty_environment, "-I", "-c", asked).strip() == f"{VERSION} Apache-2.0 Apache License"


@pytest.mark.slow
def test_a_wheel_that_lacks_a_file_is_not_published(distributions, tmp_path):
    whole = distributions[1].wheel
    broken = release.Built(distributions[1].sdist, tmp_path / whole.name)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(broken.wheel, "w") as target:
        for name in source.namelist():
            if name != "scenemill/py.typed":
                target.writestr(name, source.read(name))

    with pytest.raises(Unfit, match=r"lacks scenemill/py\.typed"):
        release._check(broken, ROOT / "client", ("scenemill",), VERSION)  # noqa: SLF001


@pytest.mark.slow
def test_a_distribution_of_another_version_is_not_published(distributions):
    with pytest.raises(Unfit, match=r"states version .*, and client/VERSION 9\.9\.9"):
        release._check(distributions[1], ROOT / "client", ("scenemill",), "9.9.9")  # noqa: SLF001


@pytest.mark.parametrize(
    ("version", "changelog", "tags", "changes", "what"),
    [
        pytest.param("0.2.0", DONE, "v0.1.0", " M api/app.py", "git status", id="uncommitted"),
        pytest.param("0.2.0", DONE, "v0.1.0\nv0.2.0", "", r"v0\.2\.0 exists", id="tagged"),
        pytest.param("0.3.0", DONE, "v0.2.0", "", r"section \[0\.3\.0\]", id="no section"),
        pytest.param(
            "0.2.0", DONE.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- Noise.\n"), "", "",
            "Unreleased", id="unreleased changes",
        ),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_of_a_release_is_said(version, changelog, tags, changes, what):
    (said,) = obstacles(version, changelog, tags, changes)

    assert re.search(what, said)


def test_nothing_stands_in_the_way_of_a_release_that_is_ready():
    assert obstacles("0.2.0", DONE, "v0.1.0", "") == []


def test_a_release_that_is_ready_says_what_to_push_and_one_that_is_not_says_what_to_do(capsys):
    built = [
        release.Built(
            release.DIST / "scenemill-0.2.0.tar.gz", release.DIST / "scenemill-0.2.0-py3-none-any.whl"
        )
    ]

    release._say(built, "0.2.0", [])  # noqa: SLF001
    ready = capsys.readouterr().out
    release._say(built, "0.2.0", ["Commit."])  # noqa: SLF001
    early = capsys.readouterr().out

    assert "git push origin v0.2.0\n" in ready
    assert "twine upload dist/scenemill-0.2.0.tar.gz dist/scenemill-0.2.0-py3-none-any.whl\n" in ready
    assert "  - Commit.\n" in early
    assert "push" not in early


def test_the_changelog_knows_the_version():
    newest = Version(released(CHANGELOG)[0][0])

    assert newest <= Version(VERSION)
    assert newest == Version(VERSION) or unreleased(CHANGELOG)


def test_the_changelog_is_in_the_format_of_keep_a_changelog():
    headings = re.findall(r"^## (.+)$", CHANGELOG, flags=re.MULTILINE)
    versions = [tuple(int(part) for part in version.split(".")) for version, _ in released(CHANGELOG)]
    dates = [date for _, date in released(CHANGELOG)]

    assert CHANGELOG.startswith("# Changelog\n")
    assert headings == ["[Unreleased]", *(f"[{version}] - {date}" for version, date in released(CHANGELOG))]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_every_section_of_the_changelog_has_a_type_and_entries():
    for version in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        types = re.findall(r"^### (.+)$", version, flags=re.MULTILINE)

        assert types == [each for each in TYPES if each in types], "in this order, each once"
        for section in re.split(r"^### ", version, flags=re.MULTILINE)[1:]:
            assert re.search(r"^- [A-Z`].+[.]$", section, flags=re.MULTILINE), section
