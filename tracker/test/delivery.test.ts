/** The queue and its delivery without a browser: time, storage and answers are the test's own. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { LEASE_MS, MAX_BATCH, openDelivery, waitMs } from "../src/delivery";
import { twoDecimals, purchaseId } from "../src/purchase";
import { MAX_AGE_MS, MAX_CHARS, MAX_EVENTS, openQueue, type Entry } from "../src/queue";
import type { Box } from "../src/store";

let now = 0;
let timers: { at: number; act: () => void }[] = [];
let posted: { funnel: string; events: { event_id: string }[] }[] = [];
let answers: (Response | Error)[] = [];

beforeEach(() => {
  now = 1_795_000_000_000;
  [timers, posted, answers] = [[], [], []];
  Date.now = () => now;
  globalThis.setTimeout = ((act: () => void, ms: number) => timers.push({ at: now + ms, act })) as never;
  globalThis.fetch = (async (_url: string, { body }: { body: string }) => {
    posted.push(JSON.parse(body));
    const answer = answers.shift() ?? new Response("", { status: 202 });
    if (answer instanceof Error) throw answer;
    return answer;
  }) as never;
});

/** Lets time pass to a moment, timers and answers in their order. */
async function pass(ms: number): Promise<void> {
  const end = now + ms;
  for (;;) {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
    if (!next) break;
    timers.splice(timers.indexOf(next), 1);
    now = Math.max(now, next.at);
    next.act();
  }
  now = end;
}

function memoryBox(limit = Infinity): Box & { kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    read: (name) => JSON.parse(kept.get(name) ?? "null"),
    write: (name, value) => {
      if (value === undefined) return kept.delete(name) || true;
      const text = JSON.stringify(value);
      return text.length <= limit && !!kept.set(name, text);
    },
  };
}

const entry = (id: string, more: Partial<Entry> = {}): Entry => ({ event: { event_id: id }, at: now, next: 0, tries: 0, ...more });
const open = (box = memoryBox(), mayStore = () => true) => {
  const queue = openQueue(box, mayStore, "fk");
  return { queue, delivery: openDelivery("https://e.example", queue, "fk", () => undefined, () => false) };
};
const ids = (of: { event_id: string }[]) => of.map((event) => event.event_id);

test("what is sent and answered leaves the queue", async () => {
  const { queue, delivery } = open();
  queue.put(entry("a"));
  queue.put(entry("b"));
  delivery.wake();
  await pass(1000);
  assert.deepEqual(posted.map((body) => [body.funnel, ids(body.events)]), [["fk", ["a", "b"]]]);
  assert.deepEqual(queue.entries(), []);
});

test("without a connection the tries grow rarer and nothing is lost", async () => {
  const { queue, delivery } = open();
  queue.put(entry("a"));
  answers = Array.from({ length: 6 }, () => new TypeError("Failed to fetch"));
  delivery.wake();
  await pass(10 * 60_000);
  assert.equal(posted.length, 7);
  assert.deepEqual(queue.entries(), []);
});

test("the connection's return ends the waiting", async () => {
  const { queue, delivery } = open();
  queue.put(entry("a", { tries: 12, next: now + 1_000_000 }));
  delivery.again();
  await pass(1000);
  assert.equal(posted.length, 1);
});

test("another tab does not send what this one is sending", async () => {
  const box = memoryBox();
  const one = open(box);
  const two = open(box);
  one.queue.put(entry("a"));
  answers = [new Response("", { status: 500 })];
  one.delivery.wake();
  two.delivery.wake();
  await pass(200);
  assert.equal(posted.length, 1);
  await pass(LEASE_MS);
  assert.ok(posted.length >= 2);
});

test("a backlog goes in batches", async () => {
  const { queue, delivery } = open();
  for (let at = 0; at < 120; at++) queue.put(entry(`e${at}`));
  delivery.wake();
  await pass(5000);
  assert.deepEqual(posted.map((body) => body.events.length), [MAX_BATCH, MAX_BATCH, 20]);
});

test("a batch refused for one event goes again without it; refused as a whole it is dropped", async () => {
  const { queue, delivery } = open();
  ["a", "b", "c"].forEach((id) => queue.put(entry(id)));
  answers = [new Response('{"detail":"events[1].x: no","errors":[{"field":"events[1].x"}]}', { status: 400 }), new Response("{}", { status: 400 })];
  delivery.wake();
  await pass(5000);
  assert.deepEqual(posted.map((body) => ids(body.events)), [["a", "b", "c"], ["a", "c"]]);
  assert.deepEqual(queue.entries(), []);
});

test("the queue holds at most so many, so much and for so long", () => {
  const { queue } = open();
  queue.put(entry("old", { at: now - MAX_AGE_MS }));
  assert.deepEqual(queue.entries(), []);
  for (let at = 0; at < MAX_EVENTS + 50; at++) queue.put(entry(`e${at}`));
  assert.equal(queue.entries().length, MAX_EVENTS);
  assert.equal(queue.entries()[0]!.event.event_id, "e50");
  for (let at = 0; at < 100; at++) queue.put(entry(`big${at}`, { event: { event_id: `big${at}`, url: "u".repeat(2000) } }));
  assert.ok(JSON.stringify(queue.entries()).length <= MAX_CHARS);
  assert.equal(queue.entries().at(-1)!.event.event_id, "big99");
});

test("a full storage, a broken one and none at all: memory does", () => {
  for (const box of [memoryBox(100), memoryBox(0)]) {
    const { queue } = open(box);
    for (let at = 0; at < 20; at++) queue.put(entry(`e${at}`));
    assert.equal(queue.entries().length, 20);
  }
  const broken = memoryBox();
  broken.kept.set("sinal_queue:fk", '{"not":"a list"}');
  const { queue } = open(broken);
  queue.put(entry("a"));
  assert.deepEqual(ids(queue.entries().map((one) => one.event)), ["a"]);
});

test("consent moves the queue between memory and storage", () => {
  const box = memoryBox();
  let may = false;
  const { queue } = open(box, () => may);
  queue.put(entry("a"));
  assert.equal(box.kept.size, 0);
  may = true;
  queue.settle();
  assert.equal(box.kept.size, 1);
  may = false;
  queue.settle();
  assert.equal(box.kept.size, 0);
  assert.equal(queue.entries().length, 1);
});

test("waits double up to half an hour and never undercut Retry-After", () => {
  for (let tries = 1; tries < 40; tries++) {
    const wait = waitMs(tries);
    const least = Math.min(2000 * 2 ** (tries - 1), 1_800_000);
    assert.ok(wait >= least && wait <= (least * 4) / 3, `${tries}: ${wait}`);
  }
  assert.ok(waitMs(1, "120") >= 120_000);
  assert.ok(waitMs(1, "Wed, 21 Oct 2026 07:28:00 GMT") < 3_000);
});

test("money is rounded as text, half up", () => {
  const cases: [string, string | null][] = [
    ["297", "297.00"], ["297.9", "297.90"], ["0.005", "0.01"], ["0.004", "0.00"], ["1.005", "1.01"], ["999.995", "1000.00"],
    ["1234567890.12", "1234567890.12"], ["007", "7.00"], ["0", "0.00"], ["", null], [".5", null], ["R$ 1", null], ["1e3", null], ["-1", null],
  ]; // prettier-ignore
  for (const [text, expected] of cases) assert.equal(twoDecimals(text), expected, text);
});

test("the purchase's id is the hub's: SHA-256 of tenant|order|Purchase|value|currency", async () => {
  // printf 'loja|HP1|Purchase|297.00|BRL' | sha256sum
  const expected = "d6f5f4bdac448ba5b3d04cda99bcc325c07b275ae9339ef97377a914a25dc683";
  assert.equal(await purchaseId("loja", { order_id: "HP1", value: 297, currency: "brl" }), expected);
  await assert.rejects(async () => purchaseId("loja", { value: 1 }));
});
