import json
import os
import re
import subprocess
import tomllib
from itertools import chain

import pytest
import yaml

from tests.unit.deploy.files import ROOT
from workers import commands

GITHUB = ROOT / ".github"
WORKFLOW = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())
DEPENDABOT = yaml.safe_load((GITHUB / "dependabot.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
FORMS = {path.name: yaml.safe_load(path.read_text()) for path in GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml")}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
PYTHONS = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
# What each of Dependabot's ecosystems reads.
MANIFESTS = {
    "pip": "pyproject.toml",
    "npm": "package.json",
    "github-actions": ".github/workflows/*.yml",
    "docker": "Dockerfile",
    "docker-compose": "compose.yaml",
    "devcontainers": ".devcontainer/devcontainer.json",
}


def tracked(*patterns):
    """Return the files that git knows, and those that it will."""
    command = ("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *patterns)
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def steps():
    return list(chain.from_iterable(job["steps"] for job in WORKFLOW["jobs"].values()))


def test_every_push_to_main_and_every_pull_request_runs_what_contributors_run():
    triggers = WORKFLOW[True]  # YAML 1.1 reads the key `on` as a boolean

    assert triggers["push"]["branches"] == ["main"]
    assert "pull_request" in triggers
    assert ".ci/run" in [step.get("run") for step in WORKFLOW["jobs"]["test"]["steps"]]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "exec make test" in (ROOT / ".ci/run").read_text()


def test_the_workflow_runs_commands_that_exist_with_no_right_to_write():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in WORKFLOW["jobs"].values())
    for step in steps():
        assert "uses" in step or step["run"] == ".ci/run" or step["run"].removeprefix("make ") in TARGETS
        # The token that is left in the checkout otherwise can be read by every dependency.
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_the_workflow_tests_the_oldest_python_and_that_of_the_image():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    image = re.search(
        r"^FROM python:(\d+\.\d+)", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE
    )

    assert required == f">={PYTHONS[0]}"
    assert image
    assert image[1] in PYTHONS


@pytest.mark.parametrize("update", DEPENDABOT["updates"], ids=lambda update: update["package-ecosystem"])
def test_dependabot_looks_where_there_is_something(update):
    for folder in update.get("directories") or [update["directory"]]:
        assert [*(ROOT / folder.strip("/")).glob(MANIFESTS[update["package-ecosystem"]])]
    assert update["schedule"]["interval"] in {"daily", "weekly", "monthly"}


@pytest.mark.parametrize("ecosystem", ["pip", "npm"])
def test_dependabot_looks_at_every_project(ecosystem):
    watched = {
        folder
        for update in DEPENDABOT["updates"]
        if update["package-ecosystem"] == ecosystem
        for folder in update.get("directories") or [update["directory"]]
    }

    projects = {path.parent for path in tracked(MANIFESTS[ecosystem], f"*/{MANIFESTS[ecosystem]}")}
    assert {(ROOT / folder.strip("/")).resolve() for folder in watched} == projects


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_issue_form_is_one_that_github_shows(form):
    fields = [field for field in form["body"] if field["type"] != "markdown"]

    assert {"name", "description", "body"} <= set(form)
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_hooks_are_local_and_run_tools_that_are_installed():
    assert [repo["repo"] for repo in HOOKS["repos"]] == ["local"]
    hooks = HOOKS["repos"][0]["hooks"]

    assert len({hook["id"] for hook in hooks}) == len(hooks)
    for hook in hooks:
        tool, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        assert tool.startswith(".venv/bin/")
        assert os.access(ROOT / tool, os.X_OK), f"{tool} is missing: run `make setup`."
        assert all((ROOT / each).is_file() for each in arguments if "/" in each)


def test_the_hook_of_the_third_party_page_runs_when_its_sources_change():
    (hook,) = [hook for hook in HOOKS["repos"][0]["hooks"] if hook["id"] == "third-party"]

    for name in ("requirements.lock", "deploy/third_party.toml", "client/pyproject.toml"):
        assert (ROOT / name).is_file()
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "deploy/requirements.lock")


def test_the_devcontainer_forwards_the_ports_of_the_local_stack():
    assert DEVCONTAINER["forwardPorts"] == [commands.API_PORT, commands.FLOWER_PORT]
    assert set(DEVCONTAINER["portsAttributes"]) == {str(port) for port in DEVCONTAINER["forwardPorts"]}


def test_the_devcontainer_sets_up_a_python_that_the_workflow_tests():
    assert DEVCONTAINER["postCreateCommand"].removeprefix("make ") in TARGETS
    assert DEVCONTAINER["image"].rpartition(":")[2] in PYTHONS


def test_pages_name_commands_of_make_that_exist():
    pages = [*tracked("*.md"), GITHUB / "pull_request_template.md"]
    named = {
        name
        for page in pages
        for name in re.findall(r"`?\bmake ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }

    assert {"setup", "test", "licenses"} <= {one or other for one, other in named} <= TARGETS


def test_text_files_are_as_the_editorconfig_says():
    rules = (ROOT / ".editorconfig").read_text()
    assert "insert_final_newline = true" in rules
    assert "trim_trailing_whitespace = true" in rules

    untidy = [
        path.relative_to(ROOT)
        for path in tracked(
            "*.py", "*.md", "*.toml", "*.yml", "*.yaml", "*.json", "Makefile", "*.html", "*.css"
        )
        if (text := path.read_bytes())
        and (not text.endswith(b"\n") or b"\r" in text or re.search(rb"[ \t]$", text, re.MULTILINE))
    ]
    assert untidy == []
