"""What docker-compose.yml promises. No container is started: the file is read as Compose reads it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

import harness
from tests.stack.composed import LOGIN, ROOT, STACK, composed

WHOLE = composed(STACK, LOGIN)
SERVICES: dict[str, Any] = WHOLE["services"]
ONE_OFFS = {"sweep", "s3-bucket", "mlflow-users"}
PUBLISHED = {"mlflow", "dashboard", "ray-head", "serving", "serve"}

every_service = pytest.mark.parametrize("name", SERVICES)


def test_the_files_keep_to_the_compose_specification() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, STACK, LOGIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_against_the_specification_finds_a_wrong_key(tmp_path: Any) -> None:
    wrong = yaml.safe_load(STACK.read_text(encoding="utf-8"))
    wrong["services"]["mlflow"]["portz"] = ["5000:5000"]
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(wrong))
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*checker, tmp_path / "docker-compose.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "portz" in done.stdout


def test_plain_up_starts_what_tracks_and_nothing_else() -> None:
    plain = {name for name, service in SERVICES.items() if not service.get("profiles")}
    assert plain == {"postgres", "mlflow", "dashboard", "backup"}


@every_service
def test_only_pages_are_published_and_on_this_machine_only(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert bool(ports) == (name in PUBLISHED)
    assert "network_mode" not in SERVICES[name]


def test_no_two_services_are_published_at_one_port() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@every_service
def test_images_have_exact_tags(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[\w./-]+:\d[\w.-]*\d[\w.-]*", image), image
    if "build" in SERVICES[name]:
        targets = re.findall(r"^FROM .* AS (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert SERVICES[name]["build"]["target"] in targets


@every_service
def test_a_service_can_do_little_and_takes_no_more_than_its_share(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert "privileged" not in service
    assert all(re.search(r"size=\d+m|size=\d+g|mode=0775", one) for one in service.get("tmpfs", []))
    # SeaweedFS's image has its folder for root, who has no capabilities here.
    assert (service["user"].split(":")[0] == "0") == (name == "s3")


@every_service
def test_a_service_is_asked_for_its_health_unless_it_ends(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_OFFS:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] in {"no", "on-failure:5"}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])
        assert service["restart"] == "unless-stopped"


def test_mlflow_is_asked_by_its_name_for_an_api_path() -> None:
    for services in (composed()["services"], SERVICES):
        asked = services["mlflow"]["healthcheck"]["test"][-1]
        assert "mlflow" in asked
        assert "/api/2.0/mlflow/experiments/search" in asked


def test_secrets_are_files_that_the_script_writes() -> None:
    files = {secret["file"].removeprefix("./secrets/") for secret in WHOLE["secrets"].values()}
    script = (ROOT / "deploy" / "make-secrets").read_text()
    assert all(set(secret) == {"file"} for secret in WHOLE["secrets"].values())
    assert all(file.startswith("./secrets/") for file in {one["file"] for one in WHOLE["secrets"].values()})
    assert [file for file in files if file not in script] == []
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(WHOLE["secrets"])


@every_service
def test_no_secret_stands_in_a_service(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY|CREDENTIALS", variable):
            is_a_path = re.fullmatch(r"/run/secrets/(\w+)", str(value))
            assert is_a_path or variable == "RAY_AUTH_MODE", variable
            if is_a_path:
                assert is_a_path[1] in SERVICES[name]["secrets"]
        assert not re.search(r"//[^/@]*:[^/@]*@", str(value)), "a password in an address"


def test_git_and_the_builder_are_given_no_secrets() -> None:
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!") and ("secret" in line or "env" in line)]


def test_mlflow_and_optuna_have_a_database_each() -> None:
    addresses = [
        SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"],
        SERVICES["sweep"]["environment"]["HARNESS_STORAGE"],
    ]
    assert [address.rpartition("/")[2] for address in addresses] == ["mlflow", "optuna"]
    assert addresses[1] == SERVICES["dashboard"]["environment"]["STORAGE"], "the page shows what sweeps write"


def test_only_what_needs_it_reaches_postgresql() -> None:
    reaching = {name for name, service in SERVICES.items() if "database" in service["networks"]}
    assert reaching == {"postgres", "mlflow", "dashboard", "backup", "sweep"}
    assert WHOLE["networks"]["database"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["database"]


def test_mlflow_knows_further_names_only_if_told() -> None:
    plain = composed()["services"]["mlflow"]["environment"]
    assert plain["MLFLOW_SERVER_ALLOWED_HOSTS"] == "mlflow:5000,localhost:5000,127.0.0.1:5000"
    told = composed(MLFLOW_ALLOWED_HOSTS="mlflow.example.com")["services"]["mlflow"]["environment"]
    assert told["MLFLOW_SERVER_ALLOWED_HOSTS"].endswith("127.0.0.1:5000,mlflow.example.com")
    assert "*" not in plain["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert plain["MLFLOW_DISABLE_TELEMETRY"] == "true"


@every_service
def test_what_is_named_is_there(name: str) -> None:
    service = SERVICES[name]
    assert [one for one in service.get("depends_on", {}) if one not in SERVICES] == []
    for volume in service.get("volumes", []):
        if isinstance(volume, str):
            source = volume.split(":")[0]
            if source.startswith("./deploy"):
                assert (ROOT / source).is_file()
            elif not source.startswith("."):
                assert source in WHOLE["volumes"]


@pytest.mark.parametrize("name", ["mlflow-users"])
def test_what_the_second_file_starts_has_the_image_that_the_first_builds(name: str) -> None:
    assert SERVICES[name]["image"] == SERVICES["mlflow"]["image"]


def test_versions_of_the_images_are_the_projects() -> None:
    built = {service["image"].split(":")[1] for service in SERVICES.values() if "build" in service}
    assert {version.split("-")[0] for version in built} == {harness.__version__}
