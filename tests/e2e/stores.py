"""The object stores as an outside reader sees them: S3 through boto3, a directory through the file system."""

from pathlib import Path

import boto3


class S3Store:
    """One bucket."""

    def __init__(self, endpoint: str, bucket: str):
        self.endpoint, self.bucket = endpoint, bucket
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.client.create_bucket(Bucket=bucket)

    def objects(self, prefix: str) -> dict[str, bytes]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: self.get(key) for key in keys}

    def get(self, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None


class DirectoryStore:
    """One folder; keys are paths below it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def objects(self, prefix: str) -> dict[str, bytes]:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        found = {path.relative_to(self.folder).as_posix(): path for path in files}
        return {
            key: path.read_bytes() for key, path in sorted(found.items()) if key.startswith(prefix)
        }

    def get(self, key: str) -> bytes | None:
        path = self.folder / key
        return path.read_bytes() if path.is_file() else None
