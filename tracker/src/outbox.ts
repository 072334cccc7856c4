/**
 * Events on their way, kept until the edge has answered: over page changes and days without a connection.
 *
 * A page sends what it was told itself from its memory. Local storage has a copy of all events of the site's pages that
 * nothing of a person is in: what one page overwrites of another's, that one writes again, and who finds an event whose
 * time has come while nobody takes care of it takes it over. An event that a beacon took along is sent once more later;
 * its own event_id tells the edge that it is a repeat. Bounded by count, size and age, the oldest go first.
 *
 * Bodies are text/plain, requests carry no credentials: no preflight, no cookies. A beacon brings the site's cookies
 * along, so it is used only where we may read them.
 */

import { bare } from "./events";
import { json } from "./json";
import { quiet, warn } from "./quiet";
import type { Box } from "./store";

export const MAX_EVENTS = 200;
export const MAX_CHARS = 64 * 1024;
export const MAX_AGE_MS = 7 * 86_400_000 - 3_600_000; // the edge refuses events of seven days
export const MAX_BATCH = 50;
export const LEASE_MS = 15_000; // how long others leave an event to who has it
const MAX_BODY = 48 * 1024; // browsers give keepalive requests 64 KB in all
const SOON_MS = 50; // calls that belong together travel together
const FIRST_WAIT_MS = 2_000;
const LAST_WAIT_MS = 30 * 60_000;
const ROLLOUT_TRIES = 6; // a minute: a gateway may be without its route while it is being replaced

export type Event = { event_id: string; [field: string]: unknown };

export interface Entry {
  event: Event;
  user?: Record<string, string>; // who did it: in this page's memory alone
  at: number; // Unix ms when it happened
  next: number; // Unix ms before which it is not (again) sent
  tries: number;
}

export interface Outbox {
  kept(): Entry[];
  put(entry: Entry): void;
  /** Storage may be used from now on, or not any more. */
  settle(): void;
  /** Sends soon. */
  wake(): void;
  /** Sends what is due while the page goes away. */
  leave(): void;
  /** The connection is back: what was waiting for its next try is due. */
  again(): void;
}

/** `mayStore` says whether storage and cookies may be used now, `wired` gives of an entry what is sent. */
export function openOutbox(
  box: Box,
  mayStore: () => unknown,
  funnel: string,
  url: string,
  wired: (entry: Entry) => object,
): Outbox {
  const key = "sinal_queue:" + funnel; // two funnels may share a host
  const mine = new Map<string, Entry | undefined>(); // undefined: answered, which copies may not have heard of
  let busy: unknown;
  let saving: unknown;
  let alarm: unknown;

  const entries = (): Entry[] =>
    ([] as (Entry | undefined)[])
      .concat((mayStore() && box.read(key)) || [])
      .filter(quiet((entry: any) => entry.event.event_id && !mine.has(entry.event.event_id)))
      .concat([...mine.values()])
      .filter((entry) => entry && Math.abs(Date.now() - entry.at) < MAX_AGE_MS) as Entry[];
  const save = () => (saving = saving || Promise.resolve().then(store)); // one write for calls that belong together
  const drop = ({ event }: Entry) => {
    mine.set(event.event_id, undefined);
    save();
  };
  const hold = (entry: Entry, ms: number) => {
    mine.set(entry.event.event_id, entry);
    entry.next = Date.now() + ms;
    save();
  };
  const store = quiet(() => {
    saving = 0;
    const all = entries();
    const copies = all.map((entry) => {
      const { event, next } = entry;
      return {
        ...entry,
        user: undefined,
        event: { ...event, url: bare(event.url as string), referrer: bare(event.referrer as string) },
        next: next + +mine.has(event.event_id) * LEASE_MS,
      };
    });
    while (copies[MAX_EVENTS] || json(copies).length > MAX_CHARS) {
      copies.shift();
      drop(all.shift() as Entry);
    }
    box.write(key, mayStore() ? copies : undefined);
  });
  // Both times by the same clock: the edge reads the age, however wrong that clock is.
  const bodyOf = (due: Entry[]) =>
    json({ funnel, events: due.map((entry) => ({ ...wired(entry), occurred_at: entry.at, sent_at: Date.now() })) });
  const take = (): Entry[] => {
    const due = entries().filter(({ next }) => next <= Date.now()).slice(0, MAX_BATCH);
    while (due[1] && bodyOf(due).length > MAX_BODY) due.pop();
    due.forEach((entry) => {
      entry.tries++;
      hold(entry, LEASE_MS);
    });
    return due;
  };
  const send = async (due: Entry[]) => {
    let retryAfter: string | null | undefined;
    try {
      const answer = await fetch(url, { method: "POST", body: bodyOf(due), keepalive: true, credentials: "omit" });
      const said = answer.status + (await answer.text());
      retryAfter = answer.headers.get("retry-after");
      if (!/^(5|429)/.test(said) && (!/^4(04|08|25)/.test(said) || due[0]!.tries > ROLLOUT_TRIES)) {
        if (!/^2/.test(said) || /"warnings"/.test(said)) warn(said);
        // One bad event refuses its batch: the others go again without it.
        due.forEach((entry, at) => (/^400[^]*"events\[/.test(said) && !said.includes(`"events[${at}]`) ? hold(entry, 0) : drop(entry)));
        return;
      }
    } catch {}
    due.forEach((entry) => hold(entry, waitMs(entry.tries, retryAfter)));
  };
  const flush = async () => {
    alarm = 0;
    if (busy) return;
    busy = 1;
    const due = take();
    if (due[0]) await send(due);
    busy = 0;
    const next = entries().map((entry) => entry.next);
    if (next[0]) setTimeout(wake, Math.min(...next) - Date.now());
  };
  const wake = () => {
    alarm = alarm || setTimeout(flush, SOON_MS);
  };
  const put = (entry: Entry) => {
    hold(entry, 0);
    wake();
  };
  return {
    kept: entries,
    put,
    settle: save,
    wake,
    again: () => entries().forEach(put),
    leave: () => {
      const due = take();
      if (due[0] && !(mayStore() && navigator.sendBeacon(url, bodyOf(due)))) send(due);
    },
  };
}

/** Doubling from two seconds to half an hour, spread over a third; never before the edge's own Retry-After. */
export const waitMs = (tries: number, retryAfter?: string | null): number =>
  Math.max(Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LAST_WAIT_MS), (retryAfter as any) * 1000 || 0) * (1 + Math.random() / 3);
