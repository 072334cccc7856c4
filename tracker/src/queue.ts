/**
 * Events on their way, kept until the edge has answered: over page changes and days without a connection.
 *
 * Local storage is the truth where it may be used, so that tabs of one site share the queue; else memory. Bounded by
 * count, size and age, the oldest go first. Clear personal data is never part of an entry.
 */

import type { Box } from "./store";

export const PREFIX = "sinal_queue:"; // and the funnel's key: two funnels may share a host
export const MAX_EVENTS = 200;
export const MAX_CHARS = 64 * 1024;
export const MAX_AGE_MS = 7 * 86_400_000 - 3_600_000; // the edge refuses events of seven days

export interface Entry {
  event: { event_id: string; [field: string]: unknown };
  at: number; // Unix ms when it happened
  next: number; // Unix ms before which it is not (again) sent
  tries: number;
}

export interface Queue {
  entries(): Entry[];
  put(entry: Entry): void;
  /** Replaces every entry by what `change` gives; null takes it out. */
  change(change: (entry: Entry) => Entry | null): void;
  /** Storage may be used from now on, or not any more: entries move. */
  settle(): void;
}

/** `mayStore` says whether the box may be used now. */
export function openQueue(box: Box, mayStore: () => boolean, funnel: string): Queue {
  const key = PREFIX + funnel;
  let memory: Entry[] = [];

  const entries = () => {
    const found = mayStore() ? box.read<Entry[]>(key) : null;
    return (Array.isArray(found) ? found : memory).filter((entry) => Math.abs(Date.now() - entry.at) < MAX_AGE_MS);
  };
  const save = (list: Entry[]) => {
    while (list.length > MAX_EVENTS || JSON.stringify(list).length > MAX_CHARS) list.shift();
    memory = list;
    // A full storage keeps its old text, which would be read again: memory has to do.
    if (mayStore() && !box.write(key, list)) box.write(key, undefined);
  };
  return {
    entries,
    put: (entry) => save([...entries(), entry]),
    change: (change) => save(entries().map(change).filter((entry): entry is Entry => !!entry)),
    settle: () => {
      const all = entries(); // memory either way: what was stored under an earlier yes, its no has deleted
      if (!mayStore()) box.write(key, undefined);
      save(all);
    },
  };
}
