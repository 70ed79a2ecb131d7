"""Makes a folder from which Terraform installs our providers: a filesystem mirror, and a certificate for TLS.

The providers take the place of the real ones: same address, same version.
"""

from __future__ import annotations

import datetime
import importlib.util
import platform
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.schema_provider.facts import FOLDER, read_facts
from tests.schema_provider.schema import read_schema

#: The providers there are schemas of, by short name.
PROVIDERS = tuple(sorted(path.stem for path in (FOLDER / "schemas").glob("*.json")))
# Terraform's registry, and OpenTofu's
_HOSTS = ("registry.terraform.io", "registry.opentofu.org")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_DAY = datetime.timedelta(days=1)


def make_mirror(mirror: Path) -> tuple[str, ...]:
    """Write the mirror, and give the addresses of the providers in it, such as hashicorp/google."""
    mirror.mkdir(parents=True, exist_ok=True)
    _make_certificate(mirror)
    return tuple(_add_provider(mirror, name) for name in PROVIDERS)


def _add_provider(mirror: Path, name: str) -> str:
    version = read_facts(name).version
    address = read_schema(FOLDER / "schemas" / f"{name}.json").source.partition("/")[2]
    for host in _HOSTS:
        folder = mirror / host / address / version / _platform()
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / f"terraform-provider-{name}_v{version}"
        program.write_text(_program(name, mirror), encoding="utf-8")
        program.chmod(0o755)
    return address


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_ARCHITECTURES.get(machine, machine)}"


def _program(name: str, mirror: Path) -> str:
    """A shell script that becomes the provider: no start-up files of Python are read, which is quicker."""
    return f"#!/bin/sh\nexec {shlex.join(provider_command(name, str(mirror)))}\n"


def provider_command(name: str, where: str) -> list[str]:
    """How the provider is run; `where` is a mirror, or `unix:SOCKET`."""
    return [sys.executable, "-I", "-S", str(FOLDER / "__main__.py"), name, where, *_search_path()]


def _search_path() -> list[str]:
    """Where our tests are, and the packages that the server needs."""
    found = [str(FOLDER.parent.parent)]
    for package in ("grpc", "msgpack"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{package} is missing: pip install 'skyports-tf[test]'")
        found.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(found))


def _make_certificate(mirror: Path) -> None:
    """A key and a certificate of its own for localhost: go-plugin speaks TLS even on a Unix socket."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    (mirror / "tls.key").write_bytes(private)
    (mirror / "tls.crt").write_bytes(certificate.public_bytes(encoding))


def installed_paths(mirror: Path) -> Iterator[Path]:
    """The provider programs of a mirror."""
    yield from sorted(mirror.glob("*/*/*/*/*/terraform-provider-*"))
