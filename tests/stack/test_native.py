"""The stack's services without containers: commands, flags and environment as the compose file has them."""

from __future__ import annotations

import base64
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.object_store import object_store
from tests.serving.conftest import metadata, save_network, write_bundle
from tests.stack.composed import LOGIN, ROOT, STACK, Native, composed, native, replaced

pytestmark = pytest.mark.slow

FULL = os.environ.get("HARNESS_TESTS") == "full"
PATIENCE = 300
"""Seconds that a service may take to start on a machine that is busy."""
GRACE = 10
"""Seconds from SIGTERM to SIGKILL, as Compose has them."""


def programs() -> Path | None:
    """The folder of PostgreSQL's server, which Debian does not put on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    return found[-1].parent if found[-1].is_file() else None


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        assert isinstance(port, int)
        return port


def by_nobody() -> dict[str, Any]:
    """PostgreSQL does not run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], folder: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A service, which is told to end as Compose tells it; its output is in `folder/output`."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        with suppress(ProcessLookupError):  # what it has started ends with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_healthy(
    command: list[str], environment: Mapping[str, str], process: subprocess.Popen[bytes]
) -> None:
    """Its health check, until it succeeds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        assert process.poll() is None, "the service has ended"
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.5)


def done(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Here:
    """Where the stack's places are on this machine."""

    folder: Path
    secrets: Path
    database_port: int
    port: int
    """Of the service that is being tried."""

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def places(self, published: int) -> dict[str, str]:
        """For a service that listens at `published` in its container."""
        return {
            "/usr/local/bin/with-secrets": str(ROOT / "deploy" / "with-secrets"),
            "/usr/local/bin/backup.sh": str(ROOT / "deploy" / "postgres" / "backup.sh"),
            "/run/secrets": str(self.secrets),
            "/artifacts": str(self.folder / "artifacts"),
            "/etc/mlflow": str(self.folder / "etc"),
            "@postgres:5432": f"@127.0.0.1:{self.database_port}",
            "=0.0.0.0": "=127.0.0.1",
            # No container, so no names: the service is asked at its address.
            "http://mlflow": "http://127.0.0.1",
            "http://dashboard": "http://127.0.0.1",
            "HTTPConnection('mlflow'": "HTTPConnection('127.0.0.1'",
            str(published): str(self.port),
        }

    def service(self, name: str, published: int, *files: Path) -> Native:
        return native(composed(*files)["services"][name], self.places(published))

    def administrator(self) -> dict[str, str]:
        """How PostgreSQL's programs reach the server as the two users' scripts do."""
        return dict(os.environ) | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.database_port),
            "SECRETS": str(self.secrets),
            "BACKUPS": str(self.folder / "backups"),
        }


def here_without_server(folder: Path) -> Here:
    """Secrets as Compose mounts them, and ports that are free."""
    made = folder / "made"
    subprocess.run([ROOT / "deploy" / "make-secrets", made], check=True, capture_output=True)
    secrets = folder / "secrets"
    secrets.mkdir()
    for name, secret in composed(STACK, LOGIN)["secrets"].items():
        shutil.copyfile(made / secret["file"].removeprefix("./secrets/"), secrets / name)
    for name in ("artifacts", "etc", "backups", "logs"):
        (folder / name).mkdir()
    return Here(folder, secrets, free_port(), free_port())


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    """PostgreSQL as the service `postgres` starts it, with its databases, on a folder of its own."""
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    # Not in pytest's folder, which is closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="stack-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        found = here_without_server(folder)
        service = composed()["services"]["postgres"]
        data = folder / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(data, "nobody", "nogroup")
        subprocess.run(
            [
                binaries / "initdb", f"--pgdata={data}", "--username=postgres", "--no-sync",
                "--locale=C.UTF-8", f"--pwfile={found.secrets / 'postgres_password'}",
                *service["environment"]["POSTGRES_INITDB_ARGS"].split(),
            ],
            check=True, capture_output=True, cwd=data, **by_nobody(),
        )  # fmt: skip
        command = [str(binaries / service["command"][0]), *service["command"][1:]]
        command += ["-D", str(data), "-p", str(found.database_port), "-k", str(data)]
        health = [
            one.replace("--host=postgres", "--host=127.0.0.1") for one in service["healthcheck"]["test"][1:]
        ]
        with running(command, os.environ, folder / "logs", **by_nobody()) as process:
            until_healthy(health, found.administrator(), process)
            superuser = {"POSTGRES_USER": "postgres", "PGPASSWORD": found.secret("postgres_password")}
            init = [str(ROOT / "deploy" / "postgres" / "init.sh")]
            made = done(init, found.administrator() | superuser)
            assert made.returncode == 0, made.stderr
            yield found


def ask(
    here: Here, path: str, body: Any = None, *, host: str | None = None, login: tuple[str, str] | None = None
) -> tuple[int, Any]:
    """What the service answers to a request; JSON as far as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
    headers = {"Content-Type": "application/json"} | ({"Host": host} if host else {})
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, sent, headers)
        answer = connection.getresponse()
        content = answer.read()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(content) if is_json else content
    finally:
        connection.close()


def experiments(here: Here, **how: Any) -> set[str]:
    status, found = ask(here, "/api/2.0/mlflow/experiments/search?max_results=10", **how)
    assert status == 200, found
    return {one["name"] for one in found["experiments"]}


def psql(here: Here, user: str, database: str, statement: str) -> subprocess.CompletedProcess[str]:
    environment = here.administrator() | {"PGPASSWORD": here.secret(f"{user}_db_password")}
    return done(["psql", "-X", "-A", "-t", "-U", user, "-d", database, "-c", statement], environment)


def test_each_user_has_one_database_and_no_more(here: Here) -> None:
    assert psql(here, "mlflow", "mlflow", "SELECT 1").stdout == "1\n"
    refused = psql(here, "mlflow", "optuna", "SELECT 1")
    assert "permission denied for database" in refused.stderr
    without = done(
        ["psql", "-X", "-w", "-U", "mlflow", "-d", "mlflow", "-c", "SELECT 1"], here.administrator()
    )
    assert "no password supplied" in without.stderr
    refused = psql(here, "optuna", "optuna", "CREATE ROLE another")
    assert "permission denied" in refused.stderr


def test_mlflow_tracks_a_backup_brings_it_back_and_users_log_in(here: Here) -> None:
    restore = str(ROOT / "deploy" / "postgres" / "restore.sh")
    server = here.service("mlflow", 5000)
    with running(server.command, server.environment, here.folder) as process:
        until_healthy(server.health, server.environment, process)
        assert experiments(here, host=f"mlflow:{here.port}") == {"Default"}
        status, _ = ask(here, "/api/2.0/mlflow/experiments/search?max_results=1", host="10.example.com:5000")
        assert status == 403
        assert ask(here, "/api/2.0/mlflow/experiments/create", {"name": "kept"})[0] == 200
        backup = here.service("backup", 5432)
        once = done([*backup.command, "once"], backup.environment | here.administrator())
        assert once.returncode == 0, once.stderr
        assert ask(here, "/api/2.0/mlflow/experiments/create", {"name": "later"})[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
        connection.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a/file.txt", b"content")
        assert connection.getresponse().status == 200
        connection.close()
        assert (here.folder / "artifacts" / "a" / "file.txt").read_bytes() == b"content"

    dump = next(Path(line) for line in once.stdout.split() if "/mlflow-" in line)
    restored = done([restore, "mlflow", str(dump)], here.administrator())
    assert restored.returncode == 0, restored.stderr
    uri = server.environment["MLFLOW_BACKEND_STORE_URI"]
    password = {"PGPASSWORD": here.secret("mlflow_db_password")}
    upgraded = done(["mlflow", "db", "upgrade", uri], server.environment | password)
    assert upgraded.returncode == 0, upgraded.stderr

    login_file = (ROOT / "deploy" / "mlflow" / "login.ini").read_text()
    (here.folder / "etc" / "login.ini").write_text(replaced(login_file, here.places(5000)))
    shutil.copy(ROOT / "deploy" / "mlflow" / "users.py", here.folder / "etc")
    server = here.service("mlflow", 5000, STACK, LOGIN)
    with running(server.command, server.environment, here.folder) as process:
        until_healthy(server.health, server.environment, process)
        admin = ("admin", here.secret("mlflow_admin_password"))
        harness = ("harness", here.secret("mlflow_harness_password"))
        assert experiments(here, login=admin) == {"Default", "kept"}
        asked = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert ask(here, asked, login=harness)[0] == 401
        users = native(
            composed(STACK, LOGIN)["services"]["mlflow-users"],
            here.places(5000) | {"/run/mlflow_users": str(here.folder / "made" / "mlflow_users")},
        )
        for _ in range(2):  # a user that exists gets the password of the file
            made = done(users.command, users.environment)
            assert made.returncode == 0, made.stderr
        assert experiments(here, login=harness) == {"Default", "kept"}
        assert (
            ask(here, "/api/2.0/mlflow/experiments/create", {"name": "of harness"}, login=harness)[0] == 200
        )
        assert ask(here, asked, login=("admin", "password1234"))[0] == 401


def test_the_dashboard_shows_optunas_studies_and_a_backup_brings_them_back(here: Here) -> None:
    dashboard = here.service("dashboard", 8080)
    storage = ["--storage", dashboard.environment["STORAGE"]]
    password = {"PGPASSWORD": here.secret("optuna_db_password")}
    with running(dashboard.command, dashboard.environment, here.folder) as process:
        until_healthy(dashboard.health, dashboard.environment, process)
        assert ask(here, "/api/studies")[1]["study_summaries"] == []
        made = done(
            ["optuna", "create-study", "--study-name", "kept", *storage], dashboard.environment | password
        )
        assert made.returncode == 0, made.stderr
        names = [one["study_name"] for one in ask(here, "/api/studies")[1]["study_summaries"]]
        assert names == ["kept"]
    upgraded = done(["optuna", "storage", "upgrade", *storage], dashboard.environment | password)
    assert upgraded.returncode == 0, upgraded.stderr

    backup = here.service("backup", 5432).environment | here.administrator()
    command = str(ROOT / "deploy" / "postgres" / "backup.sh")
    for _ in range(3):
        assert done([command, "once"], backup | {"BACKUP_KEEP": "2"}).returncode == 0
        time.sleep(1)  # a dump's name has its second
    dumps = sorted(Path(backup["BACKUPS"]).glob("optuna-*.dump"))
    assert len(dumps) == 2
    assert done([command, "check"], backup).returncode == 0

    psql(here, "optuna", "optuna", "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE later ();")
    restore = str(ROOT / "deploy" / "postgres" / "restore.sh")
    torn = here.folder / "torn.dump"
    torn.write_bytes(dumps[-1].read_bytes()[:-2000])
    refused = done([restore, "optuna", str(torn)], here.administrator())
    assert refused.returncode == 1
    assert psql(here, "optuna", "optuna", "SELECT count(*) FROM later").stdout == "0\n", "it stays as it was"
    restored = done([restore, "optuna", str(dumps[-1])], here.administrator())
    assert restored.returncode == 0, restored.stderr
    assert psql(here, "optuna", "optuna", "SELECT study_name FROM studies").stdout == "kept\n"
    assert "does not exist" in psql(here, "optuna", "optuna", "SELECT count(*) FROM later").stderr


def test_backups_that_fail_are_said_and_those_before_are_kept(here: Here) -> None:
    folder = here.folder / "failing"
    folder.mkdir()
    command = str(ROOT / "deploy" / "postgres" / "backup.sh")
    environment = here.administrator() | {"BACKUPS": str(folder)}
    assert done([command, "check"], environment).returncode == 1
    assert done([command, "once"], environment).returncode == 0
    kept = sorted(folder.iterdir())
    failed = done([command, "once"], environment | {"PGPORT": "1"})
    assert failed.returncode == 1
    assert "mlflow was not dumped" in failed.stderr
    assert "optuna was not dumped" in failed.stderr
    assert sorted(folder.iterdir()) == kept
    old = time.time() - 3 * 86400
    for file in kept:
        os.utime(file, (old, old))
    assert done([command, "check"], environment).returncode == 1


def test_harness_serves_a_bundle_and_asks_for_the_token(tmp_path: Path) -> None:
    here = here_without_server(tmp_path)
    save_network(tmp_path / "model.keras")
    bundle = write_bundle(tmp_path / "colours", (tmp_path / "model.keras").read_bytes(), metadata())
    places = here.places(8501) | {"/bundle": str(bundle), "http://serve": "http://127.0.0.1"}
    places["/tmp/cache"] = str(tmp_path / "cache")
    service = native(composed()["services"]["serve"], places)
    with running(service.command, service.environment, tmp_path) as process:
        until_healthy(service.health, service.environment, process)
        asked = {"instances": [[[[200, 20, 20]] * 16] * 12]}
        assert ask(here, "/v1/models/model:predict", asked)[0] == 401
        connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
        token = {"Authorization": f"Bearer {here.secret('serve_token')}", "Host": f"serve:{here.port}"}
        connection.request("POST", "/v1/models/model:predict", json.dumps(asked), token)
        answer = json.loads(connection.getresponse().read())
        assert answer["predictions"][0]["class"] == "red"
        connection.close()


@pytest.mark.skipif(not FULL, reason="starts two of Ray's nodes: make test-full")
def test_ray_starts_with_a_token_and_a_worker_joins(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    here = here_without_server(tmp_path)
    places = here.places(6379) | {
        "ray-head": "127.0.0.1", "=10001": f"={free_port()}", "=8265": f"={free_port()}",
        "/studies": str(tmp_path / "studies"), "/cache": str(tmp_path / "cache"),
        "memory=1000000000": "memory=100000000",
    }  # fmt: skip
    if importlib.util.find_spec("aiohttp_cors") is None:  # Ray's page needs ray[default], which images have
        places["--include-dashboard=true"] = "--include-dashboard=false"
    services = composed()["services"]
    head, worker = (native(services[name], places) for name in ("ray-head", "worker"))
    temporary = ["--temp-dir", tempfile.mkdtemp(prefix="ray-")]  # a socket's path must be short
    try:
        loopback = "--node-ip-address=127.0.0.1"
        with running([*head.command, loopback, *temporary], head.environment, tmp_path) as process:
            until_healthy(head.health, head.environment, process)
            with running([*worker.command, loopback], worker.environment, tmp_path):
                status = ["ray", "status", "--address", f"127.0.0.1:{here.port}"]
                deadline = time.monotonic() + PATIENCE
                while "/2.0 CPU" not in (told := done(status, head.environment)).stdout:
                    assert time.monotonic() < deadline, told.stdout + told.stderr
                    time.sleep(1)
            stranger = head.environment | {"RAY_AUTH_TOKEN_PATH": str(here.secrets / "serve_token")}
            assert done(head.health, stranger).returncode != 0
    finally:
        shutil.rmtree(temporary[1], ignore_errors=True)


def test_artifacts_go_into_a_bucket_that_is_made_once(here: Here, tmp_path: Path) -> None:
    """Through MLflow's server, which alone has the keys."""
    from mlflow import MlflowClient

    with object_store() as store:
        places = here.places(8333) | {"/etc/s3": str(ROOT / "deploy" / "s3"), "http://s3:8333": store.address}
        bucket = native(composed()["services"]["s3-bucket"], places)
        for _ in range(2):
            made = done(bucket.command, bucket.environment)
            assert made.returncode == 0, made.stderr
            assert "bucket mlflow is there" in made.stderr
        service = native(
            composed(MLFLOW_ARTIFACTS_DESTINATION="s3://mlflow")["services"]["mlflow"],
            here.places(5000) | {"http://s3:8333": store.address},
        )
        with running(service.command, service.environment, here.folder / "logs") as process:
            until_healthy(service.health, service.environment, process)
            client = MlflowClient(f"http://127.0.0.1:{here.port}")
            experiment = client.create_experiment("in a bucket")
            run = client.create_run(experiment).info
            assert run.artifact_uri.startswith("mlflow-artifacts:")
            (tmp_path / "note.txt").write_text("kept in a bucket")
            client.log_artifact(run.run_id, str(tmp_path / "note.txt"))
            (name,) = [one for one in store.objects("mlflow") if one.endswith("note.txt")]
            assert run.run_id in name
            assert store.get("mlflow", name) == b"kept in a bucket"
            got = client.download_artifacts(run.run_id, "note.txt", str(tmp_path / "got"))
            assert Path(got).read_text() == "kept in a bucket"
            client.delete_experiment(experiment)
