"""What a function's asset carries."""

from __future__ import annotations

from pathlib import Path

ELF_AARCH64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00"
"""How a shared library for 64-bit Arm begins (ELF specification, e_ident, e_type, e_machine)."""


def test_assets_hold_packages_for_arm64_and_only_the_services_that_are_called(assembly: Path) -> None:
    layers = [d for d in assembly.glob("asset.*") if (d / "python").is_dir()]
    assert len(layers) == 1
    binaries = list(layers[0].rglob("*.so"))
    assert len(binaries) > 3
    assert {binary.read_bytes()[:20] for binary in binaries} == {ELF_AARCH64}
    services = {d.name for d in (layers[0] / "python" / "botocore" / "data").iterdir() if d.is_dir()}
    assert services == {"apigatewaymanagementapi", "dynamodb", "s3", "secretsmanager", "sqs"}
    code = next(d for d in assembly.glob("asset.*") if (d / "functions").is_dir())
    assert {p.name for p in code.iterdir()} == {"chaincast", "functions", "pages"}
    assert {p.name for p in (code / "pages").iterdir()} == {"asyncapi.json", "index.html", "openapi.json"}
    assert list(code.rglob("*.pyc")) == []
