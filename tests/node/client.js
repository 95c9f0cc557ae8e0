// The JavaScript client etcd3 against one member: put, get, watch, lease, transaction. One argument: the port.
'use strict';

const assert = require('node:assert/strict');
const { Etcd3 } = require('etcd3');

let checks = 0;
function check(what, got, wanted) {
  assert.deepEqual(got, wanted, what);
  checks += 1;
}

async function main() {
  const client = new Etcd3({ hosts: `http://127.0.0.1:${process.argv[2]}` });

  await client.put('node/a').value('1');
  await client.put('node/b').value('2');
  check('get', await client.get('node/a').string(), '1');
  check('missing key', await client.get('node/none').string(), null);
  check('prefix', await client.getAll().prefix('node/').strings(), { 'node/a': '1', 'node/b': '2' });
  check('count', await client.getAll().prefix('node/').count(), 2);
  check('sorted', await client.getAll().prefix('node/').sort('Key', 'Descend').keys(), ['node/b', 'node/a']);
  check('delete', (await client.delete().key('node/b').exec()).deleted, '1');

  const taken = await client
    .if('node/a', 'Value', '==', '1')
    .then(client.put('node/a').value('2'), client.get('node/a'))
    .else(client.delete().key('node/a'))
    .commit();
  check('transaction', taken.succeeded, true);
  check('get in it', taken.responses[1].response_range.kvs[0].value.toString(), '2');
  const refused = await client.if('node/a', 'Create', '==', 0).then(client.get('node/a')).commit();
  check('refused transaction', refused.succeeded, false);

  const watcher = await client.watch().key('node/watched').create();
  const seen = [];
  const three = new Promise((resolve) => {
    const note = (kind) => (kv) => {
      seen.push([kind, kv.key.toString(), kv.value.toString()]);
      if (seen.length === 3) resolve();
    };
    watcher.on('put', note('put'));
    watcher.on('delete', note('delete'));
  });
  await client.put('node/watched').value('x');
  await client.put('node/watched').value('y');
  await client.delete().key('node/watched').exec();
  await three;
  await watcher.cancel();
  check('events', seen, [
    ['put', 'node/watched', 'x'],
    ['put', 'node/watched', 'y'],
    ['delete', 'node/watched', ''],
  ]);

  const lease = client.lease(60);
  await lease.put('node/leased').value('v');
  check('leased', await client.get('node/leased').string(), 'v');
  await lease.keepaliveOnce();
  checks += 1;
  await lease.revoke();
  check('gone with its lease', await client.get('node/leased').string(), null);

  client.close();
  console.log(`${checks} passed, 0 failed`);
}

const limit = setTimeout(() => {
  console.error('no end within 60 seconds');
  process.exit(1);
}, 60_000);
main().then(
  () => clearTimeout(limit),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
