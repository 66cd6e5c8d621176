"""Gives every user that a folder names an account in MLflow.

python users.py FOLDER

Each file of FOLDER is a user of that name, its content the password. A user that exists gets that password.
The server is MLFLOW_TRACKING_URI's; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are the
administrator's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Create the users, or set their passwords."""
    from mlflow.exceptions import MlflowException
    from mlflow.server import get_app_client

    folder = Path(sys.argv[1])
    client = get_app_client("basic-auth", os.environ["MLFLOW_TRACKING_URI"])
    for file in sorted(folder.iterdir()):
        password = file.read_text(encoding="utf-8").strip()
        try:
            client.create_user(file.name, password)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                sys.exit(f"The user {file.name} was not created: {error.message}")
            client.update_user_password(file.name, password)
        sys.stderr.write(f"{file.name} can log in\n")


if __name__ == "__main__":
    main()
