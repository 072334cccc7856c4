/** One funnel's tracker: the page's words become events, and consent decides what they carry. */

import { loaded, ruleOf } from "./checkout";
import { isLanding, type Config, type Options } from "./config";
import type { Consent } from "./consent";
import type { Jar } from "./cookies";
import type { Delivery } from "./delivery";
import { itemsOf, KINDS, kindOf, pixelData, told, type Data } from "./events";
import type { Person } from "./person";
import type { Queue } from "./queue";
import { withParam } from "./query";
import { LINKER, utmOf } from "./visit";
import type { Visitor } from "./visitor";

const TOGETHER_MS = 30; // identify() and the event after it are one
type Fbq = (act: string, name: string, data: object, extra: { eventID: string }) => void;

export interface CallOptions {
  pixel?: boolean;
}

export interface Tracker {
  /** A page was opened, or the application has moved on from another one. */
  open(from: string): void;
  /** Returns the event's id, or null for a word that is no event. */
  track(word: string, data?: Data, call?: CallOptions): string | null;
  identify(given: Record<string, unknown>): void;
  consent(yes: boolean): void;
  /** A link with what it is to carry; `live` when it is being used now. */
  load(url: string, named: string | undefined, live: boolean): string;
  /** Last chance before the page goes away. */
  leave(): void;
}

export function openTracker(
  config: Config,
  options: Options,
  consent: Consent,
  jar: Jar,
  visitor: Visitor,
  person: Person,
  queue: Queue,
  delivery: Delivery,
  newId: () => string,
): Tracker {
  const { denied } = consent;
  let referrer = "";

  const put = (type: string, data: Data, of: object = visitor.ids()): string => {
    const id = data.event_id || newId();
    person.attend(id);
    const event = {
      type,
      event_id: id,
      ...of,
      url: told(location.href, denied()),
      referrer: told(referrer, denied()),
      utm: denied() ? utmOf(location.href) : visitor.touches().last,
      consent_ads: consent.answer(),
      value: data.value,
      currency: data.currency,
      items: itemsOf(data),
      order_id: data.order_id,
    };
    queue.put({ event, at: Date.now(), next: 0, tries: 0 });
    delivery.wake();
    return id;
  };
  const track: Tracker["track"] = (word, data = {}, call = {}) => {
    const kind = kindOf(word);
    if (!kind) {
      console.warn(`sinal: "${word}" is none of ${Object.keys(KINDS)}`);
      return null;
    }
    const id = put(kind, data);
    const { fbq } = window as { fbq?: Fbq };
    const name = KINDS[kind];
    if (fbq && name && (call.pixel ?? options.pairing) && consent.granted()) {
      fbq("track", name, pixelData(data), { eventID: id });
    }
    return id;
  };
  /** Somebody was named and nothing else has happened: a click says it without counting as a page view at Meta. */
  const introduce = () => {
    if (person.waits()) put(visitor.ids().click_id ? "click" : "pageview", {});
  };
  const isElsewhere = (host: string) => {
    const own = jar.site().domain || location.hostname;
    return isLanding(host, config.hosts) && !("." + host).endsWith("." + own);
  };

  return {
    open: (from) => {
      referrer = from;
      if (visitor.arrive(location.href).newAd) put("click", {});
      if (options.automatic) track("pageview");
    },
    track,
    identify: (given) => {
      if (denied()) return;
      person.tell(given);
      setTimeout(introduce, TOGETHER_MS);
    },
    consent: (yes) => {
      const { click_id, session_id } = visitor.ids();
      const changed = consent.say(yes);
      if (yes) visitor.keep();
      else {
        visitor.forget();
        person.leave();
      }
      queue.settle();
      // The hub must learn it of this visitor, whose sale may come from a gateway an hour later.
      if (changed) put("pageview", {}, yes ? undefined : { click_id, session_id });
    },
    load: (url, named, live) => {
      const host = new URL(url).hostname;
      const rule = ruleOf(host, named);
      if (rule) return loaded(url, rule, visitor.cargo());
      if (!live || !consent.mayStore() || !isElsewhere(host)) return url;
      return withParam(loaded(url, { slots: [] }, visitor.cargo()), LINKER, visitor.handOver());
    },
    leave: () => {
      introduce();
      delivery.leave();
    },
  };
}
