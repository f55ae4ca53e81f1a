"""Settings: a file that a node can run by, and a sentence for each that it cannot."""

from pathlib import Path

import pytest

from ctpdeploy.errors import UsageError
from ctpdeploy.service.node.settings import load_node_config

GOOD = """
bundle = "networks.ctpbundle"
folder = "var"
[[senders]]
title = "CT1"
address = "10.0.0.0/24"
[[archives]]
address = "PACS@10.0.0.5:104"
only = ["segmentation", "report"]
"""


def load(folder: Path, text: str):
    file = folder / "node.toml"
    file.write_text(text)
    return load_node_config(file)


def test_a_file_says_what_a_node_does(tmp_path: Path):
    config = load(tmp_path, GOOD)
    assert config.bundle == str(tmp_path / "networks.ctpbundle")
    assert config.folder == str(tmp_path / "var")
    assert [(one.title, one.address) for one in config.senders] == [("CT1", "10.0.0.0/24")]
    assert [(one.address, one.only) for one in config.archives] == [("PACS@10.0.0.5:104", ("segmentation", "report"))]
    assert config.listen.host == "127.0.0.1"


def test_there_is_a_page_where_it_has_a_port(tmp_path: Path):
    assert load(tmp_path, GOOD).page.port is None
    page = load(tmp_path, GOOD + '[page]\nport = 8043\nhost = "::"\ntoken_file = "token"\n').page
    assert (page.port, page.host, page.token_file) == (8043, "::", str(tmp_path / "token"))
    assert load(tmp_path, GOOD + "[page]\nport = 8043\n").page.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not give bundle and folder and senders"),
        (GOOD.replace('address = "10.0.0.0/24"', ""), r"'senders' in .* has no 'address'"),
        (GOOD.replace("10.0.0.0/24", "everywhere"), "has the address 'everywhere', which is none"),
        (GOOD.replace("10.0.0.0/24", "10.0.0.1/24"), "which is none"),
        (GOOD.replace('title = "CT1"', 'title = "A title too long for DICOM"'), "is no AE title"),
        (GOOD.replace("PACS@10.0.0.5:104", "http://pacs.example/dicom-web"), "for all on the way to read"),
        (GOOD.replace("PACS@10.0.0.5:104", "pacs"), "is no address of an archive"),
        (GOOD + GOOD[GOOD.index("[[archives]]") :], "gives the archive PACS@10.0.0.5:104 twice"),
        (GOOD + "[limits]\nconnections = 0\n", "'connections' is 0"),
        (GOOD + "[complete]\nsettle_s = -1\n", "'settle_s' is -1"),
        (GOOD + "[retention]\ndays = 0\n", "'days' is 0"),
        (GOOD + "[listen]\nport = 99999\n", "'port' is 99999"),
        (GOOD + '[listen]\ntls_ca = "ca.pem"\n', "a node shows a certificate"),
        (GOOD + "[listen]\ntitel = 1\n", "did you mean 'title'"),
        (GOOD.replace("only =", "ony ="), "did you mean 'only'"),
        (GOOD + "[page]\nport = 99999\n", r"'port' of \[page\] is 99999"),
        (GOOD + '[page]\nport = 8043\nhost = "everywhere"\n', "give an IP address"),
        (GOOD + '[page]\nport = 8043\nhost = "0.0.0.0"\n', "would see the page: give a token_file"),
        ('log = "xml"\n' + GOOD, "choose one of text, json"),
    ],
)
def test_what_no_node_can_run_by_is_refused(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        load(tmp_path, text)
