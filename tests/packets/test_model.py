"""The whole switch against a plain model of it: random traffic, times and configurations."""

from __future__ import annotations

import random
from functools import cache

import pytest

from lbctl.model import OnExit, Timeouts, Vip
from lbctl.netif import sockets
from lbctl.shared.abi import Verdict
from lbctl.shared.programs import AppService, Programs
from tests.packets.world import flags_of, numbers_of, reset
from tests.support import frames, model_switch
from tests.support.model_switch import Model
from tests.support.progrun import OUTSIDE, PROGRAM, answered, dropped, passed, sent

# In ticks every wait is a multiple of 100 and no timeout is: the clock may go on meanwhile.
TIMEOUTS = Timeouts(half_open=180, established=5080, closing=780, closed=380, udp=480)
WAITS = [100, 100, 200, 300, 500, 1000, 6000]
CLIENT_FLAGS = ["S"] * 6 + ["A"] * 6 + ["PA"] * 3 + ["FA"] * 2 + ["R", "RA", "F", "SA", "PA!", "A!"]
SERVER_FLAGS = ["SA"] * 6 + ["A"] * 3 + ["PA"] * 3 + ["FA"] * 2 + ["R", "RA"]
SENT = {Verdict.TO_BACKEND, Verdict.TO_BACKEND_NEW, Verdict.TO_CLIENT}
COUNTED = ("connections", "answers", "resets", "retries")
CLIENTS4 = ["198.51.100.7:40000", "198.51.100.7:40001", "198.51.100.8:40000"]
CLIENTS6 = ["[2001:db8:c::7]:40000", "[2001:db8:c::7]:40001", "[2001:db8:c::8]:40000"]
# Programs on the switch, by pseudo interfaces, are clients as well.
PROGRAMS4 = ["203.0.113.254:40000", "203.0.113.254:40001"]
PROGRAMS6 = ["[2001:db8::fe]:40000"]
PROGRAMS = {*PROGRAMS4, *PROGRAMS6}


def fleet(pattern, *last):
    """Make servers, all active: by the last byte or word of their addresses."""
    return {pattern.format(n): "active" for n in last}


def services():
    """Make one service of each kind; no server has two of them."""
    return [*plain_services(), *services_with_rules()]


def plain_services():
    """Make services whose clients are all alike."""
    nat4, nat6 = "10.0.1.{}:8080", "[2001:db8:1::{}]:8080"
    return [
        model_switch.Service("203.0.113.10:80/tcp", fleet(nat4, 11, 12, 13)),
        model_switch.Service("203.0.113.10:81/tcp", fleet(nat4, 21), unknown="drop"),
        model_switch.Service("203.0.113.10:82/tcp", fleet(nat4, 31, 32), unknown="hash"),
        model_switch.Service("203.0.113.20:80/tcp", fleet("10.0.1.{}:80", 41, 42), forward="dsr"),
        model_switch.Service("203.0.113.10:80/udp", fleet(nat4, 51, 52), "udp"),
        model_switch.Service("[2001:db8::10]:80/tcp", fleet(nat6, 11, 12)),
        model_switch.Service("[2001:db8::10]:53/udp", fleet(nat6, 21, 22), "udp"),
        model_switch.Service("203.0.113.30:*/tcp", fleet("10.0.1.{}", 61, 62), any_port=True),
        model_switch.Service(
            "203.0.113.50:80/tcp", fleet(nat4, 91, 92), reset_down=True, by_address=True
        ),
    ]


def services_with_rules():
    """Make services some of whose clients have servers of their own."""
    servers = {n: f"10.0.1.{n}:8080" for n in range(70, 90)}
    return [
        model_switch.Service(
            "203.0.113.40:80/tcp",
            fleet("10.0.1.{}:8080", 71, 72, 73, 74),
            own=(servers[71], servers[72]),
            rules={"clients 198.51.100.8/32": (servers[73],), "clients 192.0.2.0/24": ()},
        ),
        model_switch.Service(
            "203.0.113.40:81/tcp",
            fleet("10.0.1.{}:8080", 81, 82, 83),
            unknown="hash",
            own=(servers[81],),
            rules={
                "clients 0.0.0.0/0": (servers[81],),
                "clients 198.51.100.6/31": (servers[82], servers[83]),
            },
            reset_down=True,
        ),
        model_switch.Service(
            "203.0.113.41:*/tcp",
            fleet("10.0.1.{}", 75, 76, 77),
            any_port=True,
            own=("10.0.1.75",),
            rules={
                "port 443": ("10.0.1.76", "10.0.1.77"),
                "clients 198.51.100.7/32": ("10.0.1.77",),
            },
            reset_down=True,
        ),
        model_switch.Service(
            "[2001:db8::40]:80/udp",
            fleet("[2001:db8:1::{}]:8080", 71, 72, 73),
            "udp",
            own=("[2001:db8:1::71]:8080",),
            rules={"clients 2001:db8:c::8/128": ("[2001:db8:1::72]:8080", "[2001:db8:1::73]:8080")},
            by_address=True,
        ),
    ]


def applications():
    """Make one of each kind; the last has the address of a pseudo interface."""
    return [
        model_switch.App("203.0.113.60:80/tcp", "tcp", "reset"),
        model_switch.App("203.0.113.10:5060/udp", "udp", "drop"),
        model_switch.App("[2001:db8::60]:80/tcp", "tcp", "drop"),
        model_switch.App("203.0.113.254:80/tcp", "tcp", "kernel"),
    ]


class Pair:
    """
    The switch and its model, given the same to do.

    *buffers*: a socket, for whichever application runs.
    """

    def __init__(self, switch, buffers, seed):
        self.switch, self.chance, self.services = switch, random.Random(seed), services()
        self.buffers, self.apps = buffers, applications()
        self.unswept = 0
        names = ("half_open", "established", "closing", "closed", "udp")
        self.model = Model({})
        self.publish()
        ticks = switch.memory["control"]["timeout"][0]
        self.model.timeouts = dict(zip(names, map(int, ticks[1:6]), strict=True))

    def publish(self):
        """Publish what the services are now; whoever is new to the switch begins to count."""
        published = []
        for service in self.services:
            service.publish()
            texts = {s: how for s, how in service.servers.items() if how != "removed"}
            runs = {
                rule: [list(texts).index(server) for server in run] * 16
                for rule, run in service.runs.items()
            }
            published.append(
                self.switch.service(
                    service.name,
                    [f"{s} {how}" for s, how in texts.items()],
                    service.forward,
                    service.unknown,
                    slots=runs.pop(""),
                    rules=runs,
                    by_address=service.by_address,
                    reset_down=service.reset_down,
                )
            )
        before = self.switch.configuration.backends().items()
        programs = Programs(
            tuple(AppService((Vip.parse(a.name),), OnExit(a.on_exit)) for a in self.apps),
            self.switch.pseudo(*(frames.split(place)[0] for place in PROGRAMS)),
        )
        self.switch.publish(*published, timeouts=TIMEOUTS, programs=programs)
        for _, (vip, address) in self.switch.configuration.backends().items() - before:
            self.model.counters.pop((str(vip), str(address.address)), None)

    def check_counters(self):
        """Compare what was counted of every server that the switch knows."""
        rows = self.switch.dataplane.counters.by_backend()
        for index, (vip, address) in self.switch.configuration.backends().items():
            expected = self.model.counters.get((str(vip), str(address.address)), {})
            found = {name: int(rows[index][name]) for name in COUNTED if rows[index][name]}
            assert dict(expected) == found, (vip, address)

    def change(self):
        """Let servers come and go."""
        self.check_counters()
        for service in self.chance.sample(self.services, 2):
            for server in service.servers:
                states = ["active"] * 3 + ["draining", "down", "removed"]
                service.servers[server] = self.chance.choice(states)
        self.chance.shuffle(self.apps)
        self.publish()

    def start_or_end(self):
        """Let an application start, or end."""
        app, table = self.chance.choice(self.apps), self.switch.configuration.app_table
        place = (self.switch.configuration.app_number(Vip.parse(app.name)), OUTSIDE, 0)
        app.runs = not app.runs
        if app.runs:
            table.put(*place, self.buffers)
        else:
            table.remove(*place)

    def ask_app(self):
        """One packet for an application, which does not receive by pseudo interfaces."""
        app = self.chance.choice(self.apps)
        client = self.chance.choice(CLIENTS6 if "[" in app.name else CLIENTS4)
        flags = self.chance.choice(CLIENT_FLAGS) if app.protocol == "tcp" else ""
        vip = app.name.rpartition("/")[0]
        frame = build(app.protocol, client, vip, f">{flags}")
        ran, fate = self.switch.run(frame), app.forward(flags)
        if fate.verdict is Verdict.TO_APP:
            assert sent(frame, fate.verdict) == ran, (app, flags)
        elif fate.verdict is Verdict.TO_KERNEL:  # and that is where the pseudo interface is
            assert self.to_program(frame) == ran, (app, flags)
        else:
            assert self.expected(fate, frame, client, vip, flags) == ran, (app, flags)

    def to_program(self, frame):
        """Tell what becomes of a frame for a pseudo interface: it is as it was."""
        return sent(own(frame), Verdict.TO_PSEUDO)

    def wait(self):
        """Let time pass; as the control processor does, sweep now and then."""
        ticks = self.chance.choice(WAITS)
        self.switch.age(ticks * self.switch.clock.tick_seconds)
        self.model.now += ticks
        self.unswept += ticks
        if self.unswept > 20_000:
            self.switch.connections.sweep()
            self.unswept = 0

    def ask(self):
        """One packet of a client."""
        service = self.chance.choice(self.services)
        client = self.client_of(service.name)
        flags = self.chance.choice(CLIENT_FLAGS) if service.protocol == "tcp" else ""
        vip = service.name.rpartition("/")[0]
        if service.any_port:
            vip = vip.replace("*", str(self.chance.choice([80, 443])))
        port = frames.split(vip)[1]
        frame = build(service.protocol, client, vip, f">{flags}")
        ran = self.switch.run(frame, PROGRAM if client in PROGRAMS else OUTSIDE)
        fate = self.model.forward(service, client, port, flags.rstrip("!"), proven="!" not in flags)
        if fate.verdict is Verdict.TO_BACKEND_NEW:
            assert ran.verdict in SENT, (fate, ran)
            hop = frames.Ether(ran.frame).dst
            (server,) = [s for s in fate.servers if frames.server_mac(s) == hop]
            fate = fate._replace(servers=[server], verdict=self.model.learn(server))
        assert self.expected(fate, frame, client, vip, flags) == ran, (fate, flags)

    def client_of(self, name):
        """Choose a client of a VIP: mostly one behind the router."""
        if self.chance.random() < 0.2:
            return self.chance.choice(PROGRAMS6 if "[" in name else PROGRAMS4)
        return self.chance.choice(CLIENTS6 if "[" in name else CLIENTS4)

    def expected(self, fate, frame, client, vip, flags):
        """Build the frame that must leave."""
        if fate.verdict in SENT:
            (server,) = fate.servers
            if fate.service.any_port:
                server = frames.at_port(server, frames.split(vip)[1])
            target = vip if fate.service.forward == "dsr" else server
            out = build(fate.service.protocol, client, target, f">{flags}", server)
            return sent(out, fate.verdict)
        if fate.verdict in (Verdict.RESET, Verdict.RESET_DOWN):
            told = numbers_of(f">{flags}")
            answer = reset(client, vip, flags.rstrip("!"), **told)
            if client in PROGRAMS:
                return sent(own(answer), fate.verdict)
            return answered(answer, fate.verdict)
        return passed(frame) if fate.verdict is Verdict.TO_KERNEL else dropped(fate.verdict)

    def answer(self):
        """One packet of a server, most often of one that was asked."""
        known = [(c.server, key) for key, c in self.model.connections.items()]
        server, (client, name, port) = self.chance.choice(known)
        service = next(s for s in self.services if s.name == name)
        if self.chance.random() < 0.3:
            server = self.chance.choice(list(service.servers))
            client = self.client_of(name)
        place = frames.at_port(server, port) if service.any_port else server
        flags = self.chance.choice(SERVER_FLAGS) if service.protocol == "tcp" else ""
        frame = build(service.protocol, place, client, f"<{flags}")
        ran = self.switch.reply(frame)
        fate = self.model.reply(server, client, service.protocol, flags, port)
        if fate.verdict is Verdict.TO_CLIENT:
            vip = name.rpartition("/")[0].replace("*", str(port))
            out = build(service.protocol, vip, client, f"<{flags}", "client")
            out = own(out) if client in PROGRAMS else out
            assert sent(out, fate.verdict) == ran, (fate, flags)
        elif fate.verdict is Verdict.TO_KERNEL and client in PROGRAMS:
            assert self.to_program(frame) == ran, (fate, flags)
        else:
            expected = passed(frame) if fate.verdict is Verdict.TO_KERNEL else dropped(fate.verdict)
            assert expected == ran, (fate, flags)


@cache
def build(protocol, source, target, word, hop=""):
    """Build what a word of `play` says: as it comes in, or (with *hop*) as it leaves for there."""
    if hop:
        way = frames.TO_CLIENT if hop == "client" else frames.to_server(hop)
    elif source in PROGRAMS:
        way = frames.FROM_PROGRAM
    else:
        way = frames.FROM_CLIENT if word[0] == ">" else frames.from_server(source)
    told = {"way": way, "ttl": 63 if hop else 64}
    if protocol == "udp":
        return frames.udp(source, target, b"payload", **told)
    return frames.tcp(source, target, flags_of(word), **told, **numbers_of(word))


def own(frame):
    """Address a frame to the programs' end of a pseudo interface."""
    way = frames.TO_PROGRAM
    return bytes.fromhex(f"{way.destination}{way.source}".replace(":", "")) + frame[12:]


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic(switch, loopback, seed):
    """
    Thousands of packets, each compared as a whole frame; and the states at the end.
    """
    del loopback
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        go_on(switch, made.sockets[0].fileno(), seed)


def go_on(switch, buffers, seed):
    """Let much happen, and compare what is left."""
    pair = Pair(switch, buffers, seed)
    for _ in range(3000):
        dice = pair.chance.random()
        if dice < 0.02:
            pair.change()
        elif dice < 0.06:
            pair.wait()
        elif dice < 0.08:
            pair.start_or_end()
        elif dice < 0.15:
            pair.ask_app()
        elif dice < 0.6 or not pair.model.connections:
            pair.ask()
        else:
            pair.answer()

    pair.check_counters()
    assert pair.model.states() == sorted(c.state for c in switch.connections.list())
    assert Verdict.DROP_INTERNAL not in switch.verdicts()
    assert len(switch.verdicts()) >= 11
    assert {Verdict.TO_APP, Verdict.TO_PSEUDO, Verdict.DROP_APP_GONE} <= set(switch.verdicts())
