import hashlib
import tomllib
from importlib import metadata

import pytest

from tests.unit.deploy.files import ROOT

# Of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

each_distribution = pytest.mark.parametrize("folder", [ROOT, ROOT / "client"], ids=["server", "client"])


@each_distribution
def test_the_licence_is_the_text_of_apache_2_word_for_word(folder):
    assert hashlib.sha256((folder / "LICENSE").read_bytes()).hexdigest() == APACHE_2


@each_distribution
def test_the_metadata_names_the_licence_and_files_that_exist(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]

    assert project["license"] == "Apache-2.0"
    assert set(project["license-files"]) >= {"LICENSE", "NOTICE"}
    assert all((folder / name).is_file() for name in project["license-files"])


@pytest.mark.parametrize("name", ["scenemill", "scenemill-server"])
def test_every_distribution_has_the_version_of_the_one_file(name):
    assert metadata.version(name) == (ROOT / "client/VERSION").read_text().strip(), "Run `make setup`."
