"""No password is ever shown, however it got into a sentence."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tracking.redaction import without_secrets

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
