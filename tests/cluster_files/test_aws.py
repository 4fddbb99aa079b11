"""`ray up` on AWS as far as it goes without AWS: Ray's own bootstrap and node provider against a simulated one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

boto3 = pytest.importorskip("boto3", reason="boto3 comes with the `dev` extra")
moto = pytest.importorskip("moto", reason="moto comes with the `dev` extra")

STORAGE = Path(__file__).parents[2] / "cluster" / "storage"
ROLES = ("physioclr-head", "physioclr-worker")
REGION = "us-east-1"
Launcher = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A simulated account with the roles of cluster/storage/README.md, and a home folder for keys."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOME", str(home))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "simulated")
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with moto.mock_aws():
            iam = boto3.client("iam")
            for role in ROLES:
                trust = (STORAGE / "trust-ec2.json").read_text()
                iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
                iam.create_instance_profile(InstanceProfileName=role)
                iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
            yield


@pytest.fixture(scope="module")
def bootstrapped(aws: None, launcher: Launcher) -> dict[str, Any]:
    """cluster/aws.yaml with keys, subnets and security groups that Ray made or found."""
    from ray.autoscaler._private.aws.config import bootstrap_aws

    return dict(bootstrap_aws(launcher("aws")))


def started(config: dict[str, Any], kind: str) -> Any:
    """A machine of `kind`, started by Ray's node provider."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    node = dict(config["available_node_types"][kind]["node_config"])
    tags = {TAG_RAY_NODE_KIND: "head" if kind == "head" else "worker", TAG_RAY_USER_NODE_TYPE: kind}
    provider.create_node(node, tags, 1)
    (made,) = provider.non_terminated_nodes({TAG_RAY_USER_NODE_TYPE: kind})
    return boto3.resource("ec2").Instance(made)


def test_ray_finds_subnets_makes_a_group_and_leaves_roles_alone(bootstrapped: dict[str, Any]) -> None:
    for key, kind in bootstrapped["available_node_types"].items():
        node = kind["node_config"]
        assert node["SubnetIds"]
        assert node["SecurityGroupIds"]
        assert node["IamInstanceProfile"] == {"Name": "physioclr-head" if key == "head" else "physioclr-worker"}
    names = {role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]}
    assert names == set(ROLES), "Ray made a role of its own, with rights over all of EC2 and S3"


def test_only_ssh_is_open_to_others(bootstrapped: dict[str, Any]) -> None:
    (group,) = {
        one for kind in bootstrapped["available_node_types"].values() for one in kind["node_config"]["SecurityGroupIds"]
    }
    rules = boto3.resource("ec2").SecurityGroup(group).ip_permissions
    open_to_all = [rule.get("FromPort") for rule in rules if rule.get("IpRanges")]
    assert open_to_all == [22]


@pytest.mark.parametrize(
    ("kind", "machine", "market"),
    [
        ("head", "m7i.xlarge", None),
        ("data", "c7i.4xlarge", None),
        ("train-spot", "g6.2xlarge", "spot"),
        ("train-on-demand", "g6.2xlarge", None),
    ],
)
def test_machines_start(bootstrapped: dict[str, Any], kind: str, machine: str, market: str | None) -> None:
    one = started(bootstrapped, kind)
    assert (one.instance_type, one.instance_lifecycle) == (machine, market)
    role = "physioclr-head" if kind == "head" else "physioclr-worker"
    assert one.iam_instance_profile["Arn"].endswith(f"/{role}")
    assert one.metadata_options["HttpTokens"] == "required"
    assert {tag["Key"]: tag["Value"] for tag in one.tags}["ray-cluster-name"] == "physioclr"
    (volume,) = one.volumes.all()
    assert volume.encrypted
    assert volume.size >= 100


def test_aws_takes_the_policies_and_rules_of_the_bucket(aws: None) -> None:
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    for name in ("aws-worker-policy", "aws-head-policy"):
        iam.put_role_policy(RoleName="physioclr-head", PolicyName=name, PolicyDocument=filled(name))
    s3.create_bucket(Bucket="my-bucket")
    s3.put_bucket_policy(Bucket="my-bucket", Policy=filled("aws-bucket-policy"))
    s3.put_bucket_encryption(Bucket="my-bucket", ServerSideEncryptionConfiguration=json.loads(filled("aws-encryption")))
    s3.put_bucket_lifecycle_configuration(
        Bucket="my-bucket", LifecycleConfiguration=json.loads(filled("aws-lifecycle"))
    )
    assert len(s3.get_bucket_lifecycle_configuration(Bucket="my-bucket")["Rules"]) == 3


def filled(name: str) -> str:
    """A policy with its names filled in by the command of cluster/storage/README.md."""
    (command,) = (line for line in (STORAGE / "README.md").read_text().splitlines() if line.startswith("sed -i"))
    words = command.removeprefix("sed -i ").removesuffix(" cluster/storage/aws-*.json").split()
    text = subprocess.run(
        ["sed", *words, str(STORAGE / f"{name}.json")], capture_output=True, text=True, check=True
    ).stdout
    assert not re.search("BUCKET|ACCOUNT|KEY|us-east-1", text)
    return text
