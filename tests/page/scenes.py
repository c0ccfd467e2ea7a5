"""What happens in a murder while the page is looked at."""

import itertools
import random
import time

from murder import Daemon

SETTINGS = """
server_name = "mupdate.example.org"
[pairs]
echo_seconds = 1
"backenda.example.org" = ["imap1", "imap2"]
"backendc.example.org" = ["imap5", "imap6"]
[roles]
imap1 = { role = "backend", servers = ["backenda.example.org"] }
imap2 = { role = "backend", servers = ["backenda.example.org"] }
imap3 = { role = "backend", servers = ["backendb.example.org"] }
imap5 = { role = "backend", servers = ["backendc.example.org"] }
imap6 = { role = "backend", servers = ["backendc.example.org"] }
fe1 = "frontend"
fe2 = "frontend"
operator = "admin"
"""
USERS = ["imap1", "imap2", "imap3", "imap5", "imap6", "fe1", "fe2", "operator"]
A, B, C, D = (f"backend{letter}.example.org!default" for letter in "abcd")
HOSTILE = "<img src=x onerror=document.title='owned'>"
HOSTILE_NAME = "user.<script>document.title='owned'</script>\u202egnp.exe"
MANY = 1200


def murder(program):
    return Daemon(program, USERS, SETTINGS)


def activate(name, location):
    return ("ACTIVATE", name, location, f"{name.split('.')[-1]}\tlrswipkxtecda\t")


def play(daemon, hostile=True):
    """A pair with its echo, one change that has none yet, a failover, frontends, a takeover, refusals; hostile names."""
    one, two, three = (daemon.client(user) for user in ("imap1", "imap2", "imap3"))
    frontend = daemon.client("fe1")
    said = frontend.say("UPDATE")
    assert said.startswith("OK"), said
    people = [f"user.{name}" for name in "alice bob carol dave erin frank grace heidi ivan judy mallory niaj".split()]
    for name in people:
        for member in (one, two):
            assert member.say("RESERVE", name, A).startswith("OK")
            assert member.say(*activate(name, A)).startswith("OK")
    one.say(*activate("user.oscar", A))
    three.all(activate(f"user.b{number:03}", B) for number in range(140))
    three.say("RESERVE", "user.b999", B)
    # The other pair fails over, and something is left.
    five, six = daemon.client("imap5"), daemon.client("imap6")
    for number in range(20):
        for member in (five, six):
            member.say(*activate(f"user.c{number:02}", C))
    for number in range(20, 23):
        five.say(*activate(f"user.c{number}", C))
    for number in range(30, 34):
        six.say(*activate(f"user.c{number}", C))
    operator = daemon.client("operator")
    operator.say(*activate("user.alice", D))
    assert three.say("RESERVE", "user.bob", B).startswith("NO")
    if hostile:
        operator.say(*activate(HOSTILE_NAME, f"{HOSTILE}!p"))
        assert three.say(*activate(HOSTILE_NAME, B)).startswith("NO")
    assert frontend_refused(daemon).startswith("NO")
    return [one, two, three, five, six, operator, frontend, stuck(daemon, three)]


def frontend_refused(daemon):
    return daemon.client("fe1").say("RESERVE", "user.zoe", A)


def stuck(daemon, backend):
    """A frontend that reads nothing, while there is more to tell it than sockets hold."""
    frontend = daemon.client("fe2", over_unix=True)
    said = frontend.say("UPDATE")
    assert said.startswith("OK"), said
    acl = "anyone\tlrs\t" * 400
    backend.all(("ACTIVATE", f"user.b{number:03}", B, f"{turn}\tlrs\t{acl}") for turn in range(2) for number in range(140))
    return frontend


def crowd(daemon):
    """More servers than a page has room for."""
    operator = daemon.client("operator")
    operator.all(activate(f"shared.{number}", f"be{number:04}.example.org!p") for number in range(MANY))


def go_on(people):
    """A day like others: a leader changes something, its replica says it again; another backend is busy at times."""
    one, two, three, five = people[:4]
    two.say(*activate("user.oscar", A))
    for number in range(30, 34):
        five.say(*activate(f"user.c{number}", C))
    for turn in itertools.count():
        command = ("ACTIVATE", f"user.d{random.randrange(500)}", A, f"turn{turn}\tlrs\t")
        one.say(*command)
        time.sleep(random.expovariate(40))
        two.say(*command)
        if random.random() < 0.02:
            three.all(activate(f"user.e{turn}.{number}", B) for number in range(random.randrange(40)))
        # As busy as the time of the hour makes people.
        time.sleep(random.expovariate(1 + turn // 200 % 4))
