"""The Kubernetes manifests against Kubernetes's schemas, and against one another. No cluster is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import harness
from tests.stack.composed import ROOT, composed

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.31", "1.37")
NOT_OF_KUBERNETES = "RayJob"
"""A resource of KubeRay's; Kubernetes has no schema for it, but for the pods in it."""


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


RESOURCES = [one for file in sorted(FOLDER.glob("*.yaml")) for one in documents(file)]


def pod_templates() -> dict[str, dict[str, Any]]:
    """The template of every pod that the manifests have, by a name."""
    found = {}
    for one in RESOURCES:
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        if one["kind"] in ("Deployment", "StatefulSet"):
            found[name] = spec["template"]
        elif one["kind"] == "CronJob":
            found[name] = spec["jobTemplate"]["spec"]["template"]
        elif one["kind"] == NOT_OF_KUBERNETES:
            cluster = spec["rayClusterSpec"]
            found[f"{name}, submitter"] = spec["submitterPodTemplate"]
            found[f"{name}, head"] = cluster["headGroupSpec"]["template"]
            for group in cluster["workerGroupSpecs"]:
                found[f"{name}, {group['groupName']}"] = group["template"]
    return found


PODS = pod_templates()
every_pod = pytest.mark.parametrize("template", PODS.values(), ids=PODS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_resources_keep_to_the_schemas_of_kubernetes(resource: dict[str, Any], version: str) -> None:
    if resource["kind"] == NOT_OF_KUBERNETES:
        with pytest.raises(kubernetes_validate.SchemaNotFoundError):
            kubernetes_validate.validate(resource, version, strict=True)
    else:
        kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@every_pod
def test_pods_of_every_resource_keep_to_the_schema_of_a_pod(template: dict[str, Any], version: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"} | template["metadata"]}
    kubernetes_validate.validate(pod | {"spec": template["spec"]}, version, strict=True)


def test_a_wrong_key_is_found() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containerz": []}},
            VERSIONS[0],
            strict=True,
        )


def named(kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in RESOURCES if one["kind"] == kind}


@every_pod
def test_a_pod_can_do_little_and_takes_no_more_than_its_share(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        allowed = container["securityContext"]
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        of_ray = container["name"] in ("head", "worker", "submitter")  # KubeRay and Ray write to /tmp
        assert of_ray or allowed["readOnlyRootFilesystem"] is True
        assert "memory" in container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert re.search(r":\d+\.\d+", container["image"])


@every_pod
def test_what_a_pod_mounts_is_there(template: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
    of_a_set = {"data"}  # from the stateful set's own template
    for container in template["spec"]["containers"]:
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= set(volumes) | of_a_set
        for variable in container.get("env", []):
            secret = re.fullmatch("/run/secrets/(.*)", variable["value"])
            assert secret is None or "secrets" in mounted
            assert "PASSWORD" not in variable["name"] or secret
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes.values()
        if "persistentVolumeClaim" in volume
    }
    assert claims <= named("PersistentVolumeClaim")


def test_secrets_that_the_manifests_name_are_made_by_the_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8").replace("\\\n", "")
    made = dict(re.findall(r"create secret generic (\w+)((?: +--from-file=\S+)+)", text))
    for template in PODS.values():
        for volume in template["spec"].get("volumes", []):
            if "secret" in volume:
                assert volume["secret"]["secretName"] in made
            if "configMap" in volume:
                assert f"create configmap {volume['configMap']['name']} " in text
    asked = {
        (volume["secret"]["secretName"], variable["value"].removeprefix("/run/secrets/"))
        for template in PODS.values()
        for volume in template["spec"].get("volumes", [])
        if "secret" in volume
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if variable["value"].startswith("/run/secrets/")
    }
    assert len(asked) == 3
    assert [one for one in asked if f"secrets/{one[1]}" not in made[one[0]]] == []


def test_services_and_policies_select_pods_that_there_are() -> None:
    labels = {template["metadata"]["labels"]["app"] for template in PODS.values()}
    assert labels == {"postgres", "backup", "mlflow", "dashboard", "sweep"}
    selected = {one["spec"]["selector"]["app"] for one in RESOURCES if one["kind"] == "Service"}
    assert selected == {"postgres", "mlflow", "dashboard"}
    policies = [one for one in RESOURCES if one["kind"] == "NetworkPolicy"]
    assert any(one["spec"]["podSelector"] == {} and "ingress" not in one["spec"] for one in policies)
    text = (FOLDER / "network-policy.yaml").read_text(encoding="utf-8")
    for names in re.findall(r"app: (\w+)\}|values: \[([^\]]*)\]", text):
        assert set(re.findall(r"\w+", " ".join(names))) <= labels
    assert all(one["metadata"]["namespace"] == "harness" for one in RESOURCES if one["kind"] != "Namespace")


def test_the_pods_run_what_the_compose_file_runs() -> None:
    services = composed()["services"]
    for name, pod in {"mlflow": "Deployment mlflow", "dashboard": "Deployment dashboard"}.items():
        (container,) = PODS[pod]["spec"]["containers"]
        assert container["args"] == services[name]["command"]
        here = {one["name"]: one["value"] for one in container["env"]}
        there = services[name]["environment"]
        differ = {key for key in here if here[key] != there.get(key)}
        assert differ <= {"MLFLOW_SERVER_ALLOWED_HOSTS"}
    (postgres,) = PODS["StatefulSet postgres"]["spec"]["containers"]
    assert postgres["image"] == services["postgres"]["image"]
    here = {one["name"]: one["value"] for one in postgres["env"]}
    assert here.items() >= services["postgres"]["environment"].items()


def test_versions_of_the_images_are_the_projects() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FOLDER.iterdir())
    assert set(re.findall(r"harness(?:-tracking)?:(\d+\.\d+\.\d+)", text)) == {harness.__version__}
    (ray,) = re.findall(r'rayVersion: "(.*)"', text)
    assert f"ray=={ray}" in (ROOT / "constraints.txt").read_text().split()
