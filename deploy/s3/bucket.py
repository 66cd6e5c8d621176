"""Creates an S3 bucket, unless it is there.

python bucket.py s3://NAME

The server is MLFLOW_S3_ENDPOINT_URL's; boto3 finds the keys where AWS_SHARED_CREDENTIALS_FILE says.
"""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit


def main() -> None:
    """Create it, or say why not."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name = urlsplit(sys.argv[1]).netloc
    client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    try:
        if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The bucket {name} was not created: {error}")
    sys.stderr.write(f"bucket {name} is there\n")


if __name__ == "__main__":
    main()
