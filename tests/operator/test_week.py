"""An operator's first week, with real applications behind the gateway."""

import json
import signal
import socket
import ssl
from datetime import datetime, timedelta, timezone

import requests

from conftest import Gateway, until
from processes import PASSWORD


def test_three_hosts_and_a_wildcard_have_one_sign_in(office):
    browser = office.browser()
    wanted = office.url("/reports?year=2026", host="shop.apps")
    answer = browser.get(wanted, timeout=30)
    assert answer.url.startswith(office.url("/.auth/login?rd=")), answer.url
    form = {"login": "p001@example.com", "password": PASSWORD, "rd": wanted}
    answer = browser.post(office.url("/.auth/login"), data=form, timeout=30)
    assert (answer.url, answer.json()) == (wanted, {"path": "reports", "user": "p001", "groups": "staff"})
    assert browser.get(office.url("/"), timeout=30).json()["user"] == "p001"

    # Radicale gives people what is theirs alone.
    address = office.url("/p001/", host="calendar")
    assert browser.request("PROPFIND", address, headers={"Depth": "0"}, timeout=30).status_code == 207
    address = office.url("/p002/", host="calendar")
    assert browser.request("PROPFIND", address, headers={"Depth": "0"}, timeout=30).status_code == 403

    # WsgiDAV.
    address = office.url("/minutes.txt", host="files")
    assert browser.put(address, data=b"Monday", timeout=30).status_code == 201
    assert browser.get(address, timeout=30).content == b"Monday"


def test_a_webhook_is_public_below_a_closed_application(office):
    forge = office.browser()
    hook = office.url("/hooks/deploy")
    answer = forge.post(hook, json={"ref": "main"}, headers={"Remote-User": "p001"}, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"deployed": "main", "user": None})
    assert forge.get(hook, timeout=30, allow_redirects=False).status_code == 405
    for path in ("/", "/hooks", "/hooks/deployments", "/hooks/other"):
        answer = forge.get(office.url(path), timeout=30, allow_redirects=False)
        assert (answer.status_code, "/.auth/login" in answer.headers.get("Location", "")) == (303, True), path
    with socket.create_connection(("127.0.0.1", office.port)) as plain:
        context = ssl.create_default_context(cafile=office.authority.file)
        with context.wrap_socket(plain, server_hostname="console.example.com") as stream:
            head = f"POST /hooks/deploy/../../ops HTTP/1.1\r\nHost: console.example.com:{office.port}\r\n"
            stream.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            assert stream.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_500_people_come_from_htpasswd(office):
    staff = office.table("user", "list", "--group", "staff", "--csv")
    assert {row["email"] for row in staff} >= {f"p{number:03}@example.com" for number in range(500)}
    # The passwords that they had.
    office.sign_in("p123")
    # One line that cannot be read, and nobody comes.
    old = (office.folder / "people.htpasswd").read_text().splitlines()
    (office.folder / "more.htpasswd").write_text(f"{old[0].replace('p000', 'late')}\nmd5:$apr1$abc$def\n")
    more = ("user", "import", "--htpasswd", "more.htpasswd", "--domain", "example.com")
    assert "line 2" in office.refused(*more)
    assert office.run("user", "show", "late@example.com").returncode == 1
    # The same file with one more line.
    (office.folder / "more.htpasswd").write_text("\n".join([*old, old[0].replace("p000", "late")]) + "\n")
    planned = office.document(*more, "--skip-existing", "--dry-run")
    assert [row["username"] for row in planned["planned"]] == ["late"] and not planned["added"]
    added = office.document(*more, "--skip-existing")
    assert ([row["email"] for row in added["added"]], len(added["skipped"])) == (["late@example.com"], 500)


def test_20_people_are_invited_by_csv(office):
    file = office.folder / "new.csv"
    rows = "".join(f"new{number:02}@example.com,Zoë 홍 {number:02},ops,en\n" for number in range(20))
    file.write_text("email,name,groups,language\n" + rows)
    invite = ("invite", "create", "--csv", str(file), "--send", "--group", "staff")
    assert len(office.document(*invite, "--dry-run")["planned"]) == 20
    assert office.mails_to("new00@example.com") == []
    assert len(office.document(*invite)["invitations"]) == 20
    until(lambda: all(office.mails_to(f"new{number:02}@example.com") for number in range(20)))

    link = office.link_in(office.mails_to("new07@example.com")[0])
    form = {
        "email": "new07@example.com",
        "username": "new07",
        "password": PASSWORD,
        "password_confirm": PASSWORD,
        "invitation": link.split("invitation=")[1],
    }
    browser = office.browser()
    assert browser.get(link, timeout=30).status_code == 200
    assert browser.post(office.url("/.auth/signup"), data=form, timeout=30).status_code == 200
    # An invitation to an address is the approval, though `signup.approval` is on.
    browser = office.sign_in("new07")
    assert browser.get(office.url("/ops"), timeout=30).json()["groups"] == "ops,staff"
    told = {"utf8": "Zoë 홍 07", "ascii": "Zoe ? 07", "percent": "Zoë 홍 07"}
    assert browser.get(office.url("/ops/name"), timeout=30).json() == told

    # The file again, with one more: the others get no second mail.
    file.write_text(file.read_text().replace("new07@example.com,Zoë 홍 07", "new20@example.com,Zoë 홍 20"))
    again = office.document(*invite)
    assert ([row["email"] for row in again["invitations"]], len(again["unchanged"])) == (["new20@example.com"], 19)
    until(lambda: office.mails_to("new20@example.com"))
    assert len(office.mails_to("new00@example.com")) == 1


def test_who_signed_up_waits_for_approval(office):
    fields = {
        "email": "visitor@example.com",
        "username": "visitor",
        "password": PASSWORD,
        "password_confirm": PASSWORD,
    }
    browser = office.browser()
    assert browser.post(office.url("/.auth/signup"), data=fields, timeout=30).status_code == 200
    form = {"login": "visitor@example.com", "password": PASSWORD}
    assert browser.post(office.url("/.auth/login"), data=form, timeout=30).status_code == 401
    waiting = [account["email"] for account in office.document("user", "list", "--waiting")["accounts"]]
    assert waiting == ["visitor@example.com"]
    office.command("user", "approve", "visitor@example.com", "--reason", "asked by phone")
    assert office.sign_in("visitor").get(office.url("/"), timeout=30).json()["user"] == "visitor"


def test_who_leaves_is_out_at_once_with_sessions_and_keys(office):
    browser = office.sign_in("p042")
    key = office.document("key", "create", "p042@example.com", "--name", "backup")
    program = (key["access_key"], key["secret_key"])
    asked = {"auth": program, "verify": str(office.authority.file), "timeout": 30}
    assert requests.get(office.url("/"), **asked).json()["user"] == "p042"

    office.command("user", "disable", "p042@example.com", "--reason", "left in November")
    assert browser.get(office.url("/"), timeout=30, allow_redirects=False).status_code == 303
    assert requests.get(office.url("/"), **asked).status_code == 401
    form = {"login": "p042@example.com", "password": PASSWORD}
    assert office.browser().post(office.url("/.auth/login"), data=form, timeout=30).status_code == 401
    (kept,) = office.document("key", "list", "--user", "p042@example.com")["access_keys"]
    assert (kept["access_key"], kept["live"]) == (key["access_key"], False)
    office.command("key", "revoke", key["access_key"])
    assert office.document("key", "list", "--user", "p042@example.com")["access_keys"] == []
    # The key is gone for good, whatever becomes of the account.
    office.command("user", "enable", "p042@example.com")
    assert requests.get(office.url("/"), **asked).status_code == 401

    events = office.document("audit", "--account", "p042@example.com")["events"]
    told = {event["event"]: event for event in events}
    assert told["disable"]["why"] == "left in November" and "access-key-revoke" in told


def test_who_signed_in_last_month_as_csv(office):
    office.sign_in("p200")
    month = (datetime.now(timezone.utc) - timedelta(days=30)).isoformat()
    rows = {row["username"]: row for row in office.table("user", "list", "--csv")}
    assert len(rows) >= 500
    assert rows["p200"]["last_sign_in_at"] > month
    assert rows["p499"]["last_sign_in_at"] == ""
    # Accounts that were never signed in to count from when they were made.
    assert office.table("user", "list", "--inactive", "30d", "--csv") == []
    assert "p499" in {row["username"] for row in office.table("user", "list", "--inactive", "1s", "--csv")}


def served_serial(office):
    context = ssl.create_default_context(cafile=office.authority.file)
    with socket.create_connection(("127.0.0.1", office.port)) as plain:
        with context.wrap_socket(plain, server_hostname="files.example.com") as stream:
            return int(stream.getpeercert()["serialNumber"], 16)


def test_a_renewed_certificate_is_served_after_a_reload(office):
    browser = office.sign_in("p300")
    before = served_serial(office)
    renewed = office.authority.issue(*office.certificate)
    assert served_serial(office) == before != renewed
    office.command("reload")
    assert served_serial(office) == renewed
    assert browser.get(office.url("/"), timeout=30).json()["user"] == "p300"


def test_a_reload_with_a_mistake_changes_nothing(office):
    good = office.configuration.read_text()
    broken = good.replace('path = "/ops"', 'path = "/ops"\nmethod = ["GET"]')
    line = broken.splitlines().index('method = ["GET"]') + 1
    office.configuration.write_text(broken)
    try:
        for command in ("check", "reload"):
            said = office.refused(command)
            assert f"config/vestibule.toml:{line}:" in said and "did you mean `methods`?" in said, said
        browser = office.sign_in("p301")
        assert browser.get(office.url("/ops"), timeout=30).status_code == 403
    finally:
        office.configuration.write_text(good)
    office.command("reload")
    reloads = office.document("audit", "--event", "reload")["events"]
    told = {(event["outcome"], event["reason"]) for event in reloads}
    assert told >= {("success", None), ("failure", "invalid-configuration")}, reloads


def test_logs_are_rotated_without_the_loss_of_a_line(office):
    browser = office.sign_in("p302")
    log = office.folder / "log" / "access.jsonl"
    old = log.with_name("access.jsonl.1")

    def ask(mark):
        assert browser.get(office.url(f"/rotated/{mark}"), timeout=30).status_code == 200

    def lines(file):
        texts = file.read_text().splitlines() if file.exists() else []
        return [line["path"] for line in map(json.loads, texts) if line["path"].startswith("/rotated/")]

    ask(1)
    until(lambda: lines(log) == ["/rotated/1"])
    log.rename(old)
    ask(2)
    opened = office.process.said().count("opened again")
    office.process.child.send_signal(signal.SIGUSR1)
    until(lambda: office.process.said().count("opened again") > opened)
    ask(3)
    until(lambda: lines(log)[-1:] == ["/rotated/3"])
    assert lines(old) + lines(log) == ["/rotated/1", "/rotated/2", "/rotated/3"]


def test_a_backup_is_restored_elsewhere(office, authority, applications, tmp_path):
    browser = office.sign_in("p303")
    key = office.document("key", "create", "p303@example.com", "--name", "sync")
    (tmp_path / "backups").mkdir()
    office.command("store", "backup", str(tmp_path / "backups"))
    (backup,) = (tmp_path / "backups").glob("vestibule-*.jsonl")
    office.command("store", "verify", str(backup))

    (tmp_path / "elsewhere").mkdir()
    other = Gateway(tmp_path / "elsewhere", authority, applications)
    key_file = other.folder / "certs" / "master.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes((office.folder / "certs" / "master.key").read_bytes())
    other.command("store", "import", str(backup))
    other.command("store", "verify")
    other.start()
    try:
        # The session of the host name, the password, and the access key.
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
        asked = other.browser().get(other.url("/"), headers={"Cookie": cookies}, timeout=30)
        assert asked.json()["user"] == "p303"
        assert other.sign_in("p303").get(other.url("/"), timeout=30).json()["user"] == "p303"
        asked = other.browser().get(other.url("/"), auth=(key["access_key"], key["secret_key"]), timeout=30)
        assert asked.json()["user"] == "p303"
        assert len(other.table("user", "list", "--group", "staff", "--csv")) >= 500
    finally:
        other.stop()


def test_a_refusal_is_found_by_person_and_minute(office):
    browser = office.sign_in("p304")
    refused = browser.get(office.url("/ops/disks"), timeout=30)
    assert refused.status_code == 403
    # "About five minutes ago", on the phone.
    found = office.document("explain", "--as", "p304@example.com", "--since", "5m")["requests"]
    assert [(each["path"], each["status"], each["slug"]) for each in found] == [("/ops/disks", 403, "forbidden")]
    identifier = found[0]["request_id"]
    assert identifier == refused.headers["X-Request-Id"] and identifier in refused.text
    text = office.command("explain", "--request", identifier)
    assert "groups staff" in text and "console.example.com/ops" in text, text
    text = office.command("explain", "--url", office.url("/ops/disks"), "--as", "p304@example.com")
    assert "the route is for the group ops, and p304 is in staff" in text, text
    # Mended, and seen by the person.
    office.command("user", "set-groups", "p304@example.com", "--add", "ops")
    assert browser.get(office.url("/ops/disks"), timeout=30).status_code == 200
