"""The Python client etcd3 against one member: put, get, watch, lease, transaction. One argument: the port."""

import sys
import threading

import etcd3

checks = 0


def check(what, got, wanted):
    global checks
    if got != wanted:
        sys.exit(f"{what}: wanted {wanted!r}, got {got!r}")
    checks += 1


client = etcd3.client(host="127.0.0.1", port=int(sys.argv[1]), timeout=10)

client.put("python/a", "1")
client.put("python/b", "2")
value, meta = client.get("python/a")
check("get", value, b"1")
check("version", meta.version, 1)
check("missing key", client.get("python/none"), (None, None))
found = [(m.key, v) for v, m in client.get_prefix("python/", sort_order="descend")]
check("prefix", found, [(b"python/b", b"2"), (b"python/a", b"1")])
check("delete", client.delete("python/b"), True)
check("delete again", client.delete("python/b"), False)

ok, answers = client.transaction(
    compare=[client.transactions.value("python/a") == "1", client.transactions.version("python/a") > 0],
    success=[client.transactions.put("python/a", "2"), client.transactions.get("python/a")],
    failure=[client.transactions.delete("python/a")],
)
check("transaction", ok, True)
check("get in it", answers[1][0][0], b"2")
ok, _ = client.transaction(
    compare=[client.transactions.create("python/a") == 0], success=[], failure=[]
)
check("refused transaction", ok, False)

events, cancel = client.watch("python/watched")
seen = []
done = threading.Event()


def collect():
    for event in events:
        seen.append((type(event).__name__, event.key, event.value))
        if len(seen) == 3:
            done.set()
            return


threading.Thread(target=collect, daemon=True).start()
client.put("python/watched", "x")
client.put("python/watched", "y")
client.delete("python/watched")
check("three events came", done.wait(10), True)
cancel()
check(
    "events",
    seen,
    [
        ("PutEvent", b"python/watched", b"x"),
        ("PutEvent", b"python/watched", b"y"),
        ("DeleteEvent", b"python/watched", b""),
    ],
)

lease = client.lease(60)
client.put("python/leased", "v", lease=lease)
check("granted", lease.granted_ttl, 60)
check("leased keys", list(lease.keys), [b"python/leased"])
check("keep alive", lease.refresh()[0].TTL, 60)
lease.revoke()
check("gone with its lease", client.get("python/leased"), (None, None))

check("one member", len(list(client.members)), 1)
client.compact(client.status().header.revision if hasattr(client.status(), "header") else 5)
print(f"{checks} passed, 0 failed")
