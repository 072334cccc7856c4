/** The queue and its delivery without a browser: time, storage and answers are the test's own. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { json } from "../src/json";
import { LEASE_MS, MAX_AGE_MS, MAX_BATCH, MAX_CHARS, MAX_EVENTS, openOutbox, waitMs, type Entry } from "../src/outbox";
import { twoDecimals, purchaseId } from "../src/purchase";
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
      kept.delete(name);
      if (value !== undefined && json(value).length <= limit) kept.set(name, json(value));
    },
  };
}

const entry = (id: string, more: Partial<Entry> = {}): Entry => ({
  event: { event_id: id, url: "https://a.example/", referrer: "" },
  at: now,
  next: 0,
  tries: 0,
  ...more,
});
const open = (box = memoryBox(), mayStore = () => true) => openOutbox(box, mayStore, "fk", "https://e.example", ({ event, user }) => ({ ...event, ...user }));
const ids = (of: { event_id: string }[]) => of.map((event) => event.event_id);

test("what is sent and answered leaves the queue", async () => {
  const outbox = open();
  outbox.put(entry("a"));
  outbox.put(entry("b"));
  await pass(1000);
  assert.deepEqual(posted.map((body) => [body.funnel, ids(body.events)]), [["fk", ["a", "b"]]]);
  assert.deepEqual(outbox.kept(), []);
});

test("without a connection the tries grow rarer and nothing is lost", async () => {
  const outbox = open();
  answers = Array.from({ length: 6 }, () => new TypeError("Failed to fetch"));
  outbox.put(entry("a"));
  await pass(10 * 60_000);
  assert.equal(posted.length, 7);
  assert.deepEqual(outbox.kept(), []);
});

test("a gateway that is without its route for a while costs nothing, one that stays so no traffic", async () => {
  const outbox = open();
  answers = [404, 408, 425].map((status) => new Response("", { status }));
  outbox.put(entry("a"));
  await pass(60_000);
  assert.equal(posted.length, 4);
  answers = Array.from({ length: 20 }, () => new Response("", { status: 404 }));
  outbox.put(entry("b"));
  await pass(86_400_000);
  assert.equal(posted.length, 4 + 7);
  assert.deepEqual(outbox.kept(), []);
});

test("the connection's return ends the waiting", async () => {
  const outbox = open();
  outbox.put(entry("a", { tries: 12, next: now + 1_000_000 }));
  outbox.again();
  await pass(1000);
  assert.equal(posted.length, 1);
});

test("another tab leaves an event to the one that has it, and takes it over when nobody cares", async () => {
  const box = memoryBox();
  open(box).put(entry("a"));
  await Promise.resolve();
  timers = [];
  const two = open(box);
  two.wake();
  await pass(LEASE_MS - 1000);
  assert.equal(posted.length, 0);
  await pass(5000);
  assert.deepEqual(posted.map((body) => ids(body.events)), [["a"]]);
});

test("tabs that overwrite one another's copies lose nothing", async () => {
  const box = memoryBox();
  const tabs = [open(box), open(box), open(box)];
  for (let at = 0; at < 30; at++) {
    const stale = box.kept.get("sinal_queue:fk");
    tabs[at % 3]!.put(entry(`e${at}`));
    await pass(20);
    if (stale) box.kept.set("sinal_queue:fk", stale); // written by a tab that had read before
  }
  await pass(60_000);
  assert.equal(new Set(posted.flatMap((body) => ids(body.events))).size, 30);
  assert.deepEqual(tabs[0]!.kept(), []);
});

test("a backlog goes in batches", async () => {
  const outbox = open();
  for (let at = 0; at < 120; at++) outbox.put(entry(`e${at}`));
  await pass(5000);
  assert.deepEqual(posted.map((body) => body.events.length), [MAX_BATCH, MAX_BATCH, 20]);
});

test("a batch refused for one event goes again without it; refused as a whole it is dropped", async () => {
  const outbox = open();
  console.warn = () => {};
  ["a", "b", "c"].forEach((id) => outbox.put(entry(id)));
  answers = [new Response('{"detail":"events[1].x: no","errors":[{"field":"events[1].x"}]}', { status: 400 }), new Response("{}", { status: 400 })];
  await pass(5000);
  assert.deepEqual(posted.map((body) => ids(body.events)), [["a", "b", "c"], ["a", "c"]]);
  assert.deepEqual(outbox.kept(), []);
});

test("the queue holds at most so many, so much and for so long", async () => {
  const box = memoryBox();
  const outbox = open(box);
  globalThis.fetch = (() => new Promise(() => {})) as never;
  outbox.put(entry("old", { at: now - MAX_AGE_MS }));
  assert.deepEqual(outbox.kept(), []);
  for (let at = 0; at < MAX_EVENTS + 50; at++) outbox.put(entry(`e${at}`));
  await pass(1);
  assert.equal(outbox.kept().length, MAX_EVENTS);
  assert.equal(outbox.kept()[0]!.event.event_id, "e50");
  for (let at = 0; at < 100; at++) outbox.put(entry(`big${at}`, { event: { event_id: `big${at}`, url: "https://a.example/" + "u".repeat(2000) } as never }));
  await pass(1);
  assert.ok(box.kept.get("sinal_queue:fk")!.length <= MAX_CHARS);
  assert.equal(outbox.kept().at(-1)!.event.event_id, "big99");
});

test("a full storage, a broken one and what is not an entry: memory does", async () => {
  for (const box of [memoryBox(100), memoryBox(0)]) {
    const outbox = open(box);
    for (let at = 0; at < 20; at++) outbox.put(entry(`e${at}`));
    await Promise.resolve();
    assert.equal(outbox.kept().length, 20);
  }
  timers = [];
  for (const text of ['{"not":"a list"}', "[null]", '[1,"x",{}]', '[{"event":null}]', '[{"event":{}}]']) {
    const broken = memoryBox();
    broken.kept.set("sinal_queue:fk", text);
    const outbox = open(broken);
    outbox.put(entry("a"));
    await pass(1000);
    assert.deepEqual(posted.splice(0).map((body) => ids(body.events)), [["a"]], text);
  }
});

test("consent moves the queue between memory and storage, and a person is never in storage", async () => {
  const box = memoryBox();
  let may = false;
  const outbox = open(box, () => may);
  outbox.put(entry("a", { user: { email: "ana@example.com" }, next: now + 1000 }));
  await Promise.resolve();
  assert.equal(box.kept.size, 0);
  may = true;
  outbox.settle();
  await Promise.resolve();
  assert.ok(box.kept.get("sinal_queue:fk") && !box.kept.get("sinal_queue:fk")!.includes("ana@"));
  may = false;
  outbox.settle();
  await Promise.resolve();
  assert.equal(box.kept.size, 0);
  assert.equal(outbox.kept().length, 1);
});

test("JSON is JSON, whatever hangs in the prototypes", () => {
  const pages: any[] = [Array.prototype, String.prototype, Number.prototype, Object.prototype];
  const value = { list: [1, "a"], half: "a\ud83d", whole: "😀", slash: "\\ud83d", nul: "a\u0000b", big: BigInt(10) };
  const expected = { list: [1, "a"], half: "a", whole: "😀", slash: "\\ud83d", nul: "ab", big: "10" };
  for (const page of pages) page.toJSON = () => "theirs";
  const text = json(value);
  assert.equal(([] as any).toJSON(), "theirs", "and is there again afterwards");
  for (const page of pages) delete page.toJSON;
  assert.deepEqual(JSON.parse(text), expected);
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
    ["1234567890.12", "1234567890.12"], ["007", "7.00"], ["59.699999999999996", "59.70"], ["0", "0.00"], ["", null], [".5", null], ["R$ 1", null], ["1e3", null], ["-1", null],
  ]; // prettier-ignore
  for (const [text, expected] of cases) assert.equal(twoDecimals(text), expected, text);
});

test("the purchase's id is the hub's: SHA-256 of tenant|order|Purchase|value|currency", async () => {
  // printf 'loja|HP1|Purchase|297.00|BRL' | sha256sum
  const expected = "d6f5f4bdac448ba5b3d04cda99bcc325c07b275ae9339ef97377a914a25dc683";
  assert.equal(await purchaseId("loja", { order_id: "HP1", value: 297, currency: "brl" }), expected);
  await assert.rejects(async () => purchaseId("loja", { value: 1 }));
});
