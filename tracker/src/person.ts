/**
 * What the page has told of the visitor's person. It stays in this page's memory: it travels to our own ingest, where
 * it is hashed, and is never stored in clear on the machine, not even while an event waits for a connection.
 */

const FIELDS = "email phone first_name last_name city state zip country".split(" ");

export interface Person {
  tell(given: Record<string, unknown>): void;
  leave(): void;
  /** Makes an event one that carries the person. */
  attend(eventId: string): void;
  /** What that event carries. */
  of(eventId: string): object | undefined;
  /** Whether something was told that no event carries yet. */
  waits(): boolean;
}

export function openPerson(): Person {
  let user: Record<string, string> = {};
  let known: { user: object; external_id?: unknown } | undefined;
  let untold = false;
  let events: Record<string, object | undefined> = {};
  return {
    tell: (given) => {
      for (const field of FIELDS) if (given[field]) user = { ...user, [field]: String(given[field]) };
      known = { ...known, user, external_id: given.external_id ?? known?.external_id };
      untold = true;
    },
    leave: () => {
      user = {};
      known = undefined;
      untold = false;
      events = {};
    },
    attend: (eventId) => {
      events[eventId] = known;
      untold = false;
    },
    of: (eventId) => events[eventId],
    waits: () => untold,
  };
}
