"""Scenes with secrets in requests. Each returns words that must be in the logs: these were looked at."""

from __future__ import annotations

from typing import Any

from django.test import Client, TestCase

from ami.base.tests.servers import http_service
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Notification
from ami.jobs.notifying.deliver import deliver
from ami.ml.tests.factories import make_service
from ami.tests.leaks.scene import CLOSED, HOST, Scene, caller
from ami.users.api.serializers import LoginSerializer
from ami.users.tests.factories import token_of


def tokens_and_keys(it: Scene) -> list[str]:
    """Good and bad tokens and keys, with requests that are answered, refused and not understood."""
    good = [it.secret(token_of(it.tenants.users["worker"])), it.secret(it.tenants.key.secret)]
    bad = [it.secret(), it.secret(begin="amiw_12345678_")]
    path = f"/api/v2/jobs/{it.tenants.job.pk}/result/"
    for token in [*good, *bad]:
        for scheme in ("Token", "Bearer"):
            client = caller(f"{scheme} {token}")
            client.post("/api/v2/tasks/reserve/", {"batch_size": 1})
            client.post("/api/v2/tasks/reserve/", {"batch_size": "many"})
            client.post(path, {"results": [{"reply_subject": token, "result": {"error": "?"}}]})
            client.post("/api/v2/jobs/0/result/", {"results": []})
        caller(f"Token {token} {token}").get("/api/v2/users/me/")
    return ["/api/v2/jobs/0/result/", path]


def passwords(it: Scene) -> list[str]:
    """Passwords that are right, wrong and new, over the API and in the admin."""
    user, right, wrong, fresh = it.tenants.users["superuser"], it.secret(), it.secret(), it.secret()
    user.set_password(right)
    user.save()
    api, browser = caller(), Client(raise_request_exception=False)
    for password in (wrong, right):
        answer = api.post("/api/v2/auth/token/login/", {"email": user.email, "password": password})
        browser.post("/admin/login/", {"username": user.email, "password": password})
    assert answer.status_code == 200
    token = it.secret(answer.json()["auth_token"])
    form = {"email": "new@example.org", "name": "New", "usable_password": "true"}
    added = browser.post("/admin/users/user/add/", form | {"password1": fresh, "password2": fresh})
    assert added.status_code == 302
    caller(f"Token {token}").post("/api/v2/users/", {"email": "?", "password": wrong})
    return ["/api/v2/auth/token/login/", "/admin/users/user/add/", "'object_repr': 'New'"]


def keys_of_buckets(it: Scene) -> list[str]:
    """Keys of a bucket that are stored, tried out, used by a job, and refused for their place."""
    it.settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    client, project = it.tenants.clients["superuser"], it.tenants.project
    access, secret = it.secret(), it.secret()
    keys = {"access_key": access, "secret_key": secret}
    body = {"name": "Leaky", "project": project.pk, "bucket": "traps", "endpoint_url": f"http://{CLOSED}"}
    made = client.post("/api/v2/storage/", body | keys).json()
    client.post("/api/v2/storage/", body | keys | {"bucket": "a/b"})
    client.post(f"/api/v2/storage/{made['id']}/test/", {})
    station = f"/api/v2/deployments/{it.tenants.deployment.pk}/"
    client.patch(station, {"data_source_id": made["id"]})
    job = client.post(f"{station}sync/").json()["job_id"]
    it.background.dispatch(job)
    dispatch_job(job)
    return ["/api/v2/storage/", "No connection to 127.0.0.1:9 could be made."]


def keys_in_the_admin(it: Scene) -> list[str]:
    """A worker key that is made in the admin, and one that is rotated over the API."""
    browser, project = Client(), it.tenants.project
    browser.force_login(it.tenants.users["superuser"])
    form = {"service": it.tenants.service.pk, "name": "New key", "projects": [project.pk]}
    form |= {"every_pipeline": "on", "expires_at_0": "", "expires_at_1": ""}
    made = browser.post("/admin/ml/workerkey/add/", form, follow=True)
    it.secret(next(word for word in made.content.decode().split() if word.startswith("amiw_"))[:78])
    address = f"/api/v2/ml/processing_services/{it.tenants.service.pk}/keys/{it.tenants.key.key.pk}/rotate/"
    it.secret(it.tenants.clients["superuser"].post(address).json()["secret"])
    return ["/admin/ml/workerkey/add/", address]


def links(it: Scene) -> list[str]:
    """Signed links, good ones and forged ones."""
    link, forged = it.link(), it.secret()
    for address in (
        link,
        link.replace("&signature=", f"&signature={forged}"),
        link.replace("?expires=", f"?signature={forged}&expires="),
        link.replace("signature", "Signature"),
        link.replace("/file/", "/fil/"),
        link.replace("/file/", "/file"),
    ):
        caller().get(address)
    return [link.partition("?")[0]]


def unforeseen_errors(it: Scene) -> list[str]:
    """A view that breaks with secrets in its hands, and with others in what it says."""
    link, key, password = it.link(HOST), it.secret(begin="amiw_12345678_"), it.secret()

    def validate(_serializer: Any, values: dict[str, str]) -> None:
        broker, header = f"redis://:{password}@cache/1", f"Authorization: Token {key}"
        raise RuntimeError(f"unforeseen: {link} {header} {broker} password={password}" * bool(values))

    it.monkeypatch.setattr(LoginSerializer, "validate", validate)
    body = {"email": "a@example.org", "password": it.secret()}
    answer = caller(f"Token {it.secret()}").post("/api/v2/auth/token/login/", body)
    assert answer.status_code == 500
    return ["RuntimeError: unforeseen", "Traceback"]


def push_services(it: Scene) -> list[str]:
    """Services with a credential in their address: some fail, some are refused."""
    it.settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    superuser, project, key = it.tenants.clients["superuser"], it.tenants.project, it.secret()
    with http_service() as there:
        for url in (there.url, f"http://{CLOSED}"):
            service = make_service(project, endpoint_url=f"{url}/moths?api_key={key}")
            address = f"/api/v2/ml/processing_services/{service.pk}"
            for verb in ("check", "register_pipelines"):
                superuser.post(f"{address}/{verb}/?project_id={project.pk}")
    assert len(there.asked) == 2
    for url in (f"https://ami:{key}@gpu.example.org", f"ftp://gpu.example.org/?token={key}"):
        refused = superuser.patch(f"{address}/?project_id={project.pk}", {"endpoint_url": url})
        assert refused.status_code == 400
    return ["service.check_failed"]


def webhooks(it: Scene) -> list[str]:
    """A webhook with a secret in the path of its address, that cannot be told that a job was cancelled."""
    it.settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    manager, project = it.tenants.clients["manager"], it.tenants.project
    with http_service() as there:
        for url in (there.url, f"http://{CLOSED}"):
            body = {"name": "Chat", "url": f"{url}/services/{it.secret()}"}
            made = manager.post(f"/api/v2/projects/{project.pk}/webhooks/", body).json()
            it.secret(made["secret"].removeprefix("whsec_"))
        job = create_job(name="Night", project=project, source_image_single=it.tenants.capture)
        cancel_job(job.pk)
        for key in Notification.objects.filter(job=job).values_list("pk", flat=True):
            deliver(key)
    assert len(there.asked) == 1
    return ["could not be told"]


def failed_jobs(it: Scene) -> list[str]:
    """A worker that says which link it could not fetch, and a job that fails of it."""
    link, job = it.link(HOST), it.tenants.job
    worker = it.tenants.clients["key"]
    it.tenants.capture_set.images.add(it.tenants.spare)
    with TestCase.captureOnCommitCallbacks(execute=True):
        run_job(job)
    it.background.run()
    (task,) = worker.post("/api/v2/tasks/reserve/", {"batch_size": 5}).json()["tasks"]
    lease = it.secret(task["reply_subject"])
    error = {"error": f"failed to load image {link}: 403", "retryable": False}
    results = [{"reply_subject": lease, "result": error}]
    with TestCase.captureOnCommitCallbacks(execute=True):
        worker.post(f"/api/v2/jobs/{job.pk}/result/", {"results": results})
    it.background.run()
    job.refresh_from_db()
    assert job.status == "FAILURE"
    return ["failed to load image", "'level': 'WARNING'"]
