/** One funnel's tracker: the page's words become events, and consent decides what they carry. */

import { loaded, slotsOf } from "./checkout";
import { isLanding, type Config, type Options } from "./config";
import { openConsent } from "./consent";
import { openJar } from "./cookies";
import { fieldsOf, KINDS, kindOf, told, type Data } from "./events";
import { shortId } from "./ids";
import { openOutbox, type Outbox } from "./outbox";
import { landing } from "./pages";
import { openPairing } from "./pixel";
import { withParam } from "./query";
import { quiet, warn } from "./quiet";
import { box } from "./store";
import { LINKER, utmOf } from "./visit";
import { openVisitor, type Visitor } from "./visitor";

const FIELDS = "email phone first_name last_name city state zip country".split(" ");
const TOGETHER_MS = 30; // identify() and the event after it are one

export interface CallOptions {
  pixel?: boolean;
}

export interface Tracker {
  visitor: Visitor;
  outbox: Outbox;
  /** A page was opened, or the application has moved on from another one; by default the same page as last time. */
  open(from?: string): void;
  /** Returns the event's id, or null for a word that is no event. */
  track(said: unknown, data?: Data | null, call?: CallOptions | null): string | null;
  identify(given: Record<string, any>): void;
  consent(said: unknown): void;
  /** The answer has become another one, here or in another tab. */
  heed(): void;
  /** A link with what it is to carry; `live` when it is being used now. */
  load(url: string, named: string | null | undefined, live: boolean): string;
  /** Last chance before the page goes away. */
  leave(): void;
}

export function openTracker(config: Config, options: Options): Tracker {
  const consent = openConsent(box, config.early);
  const { denied, mayStore } = consent;
  const granted = () => consent.or(config.consent);
  const jar = openJar(document, location);
  const visitor = openVisitor(jar, box, consent, shortId);
  // What the page has told of the visitor's person. It stays in this page's memory and travels to our own ingest, where
  // it is hashed; `untold`: no event carries it yet.
  let person: { user: Record<string, string>; external_id?: any } | undefined;
  let untold = false;
  const pair = openPairing(granted);
  const written = new Map<string, string>(); // links as the page wrote them, by what we made of them
  let referrer: string | undefined;

  const outbox = openOutbox(
    box,
    mayStore,
    config.key,
    options.batchUrl,
    // A no holds for what still waits, too.
    ({ event, user }) =>
      denied()
        ? { ...event, fbclid: undefined, fbc: undefined, fbp: undefined, consent_ads: false, url: told(event.url as string, true) }
        : { ...event, ...user },
  );
  const put = (type: string, data: Data, of: object = visitor.ids()): string => {
    const event_id = "" + (data.event_id || shortId());
    const event = {
      type,
      event_id,
      ...of,
      url: told(location.href, denied()),
      referrer: told(referrer || "", denied()),
      utm: denied() ? utmOf(location.href) : visitor.touches().last,
      consent_ads: consent.answer(),
      ...fieldsOf(data),
    };
    outbox.put({ event, user: person, at: Date.now(), next: 0, tries: 0 });
    untold = false;
    return event_id;
  };
  const track: Tracker["track"] = (said, given, call) => {
    const kind = kindOf(said);
    if (!kind) {
      warn(said + " is none of " + Object.keys(KINDS));
      return null;
    }
    const data = given || {};
    const id = put(kind, data);
    const asked = call && call.pixel;
    if (KINDS[kind] && (asked == null ? options.pairing : asked)) pair(KINDS[kind], fieldsOf(data), id);
    return id;
  };
  /** Somebody was named and nothing else has happened: neither of these two is an event of Meta's. */
  const introduce = quiet(() => {
    if (untold) put(visitor.ids().click_id ? "click" : "identify", {});
  });
  const arrive = () => {
    if (visitor.arrive(landing())) put("click", {});
  };
  const heed = () => {
    if (denied()) {
      visitor.forget();
      person = undefined;
      untold = false;
      outbox.entries().forEach((entry) => (entry.user = undefined));
    }
    outbox.settle();
  };
  /** On another site, which knows nothing of this one's cookies. */
  const isElsewhere = (host: string) => !("." + host).endsWith("." + (jar.site().domain || location.hostname));

  return {
    visitor,
    outbox,
    open: (from = referrer) => {
      referrer = from;
      arrive();
      if (options.automatic) track("pageview");
    },
    track,
    identify: (given) => {
      if (denied()) return;
      const user = { ...(person && person.user) };
      FIELDS.forEach((field) => given[field] && (user[field] = "" + given[field]));
      const id = given.external_id || (person && person.external_id);
      person = { user, external_id: Number.isFinite(id) ? id : id && "" + id };
      untold = true;
      setTimeout(introduce, TOGETHER_MS);
    },
    consent: (said) => {
      const yes = said === true || said === "granted";
      if (!yes && said !== false && said !== "denied") warn(`consent(${said}) is a no`);
      const { click_id, session_id } = visitor.ids();
      const changed = granted() !== yes;
      if (!yes) visitor.forget(); // first: the answer needs its place in a full storage
      consent.say(yes);
      heed();
      if (yes) arrive();
      // The hub must learn it of this visitor, whose sale may come from a gateway an hour later. Before the first page
      // view a yes needs no announcement: that one tells it.
      if (changed && (!yes || referrer != null)) put("pageview", {}, yes ? undefined : { click_id, session_id });
    },
    heed,
    load: (url, named, live) => {
      const { hostname } = new URL(url);
      const slots = slotsOf(hostname, named);
      if (!slots && !isLanding(hostname, config.hosts)) return url;
      const own = written.get(url) || url;
      const cargo = visitor.cargo();
      let link = own;
      if (cargo && slots) link = loaded(own, slots, cargo);
      else if (cargo && live && mayStore() && isElsewhere(hostname)) link = withParam(loaded(own, [], cargo), LINKER, visitor.handOver());
      if (link !== own) written.set(link, own);
      return link;
    },
    leave: () => {
      introduce();
      outbox.leave();
    },
  };
}
