/** One funnel's tracker: the page's words become events, and consent decides what they carry. */

import { loaded, slotsOf } from "./checkout";
import { isLanding, key, options } from "./config";
import { answer, denied, granted, mayStore, say } from "./consent";
import { site } from "./cookies";
import { decorateAll } from "./decorate";
import { fieldsOf, KINDS, kindOf, told, type Data } from "./events";
import { shortId } from "./ids";
import { openOutbox } from "./outbox";
import { more } from "./more";
import { landing } from "./pages";
import { withParam } from "./query";
import { quiet, warn } from "./quiet";
import { box } from "./store";
import { LINKER, utmOf } from "./visit";
import { cargoOfLinks, forget, handOver, ids, touches, welcome } from "./visitor";

const FIELDS = "email phone first_name last_name city state zip country external_id".split(" ");
const TOGETHER_MS = 30; // identify() and the event after it are one

// What the page has told of the visitor's person. It stays in this page's memory and travels to our own ingest, where
// it is hashed; `untold`: no event carries it yet.
let person: Record<string, string> | undefined;
let untold = false;
let referrer: string | undefined;
const written = new Map<string, string>(); // links as the page wrote them, by what we made of them

export const outbox = openOutbox(box, mayStore, key, options.batchUrl, ({ event, user }) => {
  const { external_id, ...rest } = user || {};
  // A no holds for what still waits, too.
  const withdrawn = denied() && { fbclid: undefined, fbc: undefined, fbp: undefined, consent_ads: false, url: told(event.url as string, true) };
  return { ...event, ...withdrawn, external_id, user: user && rest };
});

function put(type: string, data: Data, of: object = ids()): Data {
  const no = denied();
  const event = {
    type,
    event_id: "" + (data.event_id || shortId()),
    ...of,
    url: told(location.href, no),
    referrer: told(referrer || "", no),
    utm: no ? utmOf(location.href) : touches().last,
    consent_ads: answer(),
    ...fieldsOf(data),
  };
  outbox.put({ event, user: person, at: Date.now(), next: 0, tries: 0 });
  untold = false;
  return event;
}

/** Returns the event's id, or nothing for a word that is not an event; `call` says whether the pixel is given it, too. */
export function track(said: unknown, given?: Data | null, call?: { pixel?: boolean } | null): unknown {
  const kind = kindOf(said);
  if (!kind) return warn(said + "? " + Object.keys(KINDS));
  const event = put(kind, given || {});
  const { pixel = options.pairing } = call || {};
  if (KINDS[kind] && pixel) more((second) => second.pair(granted, KINDS[kind], event));
  return event.event_id;
}

/** Somebody was named and nothing else has happened: neither of these two is an event of Meta's. */
const introduce = quiet(() => {
  if (untold) put(ids().click_id ? "click" : "identify", {});
});

const arrive = () => {
  if (welcome(landing())) put("click", {});
};

/** A page was opened, or the application has moved on from another one; by default the same page as last time. */
export function open(from = referrer): void {
  referrer = from;
  arrive();
  if (options.automatic) track("pageview");
}

export function identify(given: Record<string, any>): void {
  if (denied()) return;
  const all = { ...person };
  FIELDS.forEach((field) => given[field] && (all[field] = "" + given[field]));
  person = all;
  untold = true;
  setTimeout(introduce, TOGETHER_MS);
}

/** The answer has become another one, here or in another tab. */
export function heed(): void {
  if (denied()) {
    forget();
    person = undefined;
    untold = false;
    outbox.kept().forEach((entry) => (entry.user = undefined));
  }
  outbox.settle();
}

export function consent(said: unknown): void {
  const yes = said === true || said === "granted";
  if (!yes && ![false, "denied"].includes(said as any)) warn(`consent(${said}): no`);
  const { click_id, session_id } = ids();
  const changed = !granted() === yes;
  if (!yes) forget(); // first: the answer needs its place in a full storage
  say(yes);
  heed();
  if (yes) arrive();
  // The hub must learn it of this visitor, whose sale may come from a gateway an hour later. Before the first page
  // view a yes needs no announcement: that one tells it.
  if (changed && (!yes || referrer != null)) put("pageview", {}, yes ? undefined : { click_id, session_id });
  decorateAll();
}

/** On another site, which knows nothing of this one's cookies. */
const isElsewhere = (host: string) => !("." + host).endsWith("." + (site() || location.hostname));

/**
 * A link with what it is to carry. `live`: it is being used now; null: a frame, which is loaded anew when it is written,
 * and loses what the buyer typed: what we made is left alone.
 */
export function load(url: string, named: string | null | undefined, live: boolean | null): string {
  const { hostname } = new URL(url);
  const slots = slotsOf(hostname, hostname && named);
  const own = written.get(url) || url;
  if ((!slots && !isLanding(hostname)) || (live === null && own !== url)) return url;
  const cargo = cargoOfLinks();
  let link = own;
  if (cargo && slots) link = loaded(own, slots, cargo);
  else if (cargo && live && mayStore() && isElsewhere(hostname)) link = withParam(loaded(own, [], cargo), LINKER, handOver());
  if (link !== own) written.set(link, own);
  return link;
}

/** Last chance before the page goes away. */
export function leave(): void {
  introduce();
  outbox.leave();
}
