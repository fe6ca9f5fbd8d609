"""What the server fetches, from where, and when it stops."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests.adapters
from pytest_django.fixtures import Settings

from ami.base.errors import AmiError
from ami.base.outgoing import (
    AddressRefused,
    AnswerNotUnderstood,
    AnswerTooLarge,
    BadStatus,
    Limits,
    ServiceTimedOut,
    ServiceUnreachable,
    check_url,
    fetch,
)
from ami.base.outgoing.addresses import is_public
from ami.base.tests.servers import Listener, Service, http_service, listener, rude_server, says_nothing

LOOPBACK = ["127.0.0.0/8", "::1/128"]
PATIENT = Limits(total=20, connect=5, read=20, max_bytes=1000)
QUICK = Limits(total=0.5, connect=0.3, read=0.3, max_bytes=1000)


@pytest.fixture
def loopback(settings: Settings) -> None:
    """An installation whose services are on the machine itself."""
    settings.OUTGOING_ALLOWED_NETWORKS = LOOPBACK


@pytest.fixture
def service(loopback: None) -> Iterator[Service]:
    with http_service() as service:
        yield service


@pytest.fixture(scope="module")
def ear() -> Iterator[Listener]:
    with listener() as ear:
        yield ear


class Resolver:
    """Answers for made-up names from a script, one answer after the other; everything else as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **names: list[list[str]]) -> None:
        self.answers = names
        self.asked: list[str] = []
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *args: Any, **rest: Any) -> Any:
        script = self.answers.get(str(host).partition(".")[0])
        if script is None or rest.get("flags", 0) & socket.AI_NUMERICHOST:
            return self._real(host, port, *args, **rest)
        self.asked.append(host)
        addresses = script.pop(0) if len(script) > 1 else script[0]
        return [entry for address in addresses for entry in self._real(address, port, *args, **rest)]


BAD_URLS = [
    # other schemes, and what is no URL
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/info",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "",
    "http://",
    "http:///readyz",
    "http://:{port}/",
    "http://example.org:99999/",
    "http://example.org:port/",
    # whom the host belongs to is a matter of opinion between parsers
    "http://user@127.0.0.1:{port}/",
    "http://user:secret@8.8.8.8:{port}/",
    "http://example.org@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http://127.0.0.1:{port}#@example.org/",
    "http://127.0.0.1:{port}%00.example.org/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: example.org",
    " http://127.0.0.1:{port}/",
    "http://a..b:{port}/",
    "http://" + "a" * 64 + ".example.org:{port}/",
    # this machine, in every spelling
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://\u2460\u2461\u2466.0.0.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    # networks that are nobody's business
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_before_anybody_is_called(ear: Listener, url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        fetch(url.replace("{port}", str(ear.port)), limits=QUICK)
    assert not ear.saw_something()
    assert (refused.value.http_status, refused.value.permanent) == (400, True)
    assert refused.value.message.endswith(".")
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("url", [url for url in BAD_URLS if "localhost" not in url.lower()])
def test_a_bad_url_is_refused_when_it_is_written_already(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url.replace("{port}", "8000"))


@pytest.mark.parametrize(
    "url",
    ["http://svc:2000", "https://gpu_1.example.org/base/", "http://8.8.8.8", "http://[2606:4700::1]:81/x"],
)
def test_a_good_url_may_be_written_and_nothing_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    resolver = Resolver(monkeypatch, svc=[["10.0.0.1"]], gpu_1=[["10.0.0.1"]])
    check_url(url)
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("192.0.0.9", False),
        ("192.88.99.1", False),
        ("2001:1::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("::8.8.8.8", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


class TestNames:
    """A name counts for what it leads to."""

    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"]
    )
    def test_a_name_that_leads_inside_is_refused_without_saying_where(
        self, monkeypatch: pytest.MonkeyPatch, ear: Listener, address: str
    ) -> None:
        Resolver(monkeypatch, evil=[[address]])
        with pytest.raises(AddressRefused) as refused:
            fetch(f"http://evil.example.org:{ear.port}/", limits=PATIENT)
        assert not ear.saw_something()
        assert "evil.example.org" in refused.value.message
        assert address not in refused.value.message

    def test_a_name_is_looked_up_once_so_that_a_second_answer_cannot_lead_inside(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.1/32"]
        with http_service() as good, listener() as inside:
            good.replies["/"] = (200, {}, b"{}")
            # The second answer is where the listener alone would be reached.
            resolver = Resolver(monkeypatch, rebind=[["127.0.0.1"], ["127.0.0.2"]])
            assert fetch(f"http://rebind.example.org:{good.port}/", limits=PATIENT).status == 200
            assert resolver.asked == ["rebind.example.org"]
            with pytest.raises(AddressRefused):
                fetch(f"http://rebind.example.org:{inside.port}/", limits=PATIENT)
            assert not inside.saw_something()

    def test_addresses_that_may_not_be_called_are_left_out(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.1/32"]
        with http_service() as good:
            good.replies["/"] = (200, {}, b"{}")
            Resolver(monkeypatch, mixed=[["10.0.0.1", "127.0.0.1"]])
            assert fetch(f"http://mixed.example.org:{good.port}/", limits=PATIENT).status == 200

    def test_the_next_address_is_tried_where_nobody_listens(
        self, monkeypatch: pytest.MonkeyPatch, service: Service
    ) -> None:
        service.replies["/"] = (200, {}, b"{}")
        Resolver(monkeypatch, two=[["127.0.0.9", "127.0.0.1"]])
        assert fetch(f"http://two.example.org:{service.port}/", limits=PATIENT).status == 200

    def test_the_name_stays_in_the_host_header(
        self, monkeypatch: pytest.MonkeyPatch, service: Service
    ) -> None:
        Resolver(monkeypatch, named=[["127.0.0.1"]])
        fetch(f"http://named.example.org:{service.port}/a?b=c#d", limits=PATIENT)
        _, path, headers, _ = service.asked[0]
        assert path == "/a?b=c"
        assert headers["Host"] == f"named.example.org:{service.port}"

    def test_an_unknown_name_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ServiceUnreachable, match=r"nowhere\.invalid"):
            fetch("http://nowhere.invalid/", limits=Limits(total=20))

    def test_a_resolver_that_does_not_answer_has_the_same_deadline(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = threading.Event()

        def stuck(*_: Any, **__: Any) -> None:
            over.wait(10)
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", stuck)
        with pytest.raises(ServiceTimedOut):
            fetch("http://slow.example.org/", limits=QUICK)
        over.set()


class TestAnswers:
    """What comes back from a service that may be called."""

    def test_a_service_in_an_allowed_network_is_asked(self, service: Service) -> None:
        service.replies["/readyz"] = (200, {}, b'{"status":["moths"]}')
        answer = fetch(f"{service.url}/readyz", limits=PATIENT)
        assert answer.json() == {"status": ["moths"]}
        assert 0 < answer.seconds < 20

    def test_a_body_is_sent_as_json(self, service: Service) -> None:
        service.replies["/process"] = (200, {}, b"{}")
        fetch(f"{service.url}/process", method="POST", body=b'{"a":1}', limits=PATIENT)
        method, _, headers, body = service.asked[0]
        assert (method, headers["Content-Type"], body) == ("POST", "application/json", b'{"a":1}')

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, service: Service, ear: Listener, status: int) -> None:
        service.replies["/"] = (status, {"Location": f"http://127.0.0.1:{ear.port}/latest/meta-data"}, b"")
        answer = fetch(f"{service.url}/", limits=PATIENT)
        assert answer.status == status
        assert not ear.saw_something()
        with pytest.raises(BadStatus, match="sends us elsewhere"):
            answer.json()

    @pytest.mark.parametrize(("status", "permanent"), [(404, True), (422, True), (500, False), (503, False)])
    def test_another_status_than_a_good_one_is_told_without_the_text(
        self, service: Service, status: int, permanent: bool
    ) -> None:
        service.replies["/"] = (status, {}, b'{"detail":"internal words"}')
        with pytest.raises(BadStatus, match=str(status)) as bad:
            fetch(f"{service.url}/", limits=PATIENT).json()
        assert "internal words" not in bad.value.message
        assert (bad.value.permanent, bad.value.status) == (permanent, status)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 100_000, b"[" * 70 + b"]" * 70, b'"\xff"'])
    def test_what_is_no_sensible_json_is_not_understood(self, service: Service, body: bytes) -> None:
        service.replies["/"] = (200, {}, body)
        with pytest.raises(AnswerNotUnderstood):
            fetch(f"{service.url}/", limits=Limits(max_bytes=200_000)).json()

    def test_an_answer_may_be_as_large_as_the_cap_and_no_larger(self, service: Service) -> None:
        service.replies["/"] = (200, {}, b"x" * 1000)
        service.replies["/more"] = (200, {}, b"x" * 1001)
        assert len(fetch(f"{service.url}/", limits=PATIENT).body) == 1000
        with pytest.raises(AnswerTooLarge, match="1,000 bytes"):
            fetch(f"{service.url}/more", limits=PATIENT)

    def test_a_compressed_answer_is_not_unpacked(self, service: Service) -> None:
        service.replies["/"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
        with pytest.raises(AnswerNotUnderstood, match="compressed"):
            fetch(f"{service.url}/", limits=PATIENT)
        assert service.asked[0][2]["Accept-Encoding"] == "identity"

    def test_proxies_and_passwords_of_the_environment_play_no_part(
        self, service: Service, ear: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{ear.port}")
        service.replies["/"] = (200, {}, b"{}")
        assert fetch(f"{service.url}/", limits=PATIENT).status == 200
        assert not ear.saw_something()
        assert "Authorization" not in service.asked[0][2]

    def test_where_nobody_listens_is_unreachable(self, loopback: None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(ServiceUnreachable) as error:
            fetch(f"http://127.0.0.1:{port}/", limits=PATIENT)
        assert (error.value.http_status, error.value.permanent) == (502, False)


OK = b"HTTP/1.1 200 OK\r\n"


def _drips(connection: socket.socket, over: threading.Event, head: bytes, drop: bytes) -> None:
    connection.sendall(head)
    while not over.wait(0.05):
        connection.sendall(drop)


def _drips_headers(connection: socket.socket, over: threading.Event) -> None:
    _drips(connection, over, OK, b"X")


def _drips_a_body(connection: socket.socket, over: threading.Event) -> None:
    _drips(connection, over, OK + b"Content-Length: 900\r\n\r\n", b"x")


def _drips_chunks(connection: socket.socket, over: threading.Event) -> None:
    _drips(connection, over, OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


def _stops_in_a_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 900\r\n\r\nxxx")
    over.wait(10)


def _never_ends(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b"\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def _redirects_without_end(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def _speaks_another_language(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"220 mail.example.org ESMTP\r\n")


def _hangs_up(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 900\r\n\r\nxxx")


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (says_nothing, ServiceTimedOut),
        (_drips_headers, ServiceTimedOut),
        (_drips_a_body, ServiceTimedOut),
        (_drips_chunks, ServiceTimedOut),
        (_stops_in_a_body, ServiceTimedOut),
        (_never_ends, AnswerTooLarge),
        (_redirects_without_end, AnswerTooLarge),
        (_speaks_another_language, ServiceUnreachable),
        (_hangs_up, ServiceUnreachable),
    ],
)
def test_a_server_that_misbehaves_costs_little(loopback: None, talk: Any, error: type[AmiError]) -> None:
    started = time.monotonic()
    with rude_server(talk) as (url, gone):
        with pytest.raises(error) as raised:
            fetch(url, limits=QUICK)
        assert time.monotonic() - started < 5
        assert raised.value.http_status == (504 if error is ServiceTimedOut else 502)
        if talk in (_drips_headers, _drips_a_body, _drips_chunks, _never_ends):
            assert gone.wait(5), "the connection must not stay open"
    assert not [thread for thread in threading.enumerate() if thread.name == "outgoing" and _outlives(thread)]


def _outlives(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
class TestCertificates:
    """The certificate has to be that of the name, whatever the address."""

    @pytest.fixture
    def secure(
        self, loopback: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Service, list[str | None]]]:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"),
                *("-subj", "/CN=right.example.org", "-addext", "subjectAltName=DNS:right.example.org"),
            ],
            check=True,
            capture_output=True,
        )
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
        asked: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda _, name, __: asked.append(name)
        with http_service(context) as service:
            service.replies["/"] = (200, {}, b"{}")
            yield service, asked

    def test_the_right_name_is_asked_for_and_accepted(
        self, secure: tuple[Service, list[str | None]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service, asked = secure
        Resolver(monkeypatch, right=[["127.0.0.1"]])
        assert fetch(f"https://right.example.org:{service.port}/", limits=PATIENT).status == 200
        assert asked == ["right.example.org"]

    @pytest.mark.parametrize("host", ["wrong.example.org", "127.0.0.1"])
    def test_a_certificate_of_another_name_is_refused(
        self, secure: tuple[Service, list[str | None]], monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        service, _ = secure
        Resolver(monkeypatch, wrong=[["127.0.0.1"]])
        with pytest.raises(ServiceUnreachable, match="certificate"):
            fetch(f"https://{host}:{service.port}/", limits=PATIENT)
        assert service.asked == []
