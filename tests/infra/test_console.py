"""Tests of the live console's resources."""

from __future__ import annotations

import json

import pytest

from tests.infra.conftest import Resource, Template
from tests.infra.reading import functions, of_type


def the_only(template: Template, type_: str) -> Resource:
    """Return the properties of the only resource of a type."""
    (properties,) = of_type(template, type_).values()
    return properties


def test_it_is_deployed_only_if_the_configuration_enables_it(template: Template, local_template: Template) -> None:
    for without in (template, local_template):
        assert not of_type(without, "AWS::CloudFront::Distribution")
        assert "ConsoleUrl" not in without["Outputs"]


def test_only_the_distribution_reads_its_files(console_template: Template) -> None:
    (bucket_name,) = of_type(console_template, "AWS::S3::Bucket")
    bucket = the_only(console_template, "AWS::S3::Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    statements = the_only(console_template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    readers = [s["Principal"] for s in statements if s["Effect"] == "Allow" and s["Action"] == "s3:GetObject"]
    assert readers == [{"Service": "cloudfront.amazonaws.com"}]
    assert any(s["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(s) for s in statements)
    origin = the_only(console_template, "AWS::CloudFront::Distribution")["DistributionConfig"]["Origins"][0]
    assert bucket_name in json.dumps(origin["DomainName"])
    assert "OriginAccessControlId" in origin


def test_it_comes_over_tls_with_headers_that_protect(console_template: Template) -> None:
    config = the_only(console_template, "AWS::CloudFront::Distribution")["DistributionConfig"]
    behaviour = config["DefaultCacheBehavior"]
    assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
    # The managed policy "SecurityHeadersPolicy": HSTS, no content sniffing, no framing by other sites.
    assert behaviour["ResponseHeadersPolicyId"] == "67f7725c-6f97-4210-82d7-5512b31e9d03"
    assert config["DefaultRootObject"] == "index.html"


def test_it_may_connect_whatever_origins_are_named(console_template: Template) -> None:
    origin = functions(console_template)["connect"]["Environment"]["Variables"]["CHAINCAST_CONSOLE_ORIGIN"]
    assert origin == console_template["Outputs"]["ConsoleUrl"]["Value"]
    assert "DomainName" in json.dumps(origin)


def test_its_config_contains_the_url_of_the_stack(console_template: Template) -> None:
    deployment = the_only(console_template, "Custom::CDKBucketDeployment")
    assert "execute-api" in json.dumps(deployment["SourceMarkers"])
    assert deployment["SystemMetadata"]["cache-control"] == "max-age=60"  # so that a deployment becomes visible


@pytest.mark.parametrize("type_", ["AWS::S3::Bucket", "AWS::Logs::LogGroup"])
def test_it_is_deleted_with_the_stack(console_template: Template, type_: str) -> None:
    names = [name for name in of_type(console_template, type_) if name.startswith("Console")]
    assert names
    assert {console_template["Resources"][name]["DeletionPolicy"] for name in names} == {"Delete"}
