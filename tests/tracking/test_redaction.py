"""No password is ever shown, however it got into a sentence."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tracking.redaction import SHORTEST, without_secrets

PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="\"'"),
    min_size=6,
    max_size=20,
).map(lambda text: f"Zq{text}")


@given(password=PASSWORDS, how=st.sampled_from([quote_plus, lambda text: quote(text, safe=""), str]))
def test_the_password_of_an_address_is_in_no_error(password: str, how: object) -> None:
    written = how(password)  # type: ignore[operator]
    address = f"postgresql+psycopg://ann:{written}@db.example.org:5432/runs?sslmode=require"
    for text in (
        f"could not connect to {address}",
        f"API request to {address}/api/2.0 failed with exception x",
        f'connection failed: FATAL: password "{password}" is wrong',
        f"invalid dsn: user=ann password={written} host=db",
        f"ArgumentError: {password!r}",
    ):
        shown = without_secrets(text, address)
        assert password not in shown
        assert written not in shown


@given(token=PASSWORDS)
def test_secrets_in_a_query_are_hidden_and_the_rest_stays(token: str) -> None:
    address = f"http://mlflow.example.org/base?access_token={quote_plus(token)}&page=2"
    shown = without_secrets(f"GET {address} failed", address)
    assert quote_plus(token) not in shown
    assert token not in without_secrets(f"the token {token} has expired", address)
    assert "mlflow.example.org/base" in shown
    assert "page=2" in shown


HOST, DATABASE, USER = "postgres.example.org", "postgres_runs", "postgres"
PUBLIC = ["postgresql", "postgres", "psycopg", "post", HOST, "example", DATABASE, "5432", USER, "runs", ""]
"""What may be a password and stand in the readable part of an address as well."""
WRITTEN = {
    "postgresql+psycopg://{user}:{password}@{host}:5432/{database}": "{user}:{password}@",
    "postgres://{password}@{host}:5432/{database}": "{password}@",
    "postgresql://{host}:5432/{database}?sslmode=require&user={user}&password={password}": "",
    "postgresql://{user}@{host}:5432/{database}?password={password}": "{user}@",
    "mysql://{user}:@{host}:5432/{database}": "{user}:@",
}
"""Addresses, and what stands before the server in each."""


@given(
    form=st.sampled_from(list(WRITTEN)),
    user=st.sampled_from([USER, HOST, DATABASE, "ann"]),
    password=st.sampled_from(PUBLIC) | PASSWORDS,
    encode=st.sampled_from([quote_plus, lambda text: quote(text, safe="")]),
    other=st.booleans(),
)
def test_the_readable_part_of_an_address_is_whole_whatever_its_password_is(
    form: str, user: str, password: str, encode: Callable[[str], str], other: bool
) -> None:
    values = {"host": HOST, "database": DATABASE, "user": user, "password": encode(password)}
    address, before = form.format(**values), WRITTEN[form].format(**values)
    scheme = address.partition("://")[0]
    text = f"is in use on this database: {address}. Wait" if other else address
    shown = without_secrets(text, address)
    readable = f"{scheme}://{'***@' if before else ''}{HOST}:5432/{DATABASE}"
    assert readable in shown
    rest = shown.replace(readable, "")
    assert before == "" or before not in rest
    assert f"user={user}" not in shown
    assert f"password={encode(password)}" not in shown or not password
    if "sslmode" in form:
        assert "sslmode=require" in shown
    if len(password) >= SHORTEST and "{password}" in form and not form.startswith("postgres://"):
        assert password not in without_secrets(f"FATAL: {password!r} is wrong for {user[:1]}", address)


@pytest.mark.parametrize("name", ["PGPASSWORD", "MLFLOW_TRACKING_PASSWORD"])
def test_a_password_of_the_environment_leaves_no_gap_in_an_address(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "postgres")
    address = "postgresql+psycopg://postgres@postgres:5432/postgres"
    assert (
        without_secrets(f'password "postgres" is wrong at {address}', address)
        == 'password "***" is wrong at postgresql+psycopg://***@postgres:5432/postgres'
    )


def test_a_token_before_a_server_is_hidden_wherever_it_stands() -> None:
    address = "https://mlflow@mlflow.example.org/mlflow"
    assert (
        without_secrets(f"mlflow is refused at {address}/api", address)
        == "*** is refused at https://***@mlflow.example.org/mlflow/api"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:secret@host:5000/x is away", "http://***@host:5000/x is away"),
        ("http://ann:s@cret/x@host:5000/x is away", "http://***@host:5000/x is away"),
        ("http://token@host/x", "http://***@host/x"),
        ("http://host:5000/x?a=1", "http://host:5000/x?a=1"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer ***"),
        ("password='two words' host=db", "password=*** host=db"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+x and so on", "AWS_SECRET_ACCESS_KEY=*** and so on"),
        ("MLflow has no run '0123'.", "MLflow has no run '0123'."),
        ("the password is not accepted", "the password is not accepted"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_without_knowing_it(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2!")
    monkeypatch.setenv("HARNESS_STORAGE", "postgresql://ann:p%40ssw0rd@db/x")
    shown = without_secrets("hunter2! and p@ssw0rd and p%40ssw0rd")
    assert shown == "*** and *** and ***"
