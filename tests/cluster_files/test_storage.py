"""What the storage policies allow, and what they never do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

STORAGE = Path(__file__).parents[2] / "cluster" / "storage"
Launcher = Callable[[str], dict[str, Any]]


def statements(name: str) -> Iterator[dict[str, Any]]:
    for one in json.loads((STORAGE / f"{name}.json").read_text())["Statement"]:
        many = {key: [one[key]] if isinstance(one.get(key), str) else one.get(key) for key in ("Action", "Resource")}
        yield one | many


def allowed(name: str, action: str, resource: str) -> bool:
    """Whether a statement of the policy allows it, conditions left out."""
    return any(
        one["Effect"] == "Allow"
        and any(fnmatch(action, each) for each in one["Action"])
        and any(fnmatch(resource, each) for each in one["Resource"])
        for one in statements(name)
    )


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"])
def test_workers_use_their_part_of_the_bucket_and_no_other(action: str) -> None:
    assert allowed("aws-worker-policy", action, "arn:aws:s3:::BUCKET/physioclr/runs/one/summary.json")
    assert not allowed("aws-worker-policy", action, "arn:aws:s3:::BUCKET/others/secret")
    assert not allowed("aws-worker-policy", action, "arn:aws:s3:::another/physioclr/runs")


def test_workers_may_ask_for_the_bucket_itself() -> None:
    """s3fs does, before it makes a folder, and Ray Train makes one. HEAD has no prefix, so the right to list the
    physioclr/ part does not cover it, and s3fs would go on to create the bucket."""
    (asking,) = (one for one in statements("aws-worker-policy") if "s3:GetBucketLocation" in one["Action"])
    assert asking["Effect"] == "Allow"
    assert asking["Resource"] == ["arn:aws:s3:::BUCKET"]
    assert "Condition" not in asking


@pytest.mark.parametrize("action", ["s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration"])
def test_workers_do_not_change_the_bucket(action: str) -> None:
    assert not allowed("aws-worker-policy", action, "arn:aws:s3:::BUCKET")


@pytest.mark.parametrize("name", ["aws-worker-policy", "aws-head-policy"])
def test_no_right_is_over_everything(name: str) -> None:
    for one in statements(name):
        assert all("*" not in action or action == "ec2:Describe*" for action in one["Action"])
        if one["Resource"] == ["*"]:  # what AWS cannot narrow: looking, and logging in to the registry
            assert one["Action"] in (["ec2:Describe*"], ["ecr:GetAuthorizationToken"])


def test_the_head_starts_only_the_machines_of_the_cluster(launcher: Launcher) -> None:
    kinds = launcher("aws")["available_node_types"]
    wanted = {kind["node_config"]["InstanceType"] for key, kind in kinds.items() if key != "head"}
    (starting,) = (one for one in statements("aws-head-policy") if one["Sid"] == "StartMachinesOfTheseKinds")
    assert set(starting["Condition"]["StringEquals"]["ec2:InstanceType"]) == wanted


def test_the_head_gives_no_role_but_the_workers() -> None:
    assert allowed("aws-head-policy", "iam:PassRole", "arn:aws:iam::ACCOUNT:role/physioclr-worker")
    assert not allowed("aws-head-policy", "iam:PassRole", "arn:aws:iam::ACCOUNT:role/admin")


def test_the_head_ends_only_machines_of_the_cluster() -> None:
    (ending,) = (one for one in statements("aws-head-policy") if "ec2:TerminateInstances" in one["Action"])
    assert ending["Condition"] == {"StringEquals": {"aws:ResourceTag/ray-cluster-name": "physioclr"}}


def test_connections_without_tls_are_refused() -> None:
    denied = [one for one in statements("aws-bucket-policy") if one["Effect"] == "Deny"]
    assert any(one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for one in denied)


def test_objects_are_encrypted_with_the_key_that_workers_may_use() -> None:
    (rule,) = json.loads((STORAGE / "aws-encryption.json").read_text())["Rules"]
    key = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert allowed("aws-worker-policy", "kms:Decrypt", key)


def test_no_rule_deletes_a_current_checkpoint() -> None:
    """A run that was stopped goes on from it, however long it waited."""
    for rule in json.loads((STORAGE / "aws-lifecycle.json").read_text())["Rules"]:
        assert not {"Days", "Date"} & set(rule.get("Expiration", {}))
    for one in json.loads((STORAGE / "gcp-lifecycle.json").read_text())["rule"]:
        if one["action"]["type"] == "Delete":
            assert set(one["condition"]) == {"daysSinceNoncurrentTime"}
