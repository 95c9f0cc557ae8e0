// The Go client clientv3 against one member: put, get, watch, lease, transaction. One argument: the port.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var checks int

func check(what string, got, wanted any) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		log.Fatalf("%s: wanted %v, got %v", what, wanted, got)
	}
	checks++
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := must(clientv3.New(clientv3.Config{
		Endpoints:   []string{"127.0.0.1:" + os.Args[1]},
		DialTimeout: 10 * time.Second,
	}))
	defer client.Close()

	keys(ctx, client)
	history(ctx, client)
	watching(ctx, client)
	leases(ctx, client)
	transactions(ctx, client)
	coordination(ctx, client)
	maintenance(ctx, client)
	fmt.Printf("%d passed, 0 failed\n", checks)
}

func keys(ctx context.Context, client *clientv3.Client) {
	must(client.Put(ctx, "go/a", "1"))
	must(client.Put(ctx, "go/b", "2"))
	got := must(client.Get(ctx, "go/a"))
	check("get", string(got.Kvs[0].Value), "1")
	got = must(client.Get(ctx, "go/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)))
	check("prefix", string(got.Kvs[0].Key), "go/b")
	got = must(client.Get(ctx, "go/", clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithSerializable()))
	check("limit", []any{len(got.Kvs), got.More, got.Count}, []any{1, true, 2})
	put := must(client.Put(ctx, "go/b", "3", clientv3.WithPrevKV()))
	check("previous value", string(put.PrevKv.Value), "2")
	check("delete", must(client.Delete(ctx, "go/b")).Deleted, 1)
	_, err := client.Put(ctx, "", "x")
	check("empty key", errors.Is(err, rpctypes.ErrEmptyKey), true)
}

func history(ctx context.Context, client *clientv3.Client) {
	first := must(client.Put(ctx, "go/h", "old")).Header.Revision
	second := must(client.Put(ctx, "go/h", "new")).Header.Revision
	got := must(client.Get(ctx, "go/h", clientv3.WithRev(first)))
	check("past value", string(got.Kvs[0].Value), "old")
	_, err := client.Get(ctx, "go/h", clientv3.WithRev(second+100))
	check("future", errors.Is(err, rpctypes.ErrFutureRev), true)
	must(client.Compact(ctx, second))
	_, err = client.Get(ctx, "go/h", clientv3.WithRev(first))
	check("compacted", errors.Is(err, rpctypes.ErrCompacted), true)
	response := <-client.Watch(ctx, "go/h", clientv3.WithRev(first))
	check("watch of the compacted", []any{response.Canceled, response.CompactRevision}, []any{true, second})
}

func watching(ctx context.Context, client *clientv3.Client) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := client.Watch(ctx, "go/w/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	created := <-events
	check("created", created.Created, true)
	must(client.Put(ctx, "go/w/1", "x"))
	must(client.Put(ctx, "go/w/1", "y"))
	must(client.Delete(ctx, "go/w/", clientv3.WithPrefix()))
	var seen []string
	for len(seen) < 3 {
		response := <-events
		if err := response.Err(); err != nil {
			log.Fatal(err)
		}
		for _, event := range response.Events {
			previous := "none"
			if event.PrevKv != nil {
				previous = string(event.PrevKv.Value)
			}
			seen = append(seen, fmt.Sprintf("%s %s %s before %s", event.Type, event.Kv.Key, event.Kv.Value, previous))
		}
	}
	check("events", seen, []string{"PUT go/w/1 x before none", "PUT go/w/1 y before x", "DELETE go/w/1  before y"})
	if err := client.RequestProgress(ctx); err != nil {
		log.Fatal(err)
	}
	progress := <-events
	check("progress", progress.IsProgressNotify(), true)
}

func leases(ctx context.Context, client *clientv3.Client) {
	lease := must(client.Grant(ctx, 60))
	must(client.Put(ctx, "go/leased", "v", clientv3.WithLease(lease.ID)))
	left := must(client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys()))
	check("attached", string(left.Keys[0]), "go/leased")
	renewals, err := client.KeepAlive(ctx, lease.ID)
	if err != nil {
		log.Fatal(err)
	}
	check("keep alive", (<-renewals).TTL, 60)
	check("leases", len(must(client.Leases(ctx)).Leases), 1)
	must(client.Revoke(ctx, lease.ID))
	check("gone with its lease", must(client.Get(ctx, "go/leased")).Count, 0)
	_, err = client.KeepAliveOnce(ctx, lease.ID)
	check("revoked", errors.Is(err, rpctypes.ErrLeaseNotFound), true)
}

func transactions(ctx context.Context, client *clientv3.Client) {
	nested := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Version("go/none"), "=", 0)},
		[]clientv3.Op{clientv3.OpPut("go/nested", "1")},
		nil,
	)
	answer := must(client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value("go/a"), "=", "1")).
		Then(clientv3.OpPut("go/a", "2"), clientv3.OpGet("go/a"), nested).
		Else(clientv3.OpDelete("go/a")).
		Commit())
	check("transaction", answer.Succeeded, true)
	check("get in it", string(answer.Responses[1].GetResponseRange().Kvs[0].Value), "2")
	check("nested", answer.Responses[2].GetResponseTxn().Succeeded, true)
	_, err := client.Txn(ctx).Then(clientv3.OpPut("go/a", "1"), clientv3.OpPut("go/a", "2")).Commit()
	check("duplicate key", errors.Is(err, rpctypes.ErrDuplicateKey), true)
}

// Locks and elections of this client are made of keys, leases and watches.
func coordination(ctx context.Context, client *clientv3.Client) {
	session := must(concurrency.NewSession(client, concurrency.WithTTL(30)))
	defer session.Close()
	mutex := concurrency.NewMutex(session, "go/lock")
	if err := mutex.Lock(ctx); err != nil {
		log.Fatal(err)
	}
	check("locked", must(client.Get(ctx, mutex.Key())).Count, 1)
	if err := mutex.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	election := concurrency.NewElection(session, "go/election")
	if err := election.Campaign(ctx, "me"); err != nil {
		log.Fatal(err)
	}
	check("leader", string(must(election.Leader(ctx)).Kvs[0].Value), "me")
	if err := election.Resign(ctx); err != nil {
		log.Fatal(err)
	}
}

func maintenance(ctx context.Context, client *clientv3.Client) {
	endpoint := client.Endpoints()[0]
	status := must(client.Status(ctx, endpoint))
	check("status", status.Leader, status.Header.MemberId)
	members := must(client.MemberList(ctx))
	check("members", len(members.Members), 1)
	must(client.HashKV(ctx, endpoint, 0))
	must(client.AlarmList(ctx))
	must(client.Defragment(ctx, endpoint))
	checks += 3
}
