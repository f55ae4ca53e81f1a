import pytest

from ctpdeploy.errors import UsageError
from ctpdeploy.service import DicomAddress, WebAddress, parse_address


@pytest.mark.parametrize(
    ("text", "title", "host", "port"),
    [
        ("PACS@10.0.0.5:104", "PACS", "10.0.0.5", 104),
        ("THE PACS@pacs.example:11112", "THE PACS", "pacs.example", 11112),
        ("A@B@pacs:104", "A@B", "pacs", 104),
        ("PACS@[::1]:104", "PACS", "::1", 104),
    ],
)
def test_a_node_is_a_title_a_host_and_a_port(text: str, title: str, host: str, port: int):
    address = parse_address(text)
    assert address == DicomAddress(title=title, host=host, port=port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://pacs.example/dicom-web", "https://pacs.example:443/dicom-web"),
        ("https://pacs.example/dicom-web/", "https://pacs.example:443/dicom-web"),
        ("https://pacs.example/dicom-web/studies", "https://pacs.example:443/dicom-web"),
        ("http://localhost:8042/dicom-web", "http://localhost:8042/dicom-web"),
        ("http://[::1]:8042", "http://[::1]:8042"),
    ],
)
def test_a_service_is_a_url_to_which_studies_is_added(text: str, shown: str):
    address = parse_address(text)
    assert isinstance(address, WebAddress)
    assert str(address) == shown


@pytest.mark.parametrize(("host", "local"), [("localhost", True), ("127.0.0.2", True), ("[::1]", True), ("a.b", False)])
def test_only_this_machine_is_local(host: str, local: bool):
    address = parse_address(f"http://{host}/x")
    assert isinstance(address, WebAddress)
    assert address.local is local


@pytest.mark.parametrize(
    "text",
    [
        *("", "pacs", "PACS@", "PACS@host", "PACS@host:0", "PACS@host:99999", "PACS@host:x", "PACS@u@:1", "@host:104"),
        *("ftp://host/x", "https://", "https:///x", "https://host/a b", "https://host/x?token=1", "PACS@host:104/x"),
        *("SEVENTEENLETTERSX@host:104", "PÄCS@host:104", "A\\B@host:104", "A\nB@host:104"),
    ],
)
def test_what_is_no_address_is_a_usage_error(text: str):
    with pytest.raises(UsageError):
        parse_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:14942", "@127.0.0.1:14942", " @127.0.0.1:14942"])
def test_an_address_without_a_title_is_told_to_have_one(text: str):
    with pytest.raises(UsageError, match="names no AE title: give TITLE@127"):
        parse_address(text)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(UsageError, match="--token-file") as error:
        parse_address("https://user:geheim@host/dicom-web")
    assert "geheim" not in str(error.value)
