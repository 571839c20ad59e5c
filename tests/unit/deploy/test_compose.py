import re
from pathlib import Path

import pytest

from shared.names import QueueName
from shared.settings import RENAMED, Settings
from tests.unit.deploy.files import COMPOSE, DOCKERFILE, EXAMPLE, ROOT, compose, environment, services
from workers.local import postgres as pg
from workers.local import redis as rd
from workers.local.programs import all_services
from workers.local.services import stop_groups
from workers.local.stack import QUEUES, Stack, StackOptions

OURS = ("api", *(f"worker-{queue}" for queue in QUEUES), "beat", "flower", "migrate")
SETTINGS = {f"SCENEMILL_{name.upper()}" for name in (*Settings.model_fields, *RENAMED)}
NEEDED = {f"SCENEMILL_{name.upper()}" for name, field in Settings.model_fields.items() if field.is_required()}


@pytest.fixture
def local_stack(tmp_path: Path) -> Stack:
    return Stack(
        options=StackOptions(folder=tmp_path, renders=2),
        postgres=pg.Postgres(data=tmp_path, port=1, password="p"),
        redis=rd.Redis(config=tmp_path / "redis.conf", port=2, password="p"),
        api_port=3,
        flower_port=4,
        flower_password="p",
        token_secret="p",
        metrics_ports=dict.fromkeys(QUEUES, 5),
    )


def test_every_part_is_there():
    assert set(services()) == {*OURS, "postgres", "redis", "prometheus"}
    assert set(compose()["volumes"]) == {"database", "queue", "files", "key", "metrics"}


def test_each_queue_has_a_worker():
    taken = {
        command[command.index("-Q") + 1]
        for name, service in services().items()
        if name.startswith("worker-") and (command := service["command"])
    }

    assert taken == set(QueueName)


@pytest.mark.parametrize(
    "name", [*(name for name in OURS if name != "migrate"), "postgres", "redis", "prometheus"]
)
def test_a_service_that_stays_is_looked_after(name):
    service = services()[name]

    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", services())
def test_a_service_may_do_little(name):
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"memory", "cpus", "pids"} == set(service["deploy"]["resources"]["limits"])
    assert "privileged" not in service


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("migrate", "flower")])
def test_our_processes_wait_for_the_tables_and_for_redis(name):
    assert services()[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "redis": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("name", OURS)
def test_our_processes_get_the_settings_that_have_no_default(name):
    given = {key for key, value in environment(services()[name]).items() if value is not None}

    assert given >= NEEDED


@pytest.mark.parametrize("name", OURS)
def test_no_variable_is_misspelt(name):
    given = {key for key in environment(services()[name]) if key.startswith("SCENEMILL_")}

    assert given <= SETTINGS


@pytest.mark.parametrize("name", ["api", "worker-renders"])
def test_former_names_of_settings_are_passed_on_as_the_new_ones_are(name):
    given = environment(services()[name]).keys()

    passed_on = {old for old in RENAMED if f"SCENEMILL_{old.upper()}" in given}
    assert passed_on == {old for old, new in RENAMED.items() if f"SCENEMILL_{new.upper()}" in given}


def test_every_setting_reaches_a_container_from_the_env_file():
    passed = {key for name in OURS for key in environment(services()[name])}

    assert passed >= SETTINGS


def test_keys_of_providers_go_to_those_who_ask_them_alone():
    keys = {name for name in SETTINGS if name.endswith("_API_KEY")}
    holders = {name: keys & set(environment(service)) for name, service in services().items()}

    assert {name: held for name, held in holders.items() if held} == {
        "worker-scripts": keys,
        "worker-renders": keys,
    }


def test_what_signs_tokens_goes_to_the_api_alone(local_stack):
    name = "SCENEMILL_TOKEN_SECRETS"

    assert {service for service in services() if name in environment(services()[service])} == {"api"}
    assert {service.name for service in all_services(local_stack) if name in service.env} == {"api"}


@pytest.mark.parametrize("name", [name for name in OURS if name != "migrate"])
def test_a_process_is_started_as_the_local_stack_starts_it(local_stack, name):
    local = next(service for service in all_services(local_stack) if service.name == name)

    assert _comparable(services()[name]["command"]) == _comparable(local.argv)
    for variable in (
        "PROMETHEUS_MULTIPROC_DIR",
        "CELERY_WORKER_REVOKES_MAX",
        "SCENEMILL_WORKER_METRICS_PORT",
    ):
        assert (variable in environment(services()[name])) == (variable in local.env), variable


def test_the_local_stack_stops_its_servers_last_and_all_else_together(local_stack):
    names = [{one.name for one in group} for group in stop_groups(all_services(local_stack))]

    assert [group - {"forkserver"} for group in names[1:]] == [{"postgres", "redis"}]
    assert {"api", "beat", "flower", *(f"worker-{queue}" for queue in QUEUES)} == names[0]


def test_the_first_container_does_what_the_local_stack_does_first(local_stack):
    command = services()["migrate"]["command"][-1]

    for local in all_services(local_stack):
        if local.one_shot:
            module = local.argv[local.argv.index("-m") + 1]
            assert f"python -m {module}" in command


@pytest.mark.parametrize("name", [name for name in services() if "ports" in services()[name]])
def test_a_port_is_open_to_this_machine_alone(name):
    for port in services()[name]["ports"]:
        assert port.startswith(("127.0.0.1:", "${BIND_ADDRESS:-127.0.0.1}:"))


def test_postgres_and_redis_have_no_way_out():
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert services()[name]["networks"] == ["inside"]
        assert "ports" not in services()[name]


def test_secrets_have_no_default_and_are_said_to_be_missing():
    text = COMPOSE.read_text()
    secrets = set(re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY|HASH)[A-Z_]*)", text))

    assert secrets == {
        "POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_PASSWORD", "PROMETHEUS_PASSWORD_HASH", "TOKEN_SECRETS",
    }  # fmt: skip
    for use in re.findall(r"\$\{[A-Z_]*(?:PASSWORD|SECRET|KEY|HASH)[^}]*\}", text):
        assert re.fullmatch(r"\$\{[A-Z_]+:\?is empty - see \.env\.example\}", use)
    assert not re.search(
        r"(?:PASSWORD|SECRET|_KEY|AUTH|HASH)\w*: *['\"]?[A-Za-z0-9]", text.replace(": scenemill:$", ": $")
    )


def test_the_env_file_declares_what_compose_asks_for():
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text()))
    declared = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), flags=re.MULTILINE))

    assert asked <= declared
    assert {name for name in declared - asked if not name.startswith("SCENEMILL_")} == {"PROMETHEUS_PASSWORD"}
    assert {name for name in declared if name.startswith("SCENEMILL_")} <= SETTINGS


def test_images_are_pinned():
    version = (ROOT / "client/VERSION").read_text().strip()

    for name, service in services().items():
        _, _, tag = service["image"].rpartition(":")
        assert tag == version if name in OURS else re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag), name


def test_ours_are_built_from_targets_that_exist():
    targets = set(re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE.read_text(), flags=re.MULTILINE))

    for name in OURS:
        build = services()[name]["build"]
        assert build["target"] in targets
        assert ROOT / build["dockerfile"] == DOCKERFILE


def test_mounted_files_exist():
    for service in services().values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose()["volumes"]


def _comparable(argv: list[str] | tuple[str, ...]) -> list[str]:
    """Return a command line without what an installation chooses: program, addresses, ports, folders, sizes, noise."""
    words = ["python", *(word for word in argv[1:] if word != "--quiet" and not word.startswith("--logging"))]
    words = [re.sub(r"^(--address|--port)=.*", r"\1=", word) for word in words]
    for option in ("--graceful-timeout", "--keep-alive"):
        if option in words:
            del words[(at := words.index(option)) : at + 2]
    for option in ("--bind", "--schedule", "-c"):
        for at, word in enumerate(words[:-1]):
            if word == option and not words[at + 1].startswith("python:"):
                words[at + 1] = "…"
    return words
