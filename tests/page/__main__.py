"""The status page in a real Chromium, of both daemons, with a real murder behind them: `just page`.

Screenshots go to target/page. With `--keep` one daemon goes on until it is interrupted, for eyes.
"""

import socket
import subprocess
import sys
import time
from shutil import which

import checks
import scenes
from murder import PASSWORD, Daemon, Tunnel, build
from webdriver import Browser

NEEDED = ["chromium", "chromedriver"]
PACKAGES = ["chromium", "chromium-driver", "fonts-dejavu-core"]


def install():
    """Chromium of Debian; False if it cannot be had."""
    if all(map(which, NEEDED)):
        return True
    for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if done.returncode:
            return False
    return all(map(which, NEEDED))


def sees_everything(browser, daemon):
    """What was played is on the page."""
    wait, text = browser.wait, browser.text
    assert text("#name") == "mupdate.example.org"
    assert text("#role").startswith(f"master, {daemon.program.name} "), text("#role")
    assert text("#line") == "live"
    wait("the pairs", "document.querySelectorAll('.pair').length === 2")
    wait("what has had no echo", "document.querySelector('#pairs').innerText.includes('user.oscar')")
    pairs = text("#pairs")
    for said in ["no echo yet of 1 change, the oldest for ", "never echoed: 3 changes of who led before", "the lead changed",
                 "echoes: half within ", "declared", "imap6 127.0.14.15"]:
        assert said in pairs, f"{said} is not in\n{pairs}"
    leaders = browser.run("return [...document.querySelectorAll('.part.leads')].map(e => e.closest('tr').innerText.split(' ')[0])")
    assert leaders == ["imap1", "imap6"], leaders
    wait("the frontend that does not read", "/fe2.*names for/.test(document.querySelector('#streams').innerText)")
    assert "fe1" in text("#streams") and "in step" in text("#streams")
    assert text("#verdict h2").endswith("warnings") and text("#verdict").count("1 active mailbox taken over") == 1, text("#verdict")
    for said in ["user.alice", "backenda.example.org!default \u2192 backendd.example.org!default, by operator"]:
        assert said in text("#takeovers"), text("#takeovers")
    for said in ["principal fe1 is a frontend and changes nothing", "mailbox already exists, held by backenda.example.org!default"]:
        assert said in text("#refusals"), text("#refusals")
    assert browser.run("return document.querySelectorAll('.plot rect.changed').length") >= 1
    assert browser.run(checks.WORDS) == checks.SAID, browser.run(checks.WORDS)
    # The tool and the page say the same.
    assert "never echoed: 3 changes of who led before" in daemon.tool("pairs")


def hostile_names_are_text(browser):
    assert scenes.HOSTILE in browser.text("#hosts")
    assert "user.<script>document.title='owned'</script>\\u{202e}gnp.exe" in browser.text("#refusals"), browser.text("#refusals")
    assert browser.run("return document.querySelectorAll('img, #main script').length") == 0
    assert "owned" not in browser.run("return document.title")


def changes_live(browser, people):
    browser.run("window.sameDocument = true")
    figure = "document.querySelector('#figures dd').innerText"
    before = browser.run(f"return {figure}")
    people[2].say(*scenes.activate("user.new", scenes.B))
    browser.wait("a mailbox more", f"{figure} !== arguments[0]", before)
    assert browser.run("return window.sameDocument === true"), "it was loaded anew"


def hosts_are_sorted(browser, daemon):
    scenes.crowd(daemon)
    rows = "document.querySelectorAll('#hosts tbody tr').length"
    browser.wait("hosts that are left out", "/[\\d,]+ with fewer names are left out/.test(document.querySelector('#hosts').innerText)")
    assert browser.run(f"return {rows}") == 12
    browser.press("#all", "\ue007")
    browser.wait("all of them", f"{rows} === 200")
    browser.press("#hosts button[data-by=server]", "\ue007")
    first = browser.run("return document.querySelector('#hosts tbody tr').innerText")
    assert first.startswith(scenes.HOSTILE), first
    assert browser.run("return document.querySelector('th[aria-sort]').innerText.trim()") == "server"
    browser.press("#hosts button[data-by=active]", "\ue007")
    browser.press("#all", "\ue007")
    browser.wait("some of them", f"{rows} === 12")


def says_when_it_is_lost(browser, daemon):
    daemon.stop()
    browser.wait("that the daemon is away", "!document.querySelector('#lost').hidden")
    assert "Disconnected." in browser.text("#lost") and "What is below was so at" in browser.text("#lost")
    assert browser.run("return document.title").startswith("disconnected")
    assert browser.text("#line").startswith("disconnected for")
    daemon.start()
    browser.wait("that it is back", "document.querySelector('#line').innerText === 'live' && document.querySelector('#lost').hidden")
    browser.wait("what it says now", "document.querySelector('#verdict').innerText.includes('started at')")


def leaves_room(browser, daemon, open_page):
    """With as many pages open as there may be, the page says so; short questions are answered, and a place is taken again."""
    held = []
    for _ in range(4):
        end = open_page()
        end.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append((end, end.recv(12)))
    assert browser.run("return document.querySelector('#line').innerText") == "live"
    assert [said for _, said in held].count(b"HTTP/1.1 503") == 1, held
    browser.run("location.reload()")
    full = open_page()
    full.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    browser.wait("that it has no place", "document.querySelector('#lost').innerText.includes('no room for one more page') || "
                 "document.querySelector('#line').innerText === 'live'")
    assert "ready        yes" in daemon.tool("status"), daemon.tool("status")
    for end, _ in [*held, (full, b"")]:
        end.close()
    browser.wait("that it has one", "document.querySelector('#line').innerText === 'live'")


def empty_and_not_ready(browser, program, pictures):
    """A fresh daemon says that there is nothing; a replica that has never had everything says so."""
    with Daemon(program, ["operator"], "") as daemon:
        browser.open(f"http://127.0.0.1:{Tunnel(daemon.data / 'admin.sock').port}/")
        browser.wait("that all is well", "document.querySelector('#verdict h2').innerText === 'All is well'")
        shown = browser.text("main")
        for said in ["no server has a name yet", "no pair is declared", "no frontend is connected", "the journal has no takeover",
                     "nothing was refused since the start"]:
            assert said in shown, shown
        checks.all_ways(browser, pictures, "empty")
    password = "[upstream]\nhost = '127.0.0.1:1'\nuser = 'x'\npassword_file = 'upstream.password'\nstarttls = 'off'\n"
    replica = Daemon(program, ["operator"], f"authority = 'upstream'\n{password}")
    (replica.where / "upstream.password").write_text("secret\n")
    with replica as daemon:
        browser.open(f"http://127.0.0.1:{Tunnel(daemon.data / 'admin.sock').port}/")
        browser.wait("an alarm", "document.querySelector('#verdict').className === 'alarms'")
        verdict = browser.text("#verdict")
        assert "not ready: upstream: this replica has never had everything" in verdict, verdict
        assert "does not follow 127.0.0.1:1: no connection; last error:" in verdict, verdict
        assert browser.run("return document.title").startswith("ALARM")
        checks.all_ways(browser, pictures, "replica")


def look_at(program, pictures, tunnelled):
    """One daemon: through a tunnel to its Unix socket, or at its address, with a login."""
    begun = time.monotonic()
    with scenes.murder(program) as daemon, Browser() as browser:
        if tunnelled:
            port, login = Tunnel(daemon.data / "admin.sock").port, ""
        else:
            port, login = daemon.admin_port, f"operator:{PASSWORD}@"
        origin = f"http://127.0.0.1:{port}"
        people = scenes.play(daemon)
        browser.look(*checks.SIZES["wide"][:2], False)
        browser.open(f"http://{login}127.0.0.1:{port}/")
        browser.wait("the first event", "document.querySelector('#line').innerText === 'live'")
        sees_everything(browser, daemon)
        hostile_names_are_text(browser)
        changes_live(browser, people)
        checks.all_ways(browser, pictures, program.name)
        hosts_are_sorted(browser, daemon)
        checks.nothing_else(browser, origin)
        if tunnelled:
            leaves_room(browser, daemon, lambda: socket.create_connection(("127.0.0.1", port)))
        says_when_it_is_lost(browser, daemon)
        checks.nothing_else(browser, origin, away=True)
        if tunnelled:
            empty_and_not_ready(browser, program, pictures)
        print(f"{program.name}: Chromium {browser.version} has seen everything ({time.monotonic() - begun:.0f} s)")


def keep(program):
    """For eyes: a murder in which something goes on, until it is interrupted."""
    with scenes.murder(program) as daemon:
        people = scenes.play(daemon, hostile=False)
        print(f"http://127.0.0.1:{Tunnel(daemon.data / 'admin.sock').port}/", flush=True)
        scenes.go_on(people)


def main():
    if "--keep" not in sys.argv and not install():
        print("SKIPPED: Debian's chromium and chromium-driver cannot be had here")
        return
    target = build()
    pictures = target / "page"
    pictures.mkdir(exist_ok=True)
    programs = target / "debug"
    if "--keep" in sys.argv:
        return keep(programs / "mupdated")
    look_at(programs / "mupdated", pictures, tunnelled=True)
    look_at(programs / "mupdated-sync", pictures, tunnelled=False)
    print(f"screenshots: {pictures}")


main()
