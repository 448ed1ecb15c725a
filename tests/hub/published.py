"""Puts folders on a hub as its own client does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub.server import Hub

REPO = "org/data"
URL = f"hf://datasets/{REPO}"


def publish_folder(hub: Hub, folder: Path) -> str:
    """Commits a folder to the repository REPO, made if missing; returns the commit."""
    from huggingface_hub import HfApi, constants

    client = HfApi(endpoint=hub.endpoint)
    client.create_repo(REPO, repo_type="dataset", exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        done = client.upload_folder(
            repo_id=REPO, repo_type="dataset", folder_path=folder
        )
    return done.oid


def run_python(hub: Hub, home: Path, code: str) -> str:
    """Runs code in a process whose clients talk to the hub; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()
