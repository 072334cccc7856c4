/**
 * Takes events from the queue to the edge. An event leaves the queue only when the edge has answered, so one that a
 * beacon took along is sent once more later; its own event_id tells the edge that it is a repeat.
 *
 * Bodies are text/plain, requests carry no credentials: no preflight, no cookies. A beacon brings the site's cookies
 * along, so it is used only where we may read them.
 */

import type { Entry, Queue } from "./queue";

export const MAX_BATCH = 50;
const MAX_BODY = 48 * 1024; // browsers give keepalive requests 64 KB in all
const SOON_MS = 50; // calls that belong together travel together
export const LEASE_MS = 15_000; // how long an unanswered attempt keeps others from sending the same
const FIRST_WAIT_MS = 2_000;
const LAST_WAIT_MS = 30 * 60_000;
const LIVE_MS = 30_000; // younger events take the edge's clock: visitors' clocks are often wrong

export interface Delivery {
  /** Sends soon. */
  wake(): void;
  /** Sends what is due while the page goes away. */
  leave(): void;
  /** The connection is back: what was waiting for its next try is due. */
  again(): void;
}

/** `extra` gives the fields of an event that may not be stored, `mayBeacon` whether cookies may travel along. */
export function openDelivery(
  url: string,
  queue: Queue,
  funnel: string,
  extra: (id: string) => object | undefined,
  mayBeacon: () => boolean,
): Delivery {
  let busy = false;
  let alarm = 0; // Unix ms of the timer that is set; 0 for none

  const wired = ({ event, at }: Entry) => {
    const clock = Date.now() - at > LIVE_MS ? { occurred_at: new Date(at) } : {};
    return { ...event, ...extra(event.event_id), ...clock };
  };
  const bodyOf = (due: Entry[]) => JSON.stringify({ funnel, events: due.map(wired) });
  /** Changes those entries of the queue; `at` is their place in the batch. */
  const each = (due: Entry[], change: (entry: Entry, at: number) => Entry | null) => {
    const ids = due.map((entry) => entry.event.event_id);
    queue.change((entry) => {
      const at = ids.indexOf(entry.event.event_id);
      return at < 0 ? entry : change(entry, at);
    });
  };
  const take = (): Entry[] => {
    const now = Date.now();
    const due = queue.entries().filter((entry) => entry.next <= now).slice(0, MAX_BATCH);
    while (due.length > 1 && bodyOf(due).length > MAX_BODY) due.pop();
    if (due.length) each(due, (entry) => ({ ...entry, next: now + LEASE_MS, tries: entry.tries + 1 }));
    return due;
  };
  const wait = (due: Entry[], retryAfter?: string | null) =>
    each(due, (entry) => ({ ...entry, next: Date.now() + waitMs(entry.tries, retryAfter) }));

  const send = async (due: Entry[]) => {
    try {
      const answer = await fetch(url, { method: "POST", body: bodyOf(due), keepalive: true, credentials: "omit" });
      const { status } = answer;
      if (status >= 500 || status === 429) return wait(due, answer.headers.get("retry-after"));
      const problem = status === 400 ? await answer.text() : "";
      const names = (at: number | string) => problem.includes(`"events[${at}`);
      // One bad event refuses its batch: the others go again without it.
      each(due, (entry, at) => (names("") && !names(at + "]") ? { ...entry, next: 0 } : null));
    } catch {
      wait(due);
    }
  };
  const flush = async () => {
    alarm = 0;
    if (busy) return;
    busy = true;
    const due = take();
    if (due.length) await send(due);
    busy = false;
    const next = queue.entries().map((entry) => entry.next);
    if (next.length) set(Math.max(SOON_MS, Math.min(...next) - Date.now()));
  };
  const set = (ms: number) => {
    const at = Date.now() + ms;
    if (alarm && alarm <= at) return;
    alarm = at;
    setTimeout(() => alarm === at && flush(), ms);
  };
  const wake = () => set(SOON_MS);
  return {
    wake,
    again: () => {
      queue.change((entry) => ({ ...entry, next: 0 }));
      wake();
    },
    leave: () => {
      const due = take();
      if (due.length && !(mayBeacon() && navigator.sendBeacon(url, bodyOf(due)))) send(due);
    },
  };
}

/** Doubling from two seconds to half an hour, spread over a third; never before the edge's own Retry-After. */
export function waitMs(tries: number, retryAfter?: string | null): number {
  const own = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LAST_WAIT_MS);
  return Math.max(own, Number(retryAfter) * 1000 || 0) * (1 + Math.random() / 3);
}
